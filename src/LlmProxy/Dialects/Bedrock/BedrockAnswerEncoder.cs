using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Encodes an answer as Converse or ConverseStream has it. One answer alone: those of other choices are reported as dropped.</summary>
internal sealed class BedrockAnswerEncoder(AnswerContext context, IBufferWriter<byte> output) : AnswerEncoder
{
    private readonly ArrayBufferWriter<byte> payload = new();
    private readonly Dictionary<int, Block> blocks = [];
    private readonly ArrayBufferWriter<byte> extensions = new();
    private readonly ArrayBufferWriter<byte> stopExtensions = new();
    private readonly List<Block> order = [];
    private AnswerFinishKept finish = new(StopReason.EndTurn, []);
    private Shared.Pricing.TokenUsage tokens;
    private byte[] rawUsage = [];
    private string? tier;
    private bool isOwn;
    private bool callsTools;

    /// <inheritdoc/>
    public override void Start(in AnswerStart start)
    {
        isOwn = start.Source == DialectIds.Bedrock;
        if (context.Stream)
        {
            AwsEventStreamWriter.WriteEvent(output, "messageStart"u8, "{\"role\":\"assistant\"}"u8);
        }
    }

    /// <inheritdoc/>
    public override void BeginBlock(int block, in BlockStart start)
    {
        if (start.Choice > 0)
        {
            context.Dropped.Add("choices[]");
            return;
        }
        if ((start.Kind == BlockKind.Native && !isOwn) || start.ToolKind == ToolKind.Provider)
        {
            context.Dropped.Add("content[]." + (start.NativeType ?? "tool"));
            return;
        }
        if (start.Kind == BlockKind.Media && (context.Stream || !start.MediaTypeToken.StartsWith("\"image/"u8)))
        {
            context.Dropped.Add("content[].media");
            return;
        }
        var state = new Block { Index = order.Count, Kind = start.Kind };
        order.Add(state);
        blocks[block] = state;
        if (start.Kind == BlockKind.Native)
        {
            state.Text.Write(start.Raw);
        }
        if (start.Kind == BlockKind.Media)
        {
            state.Name = start.MediaTypeToken[7..^1].ToArray();
        }
        if (start.Kind == BlockKind.ToolCall)
        {
            callsTools = true;
            state.IsCustom = start.ToolKind == ToolKind.Custom;
            state.Id = start.IdToken.Length > 2 ? start.IdToken.ToArray() : JsonText.From($"tooluse_{context.RequestId}_{state.Index}").Token.ToArray();
            state.Name = start.NameToken.ToArray();
            if (context.Stream)
            {
                BeginPayload(state, "\"start\":{\"toolUse\":{\"toolUseId\":"u8);
                payload.Write(state.Id);
                payload.Write(",\"name\":"u8);
                payload.Write(state.Name.Length == 0 ? "\"\""u8 : state.Name);
                payload.Write("}}}"u8);
                AwsEventStreamWriter.WriteEvent(output, "contentBlockStart"u8, payload.WrittenSpan);
                if (state.IsCustom)
                {
                    WriteInput(state, "\"{\\\"input\\\":\\\"\""u8);
                }
            }
        }
        else if (start.Kind == BlockKind.Native && context.Stream)
        {
            BeginPayload(state, "\"start\":"u8);
            payload.Write(start.Raw);
            payload.Write("}"u8);
            AwsEventStreamWriter.WriteEvent(output, "contentBlockStart"u8, payload.WrittenSpan);
        }
    }

    /// <inheritdoc/>
    public override void Delta(int block, ReadOnlySpan<byte> text)
    {
        if (!blocks.TryGetValue(block, out var state))
        {
            return;
        }
        if (!context.Stream)
        {
            state.Text.Write(text[1..^1]);
            return;
        }
        switch (state.Kind)
        {
            case BlockKind.ToolCall when state.IsCustom:
                var twice = new ArrayBufferWriter<byte>(text.Length + 8);
                twice.WriteAsToken(text[1..^1]); // a text within JSON within a text
                WriteInput(state, twice.WrittenSpan);
                break;
            case BlockKind.ToolCall:
                WriteInput(state, text);
                break;
            case BlockKind.Reasoning or BlockKind.ReasoningSummary:
                WriteDelta(state, "{\"reasoningContent\":{\"text\":"u8, text, "}}"u8);
                break;
            default:
                WriteDelta(state, "{\"text\":"u8, text, "}"u8);
                break;
        }
    }

    /// <inheritdoc/>
    public override void Signature(int block, string family, ReadOnlySpan<byte> dataToken)
    {
        if (!blocks.TryGetValue(block, out var state))
        {
            return;
        }
        if (family != SignatureFamilies.Anthropic || state.Kind is not (BlockKind.Reasoning or BlockKind.RedactedReasoning or BlockKind.ReasoningSummary))
        {
            context.Dropped.Add("content[].signature");
            return;
        }
        if (!context.Stream)
        {
            state.Signature = dataToken.ToArray();
        }
        else if (state.Kind == BlockKind.RedactedReasoning)
        {
            WriteDelta(state, "{\"reasoningContent\":{\"redactedContent\":"u8, dataToken, "}}"u8);
        }
        else
        {
            WriteDelta(state, "{\"reasoningContent\":{\"signature\":"u8, dataToken, "}}"u8);
        }
    }

    /// <inheritdoc/>
    public override void Citation(int block, NeutralCitation citation)
    {
        if (!blocks.TryGetValue(block, out var state))
        {
            return;
        }
        var written = new ArrayBufferWriter<byte>();
        if (!BedrockCitations.TryWrite(written, citation, isOwn))
        {
            context.Dropped.Add("content[].citations");
        }
        else if (context.Stream)
        {
            WriteDelta(state, "{\"citation\":"u8, written.WrittenSpan, "}"u8);
        }
        else
        {
            state.Citations ??= new ArrayBufferWriter<byte>();
            state.Citations.Write(state.Citations.WrittenCount > 0 ? ","u8 : ""u8);
            state.Citations.Write(written.WrittenSpan);
        }
    }

    /// <inheritdoc/>
    public override void LogProbs(int block, ReadOnlySpan<byte> raw) => context.Dropped.Add("logprobs");

    /// <inheritdoc/>
    public override void EndBlock(int block)
    {
        if (!blocks.Remove(block, out var state) || !context.Stream)
        {
            return;
        }
        if (state.IsCustom)
        {
            WriteInput(state, "\"\\\"}\""u8);
        }
        payload.ResetWrittenCount();
        payload.Write("{\"contentBlockIndex\":"u8);
        payload.WriteNumber(state.Index);
        payload.Write("}"u8);
        AwsEventStreamWriter.WriteEvent(output, "contentBlockStop"u8, payload.WrittenSpan);
    }

    /// <inheritdoc/>
    public override void Usage(in AnswerUsage usage)
    {
        (tokens, tier) = (usage.Tokens, usage.ServiceTier ?? tier);
        rawUsage = isOwn ? usage.Raw.ToArray() : [];
        if (!usage.ServerTools.IsEmpty)
        {
            context.Dropped.Add("usage.server_tool_use");
        }
    }

    /// <inheritdoc/>
    public override void Finish(in AnswerFinish finish)
    {
        if (finish.Choice == 0)
        {
            this.finish = new AnswerFinishKept(finish.Reason, isOwn ? finish.NativeToken.ToArray() : []);
        }
    }

    /// <inheritdoc/>
    public override void Extension(string path, ReadOnlySpan<byte> raw)
    {
        if (!isOwn || path.Contains('.', StringComparison.Ordinal))
        {
            context.Dropped.Add(path);
            return;
        }
        // In a stream, what the model said beyond its answer stands with the reason of its end; all else with the usage.
        var kept = context.Stream && path == "additionalModelResponseFields" ? stopExtensions : extensions;
        kept.Write(","u8);
        kept.WriteText(path);
        kept.Write(":"u8);
        kept.Write(raw);
    }

    /// <inheritdoc/>
    /// <remarks>ConverseStream has no event for it.</remarks>
    public override void Ping()
    {
    }

    /// <inheritdoc/>
    public override void End()
    {
        if (context.Stream)
        {
            payload.ResetWrittenCount();
            payload.Write("{\"stopReason\":"u8);
            WriteStop();
            payload.Write(stopExtensions.WrittenSpan);
            payload.Write("}"u8);
            AwsEventStreamWriter.WriteEvent(output, "messageStop"u8, payload.WrittenSpan);
            payload.ResetWrittenCount();
            payload.Write("{"u8);
            WriteFigures();
            payload.Write(extensions.WrittenSpan);
            payload.Write("}"u8);
            AwsEventStreamWriter.WriteEvent(output, "metadata"u8, payload.WrittenSpan);
            return;
        }
        output.Write("{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":["u8);
        var first = true;
        foreach (var block in order)
        {
            output.Write(first ? ""u8 : ","u8);
            first = false;
            WriteBlock(block);
        }
        payload.ResetWrittenCount();
        payload.Write("]}},\"stopReason\":"u8);
        WriteStop();
        payload.Write(","u8);
        WriteFigures();
        payload.Write(extensions.WrittenSpan);
        payload.Write("}"u8);
        output.Write(payload.WrittenSpan);
    }

    /// <inheritdoc/>
    public override void Fail(AnswerError error)
    {
        if (context.Stream)
        {
            BedrockErrors.WriteException(output, error.Status, error.Message);
        }
        else
        {
            Error = error;
        }
    }

    private void BeginPayload(Block block, ReadOnlySpan<byte> text)
    {
        payload.ResetWrittenCount();
        payload.Write("{\"contentBlockIndex\":"u8);
        payload.WriteNumber(block.Index);
        payload.Write(","u8);
        payload.Write(text);
    }

    private void WriteDelta(Block block, ReadOnlySpan<byte> before, ReadOnlySpan<byte> value, ReadOnlySpan<byte> after)
    {
        BeginPayload(block, "\"delta\":"u8);
        payload.Write(before);
        payload.Write(value);
        payload.Write(after);
        payload.Write("}"u8);
        AwsEventStreamWriter.WriteEvent(output, "contentBlockDelta"u8, payload.WrittenSpan);
    }

    private void WriteInput(Block block, ReadOnlySpan<byte> token) => WriteDelta(block, "{\"toolUse\":{\"input\":"u8, token, "}}"u8);

    private void WriteStop() => payload.Write(finish.Native.Length > 0 ? finish.Native : BedrockStops.TokenOf(finish.Reason, callsTools));

    private void WriteFigures()
    {
        payload.Write("\"usage\":"u8);
        if (rawUsage.Length > 0)
        {
            payload.Write(rawUsage);
        }
        else
        {
            BedrockFigures.Write(payload, tokens);
        }
        if (tier is not null)
        {
            payload.Write(",\"serviceTier\":{\"type\":"u8);
            payload.WriteText(tier is "standard" or "auto" ? "default" : tier);
            payload.Write("}"u8);
        }
    }

    private void WriteBlock(Block block)
    {
        var text = block.Text.WrittenSpan;
        switch (block.Kind)
        {
            case BlockKind.Native:
                output.Write(text);
                break;
            case BlockKind.ToolCall:
                output.Write("{\"toolUse\":{\"toolUseId\":"u8);
                output.Write(block.Id);
                output.Write(",\"name\":"u8);
                output.Write(block.Name.Length == 0 ? "\"\""u8 : block.Name);
                output.Write(",\"input\":"u8);
                WriteArguments(block);
                output.Write("}}"u8);
                break;
            case BlockKind.RedactedReasoning:
                output.Write("{\"reasoningContent\":{\"redactedContent\":"u8);
                output.Write(block.Signature.Length > 0 ? block.Signature : "\"\""u8);
                output.Write("}}"u8);
                break;
            case BlockKind.Reasoning or BlockKind.ReasoningSummary:
                output.Write("{\"reasoningContent\":{\"reasoningText\":{\"text\":"u8);
                WriteQuoted(text);
                if (block.Signature.Length > 0)
                {
                    output.Write(",\"signature\":"u8);
                    output.Write(block.Signature);
                }
                output.Write("}}}"u8);
                break;
            case BlockKind.Media:
                output.Write("{\"image\":{\"format\":\""u8);
                output.Write(block.Name);
                output.Write("\",\"source\":{\"bytes\":"u8);
                WriteQuoted(text);
                output.Write("}}}"u8);
                break;
            case var _ when block.Citations is { } citations:
                output.Write("{\"citationsContent\":{\"content\":[{\"text\":"u8);
                WriteQuoted(text);
                output.Write("}],\"citations\":["u8);
                output.Write(citations.WrittenSpan);
                output.Write("]}}"u8);
                break;
            default:
                output.Write("{\"text\":"u8);
                WriteQuoted(text);
                output.Write("}"u8);
                break;
        }
    }

    private void WriteQuoted(ReadOnlySpan<byte> escaped)
    {
        output.WriteByte((byte)'"');
        output.Write(escaped);
        output.WriteByte((byte)'"');
    }

    /// <summary>The input of a call is an object; what a model wrote that is none stands in one.</summary>
    private void WriteArguments(Block block)
    {
        var text = JsonText.FromEscaped(block.Text.WrittenSpan);
        if (!block.IsCustom && JsonBytes.TryReadArguments(text, out var arguments))
        {
            output.Write(arguments.Span);
            return;
        }
        output.Write("{\"input\":"u8);
        output.WriteText(text);
        output.Write("}"u8);
    }

    private sealed record AnswerFinishKept(StopReason Reason, byte[] Native);

    private sealed class Block
    {
        public required int Index { get; init; }

        public required BlockKind Kind { get; init; }

        public bool IsCustom { get; set; }

        public byte[] Id { get; set; } = [];

        public byte[] Name { get; set; } = [];

        public byte[] Signature { get; set; } = [];

        public ArrayBufferWriter<byte> Text { get; } = new();

        public ArrayBufferWriter<byte>? Citations { get; set; }
    }
}
