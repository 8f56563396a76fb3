using System.Buffers;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>One tool call of a choice while its pieces arrive.</summary>
internal sealed class ChatCallState
{
    private int depth;
    private bool inString;
    private bool escaped;
    private bool hasContent;

    /// <summary>The block's number; -1: it has not begun, because its name has not come.</summary>
    public int Block { get; set; } = -1;

    /// <summary>The index that the provider gave; -1: none.</summary>
    public required int Index { get; init; }

    /// <summary>The id's token; empty: none has come.</summary>
    public byte[] Id { get; set; } = [];

    public bool IsCustom { get; set; }

    /// <summary>Whether its block has ended.</summary>
    public bool IsEnded { get; set; }

    /// <summary>Arguments that came before the name, as they stand between quotes.</summary>
    public ArrayBufferWriter<byte>? Early { get; set; }

    /// <summary>Whether any of the arguments has come.</summary>
    public bool HasContent => hasContent;

    /// <summary>Whether the arguments are a complete JSON value, so that no more can follow.</summary>
    public bool IsComplete => hasContent && depth == 0 && !inString;

    /// <summary>Follows the arguments' nesting.</summary>
    /// <param name="piece">What stands between the quotes of a piece.</param>
    public void Follow(ReadOnlySpan<byte> piece)
    {
        for (var i = 0; i < piece.Length; i++)
        {
            var current = piece[i];
            if (current == (byte)'\\' && i + 1 < piece.Length)
            {
                current = piece[++i];
                if (current == (byte)'u' && i + 4 < piece.Length)
                {
                    current = Ascii(piece.Slice(i + 1, 4));
                    i += 4;
                }
                else if (current is not ((byte)'"' or (byte)'\\'))
                {
                    current = inString ? (byte)'x' : (byte)' '; // a line end or a tab
                }
            }
            Take(current);
        }
    }

    private void Take(byte current)
    {
        if (inString)
        {
            if (escaped)
            {
                escaped = false;
            }
            else if (current == (byte)'\\')
            {
                escaped = true;
            }
            else if (current == (byte)'"')
            {
                inString = false;
            }
            return;
        }
        switch (current)
        {
            case (byte)'"':
                (inString, hasContent) = (true, true);
                break;
            case (byte)'{' or (byte)'[':
                (depth, hasContent) = (depth + 1, true);
                break;
            case (byte)'}' or (byte)']':
                depth--;
                break;
        }
    }

    private static byte Ascii(ReadOnlySpan<byte> hex) =>
        System.Buffers.Text.Utf8Parser.TryParse(hex, out ushort unit, out var read, 'x') && read == 4 && unit < 0x80 ? (byte)unit : (byte)'x';
}

/// <summary>One choice while its pieces arrive.</summary>
internal sealed class ChatChoiceState(int index)
{
    public int Index { get; } = index;

    /// <summary>The number of its open block of text; -1: none is open.</summary>
    public int Text { get; set; } = -1;

    public int Refusal { get; set; } = -1;

    public int Reasoning { get; set; } = -1;

    public int Audio { get; set; } = -1;

    /// <summary>Whether <see cref="Reasoning"/> is a summary.</summary>
    public bool IsSummary { get; set; }

    /// <summary>Bytes of text in the open block of reasoning.</summary>
    public long ReasoningBytes { get; set; }

    public bool HasRefusal { get; set; }

    public List<ChatCallState> Calls { get; } = [];

    /// <summary>Why it ended, as the provider named it; null: it has not.</summary>
    public byte[]? Finish { get; set; }

    /// <summary>The stop sequence that was met, a token; empty: not said.</summary>
    public byte[] StopSequence { get; set; } = [];
}
