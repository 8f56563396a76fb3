namespace McpHub.Upstreams;

/// <summary>The time allowed for something, and the caller who may leave before it is over.</summary>
internal sealed class Deadline : IDisposable
{
    private readonly CancellationToken caller;
    private readonly CancellationTokenSource timeout;
    private readonly CancellationTokenSource? either;
    private readonly TimeProvider clock;
    private TimeSpan left;
    private long since;
    private int stops;
    private bool hasEnded;

    public Deadline(TimeSpan limit, TimeProvider clock, CancellationToken caller)
    {
        (Limit, this.caller, this.clock, left, since) = (limit, caller, clock, limit, clock.GetTimestamp());
        timeout = new CancellationTokenSource(limit, clock);
        either = caller.CanBeCanceled ? CancellationTokenSource.CreateLinkedTokenSource(caller, timeout.Token) : null;
    }

    public TimeSpan Limit { get; }

    /// <summary>Cancelled when the time has passed or the caller has left.</summary>
    public CancellationToken Token => either?.Token ?? timeout.Token;

    /// <summary>Whether it was time that ended it.</summary>
    public bool HasPassed => timeout.IsCancellationRequested && !caller.IsCancellationRequested;

    /// <summary>Stops the clock, until it is started again as often as it was stopped.</summary>
    public void Stop()
    {
        lock (timeout)
        {
            if (stops++ == 0 && !hasEnded && !timeout.IsCancellationRequested)
            {
                left -= clock.GetElapsedTime(since);
                timeout.CancelAfter(Timeout.InfiniteTimeSpan);
            }
        }
    }

    /// <summary>Starts the clock again.</summary>
    public void Start()
    {
        lock (timeout)
        {
            if (--stops == 0 && !hasEnded)
            {
                since = clock.GetTimestamp();
                timeout.CancelAfter(left > TimeSpan.Zero ? left : TimeSpan.Zero);
            }
        }
    }

    public void ThrowIfCallerLeft() => caller.ThrowIfCancellationRequested();

    public void Dispose()
    {
        lock (timeout)
        {
            hasEnded = true;
        }
        either?.Dispose();
        timeout.Dispose();
    }
}
