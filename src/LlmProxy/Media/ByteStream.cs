using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using LlmProxy.Relay;
using Shared.Http;

namespace LlmProxy.Media;

/// <summary>An upstream's answer of bytes (sound, plain text) on its way to the client, piece by piece as it arrives.</summary>
internal sealed class ByteStream(Stream source) : IDisposable
{
    private const int BufferBytes = 32 * 1024;

    private byte[]? buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
    private int filled;

    /// <summary>Bytes that came so far.</summary>
    public long Received { get; private set; }

    /// <summary>Reads the next piece. False: the answer has ended.</summary>
    public async ValueTask<bool> ReadAsync(Deadline deadline, TimeSpan stall, GatewayRequest request)
    {
        deadline.Set(stall);
        var since = Stopwatch.GetTimestamp();
        try
        {
            filled = await source.ReadAsync(buffer!, deadline.Token);
        }
        finally
        {
            request.CountUpstream(since);
            deadline.Clear();
        }
        Received += filled;
        return filled > 0;
    }

    /// <summary>Sends the piece that was read. False: the client has left.</summary>
    public async ValueTask<bool> SendAsync(PipeWriter client, CancellationToken cancellationToken) =>
        await client.WriteAsync(buffer.AsMemory(0, filled), cancellationToken) is { IsCompleted: false, IsCanceled: false };

    public void Dispose()
    {
        if (Interlocked.Exchange(ref buffer, null) is { } rented)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }
}
