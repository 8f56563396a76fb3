using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>
/// Writes a message as a stream of events. Blocks begin in the order of their numbers; where several are open at once (parallel calls), their deltas go by those numbers,
/// as the vendor's SDKs take them.
/// </summary>
internal sealed class AnthropicStreamEncoder(AnswerContext context, IBufferWriter<byte> output) : AnthropicAnswerEncoder(context, output)
{
    private readonly List<Block> blocks = [];
    private int written;
    private bool begun;
    private bool ended;

    public override void BeginBlock(int block, in BlockStart start)
    {
        while (blocks.Count <= block)
        {
            blocks.Add(new Block { Index = -1 });
        }
        if (start.Choice != 0)
        {
            return;
        }
        Begin();
        switch (start.Kind)
        {
            case BlockKind.Text or BlockKind.Refusal:
                Open(block, start.Kind);
                Output.Write("{\"type\":\"text\",\"text\":\"\"}}\n\n"u8);
                break;
            case BlockKind.Reasoning or BlockKind.ReasoningSummary:
                Open(block, BlockKind.Reasoning);
                Output.Write("{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"u8);
                break;
            case BlockKind.RedactedReasoning:
                blocks[block] = new Block { Index = -1, Kind = BlockKind.RedactedReasoning }; // begins with its data
                break;
            case BlockKind.ToolCall:
                BeginCall(block, start);
                break;
            case BlockKind.Native when IsOwn:
                Open(block, BlockKind.Native);
                WriteLine(start.Raw);
                Output.Write("}\n\n"u8);
                break;
            default:
                Context.Dropped.Add("content[]." + (start.NativeType ?? "media"));
                break;
        }
    }

    public override void Delta(int block, ReadOnlySpan<byte> text)
    {
        if (block >= blocks.Count || blocks[block] is not { Index: >= 0 } known || text.Length <= 2)
        {
            return;
        }
        if (known.IsCustom)
        {
            WriteCustom(known.Index, text[1..^1]);
            return;
        }
        WriteDelta(known.Index, known.Kind switch
        {
            BlockKind.Reasoning => "{\"type\":\"thinking_delta\",\"thinking\":"u8,
            BlockKind.ToolCall => "{\"type\":\"input_json_delta\",\"partial_json\":"u8,
            _ => "{\"type\":\"text_delta\",\"text\":"u8,
        }, text);
    }

    public override void Signature(int block, string family, ReadOnlySpan<byte> dataToken)
    {
        if (block >= blocks.Count)
        {
            return;
        }
        var known = blocks[block];
        if (known.Kind == BlockKind.RedactedReasoning && known.Index < 0)
        {
            if (ForeignSignatures.CanCarry(family))
            {
                Open(block, BlockKind.RedactedReasoning);
                Output.Write("{\"type\":\"redacted_thinking\",\"data\":"u8);
                TryWriteSignature(family, dataToken);
                Output.Write("}}\n\n"u8);
            }
            else
            {
                Context.Dropped.Add("content[].redacted_thinking");
            }
        }
        else if (known is { Kind: BlockKind.Reasoning, Index: >= 0 } && ForeignSignatures.CanCarry(family))
        {
            WriteDeltaStart(known.Index, "{\"type\":\"signature_delta\",\"signature\":"u8);
            TryWriteSignature(family, dataToken);
            Output.Write("}}\n\n"u8);
        }
        else if (known.Kind != BlockKind.ToolCall) // those of calls are remembered by their ids
        {
            Context.Dropped.Add("content[].signature");
        }
    }

    public override void Citation(int block, NeutralCitation citation)
    {
        if (block >= blocks.Count || blocks[block] is not { Index: >= 0 } known)
        {
            return;
        }
        var json = new ArrayBufferWriter<byte>();
        if (TryWriteCitation(json, citation))
        {
            WriteDeltaStart(known.Index, "{\"type\":\"citations_delta\",\"citation\":"u8);
            WriteLine(json.WrittenSpan);
            Output.Write("}}\n\n"u8);
        }
    }

    public override void EndBlock(int block)
    {
        if (block < blocks.Count)
        {
            Close(block);
        }
    }

    public override void Ping() => Output.Write("event: ping\ndata: {\"type\":\"ping\"}\n\n"u8);

    public override void End()
    {
        if (ended)
        {
            return;
        }
        Begin();
        for (var i = 0; i < blocks.Count; i++)
        {
            Close(i);
        }
        Output.Write("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"u8);
        WriteStop();
        WriteExtensions(ofDelta: true);
        Output.Write("},\"usage\":"u8);
        WriteUsage(isWhole: false);
        WriteExtensions(ofDelta: false);
        Output.Write("}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"u8);
        ended = true;
    }

    public override void Fail(AnswerError error)
    {
        if (ended)
        {
            return;
        }
        ended = true;
        Output.Write("event: error\ndata: "u8);
        AnthropicErrors.Write(Output, AnthropicErrors.TypeOf(error), error.Message, Context.RequestId);
        Output.Write("\n\n"u8);
    }

    /// <summary>Writes the first event, once; until there is something to say, the usage may still come.</summary>
    private void Begin()
    {
        if (begun)
        {
            return;
        }
        begun = true;
        Output.Write("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{"u8);
        WriteHead();
        Output.Write(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null"u8);
        foreach (var (name, value) in Extensions)
        {
            WriteExtension(name, value);
        }
        Extensions.Clear();
        Output.Write(",\"usage\":"u8);
        WriteUsage(isWhole: true);
        Output.Write("}}\n\n"u8);
    }

    private void Open(int block, BlockKind kind, bool isCustom = false)
    {
        var index = written++;
        blocks[block] = new Block { Index = index, Kind = kind, IsCustom = isCustom };
        Output.Write("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":"u8);
        Output.WriteNumber(index);
        Output.Write(",\"content_block\":"u8);
    }

    private void BeginCall(int block, in BlockStart start)
    {
        CallsTools = true;
        Open(block, BlockKind.ToolCall, isCustom: start.ToolKind == ToolKind.Custom);
        if (IsOwn && !start.Raw.IsEmpty)
        {
            WriteOwnCall(start.Raw);
        }
        else
        {
            Output.Write("{\"type\":\"tool_use\",\"id\":"u8);
            WriteCallId(start.IdToken, block);
            Output.Write(",\"name\":"u8);
            Output.Write(start.NameToken.IsEmpty ? "\"\""u8 : start.NameToken);
            Output.Write(",\"input\":{}}"u8);
        }
        Output.Write("}\n\n"u8);
        if (start.ToolKind == ToolKind.Custom)
        {
            WriteDelta(blocks[block].Index, "{\"type\":\"input_json_delta\",\"partial_json\":"u8, "\"{\\\"input\\\":\\\"\""u8);
        }
    }

    /// <summary>A call as it came, but for its input, which follows in deltas.</summary>
    private void WriteOwnCall(ReadOnlySpan<byte> raw)
    {
        Output.WriteByte((byte)'{');
        var first = true;
        for (var members = new SpanMembers(raw); members.Next();)
        {
            AnthropicRequestEncoder.Separate(Output, ref first);
            Output.WriteByte((byte)'"');
            Output.Write(System.Text.Encoding.UTF8.GetBytes(members.Name));
            Output.Write("\":"u8);
            WriteLine(members.Is("input"u8) ? "{}"u8 : members.Value);
        }
        Output.WriteByte((byte)'}');
    }

    private void Close(int block)
    {
        var known = blocks[block];
        if (known.Index < 0 || known.IsClosed)
        {
            return;
        }
        if (known.IsCustom)
        {
            WriteDelta(known.Index, "{\"type\":\"input_json_delta\",\"partial_json\":"u8, "\"\\\"}\""u8);
        }
        blocks[block] = known with { IsClosed = true };
        Output.Write("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":"u8);
        Output.WriteNumber(known.Index);
        Output.Write("}\n\n"u8);
    }

    private void WriteDelta(int index, ReadOnlySpan<byte> opening, ReadOnlySpan<byte> token)
    {
        WriteDeltaStart(index, opening);
        Output.Write(token);
        Output.Write("}}\n\n"u8);
    }

    /// <summary>Free text inside the JSON of a call's arguments: what is escaped in it is escaped once more.</summary>
    private void WriteCustom(int index, ReadOnlySpan<byte> escaped)
    {
        WriteDeltaStart(index, "{\"type\":\"input_json_delta\",\"partial_json\":"u8);
        Output.WriteAsToken(escaped);
        Output.Write("}}\n\n"u8);
    }

    private void WriteDeltaStart(int index, ReadOnlySpan<byte> opening)
    {
        Output.Write("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"u8);
        Output.WriteNumber(index);
        Output.Write(",\"delta\":"u8);
        Output.Write(opening);
    }

    private void WriteExtensions(bool ofDelta)
    {
        foreach (var (name, value) in Extensions)
        {
            if ((name is "container" or "stop_details") == ofDelta)
            {
                WriteExtension(name, value);
            }
        }
    }

    private void WriteExtension(string name, byte[] value)
    {
        Output.Write(",\""u8);
        Output.Write(System.Text.Encoding.UTF8.GetBytes(name));
        Output.Write("\":"u8);
        WriteLine(value);
    }

    /// <summary>A block that has begun.</summary>
    private readonly record struct Block
    {
        /// <summary>Its number in this stream; -1: it has none (yet).</summary>
        public required int Index { get; init; }

        public BlockKind Kind { get; init; }

        public bool IsCustom { get; init; }

        public bool IsClosed { get; init; }
    }
}
