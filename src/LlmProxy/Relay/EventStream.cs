using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using Shared.Http;

namespace LlmProxy.Relay;

/// <summary>How far a stream has come.</summary>
internal enum StreamStatus
{
    /// <summary>It goes on.</summary>
    Open,

    /// <summary>It ended as a complete stream does.</summary>
    Completed,

    /// <summary>It ended before it was complete.</summary>
    Truncated,

    /// <summary>The upstream said that it failed.</summary>
    Failed,

    /// <summary>What came is no event stream of chat chunks.</summary>
    Invalid,

    /// <summary>No memory is left for it.</summary>
    OutOfMemory,
}

/// <summary>
/// An upstream's event stream on its way to the client: only complete events leave, as the very bytes that came. The first of them are held back
/// until there is content, so that another target can still be asked.
/// </summary>
internal sealed class EventStream(Stream source, BodyMemory memory, ChunkReader chunks, bool dropUsage, bool expectsUsage) : IDisposable
{
    /// <summary>The largest event, in bytes.</summary>
    public const int MaxEventBytes = 16 * 1024 * 1024;

    private const int FirstBufferBytes = 16 * 1024;

    /// <summary>So many bytes without content are held back; then they are let go, whatever they are.</summary>
    private const int MaxHeldBytes = 256 * 1024;

    private byte[] buffer = [];
    private SseFramer framer;
    private ChunkReader chunks = chunks;
    private int filled;
    private int ready;
    private long charged;
    private bool isError;

    /// <summary>What the stream said so far.</summary>
    public ref readonly ChunkReader Chunks => ref chunks;

    /// <summary>Bytes received so far; no fewer than the tokens they hold.</summary>
    public long BytesReceived { get; private set; }

    /// <summary>The data of the event in which the upstream said that it failed.</summary>
    public ReadOnlyMemory<byte> ErrorData { get; private set; }

    /// <summary>Reads until there is content to send. Nothing has been sent when it returns.</summary>
    /// <returns><see cref="StreamStatus.Open"/> or <see cref="StreamStatus.Completed"/>: there is something to send. Otherwise the attempt has failed.</returns>
    public async ValueTask<StreamStatus> OpenAsync(Deadline deadline, TimeSpan stall, GatewayRequest request)
    {
        while (true)
        {
            var status = await ReadAsync(deadline, stall, request);
            if (status != StreamStatus.Open)
            {
                return status == StreamStatus.Completed && !chunks.ContentBegun ? StreamStatus.Invalid : status;
            }
            if (chunks.ContentBegun || ready > MaxHeldBytes)
            {
                return StreamStatus.Open;
            }
        }
    }

    /// <summary>Sends what is ready. False: the client has left.</summary>
    public async ValueTask<bool> SendAsync(PipeWriter client, CancellationToken cancellationToken)
    {
        client.Write(buffer.AsSpan(0, ready));
        Shift(ready);
        ready = 0;
        var flush = await client.FlushAsync(cancellationToken);
        return flush is { IsCompleted: false, IsCanceled: false };
    }

    /// <summary>Whether there is anything to send.</summary>
    public bool HasReady => ready > 0;

    /// <summary>Reads one piece, and takes note of the events that it completes.</summary>
    public async ValueTask<StreamStatus> ReadAsync(Deadline deadline, TimeSpan stall, GatewayRequest request)
    {
        if (filled == buffer.Length && !TryGrow())
        {
            return buffer.Length >= MaxEventBytes ? StreamStatus.Invalid : StreamStatus.OutOfMemory;
        }
        deadline.Set(stall);
        var since = Stopwatch.GetTimestamp();
        int read;
        try
        {
            read = await source.ReadAsync(buffer.AsMemory(filled), deadline.Token);
        }
        finally
        {
            request.CountUpstream(since);
            deadline.Clear();
        }
        filled += read;
        BytesReceived += read;
        return read == 0 ? End() : Take();
    }

    /// <summary>Reads the end of a stream whose last event has come, so that its connection can serve again. What else comes is no longer of interest.</summary>
    public async ValueTask DrainAsync(Deadline deadline)
    {
        deadline.Set(TimeSpan.FromSeconds(1));
        while (await source.ReadAsync(buffer, deadline.Token) > 0)
        {
        }
    }

    public void Dispose()
    {
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
            memory.Return(charged);
            buffer = [];
        }
    }

    private StreamStatus Take()
    {
        while (framer.TryRead(buffer.AsSpan(0, filled), out var next))
        {
            var status = Take(next);
            if (status != StreamStatus.Open)
            {
                return status;
            }
        }
        return StreamStatus.Open;
    }

    private StreamStatus Take(in SseEvent next)
    {
        var data = next.DataLines > 1 ? framer.JoinedData : buffer.AsSpan(next.DataOffset, next.DataLength);
        var kind = chunks.Read(next.DataLines == 0 ? default : data, next.IsNamedError);
        if (kind == ChunkKind.UsageOnly && dropUsage)
        {
            Drop(next);
            return StreamStatus.Open;
        }
        if (kind == ChunkKind.Garbage && !chunks.ContentBegun)
        {
            return StreamStatus.Invalid;
        }
        ready = next.End;
        if (kind == ChunkKind.Error)
        {
            isError = true;
            ErrorData = data.ToArray();
            return StreamStatus.Failed;
        }
        return kind == ChunkKind.Done ? StreamStatus.Completed : StreamStatus.Open;
    }

    /// <summary>
    /// The connection ended without the last event. Some providers leave out the blank line after it, some the event itself: where every sign says
    /// that the answer is complete, it is completed here; otherwise it is truncated.
    /// </summary>
    private StreamStatus End()
    {
        var last = framer.TakeUnfinished(buffer.AsSpan(0, filled));
        var isDone = last.DataLines == 1 && buffer.AsSpan(last.DataOffset, last.DataLength).SequenceEqual("[DONE]"u8);
        filled = last.Start;
        if (isError || !(isDone || (chunks.Finished && (chunks.Usage is not null || !expectsUsage))))
        {
            return StreamStatus.Truncated;
        }
        return TryAppend("data: [DONE]\n\n"u8) ? StreamStatus.Completed : StreamStatus.OutOfMemory;
    }

    private bool TryAppend(ReadOnlySpan<byte> text)
    {
        if (buffer.Length - filled < text.Length && !TryGrow())
        {
            return false;
        }
        text.CopyTo(buffer.AsSpan(filled));
        filled += text.Length;
        ready = filled;
        return true;
    }

    private void Drop(in SseEvent dropped)
    {
        buffer.AsSpan(dropped.End, filled - dropped.End).CopyTo(buffer.AsSpan(dropped.Start));
        var length = dropped.End - dropped.Start;
        filled -= length;
        framer.Shift(length);
    }

    private void Shift(int bytes)
    {
        if (bytes > 0)
        {
            buffer.AsSpan(bytes, filled - bytes).CopyTo(buffer);
            filled -= bytes;
            framer.Shift(bytes);
        }
    }

    private bool TryGrow()
    {
        var size = buffer.Length == 0 ? FirstBufferBytes : buffer.Length * 2;
        if (buffer.Length >= MaxEventBytes || !memory.TryTake(size - charged))
        {
            return false;
        }
        var larger = ArrayPool<byte>.Shared.Rent(size);
        buffer.AsSpan(0, filled).CopyTo(larger);
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        buffer = larger;
        charged = size;
        return true;
    }
}
