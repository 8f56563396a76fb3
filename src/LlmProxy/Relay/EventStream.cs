using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using Shared.Http;
using Shared.Pricing;

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

    /// <summary>What came is no event stream of chat watch.</summary>
    Invalid,

    /// <summary>No memory is left for it.</summary>
    OutOfMemory,
}

/// <summary>
/// An upstream's event stream on its way to the client. Only complete events leave; the first of them are held back until there is content, so that another
/// target can still be asked.
/// </summary>
internal abstract class EventStream(Stream source, BodyMemory memory, StreamFramer framer) : IDisposable
{
    /// <summary>The largest event, in bytes.</summary>
    public const int MaxEventBytes = 16 * 1024 * 1024;

    private const int FirstBufferBytes = 16 * 1024;

    /// <summary>So many bytes without content are held back; then they are let go, whatever they are.</summary>
    private const int MaxHeldBytes = 256 * 1024;

    private byte[] buffer = [];
    private int filled;
    private long charged;

    /// <summary>Bytes received so far; no fewer than the tokens they hold.</summary>
    public long BytesReceived { get; private set; }

    /// <summary>What was used, as far as the stream said it.</summary>
    public abstract TokenUsage? Usage { get; }

    /// <summary>Whether <see cref="Usage"/> is a beginning: nobody knows then what was produced until the stream broke off.</summary>
    public bool IsUsagePartial => Usage is { } usage && (SaysPartial || (ContentBegun && usage.TotalOutput == 0));

    /// <summary>The tier that served it; null: not said.</summary>
    public abstract string? ServiceTier { get; }

    /// <summary>The model's name where it differs from the expected one.</summary>
    public abstract string? Model { get; }

    /// <summary>Whether there is anything to send.</summary>
    public abstract bool HasReady { get; }

    /// <summary>Whether there was anything that a user would see.</summary>
    protected abstract bool ContentBegun { get; }

    /// <summary>Whether the format's own order of events says that the usage so far is a beginning.</summary>
    protected abstract bool SaysPartial { get; }

    /// <summary>Bytes that are held back for want of content.</summary>
    protected abstract int Held { get; }

    /// <summary>What has come and was not given up.</summary>
    protected Span<byte> Received => buffer.AsSpan(0, filled);

    protected StreamFramer Framer => framer;

    /// <summary>Reads until there is content to send. Nothing has been sent when it returns.</summary>
    /// <returns><see cref="StreamStatus.Open"/> or <see cref="StreamStatus.Completed"/>: there is something to send. Otherwise the attempt has failed.</returns>
    public async ValueTask<StreamStatus> OpenAsync(Deadline deadline, TimeSpan stall, GatewayRequest request)
    {
        while (true)
        {
            var status = await ReadAsync(deadline, stall, request);
            if (status != StreamStatus.Open)
            {
                return status == StreamStatus.Completed && !ContentBegun ? StreamStatus.Invalid : status;
            }
            if (ContentBegun || Held > MaxHeldBytes)
            {
                return StreamStatus.Open;
            }
        }
    }

    /// <summary>Sends what is ready. False: the client has left.</summary>
    public async ValueTask<bool> SendAsync(PipeWriter client, CancellationToken cancellationToken)
    {
        WriteReady(client);
        var flush = await client.FlushAsync(cancellationToken);
        return flush is { IsCompleted: false, IsCanceled: false };
    }

    /// <summary>Writes the event by which the client's format says that the answer broke off.</summary>
    public abstract void WriteError(GatewayError error, IBufferWriter<byte> output);

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
        return read == 0 ? End(framer.TakeUnfinished(Received)) : Take();
    }

    /// <summary>Reads the end of a stream whose last event has come, so that its connection can serve again. What else comes is no longer of interest.</summary>
    public async ValueTask DrainAsync(Deadline deadline)
    {
        deadline.Set(TimeSpan.FromSeconds(1));
        while (await source.ReadAsync(buffer, deadline.Token) > 0)
        {
        }
    }

    public virtual void Dispose()
    {
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
            memory.Return(charged);
            buffer = [];
        }
    }

    /// <summary>Takes note of an event.</summary>
    protected abstract StreamStatus Take(in StreamFrame next);

    /// <summary>The connection ended without the last event.</summary>
    /// <param name="last">What came of an event that did not end.</param>
    protected abstract StreamStatus End(in StreamFrame last);

    /// <summary>Writes what is ready.</summary>
    protected abstract void WriteReady(IBufferWriter<byte> client);

    /// <summary>Gives up so many bytes from the front.</summary>
    protected void Shift(int bytes)
    {
        if (bytes > 0)
        {
            buffer.AsSpan(bytes, filled - bytes).CopyTo(buffer);
            filled -= bytes;
            framer.Shift(bytes);
        }
    }

    /// <summary>Takes an event out of what has come, as if it had never been there.</summary>
    protected void Drop(in StreamFrame dropped)
    {
        buffer.AsSpan(dropped.End, filled - dropped.End).CopyTo(buffer.AsSpan(dropped.Start));
        var length = dropped.End - dropped.Start;
        filled -= length;
        framer.Shift(length);
    }

    /// <summary>Takes what came of an unfinished event out, and puts another text in its place. False: no memory is left.</summary>
    protected bool TryReplaceUnfinished(in StreamFrame last, ReadOnlySpan<byte> text)
    {
        filled = last.Start;
        if (buffer.Length - filled < text.Length && !TryGrow())
        {
            return false;
        }
        text.CopyTo(buffer.AsSpan(filled));
        filled += text.Length;
        return true;
    }

    private StreamStatus Take()
    {
        try
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
        catch (InvalidDataException)
        {
            return StreamStatus.Invalid;
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
