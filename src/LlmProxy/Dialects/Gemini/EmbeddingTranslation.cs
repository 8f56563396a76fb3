using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Embeddings;
using LlmProxy.Errors;
using LlmProxy.Neutral;
using LlmProxy.Providers;
using LlmProxy.Relay;
using LlmProxy.Routing;
using LlmProxy.Usage;
using Shared.Http;
using Shared.Snapshots;

namespace LlmProxy.Dialects.Gemini;

/// <summary>
/// Embeddings between OpenAI's <c>/embeddings</c> and Google's <c>:embedContent</c> and <c>:batchEmbedContents</c>. <c>dimensions</c> and <c>outputDimensionality</c> are one thing;
/// <c>task_type</c> in OpenAI's request becomes Google's <c>taskType</c>, and the other way round it is reported as dropped, since OpenAI has no word for it.
/// Providers that have yet other forms are called by <see cref="VertexEmbeddings"/> and <see cref="BedrockEmbeddings"/>.
/// </summary>
internal static class EmbeddingTranslation
{
    /// <summary>The endpoint of a provider that stands in for one that it lacks; null: none.</summary>
    public static EndpointFamily? SubstituteAt(EndpointFamily family, Provider provider) =>
        family == EndpointFamily.Embeddings && ProviderEndpoints.Has(provider, EndpointFamily.BatchEmbedContents) ? EndpointFamily.BatchEmbedContents
        : family == EndpointFamily.Embeddings && ProviderEndpoints.Has(provider, EndpointFamily.Predict) ? EndpointFamily.Predict
        : family == EndpointFamily.Embeddings && provider.Dialect == DialectIds.Bedrock && ProviderEndpoints.Has(provider, EndpointFamily.InvokeEmbeddings) ? EndpointFamily.InvokeEmbeddings
        : (family == EndpointFamily.EmbedContent || family == EndpointFamily.BatchEmbedContents) && ProviderEndpoints.Has(provider, EndpointFamily.Embeddings) ? EndpointFamily.Embeddings
        : null;

    /// <summary>Writes a request for the target's endpoint.</summary>
    /// <returns>Null, or why it cannot be asked.</returns>
    public static GatewayError? Encode(ChatCall call, TargetPlan target, DropReport dropped, IBufferWriter<byte> output) =>
        target.Upstream == EndpointFamily.Predict ? VertexEmbeddings.Encode(call.Body.Bytes, dropped, output)
        : target.Upstream == EndpointFamily.InvokeEmbeddings ? BedrockEmbeddings.Encode(call.Body.Bytes, target.Model, dropped, output)
        : call.Target.Family == EndpointFamily.Embeddings
            ? EncodeGoogle(call.Body.Bytes, target.ModelJson, dropped, output)
            : EncodeOpenAi(call.Body.Bytes, target.ModelJson, call.Target.Family == EndpointFamily.BatchEmbedContents, dropped, output);

    /// <summary>Decodes the target's answer right into the client's.</summary>
    /// <param name="call">The call.</param>
    /// <param name="response">The answer's headers, of which some say what was used; null: they are not at hand.</param>
    /// <param name="output">Receives the client's answer.</param>
    public static AnswerDecoder NewDecoder(ChatCall call, HttpResponseMessage? response, IBufferWriter<byte> output) =>
        call.Target.Upstream == EndpointFamily.Predict ? new VertexEmbeddings.Decoder(call.Target.Model, WantsBase64(call.Body.Bytes), output)
        : call.Target.Upstream == EndpointFamily.InvokeEmbeddings ? new BedrockEmbeddings.Decoder(call.Target.Model, WantsBase64(call.Body.Bytes), response, output)
        : call.Target.Family == EndpointFamily.Embeddings
            ? new GoogleToOpenAi(call.Target.Model, WantsBase64(call.Body.Bytes), output)
            : new OpenAiToGoogle(call.Target.Model, call.Target.Family == EndpointFamily.BatchEmbedContents, output);

    /// <summary>Writes OpenAI's request as Google's.</summary>
    internal static GatewayError? EncodeGoogle(ReadOnlyMemory<byte> body, ReadOnlySpan<byte> modelJson, DropReport dropped, IBufferWriter<byte> output)
    {
        if (EmbeddingInput.Read(body, "Google", dropped, out var input) is { } error)
        {
            return error;
        }
        var texts = input!.Texts;
        output.Write("{\"requests\":["u8);
        for (var i = 0; i < texts.Count; i++)
        {
            output.Write(i > 0 ? ",{\"model\":"u8 : "{\"model\":"u8);
            output.Write(GeminiScan.ResourceName(modelJson));
            output.Write(",\"content\":{\"parts\":[{\"text\":"u8);
            output.WriteText(texts[i]);
            output.Write("}]}"u8);
            if (!input.Dimensions.IsEmpty)
            {
                output.Write(",\"outputDimensionality\":"u8);
                output.Write(input.Dimensions.Span);
            }
            if (VertexEmbeddings.TaskOf(input.Task) is { } task)
            {
                output.Write(",\"taskType\":"u8);
                output.WriteText(task);
            }
            output.Write("}"u8);
        }
        output.Write("]}"u8);
        return null;
    }

    /// <summary>Writes Google's request as OpenAI's.</summary>
    internal static GatewayError? EncodeOpenAi(ReadOnlyMemory<byte> body, ReadOnlySpan<byte> modelJson, bool isBatch, DropReport dropped, IBufferWriter<byte> output)
    {
        var texts = new List<JsonText>();
        ReadOnlyMemory<byte> dimensions = default;
        if (isBatch)
        {
            var outer = Canonical(body);
            var requests = new JsonArrayReader(outer.Take("requests"u8));
            ReportRest(outer, dropped);
            while (requests.Next(out var request))
            {
                if (TakeRequest(request.Raw, texts, ref dimensions, $"requests[{texts.Count}].", dropped) is { } error)
                {
                    return error;
                }
            }
        }
        else if (TakeRequest(body, texts, ref dimensions, "", dropped) is { } error)
        {
            return error;
        }
        if (texts.Count == 0)
        {
            return OpenAiErrors.Invalid("requests", "an array of at least one request");
        }
        output.Write("{\"model\":"u8);
        output.Write(modelJson);
        output.Write(",\"input\":["u8);
        for (var i = 0; i < texts.Count; i++)
        {
            output.Write(i > 0 ? ","u8 : default);
            output.WriteText(texts[i]);
        }
        output.Write("],\"encoding_format\":\"float\""u8);
        if (!dimensions.IsEmpty)
        {
            output.Write(",\"dimensions\":"u8);
            output.Write(dimensions.Span);
        }
        output.Write("}"u8);
        return null;
    }

    private static GatewayError? TakeRequest(ReadOnlyMemory<byte> raw, List<JsonText> texts, ref ReadOnlyMemory<byte> dimensions, string where, DropReport dropped)
    {
        var members = Canonical(raw);
        members.Take("model"u8);
        var (content, size) = (members.Take("content"u8), members.Take("outputDimensionality"u8));
        ReportRest(members, dropped);
        if (size.IsNumber)
        {
            if (!dimensions.IsEmpty && !dimensions.Span.SequenceEqual(size.Raw.Span))
            {
                return new GatewayError(400, "unsupported_content", "The requests want different 'outputDimensionality', and this model's provider takes one for all. Send them one by one.") { Field = "requests" };
            }
            dimensions = size.Raw;
        }
        var parts = new List<JsonText>();
        var list = new JsonArrayReader(Canonical(content.Raw.IsEmpty ? "{}"u8.ToArray() : content.Raw).Take("parts"u8));
        while (list.Next(out var part))
        {
            var text = Canonical(part.Raw).Take("text"u8);
            if (!text.IsText)
            {
                return new GatewayError(400, "unsupported_content", $"'{where}content' holds more than text, and this model's provider embeds texts alone.") { Field = where + "content" };
            }
            parts.Add(text.Text);
        }
        if (parts.Count == 0)
        {
            return OpenAiErrors.Invalid(where + "content", "an object whose 'parts' hold a text");
        }
        texts.Add(parts.Count == 1 ? parts[0] : JsonText.Join(parts, "\\n"u8));
        return null;
    }

    /// <summary>The members of an object of Google's, under their lowerCamelCase names.</summary>
    private static JsonMembers Canonical(ReadOnlyMemory<byte> json)
    {
        if (json.Span.IndexOf((byte)'_') < 0)
        {
            return JsonMembers.Of(json);
        }
        var renamed = new ArrayBufferWriter<byte>(json.Length);
        var reader = new Utf8JsonReader(json.Span, JsonArrayReader.Options);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return JsonMembers.Of(json);
        }
        renamed.Write("{"u8);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            renamed.Write(renamed.WrittenCount > 1 ? ","u8 : default);
            renamed.Write(GeminiNames.CamelToken(ref reader, json).Token.Span);
            renamed.Write(":"u8);
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            renamed.Write(json.Span[start..(int)reader.BytesConsumed]);
        }
        renamed.Write("}"u8);
        return JsonMembers.Of(renamed.WrittenMemory);
    }

    private static void ReportRest(JsonMembers members, DropReport dropped)
    {
        var rest = new ExtensionBag();
        members.LeaveTo(rest);
        dropped.Add("", rest);
    }

    private static bool WantsBase64(ReadOnlyMemory<byte> body) => JsonMembers.Of(body).Take("encoding_format"u8).Is("base64"u8);

    /// <summary>Google's answer as OpenAI's.</summary>
    internal sealed class GoogleToOpenAi(string model, bool isBase64, IBufferWriter<byte> output) : EmbeddingDecoder
    {
        protected override StreamStatus Translate(ReadOnlyMemory<byte> body)
        {
            var answer = Canonical(body);
            var single = answer.Take("embedding"u8);
            var list = new JsonArrayReader(answer.Take("embeddings"u8));
            var values = new List<ReadOnlyMemory<byte>>();
            if (single.IsObject)
            {
                values.Add(JsonMembers.Of(single.Raw).Take("values"u8).Raw);
            }
            while (list.Next(out var element))
            {
                values.Add(JsonMembers.Of(element.Raw).Take("values"u8).Raw);
            }
            var metadata = answer.Take("usageMetadata"u8);
            if (metadata.IsObject)
            {
                var usage = new GeminiUsage();
                var reader = new Utf8JsonReader(metadata.Raw.Span);
                reader.Read();
                usage.Read(ref reader);
                Usage = usage.HasCounts ? usage.InputAlone : null;
            }
            return EmbeddingAnswer.TryWrite(output, values, model, isBase64, Usage) ? StreamStatus.Completed : StreamStatus.Invalid;
        }
    }

    /// <summary>OpenAI's answer as Google's.</summary>
    internal sealed class OpenAiToGoogle(string model, bool isBatch, IBufferWriter<byte> output) : EmbeddingDecoder
    {
        protected override StreamStatus Translate(ReadOnlyMemory<byte> body)
        {
            var answer = JsonMembers.Of(body);
            var list = new JsonArrayReader(answer.Take("data"u8));
            var vectors = new SortedDictionary<long, ReadOnlyMemory<byte>>();
            while (list.Next(out var element))
            {
                var members = JsonMembers.Of(element.Raw);
                var (vector, index) = (members.Take("embedding"u8), members.Take("index"u8));
                if (Values(vector) is not { IsEmpty: false } values || !vectors.TryAdd(index.TryGetWhole(out var at) ? at : vectors.Count, values))
                {
                    return StreamStatus.Invalid;
                }
            }
            if (vectors.Count == 0 || (!isBatch && vectors.Count > 1))
            {
                return StreamStatus.Invalid;
            }
            if (CompletionReader.TryRead(body.Span, EndpointFamily.Embeddings, model, out var facts))
            {
                (Usage, Model) = (facts.Usage, facts.Model);
            }
            output.Write(isBatch ? "{\"embeddings\":["u8 : "{\"embedding\":"u8);
            var isFirst = true;
            foreach (var vector in vectors.Values)
            {
                output.Write(isFirst ? "{\"values\":"u8 : ",{\"values\":"u8);
                output.Write(vector.Span);
                output.Write("}"u8);
                isFirst = false;
            }
            output.Write(isBatch ? "]"u8 : default);
            if (Usage is { } usage)
            {
                output.Write(",\"usageMetadata\":{\"promptTokenCount\":"u8);
                output.WriteNumber(usage.TotalInput);
                output.Write(",\"totalTokenCount\":"u8);
                output.WriteNumber(usage.TotalInput);
                output.Write("}"u8);
            }
            output.Write("}"u8);
            return StreamStatus.Completed;
        }

        /// <summary>The numbers of a vector, be it an array or, of a provider that knows nothing else, base64.</summary>
        private static ReadOnlyMemory<byte> Values(JsonValue vector)
        {
            if (vector.IsArray)
            {
                return vector.Raw;
            }
            var bytes = new byte[vector.Raw.Length];
            if (!vector.IsText || !Convert.TryFromBase64String(vector.Text.ToString(), bytes, out var length) || length % 4 != 0)
            {
                return default;
            }
            var numbers = new ArrayBufferWriter<byte>(length * 3);
            using (var json = new Utf8JsonWriter(numbers))
            {
                json.WriteStartArray();
                for (var i = 0; i < length; i += 4)
                {
                    var value = BinaryPrimitives.ReadSingleLittleEndian(bytes.AsSpan(i));
                    if (!float.IsFinite(value))
                    {
                        return default;
                    }
                    json.WriteNumberValue(value);
                }
                json.WriteEndArray();
            }
            return numbers.WrittenMemory;
        }
    }
}

/// <summary>Takes an answer of which nothing is wanted.</summary>
internal sealed class IgnoredAnswer : IAnswerSink
{
    private IgnoredAnswer()
    {
    }

    /// <summary>The one instance.</summary>
    public static IgnoredAnswer Instance { get; } = new();

    public void Start(in AnswerStart start)
    {
    }

    public void BeginBlock(int block, in BlockStart start)
    {
    }

    public void Delta(int block, ReadOnlySpan<byte> text)
    {
    }

    public void Signature(int block, string family, ReadOnlySpan<byte> dataToken)
    {
    }

    public void Citation(int block, NeutralCitation citation)
    {
    }

    public void LogProbs(int block, ReadOnlySpan<byte> raw)
    {
    }

    public void EndBlock(int block)
    {
    }

    public void Usage(in AnswerUsage usage)
    {
    }

    public void Finish(in AnswerFinish finish)
    {
    }

    public void Extension(string path, ReadOnlySpan<byte> raw)
    {
    }

    public void Ping()
    {
    }

    public void End()
    {
    }

    public void Fail(AnswerError error)
    {
    }
}
