namespace LlmProxy.Relay;

/// <summary>One splice: so many bytes of the client's body, from an offset on, give way to others.</summary>
/// <param name="Offset">Where it stands in the client's body.</param>
/// <param name="Length">How many bytes of it go; 0: nothing goes, the replacement is inserted.</param>
/// <param name="Replacement">What stands there instead.</param>
internal readonly record struct Edit(int Offset, int Length, ReadOnlyMemory<byte> Replacement);

/// <summary>The edits of one attempt's body, by rising offset; edits at the same offset stand in the order they were added. Empty: the upstream receives the very bytes.</summary>
internal sealed class EditList
{
    private Edit[] edits = [];

    public int Count { get; private set; }

    /// <summary>How many bytes longer the edited body is than the client's.</summary>
    public int Growth { get; private set; }

    public ReadOnlySpan<Edit> Edits => edits.AsSpan(0, Count);

    public ref readonly Edit this[int index] => ref edits[index];

    public void Add(int offset, int length, ReadOnlyMemory<byte> replacement)
    {
        if (Count == edits.Length)
        {
            Array.Resize(ref edits, Math.Max(4, edits.Length * 2));
        }
        var at = Count++;
        for (; at > 0 && edits[at - 1].Offset > offset; at--)
        {
            edits[at] = edits[at - 1];
        }
        edits[at] = new Edit(offset, length, replacement);
        Growth += replacement.Length - length;
    }

    /// <summary>The edited body, put together in memory.</summary>
    public byte[] Apply(ReadOnlyMemory<byte> body)
    {
        var edited = new byte[body.Length + Growth];
        var (from, to) = (0, 0);
        foreach (var edit in Edits)
        {
            body.Span[from..edit.Offset].CopyTo(edited.AsSpan(to));
            to += edit.Offset - from;
            edit.Replacement.Span.CopyTo(edited.AsSpan(to));
            to += edit.Replacement.Length;
            from = edit.Offset + edit.Length;
        }
        body.Span[from..].CopyTo(edited.AsSpan(to));
        return edited;
    }
}
