using System.Buffers;
using System.Text;
using Shared.Http;
using Shared.Pricing;

namespace LlmProxy.Relay;

/// <summary>A stream in the client's own format: its events leave as the very bytes that came.</summary>
internal sealed class RelayedStream(Stream source, BodyMemory memory, StreamFramer framer, StreamWatch watch, bool dropUsage, bool expectsUsage) : EventStream(source, memory, framer)
{
    private int ready;
    private bool isError;

    /// <summary>What the stream said so far.</summary>
    public StreamWatch Watch => watch;

    /// <summary>The data of the event in which the upstream said that it failed.</summary>
    public ReadOnlyMemory<byte> ErrorData { get; private set; }

    /// <summary>The name of that event where it is an exception's, as AWS has it; null: it is none.</summary>
    public string? ErrorName { get; private set; }

    public override TokenUsage? Usage => watch.Usage;

    public override string? ServiceTier => watch.ServiceTier;

    public override string? Model => watch.Model;

    public override bool HasReady => ready > 0;

    protected override bool ContentBegun => watch.ContentBegun;

    protected override bool SaysPartial => watch.IsUsagePartial;

    protected override int Held => ready;

    public override void WriteError(GatewayError error, IBufferWriter<byte> output) => watch.WriteError(error, output);

    protected override void WriteReady(IBufferWriter<byte> client)
    {
        client.Write(Received[..ready]);
        Shift(ready);
        ready = 0;
    }

    protected override StreamStatus Take(in StreamFrame next)
    {
        var data = Framer.DataOf(Received, next);
        var name = StreamFramer.NameOf(Received, next);
        var kind = watch.Read(name, data);
        if (kind == ChunkKind.UsageOnly && dropUsage)
        {
            Drop(next);
            return StreamStatus.Open;
        }
        if (kind == ChunkKind.Garbage && !watch.ContentBegun)
        {
            return StreamStatus.Invalid;
        }
        ready = next.End;
        if (kind == ChunkKind.Error)
        {
            isError = true;
            ErrorData = data.ToArray();
            ErrorName = name.EndsWith("Exception"u8) ? Encoding.UTF8.GetString(name) : null;
            return StreamStatus.Failed;
        }
        return kind == ChunkKind.Done ? StreamStatus.Completed : StreamStatus.Open;
    }

    /// <summary>
    /// The connection ended without the last event. Some providers leave out the blank line after it, some the event itself: where every sign says
    /// that the answer is complete, it is completed here; otherwise it is truncated.
    /// </summary>
    protected override StreamStatus End(in StreamFrame last)
    {
        var isDone = last.DataLines == 1 && watch.IsLastData(Framer.DataOf(Received, last));
        if (isError || Framer.IsCut(last) || !(isDone || (watch.Finished && (watch.Usage is not null || !expectsUsage))))
        {
            TryReplaceUnfinished(last, default);
            return StreamStatus.Truncated;
        }
        if (!TryReplaceUnfinished(last, watch.LastEvent))
        {
            return StreamStatus.OutOfMemory;
        }
        ready = Received.Length;
        return StreamStatus.Completed;
    }
}
