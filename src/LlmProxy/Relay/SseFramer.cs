using System.Buffers;

namespace LlmProxy.Relay;

/// <summary>
/// Finds the ends of events in bytes that arrive in any pieces: lines end with CRLF, LF or CR, the space after a colon may be missing, comments and
/// other fields pass.
/// </summary>
internal sealed class SseFramer : StreamFramer
{
    private StreamFrame current;
    private int lineStart;
    private int scanned;
    private bool sawBytes;
    private bool lastWasCr;
    private bool usesCrLf;
    private ArrayBufferWriter<byte>? joined;

    /// <inheritdoc/>
    /// <remarks>Its data lines, joined by line feeds.</remarks>
    public override ReadOnlySpan<byte> JoinedData => joined is null ? default : joined.WrittenSpan;

    /// <inheritdoc/>
    public override bool TryRead(ReadOnlySpan<byte> buffer, out StreamFrame complete)
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
            current = new StreamFrame { Start = next };
            return true;
        }
    }

    /// <inheritdoc/>
    public override StreamFrame TakeUnfinished(ReadOnlySpan<byte> buffer)
    {
        if (lineStart < buffer.Length)
        {
            TakeLine(buffer, lineStart, buffer.Length);
        }
        current.End = buffer.Length;
        return current;
    }

    /// <inheritdoc/>
    public override void Shift(int bytes)
    {
        current.Start -= bytes;
        current.NameOffset -= bytes;
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
            var offset = start + 6 + (line.Length > 6 && line[6] == (byte)' ' ? 1 : 0);
            (current.NameOffset, current.NameLength) = (offset, buffer[offset..end].TrimEnd((byte)' ').Length);
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
