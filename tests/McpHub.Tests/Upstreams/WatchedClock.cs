using Microsoft.Extensions.Time.Testing;

namespace McpHub.Tests.Upstreams;

/// <summary>A clock that the test moves, and that tells when somebody began to wait on it.</summary>
internal sealed class WatchedClock : FakeTimeProvider
{
    private readonly Lock gate = new();
    private readonly List<TimeSpan> timers = [];
    private TaskCompletionSource added = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public WatchedClock() : base(new DateTimeOffset(2026, 11, 22, 12, 0, 0, TimeSpan.Zero))
    {
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = base.CreateTimer(callback, state, dueTime, period);
        lock (gate)
        {
            timers.Add(dueTime);
            added.TrySetResult();
            added = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
        return timer;
    }

    /// <summary>Completes when somebody waits for just so long.</summary>
    public Task TimerAsync(TimeSpan dueTime) => TimerAsync(due => due == dueTime);

    /// <summary>Waits until somebody waits for up to half a minute, and lets that time pass.</summary>
    public async Task AdvanceToNextTimerAsync() => Advance(await TimerAsync(due => due <= TimeSpan.FromSeconds(30)));

    private async Task<TimeSpan> TimerAsync(Func<TimeSpan, bool> condition)
    {
        while (true)
        {
            Task next;
            lock (gate)
            {
                var place = timers.FindIndex(due => condition(due));
                if (place >= 0)
                {
                    var due = timers[place];
                    timers.RemoveRange(0, place + 1);
                    return due;
                }
                next = added.Task;
            }
            await next.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        }
    }
}
