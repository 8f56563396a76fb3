using System.Buffers;

namespace LlmProxy.Relay;

/// <summary>One complete event of a stream, as places in its buffer.</summary>
internal struct SseEvent
{
    public int Start;

    /// <summary>After its blank line.</summary>
    public int End;

    public int DataOffset;

    public int DataLength;

    /// <summary>How many data lines it has; with several, <see cref="SseFramer.JoinedData"/> holds them.</summary>
    public int DataLines;

    /// <summary>Whether it is named <c>error</c>.</summary>
    public bool IsNamedError;
}

/// <summary>
/// Finds the ends of events in bytes that arrive in any pieces: lines end with CRLF, LF or CR, the space after a colon may be missing, comments and
/// other fields pass. Each byte is looked at once.
/// </summary>
internal struct SseFramer
{
    private SseEvent current;
    private int lineStart;
    private int scanned;
    private bool sawBytes;
    private bool lastWasCr;
    private bool usesCrLf;
    private ArrayBufferWriter<byte>? joined;

    /// <summary>The data of an event that has several data lines, joined by line feeds.</summary>
    public readonly ReadOnlySpan<byte> JoinedData => joined is null ? default : joined.WrittenSpan;

    /// <summary>The next complete event, or false: more bytes are needed.</summary>
    public bool TryRead(ReadOnlySpan<byte> buffer, out SseEvent complete)
    {
        while (true)
        {
            if (lastWasCr && scanned < buffer.Length)
            {
                lastWasCr = false;
                if (buffer[scanned] == (byte)'\n')
                {
                    lineStart = ++scanned;
                    usesCrLf = true;
                }
            }
            var found = buffer[scanned..].IndexOfAny((byte)'\n', (byte)'\r');
            if (found < 0)
            {
                scanned = buffer.Length;
                complete = default;
                return false;
            }
            var end = scanned + found;
            var next = end + 1;
            if (buffer[end] == (byte)'\r')
            {
                if (next == buffer.Length && usesCrLf)
                {
                    scanned = end; // its line feed is on its way
                    complete = default;
                    return false;
                }
                if (next == buffer.Length)
                {
                    lastWasCr = true; // whether a line feed follows is not known yet; where none ever does, nothing may wait for it
                }
                else if (buffer[next] == (byte)'\n')
                {
                    next++;
                    usesCrLf = true;
                }
            }
            var start = lineStart;
            lineStart = scanned = next;
            if (start < end)
            {
                TakeLine(buffer, start, end);
                continue;
            }
            current.End = next;
            complete = current;
            current = new SseEvent { Start = next };
            return true;
        }
    }

    /// <summary>The event that the stream ended in the middle of, as if a blank line followed.</summary>
    public SseEvent TakeUnfinished(ReadOnlySpan<byte> buffer)
    {
        if (lineStart < buffer.Length)
        {
            TakeLine(buffer, lineStart, buffer.Length);
        }
        current.End = buffer.Length;
        return current;
    }

    /// <summary>The buffer's content moved towards its front by so many bytes; those before were given up.</summary>
    public void Shift(int bytes)
    {
        current.Start -= bytes;
        current.DataOffset -= bytes;
        lineStart -= bytes;
        scanned -= bytes;
    }

    private void TakeLine(ReadOnlySpan<byte> buffer, int start, int end)
    {
        if (!sawBytes)
        {
            sawBytes = true;
            if (buffer[start..end].StartsWith("\uFEFF"u8))
            {
                start += 3;
            }
        }
        var line = buffer[start..end];
        if (line.StartsWith("data"u8) && (line.Length == 4 || line[4] == (byte)':'))
        {
            var offset = Math.Min(start + 5, end);
            offset += offset < end && buffer[offset] == (byte)' ' ? 1 : 0;
            TakeData(buffer, offset, end - offset);
        }
        else if (line.StartsWith("event:"u8))
        {
            current.IsNamedError = line[6..].Trim((byte)' ').SequenceEqual("error"u8);
        }
    }

    private void TakeData(ReadOnlySpan<byte> buffer, int offset, int length)
    {
        if (++current.DataLines == 1)
        {
            (current.DataOffset, current.DataLength) = (offset, length);
            return;
        }
        joined ??= new ArrayBufferWriter<byte>();
        if (current.DataLines == 2)
        {
            joined.ResetWrittenCount();
            joined.Write(buffer.Slice(current.DataOffset, current.DataLength));
        }
        joined.Write("\n"u8);
        joined.Write(buffer.Slice(offset, length));
    }
}
