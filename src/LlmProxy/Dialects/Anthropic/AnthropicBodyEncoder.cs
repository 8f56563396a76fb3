using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>Writes a complete message.</summary>
internal sealed class AnthropicBodyEncoder(AnswerContext context, IBufferWriter<byte> output) : AnthropicAnswerEncoder(context, output)
{
    private readonly List<Block?> blocks = [];

    public override void BeginBlock(int block, in BlockStart start)
    {
        while (blocks.Count <= block)
        {
            blocks.Add(null);
        }
        if (start.Choice != 0)
        {
            return;
        }
        if (start.Kind == BlockKind.Media || (start.Kind == BlockKind.Native && !IsOwn))
        {
            Context.Dropped.Add("content[]." + (start.NativeType ?? "media"));
            return;
        }
        CallsTools |= start.Kind == BlockKind.ToolCall;
        blocks[block] = new Block
        {
            Kind = start.Kind == BlockKind.ReasoningSummary ? BlockKind.Reasoning : start.Kind,
            Id = start.IdToken.ToArray(),
            Name = start.NameToken.ToArray(),
            IsCustom = start.ToolKind == ToolKind.Custom,
            Raw = start.Kind == BlockKind.Native || IsOwn ? start.Raw.ToArray() : [],
        };
    }

    public override void Delta(int block, ReadOnlySpan<byte> text)
    {
        if (block < blocks.Count && blocks[block] is { } known && text.Length > 2)
        {
            known.Text.Write(text[1..^1]);
        }
    }

    public override void Signature(int block, string family, ReadOnlySpan<byte> dataToken)
    {
        if (block >= blocks.Count || blocks[block] is not { } known)
        {
            return;
        }
        if (known.Kind is BlockKind.Reasoning or BlockKind.RedactedReasoning && ForeignSignatures.CanCarry(family))
        {
            (known.Family, known.Signature) = (family, dataToken.ToArray());
        }
        else if (known.Kind != BlockKind.ToolCall) // those of calls are remembered by their ids
        {
            Context.Dropped.Add("content[].signature");
        }
    }

    public override void Citation(int block, NeutralCitation citation)
    {
        if (block >= blocks.Count || blocks[block] is not { } known)
        {
            return;
        }
        var one = new ArrayBufferWriter<byte>();
        if (TryWriteCitation(one, citation))
        {
            known.Citations.Write(known.Citations.WrittenCount > 0 ? ","u8 : default);
            known.Citations.Write(one.WrittenSpan);
        }
    }

    public override void EndBlock(int block)
    {
    }

    public override void Ping()
    {
    }

    public override void End()
    {
        Output.WriteByte((byte)'{');
        WriteHead();
        Output.Write(",\"content\":["u8);
        var first = true;
        for (var i = 0; i < blocks.Count; i++)
        {
            if (blocks[i] is not { } block || (block.Kind == BlockKind.RedactedReasoning && block.Family is null))
            {
                continue;
            }
            AnthropicRequestEncoder.Separate(Output, ref first);
            Write(block, i);
        }
        Output.Write("],"u8);
        WriteStop();
        foreach (var (name, value) in Extensions)
        {
            Output.Write(",\""u8);
            Output.Write(System.Text.Encoding.UTF8.GetBytes(name));
            Output.Write("\":"u8);
            Output.Write(value);
        }
        Output.Write(",\"usage\":"u8);
        WriteUsage(isWhole: true);
        Output.WriteByte((byte)'}');
    }

    public override void Fail(AnswerError error) => Error ??= error;

    private void Write(Block block, int number)
    {
        if (block.Kind == BlockKind.Native)
        {
            Output.Write(block.Raw);
            return;
        }
        var json = new JsonObjectWriter(Output);
        switch (block.Kind)
        {
            case BlockKind.Reasoning:
                json.Raw("type"u8, "\"thinking\""u8);
                WriteString(ref json, "thinking"u8, block.Text.WrittenSpan);
                json.Name("signature"u8);
                if (block.Family is null || !TryWriteSignature(block.Family, block.Signature))
                {
                    Output.Write("\"\""u8);
                }
                break;
            case BlockKind.RedactedReasoning:
                json.Raw("type"u8, "\"redacted_thinking\""u8);
                json.Name("data"u8);
                TryWriteSignature(block.Family!, block.Signature);
                break;
            case BlockKind.ToolCall:
                WriteCall(ref json, block, number);
                break;
            default:
                json.Raw("type"u8, "\"text\""u8);
                WriteString(ref json, "text"u8, block.Text.WrittenSpan);
                if (block.Citations.WrittenCount > 0)
                {
                    json.Name("citations"u8);
                    Output.WriteByte((byte)'[');
                    Output.Write(block.Citations.WrittenSpan);
                    Output.WriteByte((byte)']');
                }
                break;
        }
        json.End();
    }

    private void WriteCall(ref JsonObjectWriter json, Block block, int number)
    {
        if (block.Raw.Length > 0)
        {
            for (var members = new SpanMembers(block.Raw); members.Next();)
            {
                if (members.Is("input"u8))
                {
                    json.Name("input"u8);
                    WriteInput(block);
                }
                else
                {
                    json.Raw(System.Text.Encoding.UTF8.GetBytes(members.Name), members.Value);
                }
            }
            return;
        }
        json.Raw("type"u8, "\"tool_use\""u8);
        json.Name("id"u8);
        WriteCallId(block.Id, number);
        json.Raw("name"u8, block.Name.Length == 0 ? "\"\""u8 : block.Name);
        json.Name("input"u8);
        WriteInput(block);
    }

    private void WriteInput(Block block)
    {
        var text = JsonText.FromEscaped(block.Text.WrittenSpan);
        if (!block.IsCustom && JsonBytes.TryReadArguments(text, out var arguments))
        {
            Output.Write(arguments.Span);
            return;
        }
        // Free text, or arguments that were cut off: there is only an object to put them in.
        var input = new JsonObjectWriter(Output);
        input.Text(block.IsCustom ? "input"u8 : "arguments"u8, text);
        input.End();
    }

    private void WriteString(ref JsonObjectWriter json, ReadOnlySpan<byte> name, ReadOnlySpan<byte> escaped)
    {
        json.Name(name);
        Output.WriteByte((byte)'"');
        Output.Write(escaped);
        Output.WriteByte((byte)'"');
    }

    private sealed class Block
    {
        public required BlockKind Kind { get; init; }

        public byte[] Id { get; init; } = [];

        public byte[] Name { get; init; } = [];

        public bool IsCustom { get; init; }

        public byte[] Raw { get; init; } = [];

        /// <summary>Its text, thoughts or arguments as they stand between quotes.</summary>
        public ArrayBufferWriter<byte> Text { get; } = new();

        public ArrayBufferWriter<byte> Citations { get; } = new();

        public string? Family { get; set; }

        public byte[] Signature { get; set; } = [];
    }
}
