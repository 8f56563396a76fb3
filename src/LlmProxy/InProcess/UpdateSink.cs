using System.Buffers;
using System.Text;
using System.Text.Json;
using LlmProxy.Neutral;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.AI;

namespace LlmProxy.InProcess;

/// <summary>
/// Turns an answer into the updates of Microsoft.Extensions.AI. What a provider signs goes into <see cref="TextReasoningContent.ProtectedData"/>, or beside a call into its
/// additional properties, and comes back with the message.
/// </summary>
internal sealed class UpdateSink(IHeaderDictionary headers) : IAnswerSink
{
    /// <summary>The additional property of a call in which its signature is kept.</summary>
    public const string SignatureProperty = "gateway.signature";

    private static readonly string[] Described = ["x-gateway-provider", "x-gateway-model", "x-gateway-attempts", "x-gateway-dropped", "x-gateway-output-limit"];

    private readonly List<ChatResponseUpdate> ready = [];
    private readonly List<Block> blocks = [];
    private readonly AdditionalPropertiesDictionary extensions = [];
    private string? id;
    private string? model;
    private DateTimeOffset? created;
    private UsageDetails? usage;

    /// <summary>Why the answer broke off; null: it did not.</summary>
    public AnswerError? Error { get; private set; }

    /// <summary>The updates since the last time.</summary>
    public List<ChatResponseUpdate> TakeAll()
    {
        List<ChatResponseUpdate> taken = [.. ready];
        ready.Clear();
        return taken;
    }

    public void Start(in AnswerStart start)
    {
        id = TextOf(start.IdToken);
        model = TextOf(start.ModelToken);
        created = start.Created > 0 ? DateTimeOffset.FromUnixTimeSeconds(start.Created) : null;
        var properties = new AdditionalPropertiesDictionary();
        foreach (var name in Described)
        {
            if (headers.TryGetValue(name, out var value) && value.Count > 0)
            {
                properties[name] = value.ToString();
            }
        }
        Add([]).AdditionalProperties = properties.Count > 0 ? properties : null;
    }

    public void BeginBlock(int block, in BlockStart start)
    {
        var begun = new Block(start.Kind)
        {
            Id = TextOf(start.IdToken) ?? "",
            Name = TextOf(start.NameToken) ?? "",
            IsCustom = start.ToolKind == ToolKind.Custom,
            MediaType = TextOf(start.MediaTypeToken),
        };
        while (blocks.Count <= block)
        {
            blocks.Add(begun);
        }
        blocks[block] = begun;
        if (start.Kind == BlockKind.Native)
        {
            Add([new AIContent { RawRepresentation = JsonElement.Parse(start.Raw) }]);
        }
        else if (start.Kind == BlockKind.Media && TextOf(start.Raw) is { Length: > 0 } transcript)
        {
            Add([new TextContent(transcript)]);
        }
    }

    public void Delta(int block, ReadOnlySpan<byte> text)
    {
        var known = blocks[block];
        switch (known.Kind)
        {
            case BlockKind.Text:
                Add([new TextContent(TextOf(text))]);
                break;
            case BlockKind.Reasoning or BlockKind.ReasoningSummary:
                Add([new TextReasoningContent(TextOf(text))]);
                break;
            default:
                known.Collected.Write(text[1..^1]);
                break;
        }
    }

    public void Signature(int block, string family, ReadOnlySpan<byte> dataToken)
    {
        var known = blocks[block];
        var signature = $"{family}:{TextOf(dataToken)}";
        if (known.Kind is BlockKind.Reasoning or BlockKind.ReasoningSummary or BlockKind.RedactedReasoning)
        {
            Add([new TextReasoningContent(null) { ProtectedData = known.Kind == BlockKind.RedactedReasoning ? "redacted:" + signature : signature }]);
        }
        else
        {
            known.Signature = signature;
        }
    }

    public void Citation(int block, NeutralCitation citation) => Add([new TextContent("")
    {
        Annotations =
        [
            new CitationAnnotation
            {
                Url = Uri.TryCreate(citation.Url.ToString(), UriKind.Absolute, out var url) ? url : null,
                Title = citation.Title.Exists ? citation.Title.ToString() : null,
                Snippet = citation.CitedText.Exists ? citation.CitedText.ToString() : null,
                AnnotatedRegions = citation is { Start: { } start, End: { } end } ? [new TextSpanAnnotatedRegion { StartIndex = (int)start, EndIndex = (int)end }] : null,
                RawRepresentation = citation.Raw.IsEmpty ? null : JsonElement.Parse(citation.Raw.Span),
            },
        ],
    }]);

    public void LogProbs(int block, ReadOnlySpan<byte> raw) => Add([]).AdditionalProperties = new AdditionalPropertiesDictionary { ["logprobs"] = JsonElement.Parse(raw) };

    public void EndBlock(int block)
    {
        var known = blocks[block];
        var collected = JsonText.Piece(known.Collected.WrittenMemory);
        switch (known.Kind)
        {
            case BlockKind.ToolCall:
                Add([CallOf(known, collected)]);
                break;
            case BlockKind.Refusal:
                Add([new ErrorContent(collected.ToString()) { ErrorCode = "Refusal" }]);
                break;
            case BlockKind.Media when Convert.TryFromBase64String(collected.ToString(), known.Data(collected.Escaped.Length), out var length):
                Add([new DataContent(known.Bytes.AsMemory(0, length), known.MediaType is { } type && !type.EndsWith("/*", StringComparison.Ordinal) ? type : "application/octet-stream")]);
                break;
            case BlockKind.Text when known.Signature is { } signature:
                Add([new TextContent("") { AdditionalProperties = new() { [SignatureProperty] = signature } }]);
                break;
        }
    }

    public void Usage(in AnswerUsage used)
    {
        var tokens = used.Tokens;
        usage = new UsageDetails
        {
            InputTokenCount = tokens.TotalInput,
            OutputTokenCount = tokens.TotalOutput,
            TotalTokenCount = tokens.Total,
            CachedInputTokenCount = tokens.CacheRead,
            ReasoningTokenCount = tokens.Reasoning,
            AdditionalCounts = new()
            {
                ["CacheWriteTokenCount"] = tokens.CacheWrite + tokens.CacheWrite1h,
                ["InputAudioTokenCount"] = tokens.AudioInput,
                ["OutputAudioTokenCount"] = tokens.AudioOutput,
                ["InputImageTokenCount"] = tokens.ImageInput,
                ["OutputImageTokenCount"] = tokens.ImageOutput,
            },
        };
        if (used.ServiceTier is { } tier)
        {
            extensions["service_tier"] = tier;
        }
    }

    public void Finish(in AnswerFinish finish)
    {
        if (finish.Choice > 0)
        {
            return;
        }
        var update = Add([]);
        update.FinishReason = finish.Reason switch
        {
            StopReason.MaxTokens or StopReason.ContextExceeded => ChatFinishReason.Length,
            StopReason.ToolUse => ChatFinishReason.ToolCalls,
            StopReason.ContentFilter or StopReason.Refusal => ChatFinishReason.ContentFilter,
            StopReason.EndTurn or StopReason.StopSequence => ChatFinishReason.Stop,
            _ => new ChatFinishReason(TextOf(finish.NativeToken) ?? "stop"),
        };
        if (finish.StopSequenceToken.Length > 2)
        {
            extensions["stop_sequence"] = TextOf(finish.StopSequenceToken);
        }
    }

    public void Extension(string path, ReadOnlySpan<byte> raw) => extensions[path] = JsonElement.Parse(raw);

    public void Ping()
    {
    }

    public void End()
    {
        var last = Add(usage is { } used ? [new UsageContent(used)] : []);
        last.AdditionalProperties = extensions.Count > 0 ? extensions : null;
    }

    public void Fail(AnswerError error) => Error = error;

    private ChatResponseUpdate Add(List<AIContent> contents)
    {
        var update = new ChatResponseUpdate { Role = ChatRole.Assistant, Contents = contents, ResponseId = id, MessageId = id, ModelId = model, CreatedAt = created };
        ready.Add(update);
        return update;
    }

    private static FunctionCallContent CallOf(Block block, JsonText collected)
    {
        FunctionCallContent call;
        if (block.IsCustom)
        {
            call = new FunctionCallContent(block.Id, block.Name, new Dictionary<string, object?> { [MessageCodec.CustomInput] = collected.ToString() });
        }
        else if (JsonBytes.TryReadArguments(collected, out var json))
        {
            call = new FunctionCallContent(block.Id, block.Name, JsonSerializer.Deserialize<Dictionary<string, object?>>(json.Span, AIJsonUtilities.DefaultOptions));
        }
        else
        {
            call = new FunctionCallContent(block.Id, block.Name) { Exception = new JsonException("The model wrote arguments that are no JSON object.") };
            (call.AdditionalProperties ??= [])[MessageCodec.RawArguments] = collected.ToString();
        }
        if (block.Signature is { } signature)
        {
            (call.AdditionalProperties ??= [])[SignatureProperty] = signature;
        }
        return call;
    }

    private static string? TextOf(ReadOnlySpan<byte> token)
    {
        if (token.Length < 2)
        {
            return null;
        }
        var escaped = token[1..^1];
        return escaped.Contains((byte)'\\') ? JsonStrings.Unescape(escaped) : Encoding.UTF8.GetString(escaped);
    }

    private sealed class Block(BlockKind kind)
    {
        public BlockKind Kind { get; } = kind;

        public required string Id { get; init; }

        public required string Name { get; init; }

        public bool IsCustom { get; init; }

        public string? MediaType { get; init; }

        public string? Signature { get; set; }

        public ArrayBufferWriter<byte> Collected { get; } = new();

        public byte[] Bytes { get; private set; } = [];

        public Span<byte> Data(int base64Length) => Bytes = new byte[base64Length];
    }
}
