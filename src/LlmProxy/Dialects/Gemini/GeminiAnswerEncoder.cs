using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Gemini;

/// <summary>
/// Encodes <c>GenerateContentResponse</c>: one body, or a stream of partial candidates as server-sent events or as one JSON array. Texts leave as they come; a call leaves
/// whole, when its arguments are complete, since Google's arguments are an object. The last chunk has the reasons and the usage.
/// </summary>
internal sealed class GeminiAnswerEncoder : AnswerEncoder
{
    /// <summary>What stands before the names of a part's members that only Gemini has.</summary>
    public const string OfParts = OfContent + "parts[].";

    private const string OfContent = "candidates[].content.";

    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true, MaxDepth = 1000 };

    private readonly AnswerContext context;
    private readonly IBufferWriter<byte> output;
    private readonly SortedDictionary<int, Choice> choices = [];
    private readonly Dictionary<int, Block> open = [];
    private readonly List<(string Path, byte[] Value)> extensions = [];
    private readonly ArrayBufferWriter<byte> scratch = new(256);
    private readonly ArrayBufferWriter<byte> usage = new(256);
    private byte[] trailer = [];
    private byte[] madeUpId = [];
    private long created;
    private bool isOwn, begun, ended;

    public GeminiAnswerEncoder(AnswerContext context, IBufferWriter<byte> output) => (this.context, this.output) = (context, output);

    /// <inheritdoc/>
    public override void Start(in AnswerStart start)
    {
        isOwn = start.Source == DialectIds.Gemini;
        created = start.Created;
        var model = start.ModelToken.Length > 2 ? start.ModelToken : JsonText.From(context.RequestedModel).Token.Span;
        var id = start.IdToken.Length > 2 ? start.IdToken : JsonText.From(context.RequestId).Token.Span;
        madeUpId = isOwn ? [.. "\"call_"u8, .. id[1..^1], (byte)'_'] : [];
        trailer = [.. ",\"modelVersion\":"u8, .. model, .. ",\"responseId\":"u8, .. id];
    }

    /// <inheritdoc/>
    public override void BeginBlock(int block, in BlockStart start)
    {
        var choice = ChoiceAt(start.Choice);
        var made = new Block
        {
            Kind = start.Kind,
            Choice = choice,
            IsCustom = start.ToolKind == ToolKind.Custom,
            Id = start.IdToken.ToArray(),
            Name = start.NameToken.ToArray(),
            MediaType = start.MediaTypeToken.ToArray(),
        };
        open[block] = made;
        if (start.Kind == BlockKind.Native)
        {
            if (!isOwn)
            {
                context.Dropped.Add("content[]." + (start.NativeType ?? "?"));
                return;
            }
            made.Content.WriteOnOneLine(start.Raw);
        }
        choice.Blocks.Add(made);
    }

    /// <inheritdoc/>
    public override void Delta(int block, ReadOnlySpan<byte> text)
    {
        if (!open.TryGetValue(block, out var found) || text.Length <= 2)
        {
            return;
        }
        switch (found.Kind)
        {
            case BlockKind.Native:
                return;
        }
        if (!context.Stream || found.Kind is BlockKind.Media or BlockKind.ToolCall)
        {
            found.Content.Write(text[1..^1]);
            return;
        }
        BeginChunk(found.Choice);
        WriteTextPart(found, text, default);
        EndChunk(found.Choice);
    }

    /// <inheritdoc/>
    public override void Signature(int block, string family, ReadOnlySpan<byte> dataToken)
    {
        if (!open.TryGetValue(block, out var found) || dataToken.Length <= 2)
        {
            return;
        }
        var signature = GeminiSignature.Wrap(family, dataToken, found.Kind == BlockKind.RedactedReasoning);
        if (context.Stream && found.Kind is BlockKind.Text or BlockKind.Refusal or BlockKind.Reasoning or BlockKind.ReasoningSummary or BlockKind.RedactedReasoning)
        {
            BeginChunk(found.Choice);
            WriteTextPart(found, "\"\""u8, signature);
            EndChunk(found.Choice);
            return;
        }
        found.Signature = signature;
    }

    /// <inheritdoc/>
    public override void Citation(int block, NeutralCitation citation)
    {
        if (isOwn || !open.TryGetValue(block, out var found))
        {
            return; // Google's own stand in the metadata that comes with them
        }
        if (!citation.Url.Exists)
        {
            context.Dropped.Add("citations");
            return;
        }
        found.Choice.Citations.Add(citation);
    }

    /// <inheritdoc/>
    public override void LogProbs(int block, ReadOnlySpan<byte> raw)
    {
        if (isOwn || !open.TryGetValue(block, out var found))
        {
            return;
        }
        var inner = raw.Trim(" \t\r\n"u8);
        if (inner.Length <= 2)
        {
            return;
        }
        var all = found.Choice.LogProbs;
        if (all.WrittenCount > 0)
        {
            all.Write(","u8);
        }
        all.Write(inner[1..^1]);
    }

    /// <inheritdoc/>
    public override void EndBlock(int block)
    {
        if (!open.Remove(block, out var found) || !context.Stream)
        {
            return;
        }
        found.Choice.Blocks.Remove(found);
        if (found.Kind is BlockKind.ToolCall or BlockKind.Media || (found.Kind == BlockKind.Native && found.Content.WrittenCount > 0))
        {
            BeginChunk(found.Choice);
            WritePart(found);
            EndChunk(found.Choice);
        }
    }

    /// <inheritdoc/>
    public override void Usage(in AnswerUsage used)
    {
        usage.ResetWrittenCount();
        if (isOwn && !used.Raw.IsEmpty)
        {
            usage.WriteOnOneLine(used.Raw);
            return;
        }
        using var json = new Utf8JsonWriter(usage, Writing);
        GeminiUsage.Write(json, used.Tokens);
    }

    /// <inheritdoc/>
    public override void Finish(in AnswerFinish finish)
    {
        var choice = ChoiceAt(finish.Choice);
        choice.IsFinished = true;
        choice.Reason = isOwn && finish.NativeToken.Length > 2 ? finish.NativeToken.ToArray() : ReasonOf(finish.Reason).ToArray();
        choice.Stop = finish.Reason;
        // Where Google has no word for it, the upstream's own stands beside it.
        if (!isOwn && finish.NativeToken.Length > 2 && finish.Reason is StopReason.PauseTurn or StopReason.ContextExceeded or StopReason.Refusal or StopReason.Other)
        {
            choice.Message = finish.NativeToken.ToArray();
        }
    }

    /// <inheritdoc/>
    public override void Extension(string path, ReadOnlySpan<byte> raw)
    {
        if (!isOwn || path.StartsWith(OfContent, StringComparison.Ordinal))
        {
            context.Dropped.Add(path);
            return;
        }
        var at = extensions.FindIndex(extension => extension.Path == path);
        if (at < 0)
        {
            extensions.Add((path, raw.ToArray()));
        }
        else
        {
            extensions[at] = (path, raw.ToArray());
        }
    }

    /// <inheritdoc/>
    public override void Ping()
    {
        // White space is no part of an array's elements. Events have no such filler: Google's older SDK takes no line that does not begin with 'data:', comments included.
        if (context.Stream && context.JsonArray && !ended)
        {
            output.Write("\n"u8);
        }
    }

    /// <inheritdoc/>
    public override void End()
    {
        if (ended || Error is not null)
        {
            return;
        }
        ended = true;
        if (context.Stream)
        {
            WriteBegin();
        }
        WriteLast();
        if (context.Stream)
        {
            output.Write(context.JsonArray ? "]"u8 : "\r\n\r\n"u8);
        }
    }

    /// <inheritdoc/>
    public override void Fail(AnswerError error)
    {
        if (ended || Error is not null)
        {
            return;
        }
        Error = error;
        if (!context.Stream)
        {
            return;
        }
        ended = true;
        WriteBegin();
        GeminiErrorFormat.WriteJson(output, error);
        output.Write(context.JsonArray ? "]"u8 : "\r\n\r\n"u8);
    }

    private static ReadOnlySpan<byte> ReasonOf(StopReason reason) => reason switch
    {
        StopReason.EndTurn or StopReason.StopSequence or StopReason.ToolUse => "\"STOP\""u8,
        StopReason.MaxTokens or StopReason.ContextExceeded => "\"MAX_TOKENS\""u8,
        StopReason.Refusal or StopReason.ContentFilter => "\"SAFETY\""u8,
        StopReason.MalformedToolCall => "\"MALFORMED_FUNCTION_CALL\""u8,
        _ => "\"OTHER\""u8,
    };

    private Choice ChoiceAt(int index)
    {
        if (!choices.TryGetValue(index, out var choice))
        {
            choices.Add(index, choice = new Choice(index));
        }
        return choice;
    }

    /// <summary>Writes what stands before an event.</summary>
    private void WriteBegin()
    {
        output.Write(!context.JsonArray ? "data: "u8 : begun ? ",\r\n"u8 : "["u8);
        begun = true;
    }

    private void BeginChunk(Choice choice)
    {
        choice.HasWritten = true;
        WriteBegin();
        output.Write("{\"candidates\":[{\"content\":{\"parts\":["u8);
    }

    private void EndChunk(Choice choice)
    {
        output.Write("],\"role\":\"model\"},\"index\":"u8);
        WriteNumber(choice.Index);
        output.Write("}]"u8);
        output.Write(trailer);
        output.Write(context.JsonArray ? "}"u8 : "}\r\n\r\n"u8);
    }

    private void WriteNumber(int number)
    {
        Span<byte> digits = stackalloc byte[11];
        number.TryFormat(digits, out var length, provider: CultureInfo.InvariantCulture);
        output.Write(digits[..length]);
    }

    private void WriteTextPart(Block block, ReadOnlySpan<byte> text, ReadOnlySpan<byte> signature)
    {
        output.Write("{\"text\":"u8);
        output.Write(text);
        WritePartEnd(block, signature);
    }

    private void WritePartEnd(Block block, ReadOnlySpan<byte> signature)
    {
        if (block.Kind is BlockKind.Reasoning or BlockKind.ReasoningSummary or BlockKind.RedactedReasoning)
        {
            output.Write(",\"thought\":true"u8);
        }
        if (!signature.IsEmpty)
        {
            output.Write(",\"thoughtSignature\":"u8);
            output.Write(signature);
        }
        output.Write("}"u8);
    }

    private void WritePart(Block block)
    {
        switch (block.Kind)
        {
            case BlockKind.Native:
                output.Write(block.Content.WrittenSpan);
                return;
            case BlockKind.ToolCall:
                output.Write("{\"functionCall\":{\"name\":"u8);
                output.Write(block.Name.Length > 2 ? block.Name : "\"\""u8);
                output.Write(",\"args\":"u8);
                WriteArguments(block);
                // What the decoder made up for other formats' sake is none of Google's.
                if (block.Id.Length > 2 && !(isOwn && block.Id.AsSpan().StartsWith(madeUpId)))
                {
                    output.Write(",\"id\":"u8);
                    output.Write(block.Id);
                }
                output.Write("}"u8);
                WritePartEnd(block, block.Signature);
                return;
            case BlockKind.Media:
                output.Write("{\"inlineData\":{"u8);
                if (block.MediaType.Length > 2)
                {
                    output.Write("\"mimeType\":"u8);
                    output.Write(block.MediaType);
                    output.Write(","u8);
                }
                output.Write("\"data\":\""u8);
                output.Write(block.Content.WrittenSpan);
                output.Write("\"}"u8);
                WritePartEnd(block, block.Signature);
                return;
            default:
                output.Write("{\"text\":\""u8);
                output.Write(block.Content.WrittenSpan);
                output.Write("\""u8);
                WritePartEnd(block, block.Signature);
                return;
        }
    }

    private void WriteArguments(Block block)
    {
        if (block.IsCustom)
        {
            output.Write("{\"input\":\""u8);
            output.Write(block.Content.WrittenSpan);
            output.Write("\"}"u8);
            return;
        }
        // Unescaped only now: a pair of surrogates may come in two pieces.
        scratch.ResetWrittenCount();
        scratch.WriteUnescaped(block.Content.WrittenSpan);
        var arguments = scratch.WrittenSpan;
        if (JsonBytes.IsObject(arguments))
        {
            output.WriteOnOneLine(arguments);
            return;
        }
        if (arguments.Trim(" \t\r\n"u8).IsEmpty)
        {
            output.Write("{}"u8);
            return;
        }
        context.Dropped.Add("arguments"); // what the model took for JSON is none
        output.Write("{\"arguments\":\""u8);
        output.Write(block.Content.WrittenSpan);
        output.Write("\"}"u8);
    }

    /// <summary>Writes the last chunk, which is the whole answer where it is not streamed.</summary>
    private void WriteLast()
    {
        output.Write("{"u8);
        var wroteCandidates = false;
        if (!IsBlockedPrompt())
        {
            output.Write("\"candidates\":["u8);
            var isFirst = true;
            foreach (var choice in choices.Values)
            {
                if (!isFirst)
                {
                    output.Write(","u8);
                }
                isFirst = false;
                WriteCandidate(choice);
            }
            output.Write("]"u8);
            wroteCandidates = true;
        }
        foreach (var (path, value) in extensions)
        {
            if (!path.StartsWith("candidates[", StringComparison.Ordinal))
            {
                output.Write(wroteCandidates ? ",\""u8 : "\""u8);
                output.Write(JsonEncodedText.Encode(path).EncodedUtf8Bytes);
                output.Write("\":"u8);
                output.WriteOnOneLine(value);
                wroteCandidates = true;
            }
        }
        if (usage.WrittenCount > 0)
        {
            output.Write(wroteCandidates ? ",\"usageMetadata\":"u8 : "\"usageMetadata\":"u8);
            output.Write(usage.WrittenSpan);
            wroteCandidates = true;
        }
        var rest = trailer.AsSpan();
        output.Write(wroteCandidates || rest.IsEmpty ? rest : rest[1..]);
        if (isOwn && created > 0)
        {
            output.Write(",\"createTime\":\""u8);
            output.Write(Encoding.ASCII.GetBytes(DateTimeOffset.FromUnixTimeSeconds(Math.Min(created, 253402300799)).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture)));
            output.Write("\""u8);
        }
        output.Write("}"u8);
    }

    /// <summary>Whether Google blocked the prompt: then it makes no candidates at all.</summary>
    private bool IsBlockedPrompt() =>
        isOwn && choices.Count <= 1 && extensions.Exists(extension => extension.Path == "promptFeedback" && extension.Value.AsSpan().IndexOf("blockReason"u8) >= 0)
        && choices.Values.All(choice => choice.Blocks.Count == 0 && !choice.HasWritten && choice.Stop is StopReason.ContentFilter);

    private void WriteCandidate(Choice choice)
    {
        output.Write("{\"content\":{\"parts\":["u8);
        var isFirst = true;
        foreach (var block in choice.Blocks)
        {
            if (!isFirst)
            {
                output.Write(","u8);
            }
            isFirst = false;
            WritePart(block);
        }
        if (isFirst && context.Stream)
        {
            output.Write("{\"text\":\"\"}"u8);
        }
        output.Write("],\"role\":\"model\"}"u8);
        if (choice.IsFinished)
        {
            output.Write(",\"finishReason\":"u8);
            output.Write(choice.Reason);
        }
        if (choice.Message.Length > 0)
        {
            output.Write(",\"finishMessage\":"u8);
            output.WriteOnOneLine(choice.Message);
        }
        output.Write(",\"index\":"u8);
        WriteNumber(choice.Index);
        WriteCitations(choice);
        WriteLogProbs(choice);
        var prefix = $"candidates[{choice.Index}].";
        foreach (var (path, value) in extensions)
        {
            if (path.StartsWith(prefix, StringComparison.Ordinal))
            {
                output.Write(",\""u8);
                output.Write(JsonEncodedText.Encode(path[prefix.Length..]).EncodedUtf8Bytes);
                output.Write("\":"u8);
                output.WriteOnOneLine(value);
            }
        }
        output.Write("}"u8);
    }

    private void WriteCitations(Choice choice)
    {
        if (choice.Citations.Count == 0)
        {
            return;
        }
        output.Write(",\"citationMetadata\":"u8);
        using var json = new Utf8JsonWriter(output, Writing);
        json.WriteStartObject();
        json.WriteStartArray("citations"u8);
        foreach (var citation in choice.Citations)
        {
            json.WriteStartObject();
            json.WritePropertyName("uri"u8);
            json.WriteRawValue(citation.Url.Token.Span, skipInputValidation: true);
            if (citation.Title.Exists)
            {
                json.WritePropertyName("title"u8);
                json.WriteRawValue(citation.Title.Token.Span, skipInputValidation: true);
            }
            if (citation.Start is { } from)
            {
                json.WriteNumber("startIndex"u8, from);
            }
            if (citation.End is { } to)
            {
                json.WriteNumber("endIndex"u8, to);
            }
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteLogProbs(Choice choice)
    {
        if (choice.LogProbs.WrittenCount == 0)
        {
            return;
        }
        output.Write(",\"logprobsResult\":"u8);
        scratch.ResetWrittenCount();
        scratch.Write("["u8);
        scratch.Write(choice.LogProbs.WrittenSpan);
        scratch.Write("]"u8);
        using var json = new Utf8JsonWriter(output, Writing);
        GeminiLogProbs.WriteGoogle(scratch.WrittenSpan, json);
    }

    private sealed class Choice(int index)
    {
        public int Index => index;

        /// <summary>What is still to be written, in the order it began.</summary>
        public List<Block> Blocks { get; } = [];

        public List<NeutralCitation> Citations { get; } = [];

        public ArrayBufferWriter<byte> LogProbs { get; } = new(16);

        public bool HasWritten { get; set; }

        public bool IsFinished { get; set; }

        public byte[] Reason { get; set; } = [];

        public StopReason Stop { get; set; }

        public byte[] Message { get; set; } = [];
    }

    private sealed class Block
    {
        public required BlockKind Kind { get; init; }

        public required Choice Choice { get; init; }

        public required bool IsCustom { get; init; }

        public required byte[] Id { get; init; }

        public required byte[] Name { get; init; }

        public required byte[] MediaType { get; init; }

        public byte[] Signature { get; set; } = [];

        /// <summary>What stands between the quotes of its text, its arguments or its base64; or all of a native part.</summary>
        public ArrayBufferWriter<byte> Content { get; } = new(64);
    }
}
