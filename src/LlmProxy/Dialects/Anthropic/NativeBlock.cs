using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>A block that only this dialect knows, as it comes in a stream: its beginning, and deltas that fill its members.</summary>
/// <param name="start">The block as it began.</param>
/// <param name="type">Its type.</param>
internal sealed class NativeBlock(ReadOnlySpan<byte> start, string type)
{
    private readonly byte[] start = start.ToArray();
    private ArrayBufferWriter<byte>? input;
    private Dictionary<string, ArrayBufferWriter<byte>>? texts;
    private Dictionary<string, byte[]>? replaced;

    public string Type => type;

    /// <summary>Takes a delta: pieces of its input, of its texts, or members that come whole.</summary>
    public void Add(ReadOnlySpan<byte> delta)
    {
        var isText = false;
        for (var members = new SpanMembers(delta); members.Next();)
        {
            isText |= members.Is("type"u8) && (members.Says("text_delta"u8) || members.Says("thinking_delta"u8));
        }
        for (var members = new SpanMembers(delta); members.Next();)
        {
            if (members.Is("partial_json"u8))
            {
                input ??= new ArrayBufferWriter<byte>();
                if (members.Text.Length > 2)
                {
                    input.Write(members.Text[1..^1]);
                }
            }
            else if (isText && members.Text.Length > 2)
            {
                texts ??= new Dictionary<string, ArrayBufferWriter<byte>>(StringComparer.Ordinal);
                var name = members.Name;
                if (!members.Is("type"u8))
                {
                    (texts.TryGetValue(name, out var text) ? text : texts[name] = new ArrayBufferWriter<byte>()).Write(members.Text[1..^1]);
                }
            }
            else if (!members.Is("type"u8))
            {
                (replaced ??= new Dictionary<string, byte[]>(StringComparer.Ordinal))[members.Name] = members.Value.ToArray();
            }
        }
    }

    /// <summary>The whole block.</summary>
    public ReadOnlySpan<byte> Whole()
    {
        if (input is null && texts is null && replaced is null)
        {
            return start;
        }
        var output = new ArrayBufferWriter<byte>(start.Length + (input?.WrittenCount ?? 0) + 16);
        var json = new JsonObjectWriter(output);
        for (var members = new SpanMembers(start); members.Next();)
        {
            var name = members.Name;
            if (replaced?.Remove(name, out var value) == true)
            {
                json.Raw(System.Text.Encoding.UTF8.GetBytes(name), value);
            }
            else if (texts?.Remove(name, out var text) == true)
            {
                json.Text(System.Text.Encoding.UTF8.GetBytes(name), JsonText.FromEscaped([.. members.Text.Length > 2 ? members.Text[1..^1] : default, .. text.WrittenSpan]));
            }
            else if (members.Is("input"u8) && input is { WrittenCount: > 0 })
            {
                json.Name("input"u8);
                WriteInput(output);
            }
            else
            {
                json.Raw(System.Text.Encoding.UTF8.GetBytes(name), members.Value);
            }
        }
        foreach (var (name, value) in replaced ?? [])
        {
            json.Raw(System.Text.Encoding.UTF8.GetBytes(name), value);
        }
        json.End();
        return output.WrittenSpan;
    }

    private void WriteInput(ArrayBufferWriter<byte> output)
    {
        var text = JsonText.FromEscaped(input!.WrittenSpan);
        if (JsonBytes.TryReadArguments(text, out var arguments))
        {
            output.Write(arguments.Span);
        }
        else
        {
            output.WriteText(text); // cut off: no JSON, but not lost
        }
    }
}
