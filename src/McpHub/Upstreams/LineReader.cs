using System.Buffers;
using System.IO.Pipelines;

namespace McpHub.Upstreams;

/// <summary>Reads lines of a bounded length.</summary>
internal static class LineReader
{
    /// <summary>Reads to the end of a stream.</summary>
    /// <param name="source">The stream.</param>
    /// <param name="maxBytes">The longest line.</param>
    /// <param name="take">Receives each line without its end; valid during the call.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <returns>Whether the stream came to its end; false: a line is longer.</returns>
    public static async Task<bool> ReadAsync(Stream source, int maxBytes, BytesSink take, CancellationToken cancellationToken)
    {
        var reader = PipeReader.Create(source, new StreamPipeReaderOptions(bufferSize: 32 * 1024, leaveOpen: true));
        var searched = 0L;
        try
        {
            while (true)
            {
                var read = await reader.ReadAsync(cancellationToken);
                var buffer = read.Buffer;
                // What earlier reads brought holds no line's end; searching it again would cost a long line the square of its length.
                while (buffer.Slice(searched).PositionOf((byte)'\n') is { } end)
                {
                    var line = buffer.Slice(0, end);
                    if (line.Length > maxBytes)
                    {
                        return false;
                    }
                    Take(line, take);
                    buffer = buffer.Slice(buffer.GetPosition(1, end));
                    searched = 0;
                }
                searched = buffer.Length;
                if (searched > maxBytes)
                {
                    return false;
                }
                reader.AdvanceTo(buffer.Start, buffer.End);
                if (read.IsCompleted)
                {
                    return true;
                }
            }
        }
        finally
        {
            await reader.CompleteAsync();
        }
    }

    private static void Take(ReadOnlySequence<byte> line, BytesSink take)
    {
        if (line.IsSingleSegment)
        {
            take(line.FirstSpan);
            return;
        }
        var copy = ArrayPool<byte>.Shared.Rent((int)line.Length);
        try
        {
            line.CopyTo(copy);
            take(copy.AsSpan(0, (int)line.Length));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(copy);
        }
    }
}
