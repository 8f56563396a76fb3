namespace Shared.Admission;

/// <summary>
/// A sum over the last span of time, kept in equal slices. A slice counts until all of it has left the span, so the sum is never too small;
/// it is too large by at most one slice's content. Not thread-safe.
/// </summary>
internal sealed class RollingSum
{
    private const int Slices = 60;

    private readonly long[] slices = new long[Slices + 1];
    private readonly long ticksPerSlice;
    private long newest;

    public RollingSum(TimeSpan span) => ticksPerSlice = Math.Max(1, (span.Ticks + Slices - 1) / Slices);

    /// <summary>The sum as of the last <see cref="Advance"/>.</summary>
    public long Total { get; private set; }

    /// <summary>The slice that a moment falls into; identifies it for <see cref="Add"/>.</summary>
    public long SliceOf(DateTimeOffset moment) => moment.UtcTicks / ticksPerSlice;

    /// <summary>Moves on to a moment: slices that have left the span are dropped. A clock that goes back changes nothing.</summary>
    public void Advance(DateTimeOffset now)
    {
        var slice = SliceOf(now);
        if (slice <= newest)
        {
            return;
        }
        var steps = Math.Min(slice - newest, slices.Length);
        for (var i = 1; i <= steps; i++)
        {
            ref var dropped = ref slices[(newest + i) % slices.Length];
            Total -= dropped;
            dropped = 0;
        }
        newest = slice;
    }

    /// <summary>Adds to a slice (or takes away); one that has left the span is ignored.</summary>
    public void Add(long slice, long amount)
    {
        if (slice > newest - slices.Length && slice <= newest)
        {
            var total = Saturate(Total, amount);
            slices[slice % slices.Length] += total - Total;
            Total = total;
        }
    }

    /// <summary>A sum that stops at the largest value: one that wrapped round would open a limit for good.</summary>
    public static long Saturate(long sum, long amount) => amount > 0 && sum > long.MaxValue - amount ? long.MaxValue : sum + amount;

    /// <summary>How long until nothing is left of the sum, if nothing is added. Errs towards longer by what was taken back from the newest slice.</summary>
    public TimeSpan UntilEmpty(DateTimeOffset now) =>
        Total == 0 ? TimeSpan.Zero : TimeSpan.FromTicks(Math.Max(0, ((newest + slices.Length) * ticksPerSlice) - now.UtcTicks));

    /// <summary>How long until the sum has fallen to a value, if nothing is added.</summary>
    public TimeSpan UntilAtMost(long value, DateTimeOffset now)
    {
        var sum = Total;
        for (var slice = newest - slices.Length + 1; slice <= newest; slice++)
        {
            if (slice < 0)
            {
                continue;
            }
            if (sum <= value)
            {
                return TimeSpan.Zero;
            }
            sum -= slices[slice % slices.Length];
            if (sum <= value)
            {
                var leaves = (slice + slices.Length) * ticksPerSlice;
                return TimeSpan.FromTicks(Math.Max(0, leaves - now.UtcTicks));
            }
        }
        return TimeSpan.FromTicks(ticksPerSlice * slices.Length);
    }
}
