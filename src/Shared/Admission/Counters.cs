using System.Globalization;
using Shared.Budgets;
using Shared.Ledger;

namespace Shared.Admission;

/// <summary>
/// What is spent and reserved in the current window of one budget or token limit. Lives as long as the process, across snapshots.
/// All members are used under the controller's lock.
/// </summary>
internal sealed class WindowCounter
{
    private readonly Window window;
    private readonly RollingSum? rolling;
    private long settled;
    private DateTimeOffset end;

    public WindowCounter(Window window)
    {
        this.window = window;
        rolling = window.Calendar is null ? new RollingSum(window.Length) : null;
    }

    /// <summary>Identifies the window, or the slice of a rolling one, that something taken now belongs to.</summary>
    public long Stamp { get; private set; }

    /// <summary>Used so far in the current window.</summary>
    public long Settled => rolling?.Total ?? settled;

    /// <summary>Held by calls in flight.</summary>
    public long Reserved { get; private set; }

    public void Advance(DateTimeOffset now)
    {
        if (rolling is not null)
        {
            rolling.Advance(now);
            Stamp = rolling.SliceOf(now);
        }
        else if (now >= end)
        {
            (var start, end) = window.BoundsAt(now);
            Stamp = start.UtcTicks;
            settled = 0;
            Reserved = 0;
        }
    }

    /// <summary>Whether a hold taken under a stamp still counts: a calendar window's holds end with it, a rolling one's do not.</summary>
    public bool Counts(long stamp) => rolling is not null || stamp == Stamp;

    public void Hold(long amount) => Reserved += amount;

    public void Unhold(long amount, long stamp)
    {
        if (Counts(stamp))
        {
            Reserved -= amount;
        }
    }

    /// <summary>Charges what was used to the window in which it was admitted; a window that has ended no longer matters.</summary>
    public void Charge(long amount, long stamp)
    {
        if (rolling is not null)
        {
            rolling.Add(stamp, amount);
        }
        else if (stamp == Stamp)
        {
            settled = RollingSum.Saturate(settled, amount);
        }
    }

    /// <summary>Adds what the ledger says was used at a moment.</summary>
    public void Restore(DateTimeOffset at, long amount)
    {
        if (rolling is not null)
        {
            rolling.Add(rolling.SliceOf(at), amount);
        }
        else if (window.BoundsAt(at).Start.UtcTicks == Stamp)
        {
            settled = RollingSum.Saturate(settled, amount);
        }
    }

    /// <summary>How long until at most <paramref name="value"/> is used.</summary>
    public TimeSpan UntilAtMost(long value, DateTimeOffset now) =>
        rolling?.UntilAtMost(value, now) ?? (settled <= value ? TimeSpan.Zero : end - now);

    /// <summary>How long until the window is empty, if nothing more is used.</summary>
    public TimeSpan Reset(DateTimeOffset now) => rolling?.UntilEmpty(now) ?? end - now;
}

/// <summary>A counter's use by a budget: the definition of the current snapshot, the counter of the process.</summary>
internal sealed record BudgetSlot(Budget Budget, WindowCounter Counter)
{
    public string Describe() => $"{Budget.Limit} USD per {DescribeWindow(Budget.Window)}";

    public static string DescribeWindow(Window window) => window.Calendar is { } unit
        ? unit.ToString().ToLowerInvariant()
        : window.Length.TotalSeconds switch
        {
            60 => "minute",
            3600 => "hour",
            86400 => "24 hours",
            var seconds => seconds.ToString("0", CultureInfo.InvariantCulture) + " seconds",
        };
}

internal sealed record RateSlot(RateLimit Limit, WindowCounter Counter);

internal sealed class ConcurrencyCounter
{
    public int InFlight { get; set; }
}

internal sealed record ConcurrencySlot(ConcurrencyLimit Limit, ConcurrencyCounter Counter);

/// <summary>What one lease holds of one budget.</summary>
internal struct BudgetHold
{
    public long Amount;
    public long Stamp;
}

internal sealed record LimitSlots(BudgetSlot[] Budgets, RateSlot[] Rates, ConcurrencySlot[] Concurrency)
{
    public bool IsEmpty => Budgets.Length == 0 && Rates.Length == 0 && Concurrency.Length == 0;

    /// <summary>The limits whose scope covers an attempt.</summary>
    public LimitSlots Covering(AttemptStart start) => new(
        [.. Budgets.Where(slot => Covers(slot.Budget.Scope, start))],
        [.. Rates.Where(slot => Covers(slot.Limit.Scope, start))],
        [.. Concurrency.Where(slot => Covers(slot.Limit.Scope, start))]);

    internal static bool Covers(LimitScope? scope, AttemptStart start) => scope is null
        || (start.Kind == CallKind.Model ? scope.CoversModel(start.Upstream, start.Name) : scope.CoversTool(start.Upstream, start.Name));
}

/// <summary>All limits of one key's owner chain, with their counters.</summary>
internal sealed record KeyPlan(VirtualKeys.VirtualKey Key, LimitSlots Request, LimitSlots Scoped)
{
    /// <summary>Whether some hard budget hangs above the key, scoped ones included.</summary>
    public bool HasHardBudget { get; } = Request.Budgets.Concat(Scoped.Budgets).Any(slot => slot.Budget.Hard);
}
