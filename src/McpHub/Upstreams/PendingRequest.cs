using System.Collections.Concurrent;
using System.Threading.Channels;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>A request that waits for its answer.</summary>
internal sealed class PendingRequest(long id)
{
    // A tool reports progress faster than a slow client reads it: the newest reports are the ones worth keeping.
    private const int KeptReports = 256;

    private readonly TaskCompletionSource<ToolCallOutcome> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Channel<byte[]>? reports;

    /// <summary>Our id of it, and our progress token.</summary>
    public long Id { get; } = id;

    /// <summary>The answer, result or error.</summary>
    public Task<ToolCallOutcome> Answer => answer.Task;

    /// <summary>The raw progress reports in the order of their arrival; null: none are wanted.</summary>
    public ChannelReader<byte[]>? Reports => reports?.Reader;

    /// <summary>Asks for progress to be kept. Before the request is sent.</summary>
    public void WantProgress() => reports = Channel.CreateBounded<byte[]>(new BoundedChannelOptions(KeptReports) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });

    /// <summary>Takes the raw parameters of a progress notification.</summary>
    public void Report(ReadOnlySpan<byte> parameters) => reports?.Writer.TryWrite(parameters.ToArray());

    public void Complete(ToolCallOutcome outcome)
    {
        reports?.Writer.TryComplete();
        answer.TrySetResult(outcome);
    }

    public void Fail(UpstreamException exception)
    {
        reports?.Writer.TryComplete();
        answer.TrySetException(exception);
    }

    /// <summary>No more reports are wanted, whatever arrives.</summary>
    public void EndReports() => reports?.Writer.TryComplete();
}

/// <summary>The requests of one connection that wait for answers, by our own ids.</summary>
internal sealed class PendingRequests
{
    private readonly ConcurrentDictionary<long, PendingRequest> byId = new();
    private long lastId;

    public int Count => byId.Count;

    public PendingRequest Add()
    {
        var request = new PendingRequest(Interlocked.Increment(ref lastId));
        byId[request.Id] = request;
        return request;
    }

    public PendingRequest? Find(long id) => byId.GetValueOrDefault(id);

    /// <summary>Takes a request out; null: nobody waits for it, any more or ever.</summary>
    public PendingRequest? Take(long id) => byId.TryRemove(id, out var request) ? request : null;

    public void FailAll(UpstreamException exception)
    {
        foreach (var id in byId.Keys)
        {
            Take(id)?.Fail(exception.Again(wasSent: true));
        }
    }
}
