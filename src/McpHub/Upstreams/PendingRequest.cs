using System.Collections.Concurrent;
using System.Threading.Channels;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>A request that waits for its answer.</summary>
/// <param name="id">Our id of it, and our progress token.</param>
internal sealed class PendingRequest(long id)
{
    // A server talks faster than a slow client reads: the newest words are the ones worth keeping.
    private const int KeptWords = 256;

    private readonly TaskCompletionSource<ToolCallOutcome> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Channel<ServerWord>? words;
    private CancellationTokenSource? asking;

    /// <summary>Our id of it, and our progress token.</summary>
    public long Id { get; } = id;

    /// <summary>The answer, result or error.</summary>
    public Task<ToolCallOutcome> Answer => answer.Task;

    /// <summary>The call that it is; null: the hub asks for itself.</summary>
    public UpstreamCall? Call { get; init; }

    /// <summary>The time allowed for it; stands still while its caller is asked something.</summary>
    public Deadline? Deadline { get; init; }

    /// <summary>What the server says while it works on this, in the order of its arrival; null: nobody wants to hear.</summary>
    public ChannelReader<ServerWord>? Words => words?.Reader;

    /// <summary>Cancelled when the request has ended: nobody needs to be asked anything for it any more.</summary>
    public CancellationToken Ended
    {
        get
        {
            lock (this)
            {
                asking ??= new CancellationTokenSource();
                if (answer.Task.IsCompleted)
                {
                    asking.Cancel();
                }
                return asking.Token;
            }
        }
    }

    /// <summary>Asks for what the server says meanwhile to be kept. Before the request is sent.</summary>
    public void WantWords() => words = Channel.CreateBounded<ServerWord>(new BoundedChannelOptions(KeptWords) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });

    /// <summary>Takes a notification. False: nobody wants to hear.</summary>
    /// <param name="method">The method; null: progress.</param>
    /// <param name="parameters">Its raw parameters.</param>
    public bool Tell(string? method, ReadOnlySpan<byte> parameters) => words?.Writer.TryWrite(new ServerWord(method, parameters.ToArray())) ?? false;

    public void Complete(ToolCallOutcome outcome)
    {
        words?.Writer.TryComplete();
        answer.TrySetResult(outcome);
    }

    public void Fail(UpstreamException exception)
    {
        words?.Writer.TryComplete();
        answer.TrySetException(exception);
    }

    /// <summary>The request is over: nothing more is wanted, whatever arrives.</summary>
    public void End()
    {
        words?.Writer.TryComplete();
        CancellationTokenSource? source;
        lock (this)
        {
            source = asking;
        }
        source?.Cancel();
    }
}

/// <summary>Something that a server said while it worked on a request.</summary>
/// <param name="Method">The notification's method; null: progress.</param>
/// <param name="Params">Its raw parameters; empty: none.</param>
internal readonly record struct ServerWord(string? Method, byte[] Params);

/// <summary>The requests of one connection that wait for answers, by our own ids.</summary>
internal sealed class PendingRequests
{
    private readonly ConcurrentDictionary<long, PendingRequest> byId = new();
    private long lastId;

    public int Count => byId.Count;

    public PendingRequest Add(UpstreamCall? call = null, Deadline? deadline = null)
    {
        var request = new PendingRequest(Interlocked.Increment(ref lastId)) { Call = call, Deadline = deadline };
        byId[request.Id] = request;
        return request;
    }

    /// <summary>All of them now.</summary>
    public IEnumerable<PendingRequest> All => byId.Values;

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
