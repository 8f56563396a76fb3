using System.Collections.Concurrent;

namespace LlmProxy.Relay;

/// <summary>
/// Cancels an attempt when its client leaves, or when the moment that was last set passes. Moving that moment is a write of one field:
/// the timer is only armed anew when it fires too early, which for a stream of many pieces it does hardly ever. Pooled.
/// </summary>
internal sealed class Deadline : IDisposable
{
    private readonly DeadlinePool pool;
    private readonly TimeProvider clock;
    private readonly Lock gate = new();
    private readonly CancellationTokenSource source = new();
    private readonly ITimer timer;
    private CancellationTokenRegistration registration;
    private long due = long.MaxValue;
    private long armedFor = long.MaxValue;

    public Deadline(DeadlinePool pool, TimeProvider clock)
    {
        this.pool = pool;
        this.clock = clock;
        timer = clock.CreateTimer(static state => ((Deadline)state!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public CancellationToken Token => source.Token;

    /// <summary>Whether the moment passed; otherwise a cancellation is the client's.</summary>
    public bool HasPassed { get; private set; }

    public void Watch(CancellationToken client) =>
        registration = client.UnsafeRegister(static state => ((Deadline)state!).source.Cancel(), this);

    /// <summary>Sets the moment to now plus a span, in place of the one that was set.</summary>
    public void Set(TimeSpan span)
    {
        lock (gate)
        {
            due = clock.GetTimestamp() + (long)(span.TotalSeconds * clock.TimestampFrequency);
            if (armedFor > due)
            {
                armedFor = due;
                timer.Change(span, Timeout.InfiniteTimeSpan);
            }
        }
    }

    /// <summary>No moment is set: the attempt may take as long as it likes, e.g. while a slow client reads.</summary>
    public void Clear()
    {
        lock (gate)
        {
            due = long.MaxValue;
        }
    }

    /// <summary>Back to the pool, unless it fired. No operation may still use its token.</summary>
    public void Dispose()
    {
        registration.Dispose();
        registration = default;
        Clear();
        if (!HasPassed && source.TryReset())
        {
            pool.Return(this);
            return;
        }
        Close();
    }

    /// <summary>Ends it for good. The source is left to the collector: the timer may just be cancelling it on another thread, and it holds nothing else.</summary>
    public void Close() => timer.Dispose();

    private void OnTimer()
    {
        lock (gate)
        {
            armedFor = long.MaxValue;
            if (due == long.MaxValue)
            {
                return;
            }
            var left = due - clock.GetTimestamp();
            if (left > 0)
            {
                armedFor = due;
                timer.Change(TimeSpan.FromSeconds(Math.Max(0.001, (double)left / clock.TimestampFrequency)), Timeout.InfiniteTimeSpan);
                return;
            }
            HasPassed = true;
        }
        source.Cancel();
    }
}

/// <summary>Keeps deadlines that did not fire, with their timers, for the next attempts.</summary>
internal sealed class DeadlinePool(TimeProvider clock)
{
    private const int MaxKept = 1024;

    private readonly ConcurrentQueue<Deadline> kept = new();

    /// <summary>A deadline with no moment set that follows the client's token.</summary>
    public Deadline Rent(CancellationToken client)
    {
        var deadline = kept.TryDequeue(out var used) ? used : new Deadline(this, clock);
        deadline.Watch(client);
        return deadline;
    }

    public void Return(Deadline deadline)
    {
        if (kept.Count < MaxKept)
        {
            kept.Enqueue(deadline);
        }
        else
        {
            deadline.Close();
        }
    }
}
