using Shared.Budgets;
using Shared.Ledger;
using Shared.Snapshots;

namespace Shared.Admission;

/// <summary>
/// The counters of rate limits that hang on a tool, one for all keys and one for each key. They are made when a tool is called and dropped when a minute has passed without
/// a call, so that keys times tools cost nothing; after a restart they begin anew.
/// </summary>
internal sealed class ToolRateTable
{
    private const int SweepAt = 1024;
    private static readonly Window Minute = Window.Rolling(TimeSpan.FromMinutes(1));

    private readonly Lock gate = new();
    private readonly Dictionary<(string Server, string Tool, string Key), (WindowCounter Counter, DateTimeOffset Used)> counters = [];
    private int sweepAt = SweepAt;

    /// <summary>The limits that an attempt falls under.</summary>
    public RateSlot[] SlotsOf(string key, AttemptStart start, ToolRate rate, DateTimeOffset now)
    {
        lock (gate)
        {
            if (counters.Count >= sweepAt)
            {
                foreach (var (id, entry) in counters)
                {
                    if (now - entry.Used > 2 * Minute.Length)
                    {
                        counters.Remove(id);
                    }
                }
                sweepAt = Math.Max(SweepAt, counters.Count * 2);
            }
            return
            [
                .. rate.Total is { } total ? [SlotOf($"tool:{start.Upstream}/{start.Name}", "", total)] : (RateSlot[])[],
                .. rate.PerKey is { } perKey ? [SlotOf($"key:{key}/tool:{start.Upstream}/{start.Name}", key, perKey)] : (RateSlot[])[],
            ];

            RateSlot SlotOf(string id, string owner, int limit)
            {
                var place = (start.Upstream, start.Name, owner);
                var counter = counters.TryGetValue(place, out var known) ? known.Counter : new WindowCounter(Minute);
                counters[place] = (counter, now);
                return new RateSlot(new RateLimit { Id = id, Unit = RateUnit.Requests, Limit = limit, Window = Minute }, counter);
            }
        }
    }
}
