using System.Threading.Channels;
using Microsoft.Extensions.Time.Testing;

namespace TestSupport;

/// <summary>A clock that the test moves, and that says which timers were set, so that the test moves it at the right moment.</summary>
public sealed class WatchedClock() : FakeTimeProvider(new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero))
{
    private static readonly TimeSpan HangGuard = TimeSpan.FromSeconds(30);

    private readonly Channel<TimeSpan> timers = Channel.CreateUnbounded<TimeSpan>();

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, base.CreateTimer(callback, state, dueTime, period));
        timers.Writer.TryWrite(dueTime);
        return timer;
    }

    /// <summary>Waits until a timer of a span between two bounds is set, and tells which.</summary>
    public async Task<TimeSpan> TimerAsync(TimeSpan atLeast, TimeSpan atMost)
    {
        using var guard = new CancellationTokenSource(HangGuard);
        while (true)
        {
            var span = await timers.Reader.ReadAsync(guard.Token);
            if (span >= atLeast && span <= atMost)
            {
                return span;
            }
        }
    }

    /// <summary>Waits until a timer of just this span is set.</summary>
    public Task TimerAsync(TimeSpan span) => TimerAsync(span, span);

    /// <summary>Waits until a timer of a span is set, and moves the clock by it.</summary>
    public async Task PassAsync(TimeSpan span)
    {
        await TimerAsync(span);
        Advance(span);
    }

    /// <summary>Waits until somebody waits for up to half a minute, and lets that time pass.</summary>
    public async Task AdvanceToNextTimerAsync() => Advance(await TimerAsync(TimeSpan.Zero, TimeSpan.FromSeconds(30)));

    private sealed class Timer(WatchedClock clock, ITimer inner) : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            var changed = inner.Change(dueTime, period);
            clock.timers.Writer.TryWrite(dueTime);
            return changed;
        }

        public void Dispose() => inner.Dispose();

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
