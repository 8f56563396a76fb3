namespace LlmProxy.Relay;

/// <summary>One complete event of a stream, as places in its buffer.</summary>
internal struct StreamFrame
{
    public int Start;

    /// <summary>After its end, blank line and all.</summary>
    public int End;

    public int NameOffset;

    /// <summary>The length of its name; 0: it has none.</summary>
    public int NameLength;

    public int DataOffset;

    public int DataLength;

    /// <summary>How many pieces its data is in; 0: it has none. With several, <see cref="StreamFramer.JoinedData"/> holds them together.</summary>
    public int DataLines;
}

/// <summary>Finds the ends of events in bytes that arrive in any pieces. Each byte is looked at once.</summary>
internal abstract class StreamFramer
{
    /// <summary>The data of an event that is in several pieces.</summary>
    public virtual ReadOnlySpan<byte> JoinedData => default;

    /// <summary>The next complete event, or false: more bytes are needed.</summary>
    /// <param name="buffer">All bytes that have come and were not given up, those of earlier calls included.</param>
    /// <param name="complete">The event.</param>
    /// <exception cref="InvalidDataException">What came is no stream of this kind.</exception>
    public abstract bool TryRead(ReadOnlySpan<byte> buffer, out StreamFrame complete);

    /// <summary>The event that the stream ended in the middle of, as if its end followed; one without data where there is none.</summary>
    public abstract StreamFrame TakeUnfinished(ReadOnlySpan<byte> buffer);

    /// <summary>Whether the stream ended in the middle of an event that nothing makes whole.</summary>
    /// <param name="last">What <see cref="TakeUnfinished"/> gave.</param>
    public virtual bool IsCut(in StreamFrame last) => false;

    /// <summary>The buffer's content moved towards its front by so many bytes; those before were given up.</summary>
    public abstract void Shift(int bytes);

    /// <summary>The name of an event; empty: it has none.</summary>
    public static ReadOnlySpan<byte> NameOf(ReadOnlySpan<byte> buffer, scoped in StreamFrame frame) => frame.NameLength == 0 ? default : buffer.Slice(frame.NameOffset, frame.NameLength);

    /// <summary>The data of an event.</summary>
    public ReadOnlySpan<byte> DataOf(ReadOnlySpan<byte> buffer, scoped in StreamFrame frame) =>
        frame.DataLines switch { 0 => default, 1 => buffer.Slice(frame.DataOffset, frame.DataLength), _ => JoinedData };
}
