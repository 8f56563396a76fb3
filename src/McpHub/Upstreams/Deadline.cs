namespace McpHub.Upstreams;

/// <summary>The time allowed for something, and the caller who may leave before it is over.</summary>
internal sealed class Deadline : IDisposable
{
    private readonly CancellationToken caller;
    private readonly CancellationTokenSource timeout;
    private readonly CancellationTokenSource? either;

    public Deadline(TimeSpan limit, TimeProvider clock, CancellationToken caller)
    {
        (Limit, this.caller) = (limit, caller);
        timeout = new CancellationTokenSource(limit, clock);
        either = caller.CanBeCanceled ? CancellationTokenSource.CreateLinkedTokenSource(caller, timeout.Token) : null;
    }

    public TimeSpan Limit { get; }

    /// <summary>Cancelled when the time has passed or the caller has left.</summary>
    public CancellationToken Token => either?.Token ?? timeout.Token;

    /// <summary>Whether it was time that ended it.</summary>
    public bool HasPassed => timeout.IsCancellationRequested && !caller.IsCancellationRequested;

    public void ThrowIfCallerLeft() => caller.ThrowIfCancellationRequested();

    public void Dispose()
    {
        either?.Dispose();
        timeout.Dispose();
    }
}
