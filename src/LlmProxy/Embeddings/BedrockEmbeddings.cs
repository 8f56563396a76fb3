using System.Buffers;
using System.Globalization;
using LlmProxy.Dialects;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using Shared.Http;
using Shared.Pricing;

namespace LlmProxy.Embeddings;

/// <summary>
/// Vectors of Amazon Bedrock's models, by <c>InvokeModel</c>: Cohere's take many texts at once, Amazon's one for each call.
/// (docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html, model-parameters-titan-embed-text.html, nova/latest/userguide/modality-embedding.html)
/// </summary>
internal static class BedrockEmbeddings
{
    private enum Form
    {
        Unknown,
        Titan,
        TitanImage,
        Nova,
        Cohere,
    }

    /// <summary>How many tokens went in, as Bedrock says it beside the answer of any model; null: it does not.</summary>
    public static TokenUsage? UsageOf(HttpResponseMessage? response) =>
        response is not null && response.Headers.NonValidated.TryGetValues("x-amzn-bedrock-input-token-count", out var values)
            && long.TryParse(values.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var tokens) && tokens <= 1_000_000_000_000
            ? new TokenUsage { Input = tokens } : null;

    /// <summary>Writes a request.</summary>
    public static GatewayError? Encode(ReadOnlyMemory<byte> body, string model, DropReport dropped, IBufferWriter<byte> output)
    {
        var form = FormOf(model);
        if (form == Form.Unknown)
        {
            return new GatewayError(400, "unsupported_model",
                $"'{model}' is not known as a model of Amazon Bedrock that embeds texts. Those whose names hold 'titan-embed', 'nova-2-multimodal-embeddings' or 'cohere.embed' are.") { Field = "model" };
        }
        if (EmbeddingInput.Read(body, "Amazon Bedrock", dropped, out var input) is { } error)
        {
            return error;
        }
        if (form == Form.Cohere)
        {
            WriteCohere(input!, output);
            return null;
        }
        if (input!.Texts.Count > 1)
        {
            return new GatewayError(400, "unsupported_content", $"'{model}' embeds one text for each call, and 'input' holds {input.Texts.Count}. Send them one by one.") { Field = "input" };
        }
        if (input.Task is not null && form != Form.Nova)
        {
            dropped.Add("task_type");
        }
        if (form == Form.Nova)
        {
            WriteNova(input, output);
            return null;
        }
        output.Write("{\"inputText\":"u8);
        output.WriteText(input.Texts[0]);
        if (!input.Dimensions.IsEmpty)
        {
            output.Write(form == Form.Titan ? ",\"dimensions\":"u8 : ",\"embeddingConfig\":{\"outputEmbeddingLength\":"u8);
            output.Write(input.Dimensions.Span);
            output.Write(form == Form.Titan ? default : "}"u8);
        }
        output.Write("}"u8);
        return null;
    }

    // A name may have a region before it, or be the end of an ARN.
    private static Form FormOf(string model) =>
        model.Contains("titan-embed-image", StringComparison.Ordinal) ? Form.TitanImage
        : model.Contains("titan-embed", StringComparison.Ordinal) ? Form.Titan
        : model.Contains("nova-2-multimodal-embeddings", StringComparison.Ordinal) ? Form.Nova
        : model.Contains("cohere.embed", StringComparison.Ordinal) ? Form.Cohere
        : Form.Unknown;

    private static void WriteCohere(EmbeddingInput input, IBufferWriter<byte> output)
    {
        output.Write("{\"texts\":["u8);
        for (var i = 0; i < input.Texts.Count; i++)
        {
            output.Write(i > 0 ? ","u8 : default);
            output.WriteText(input.Texts[i]);
        }
        // It must say what the vectors are for; those of documents are what is stored.
        output.Write("],\"input_type\":"u8);
        output.WriteText(input.Task switch
        {
            null or "RETRIEVAL_DOCUMENT" => "search_document",
            "RETRIEVAL_QUERY" => "search_query",
            "CLASSIFICATION" => "classification",
            "CLUSTERING" => "clustering",
            var other => other,
        });
        output.Write(",\"embedding_types\":[\"float\"]"u8);
        if (!input.Dimensions.IsEmpty)
        {
            output.Write(",\"output_dimension\":"u8);
            output.Write(input.Dimensions.Span);
        }
        output.Write("}"u8);
    }

    private static void WriteNova(EmbeddingInput input, IBufferWriter<byte> output)
    {
        output.Write("{\"schemaVersion\":\"nova-multimodal-embed-v1\",\"taskType\":\"SINGLE_EMBEDDING\",\"singleEmbeddingParams\":{\"embeddingPurpose\":"u8);
        output.WriteText(input.Task switch
        {
            null or "RETRIEVAL_DOCUMENT" or "search_document" => "GENERIC_INDEX",
            "RETRIEVAL_QUERY" or "search_query" => "TEXT_RETRIEVAL",
            "CLASSIFICATION" or "classification" => "CLASSIFICATION",
            "CLUSTERING" or "clustering" => "CLUSTERING",
            var other => other,
        });
        if (!input.Dimensions.IsEmpty)
        {
            output.Write(",\"embeddingDimension\":"u8);
            output.Write(input.Dimensions.Span);
        }
        output.Write(",\"text\":{\"truncationMode\":\"NONE\",\"value\":"u8);
        output.WriteText(input.Texts[0]);
        output.Write("}}}"u8);
    }

    /// <summary>An answer of any of them as OpenAI's.</summary>
    internal sealed class Decoder(string model, bool isBase64, HttpResponseMessage? response, IBufferWriter<byte> output) : EmbeddingDecoder
    {
        protected override StreamStatus Translate(ReadOnlyMemory<byte> body)
        {
            var answer = JsonMembers.Of(body);
            var (single, many, count) = (answer.Take("embedding"u8), answer.Take("embeddings"u8), answer.Take("inputTextTokenCount"u8));
            var vectors = new List<ReadOnlyMemory<byte>>();
            if (single.IsArray)
            {
                vectors.Add(single.Raw);
            }
            // Cohere's newer answers hold them by type, the older ones at once; Nova's are objects.
            var list = new JsonArrayReader(many.IsObject ? JsonMembers.Of(many.Raw).Take("float"u8) : many);
            while (list.Next(out var element))
            {
                vectors.Add(element.IsObject ? JsonMembers.Of(element.Raw).Take("embedding"u8).Raw : element.Raw);
            }
            Usage = count.TryGetWhole(out var tokens) && tokens is >= 0 and <= 1_000_000_000_000 ? new TokenUsage { Input = tokens } : UsageOf(response);
            return EmbeddingAnswer.TryWrite(output, vectors, model, isBase64, Usage) ? StreamStatus.Completed : StreamStatus.Invalid;
        }
    }
}
