using System.Buffers;

namespace McpHub.Upstreams;

/// <summary>A growing buffer from the pool.</summary>
internal sealed class PooledBytes(int size) : IDisposable
{
    private byte[] buffer = ArrayPool<byte>.Shared.Rent(Math.Max(256, size));

    public int Length { get; private set; }

    public ReadOnlyMemory<byte> Written => buffer.AsMemory(0, Length);

    public async ValueTask<int> ReadFromAsync(Stream source, CancellationToken cancellationToken)
    {
        if (Length == buffer.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
            buffer.AsSpan(0, Length).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(buffer);
            buffer = larger;
        }
        var read = await source.ReadAsync(buffer.AsMemory(Length), cancellationToken);
        Length += read;
        return read;
    }

    public void Discard(int bytes)
    {
        buffer.AsSpan(bytes, Length - bytes).CopyTo(buffer);
        Length -= bytes;
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = [];
        Length = 0;
    }
}
