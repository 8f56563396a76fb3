using CsCheck;
using Shared.Admission;

namespace Shared.Tests.Admission;

public class RollingSumTests
{
    private static readonly DateTimeOffset start = new(2026, 3, 29, 0, 59, 0, TimeSpan.Zero);

    [Fact]
    public void Total_AnySequence_IsNeverLessThanTheTrueSumAndAtMostASliceMore()
    {
        var span = TimeSpan.FromMinutes(1);
        Gen.Select(Gen.Int[0, 20_000], Gen.Long[0, 50]).Array[1, 200].Sample(events =>
        {
            var sum = new RollingSum(span);
            var taken = new List<(DateTimeOffset At, long Amount)>();
            var now = start;
            foreach (var (wait, amount) in events)
            {
                now = now.AddMilliseconds(wait);
                sum.Advance(now);
                sum.Add(sum.SliceOf(now), amount);
                taken.Add((now, amount));
                Assert.InRange(sum.Total, taken.Where(item => item.At > now - span).Sum(item => item.Amount),
                    taken.Where(item => item.At > now - span - (span / 60)).Sum(item => item.Amount));
            }
        }, iter: 500);
    }

    [Fact]
    public void UntilAtMost_AnyTarget_IsTheFirstMomentThatHolds()
    {
        var sum = new RollingSum(TimeSpan.FromMinutes(1));
        foreach (var second in new[] { 0, 7, 30, 30, 55 })
        {
            sum.Advance(start.AddSeconds(second));
            sum.Add(sum.SliceOf(start.AddSeconds(second)), 10);
        }
        var now = start.AddSeconds(55.5);
        foreach (var target in new long[] { 49, 40, 35, 20, 9, 0 })
        {
            var wait = sum.UntilAtMost(target, now);
            var copy = new RollingSum(TimeSpan.FromMinutes(1));
            foreach (var second in new[] { 0, 7, 30, 30, 55 })
            {
                copy.Advance(start.AddSeconds(second));
                copy.Add(copy.SliceOf(start.AddSeconds(second)), 10);
            }
            copy.Advance(now + wait - TimeSpan.FromTicks(1));
            Assert.True(copy.Total > target);
            copy.Advance(now + wait);
            Assert.True(copy.Total <= target);
        }
    }

    [Fact]
    public void Advance_ClockGoesBack_ChangesNothing()
    {
        var sum = new RollingSum(TimeSpan.FromMinutes(1));
        sum.Advance(start);
        sum.Add(sum.SliceOf(start), 5);

        sum.Advance(start.AddHours(-1));

        Assert.Equal(5, sum.Total);
    }

    [Fact]
    public void Add_SliceHasLeftTheSpan_IsIgnored()
    {
        var sum = new RollingSum(TimeSpan.FromMinutes(1));
        var old = sum.SliceOf(start);
        sum.Advance(start.AddMinutes(2));

        sum.Add(old, 5);

        Assert.Equal(0, sum.Total);
    }
}
