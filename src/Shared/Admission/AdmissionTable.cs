using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Runtime.CompilerServices;
using Shared.Budgets;
using Shared.Ledger;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Shared.Admission;

/// <summary>A snapshot's limits, bound to the counters of the process: one plan for each key.</summary>
internal sealed class AdmissionTable(FrozenDictionary<string, KeyPlan> plans, Func<Owner, LimitSlots> slotsOf, Func<VirtualKey, KeyPlan> planOf)
{
    // Of callers that signed in, who are known only when they come.
    private readonly ConditionalWeakTable<VirtualKey, KeyPlan> others = [];

    /// <summary>The limits that hang on one link itself, with their counters; those of links that no key belongs to are filled from the ledger now.</summary>
    public LimitSlots SlotsOf(Owner owner) => slotsOf(owner);

    /// <summary>The plan of a key of the same snapshot, or of a caller that signed in under it.</summary>
    public KeyPlan PlanOf(VirtualKey key) => plans.TryGetValue(key.Id, out var plan) ? plan : others.GetValue(key, found => planOf(found));
}

/// <summary>
/// Binds limits to counters. A counter is known by the id and the window of its limit and survives any number of snapshots; one that is new is filled
/// from the ledger, so that a budget declared at noon counts the morning.
/// </summary>
internal sealed class AdmissionTableCompiler(ISpendHistory history, TimeProvider clock) : ISnapshotCompiler
{
    private readonly ConcurrentDictionary<(string Id, Window Window), WindowCounter> windows = new();
    private readonly ConcurrentDictionary<string, ConcurrencyCounter> concurrency = new();

    public object Compile(Snapshot snapshot, ICollection<string> errors) =>
        new AdmissionTable(snapshot.Keys.ToFrozenDictionary(pair => pair.Key, pair => PlanOf(pair.Value)), SlotsOf, PlanOf);

    private LimitSlots SlotsOf(Owner owner)
    {
        var plan = PlanOf([owner]);
        return new LimitSlots([.. plan.Request.Budgets, .. plan.Scoped.Budgets], [.. plan.Request.Rates, .. plan.Scoped.Rates], [.. plan.Request.Concurrency, .. plan.Scoped.Concurrency]);
    }

    private KeyPlan PlanOf(VirtualKey key)
    {
        var (request, scoped) = PlanOf(key.Chain());
        return new KeyPlan(key, request, scoped);
    }

    private (LimitSlots Request, LimitSlots Scoped) PlanOf(IEnumerable<Owner> owners)
    {
        List<BudgetSlot> budgets = [], scopedBudgets = [];
        List<RateSlot> rates = [], scopedRates = [];
        List<ConcurrencySlot> calls = [], scopedCalls = [];
        foreach (var owner in owners)
        {
            foreach (var budget in owner.Budgets)
            {
                (budget.Scope is null ? budgets : scopedBudgets).Add(new BudgetSlot(budget, CounterOf(owner, "budget:" + budget.Id, budget.Window, budget.Scope, row => row.Cost.Nano)));
            }
            foreach (var limit in owner.RateLimits)
            {
                (limit.Scope is null ? rates : scopedRates).Add(new RateSlot(limit, CounterOf(owner, "rate:" + limit.Id, limit.Window, limit.Scope,
                    limit.Unit == RateUnit.Tokens ? row => row.Tokens : limit.Scope is null ? row => row.Requests : row => row.Attempts)));
            }
            foreach (var limit in owner.ConcurrencyLimits)
            {
                (limit.Scope is null ? calls : scopedCalls).Add(new ConcurrencySlot(limit, concurrency.GetOrAdd(limit.Id, _ => new ConcurrencyCounter())));
            }
        }
        return (new LimitSlots([.. budgets], [.. rates], [.. calls]), new LimitSlots([.. scopedBudgets], [.. scopedRates], [.. scopedCalls]));
    }

    private WindowCounter CounterOf(Owner owner, string id, Window window, LimitScope? scope, Func<SpendRow, long> amount) =>
        windows.GetOrAdd((id, window), _ =>
        {
            var counter = new WindowCounter(window);
            var now = clock.GetUtcNow();
            counter.Advance(now);
            foreach (var row in history.Read(owner.Kind, owner.Id, window.Calendar is null ? now - window.Length : window.BoundsAt(now).Start))
            {
                if (scope is null || (row.Kind == CallKind.Model ? scope.CoversModel(row.Upstream, row.Name) : scope.CoversTool(row.Upstream, row.Name)))
                {
                    // A row stands for its whole minute; counted at its end, it never leaves a rolling window too soon.
                    var end = row.Minute.AddMinutes(1).AddTicks(-1);
                    counter.Restore(end < now ? end : now, amount(row));
                }
            }
            return counter;
        });
}
