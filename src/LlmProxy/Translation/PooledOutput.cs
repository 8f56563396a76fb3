using System.Buffers;
using Shared.Http;

namespace LlmProxy.Translation;

/// <summary>Bytes on their way to a client, in a pooled buffer that counts against the <see cref="BodyMemory"/>.</summary>
internal sealed class PooledOutput(BodyMemory memory) : IBufferWriter<byte>, IDisposable
{
    private const int FirstBytes = 8 * 1024;

    private byte[] buffer = [];
    private long charged;

    /// <summary>How much was written.</summary>
    public int WrittenCount { get; private set; }

    /// <summary>What was written.</summary>
    public ReadOnlySpan<byte> Written => buffer.AsSpan(0, WrittenCount);

    /// <summary>What was written.</summary>
    public ReadOnlyMemory<byte> WrittenMemory => buffer.AsMemory(0, WrittenCount);

    /// <summary>Whether more was written than the process has memory for. What was written is kept to that point; the answer must be given up.</summary>
    public bool IsOutOfMemory { get; private set; }

    /// <summary>Gives up what was written.</summary>
    public void Clear() => WrittenCount = 0;

    public void Advance(int count) => WrittenCount += count;

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return buffer.AsMemory(WrittenCount);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return buffer.AsSpan(WrittenCount);
    }

    public void Dispose()
    {
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
            memory.Return(charged);
            (buffer, charged, WrittenCount) = ([], 0, 0);
        }
    }

    private void Reserve(int sizeHint)
    {
        var needed = Math.Max(1, sizeHint);
        if (buffer.Length - WrittenCount >= needed)
        {
            return;
        }
        var size = Math.Max(Math.Max(FirstBytes, buffer.Length * 2), WrittenCount + needed);
        var larger = ArrayPool<byte>.Shared.Rent(size);
        if (memory.TryTake(larger.Length - charged))
        {
            charged = larger.Length;
        }
        else
        {
            IsOutOfMemory = true; // whoever writes cannot stop here; whoever reads must
        }
        Written.CopyTo(larger);
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        buffer = larger;
    }
}
