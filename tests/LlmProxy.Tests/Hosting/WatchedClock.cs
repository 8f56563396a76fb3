using System.Threading.Channels;
using Microsoft.Extensions.Time.Testing;

namespace LlmProxy.Tests.Hosting;

/// <summary>A clock that the test moves, and that says which timers were set, so that the test moves it at the right moment.</summary>
internal sealed class WatchedClock : TimeProvider
{
    private readonly FakeTimeProvider inner = new(new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero));
    private readonly Channel<TimeSpan> timers = Channel.CreateUnbounded<TimeSpan>();

    public override long TimestampFrequency => inner.TimestampFrequency;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public void Advance(TimeSpan span) => inner.Advance(span);

    public override DateTimeOffset GetUtcNow() => inner.GetUtcNow();

    public override long GetTimestamp() => inner.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, inner.CreateTimer(callback, state, dueTime, period));
        timers.Writer.TryWrite(dueTime);
        return timer;
    }

    /// <summary>Waits until a timer of a span between two bounds is set, and tells which.</summary>
    public async Task<TimeSpan> TimerAsync(TimeSpan atLeast, TimeSpan atMost)
    {
        using var guard = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (true)
        {
            var span = await timers.Reader.ReadAsync(guard.Token);
            if (span >= atLeast && span <= atMost)
            {
                return span;
            }
        }
    }

    /// <summary>Waits until a timer of a span is set, and moves the clock by it.</summary>
    public async Task PassAsync(TimeSpan span)
    {
        await TimerAsync(span, span);
        Advance(span);
    }

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
