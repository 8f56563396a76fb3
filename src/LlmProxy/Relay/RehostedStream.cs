using System.Buffers;
using LlmProxy.Dialects;
using LlmProxy.Neutral;
using LlmProxy.Routing;
using LlmProxy.Translation;
using Shared.Http;
using Shared.Pricing;

namespace LlmProxy.Relay;

/// <summary>A stream in the client's own format as another host frames it: each event's data leaves as it came, in the client's framing.</summary>
internal sealed class RehostedStream : EventStream
{
    private readonly Dialect client;
    private readonly Dialect upstream;
    private readonly StreamWatch watch;
    private readonly PooledOutput output;
    private readonly bool expectsUsage;

    /// <param name="source">What the upstream sends.</param>
    /// <param name="memory">The process's memory for bodies.</param>
    /// <param name="type">The stream's media type.</param>
    /// <param name="target">Where it comes from.</param>
    public RehostedStream(Stream source, BodyMemory memory, string type, TargetPlan target) : base(source, memory, target.Upstream.NewFramer(type))
    {
        (client, upstream) = (target.Family.Dialect!, target.Upstream.Dialect!);
        watch = client.NewWatch(target.Model);
        output = new PooledOutput(memory);
        expectsUsage = target.Provider.StreamUsage;
    }

    /// <summary>Why the upstream failed before there was content; null: it did not.</summary>
    public AnswerError? Error { get; private set; }

    public override TokenUsage? Usage => watch.Usage;

    public override string? ServiceTier => watch.ServiceTier;

    public override string? Model => watch.Model;

    public override bool HasReady => output.WrittenCount > 0;

    protected override bool ContentBegun => watch.ContentBegun;

    protected override bool SaysPartial => watch.IsUsagePartial;

    protected override int Held => output.WrittenCount;

    public override void WriteError(GatewayError error, IBufferWriter<byte> output) => watch.WriteError(error, output);

    public override void Dispose()
    {
        output.Dispose();
        base.Dispose();
    }

    protected override void WriteReady(IBufferWriter<byte> client)
    {
        client.Write(output.Written);
        output.Clear();
    }

    protected override StreamStatus Take(in StreamFrame next)
    {
        var name = StreamFramer.NameOf(Received, next);
        var data = Framer.DataOf(Received, next);
        var kind = watch.Read(name, data);
        if (kind == ChunkKind.Garbage && !watch.ContentBegun)
        {
            return StreamStatus.Invalid;
        }
        if (kind == ChunkKind.Error)
        {
            Error = upstream.ReadErrorEvent(name, data);
            if (watch.ContentBegun)
            {
                watch.WriteError(Translator.ToGateway(Error), output);
            }
        }
        else if (!data.IsEmpty)
        {
            client.WriteEvent(name, data, output);
        }
        Shift(next.End);
        return output.IsOutOfMemory ? StreamStatus.OutOfMemory : kind switch { ChunkKind.Error => StreamStatus.Failed, ChunkKind.Done => StreamStatus.Completed, _ => StreamStatus.Open };
    }

    protected override StreamStatus End(in StreamFrame last)
    {
        if (Framer.IsCut(last))
        {
            return StreamStatus.Truncated;
        }
        if (last.DataLines == 1 && watch.IsLastData(Framer.DataOf(Received, last)))
        {
            client.WriteEvent(default, Framer.DataOf(Received, last), output);
            return StreamStatus.Completed;
        }
        if (Error is not null || !watch.Finished || (watch.Usage is null && expectsUsage))
        {
            return StreamStatus.Truncated;
        }
        output.Write(watch.LastEvent);
        return StreamStatus.Completed;
    }
}
