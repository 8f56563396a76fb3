using System.Buffers;
using System.Text;

namespace McpHub.Upstreams;

/// <summary>Reads server-sent events (WHATWG HTML, section 9.2) of a bounded size.</summary>
internal static class EventReader
{
    /// <summary>Reads a stream to its end.</summary>
    /// <param name="source">The stream.</param>
    /// <param name="maxBytes">The most bytes of one event.</param>
    /// <param name="take">Receives each event's data (valid during the call; empty for an event without any) and id.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <exception cref="UpstreamException">An event is larger.</exception>
    public static async ValueTask ReadAsync(Stream source, int maxBytes, Func<ReadOnlyMemory<byte>, string?, ValueTask> take, CancellationToken cancellationToken)
    {
        using var buffer = new PooledBytes(4096);
        var scanned = 0;
        while (await buffer.ReadFromAsync(source, cancellationToken) > 0)
        {
            while (TryFindEnd(buffer.Written.Span, ref scanned, out var length, out var next))
            {
                await TakeAsync(buffer.Written[..length], take);
                buffer.Discard(next);
                scanned = 0;
            }
            if (buffer.Length > maxBytes)
            {
                throw new UpstreamException(RpcError.UpstreamInvalid, "message_too_large", $"The tool server sent an event of more than {maxBytes} bytes.");
            }
        }
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

    private static ValueTask TakeAsync(ReadOnlyMemory<byte> text, Func<ReadOnlyMemory<byte>, string?, ValueTask> take)
    {
        ReadOnlyMemory<byte> data = default;
        ArrayBufferWriter<byte>? joined = null;
        var (lines, id) = (0, (string?)null);
        while (!text.IsEmpty)
        {
            var end = text.Span.IndexOfAny((byte)'\n', (byte)'\r');
            var line = end < 0 ? text : text[..end];
            text = end < 0 ? default : text[(end + (text.Span[end] == (byte)'\r' && end + 1 < text.Length && text.Span[end + 1] == (byte)'\n' ? 2 : 1))..];
            if (Field(line, "data"u8) is { } value)
            {
                if (++lines == 1)
                {
                    data = value;
                    continue;
                }
                if (joined is null)
                {
                    joined = new ArrayBufferWriter<byte>(data.Length + value.Length + 1);
                    joined.Write(data.Span);
                }
                joined.Write("\n"u8);
                joined.Write(value.Span);
            }
            else if (Field(line, "id"u8) is { } name)
            {
                id = Encoding.UTF8.GetString(name.Span);
            }
        }
        return lines == 0 && id is null ? ValueTask.CompletedTask : take(joined?.WrittenMemory ?? data, id);
    }

    private static ReadOnlyMemory<byte>? Field(ReadOnlyMemory<byte> line, ReadOnlySpan<byte> name)
    {
        if (!line.Span.StartsWith(name))
        {
            return null;
        }
        if (line.Length == name.Length)
        {
            return ReadOnlyMemory<byte>.Empty;
        }
        if (line.Span[name.Length] != (byte)':')
        {
            return null;
        }
        var value = line[(name.Length + 1)..];
        return value.Span.StartsWith(" "u8) ? value[1..] : value;
    }
}
