namespace McpHub.Upstreams;

/// <summary>How long to wait before a server is tried again: longer each time, until it has stayed for a while.</summary>
internal sealed class Backoff(TimeProvider clock)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    // A server that dies as soon as it is connected must not be started four times a second for ever.
    private static readonly TimeSpan Steady = TimeSpan.FromSeconds(10);

    private TimeSpan pause = FirstPause;
    private long? connectedAt;
    private long? lastImmediate;

    /// <summary>The server is connected.</summary>
    public void Connected() => connectedAt = clock.GetTimestamp();

    /// <summary>The time to wait now, with jitter, which keeps many gateways from returning in step.</summary>
    /// <param name="isSessionLost">The server only forgot its session: it is asked for a new one at once, unless it makes a habit of it.</param>
    public TimeSpan Next(bool isSessionLost)
    {
        if (connectedAt is { } since && clock.GetElapsedTime(since) >= Steady)
        {
            pause = FirstPause;
        }
        connectedAt = null;
        if (isSessionLost && (lastImmediate is not { } last || clock.GetElapsedTime(last) >= FirstPause))
        {
            lastImmediate = clock.GetTimestamp();
            return TimeSpan.Zero;
        }
        var wait = pause * (0.75 + (Random.Shared.NextDouble() / 2));
        pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, LongestPause.Ticks));
        return wait < LongestPause ? wait : LongestPause;
    }
}
