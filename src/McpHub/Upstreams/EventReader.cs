using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace McpHub.Upstreams;

/// <summary>Where a stream of events can be taken up again.</summary>
internal sealed class EventPosition
{
    /// <summary>The id of the last event that had one; null: none had.</summary>
    public string? LastId { get; set; }

    /// <summary>How long the server wants clients to wait; null: it did not say.</summary>
    public TimeSpan? Retry { get; set; }

    /// <summary>The type of the event that is being taken; null: it named none.</summary>
    public string? Type { get; set; }
}

/// <summary>Reads server-sent events (WHATWG HTML, section 9.2) of a bounded size.</summary>
internal static class EventReader
{
    private const int MostRetryMilliseconds = 60_000;

    /// <summary>Reads a stream to its end, or for as long as is wanted.</summary>
    /// <param name="source">The stream.</param>
    /// <param name="maxBytes">The most bytes of one event.</param>
    /// <param name="position">Is told ids and waiting times.</param>
    /// <param name="take">Receives the data of each event that has any.</param>
    /// <param name="isEnough">Whether what was taken is all that was wanted; null: all is.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <returns>False: an event is larger.</returns>
    public static async ValueTask<bool> ReadAsync(Stream source, int maxBytes, EventPosition position, BytesSink take, Func<bool>? isEnough, CancellationToken cancellationToken)
    {
        using var buffer = new PooledBytes(4096);
        var scanned = 0;
        while (await buffer.ReadFromAsync(source, cancellationToken) > 0)
        {
            var start = 0;
            while (TryFindEnd(buffer.Written.Span[start..], ref scanned, out var length, out var next))
            {
                Take(buffer.Written.Span.Slice(start, length), position, take);
                if (isEnough is not null && isEnough())
                {
                    return true;
                }
                start += next;
                scanned = 0;
            }
            buffer.Discard(start);
            if (buffer.Length > maxBytes)
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>Finds the blank line that ends an event. A carriage return at the very end waits for what may follow it.</summary>
    private static bool TryFindEnd(ReadOnlySpan<byte> text, ref int scanned, out int length, out int next)
    {
        (length, next) = (0, 0);
        var position = scanned;
        while (true)
        {
            var found = text[position..].IndexOfAny((byte)'\n', (byte)'\r');
            if (found < 0)
            {
                return false;
            }
            var end = position + found;
            var after = end + 1;
            if (text[end] == (byte)'\r')
            {
                if (after == text.Length)
                {
                    return false;
                }
                after += text[after] == (byte)'\n' ? 1 : 0;
            }
            if (found == 0)
            {
                (length, next) = (position, after);
                return true;
            }
            position = scanned = after;
        }
    }

    private static void Take(ReadOnlySpan<byte> text, EventPosition position, BytesSink take)
    {
        ReadOnlySpan<byte> data = default;
        ArrayBufferWriter<byte>? joined = null;
        var lines = 0;
        position.Type = null;
        while (!text.IsEmpty)
        {
            var end = text.IndexOfAny((byte)'\n', (byte)'\r');
            var line = end < 0 ? text : text[..end];
            text = end < 0 ? default : text[(end + (text[end] == (byte)'\r' && end + 1 < text.Length && text[end + 1] == (byte)'\n' ? 2 : 1))..];
            if (TryField(line, "data"u8, out var value))
            {
                if (++lines == 1)
                {
                    data = value;
                    continue;
                }
                if (joined is null)
                {
                    joined = new ArrayBufferWriter<byte>(data.Length + value.Length + 1);
                    joined.Write(data);
                }
                joined.Write("\n"u8);
                joined.Write(value);
            }
            else if (TryField(line, "event"u8, out var type))
            {
                position.Type = type.SequenceEqual("message"u8) ? "message" : type.SequenceEqual("endpoint"u8) ? "endpoint" : "other";
            }
            else if (TryField(line, "id"u8, out var id))
            {
                // It goes back in a header, which cannot carry everything.
                position.LastId = id.IsEmpty || id.ContainsAnyExceptInRange((byte)' ', (byte)'~') ? position.LastId : Encoding.ASCII.GetString(id);
            }
            else if (TryField(line, "retry"u8, out var retry) && Utf8Parser.TryParse(retry, out int milliseconds, out _))
            {
                position.Retry = TimeSpan.FromMilliseconds(Math.Clamp(milliseconds, 0, MostRetryMilliseconds));
            }
        }
        data = joined is null ? data : joined.WrittenSpan;
        if (!data.IsEmpty)
        {
            take(data);
        }
    }

    private static bool TryField(ReadOnlySpan<byte> line, ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        value = default;
        if (!line.StartsWith(name) || (line.Length > name.Length && line[name.Length] != (byte)':'))
        {
            return false;
        }
        if (line.Length > name.Length)
        {
            value = line[(name.Length + 1)..];
            value = value.StartsWith(" "u8) ? value[1..] : value;
        }
        return true;
    }
}
