using Shared.Budgets;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Shared.Admission;

/// <summary>
/// Lets a call run only with everything it needs reserved: one unit of each request and concurrency limit, tokens, and money up to its highest price,
/// all or nothing. Decides in memory, without I/O, under one short lock.
/// </summary>
public sealed class AdmissionController(ILedger ledger, TimeProvider clock)
{
    private readonly Lock gate = new();
    private readonly ToolRateTable toolRates = new();

    /// <summary>Whether some hard budget hangs above the caller, so that each of its calls needs an upper bound of its price.</summary>
    public static bool NeedsBound(GatewayRequest request) =>
        request.Key is { } key && request.Snapshot.Part<AdmissionTable>().PlanOf(key).HasHardBudget;

    /// <summary>Admits a request, or says why not.</summary>
    /// <param name="request">The authenticated request.</param>
    /// <param name="ask">The price range of its first target.</param>
    /// <param name="lease">What it holds; null when refused.</param>
    /// <returns>Null when admitted; otherwise why not, and nothing was taken from any limit.</returns>
    public AdmissionRefusal? TryAdmit(GatewayRequest request, in AdmissionAsk ask, out RequestLease? lease)
    {
        lease = null;
        if (!ledger.HasRoom)
        {
            return Refusals.LedgerFull(ledger.IsDiskFull);
        }
        var key = request.Key ?? throw new InvalidOperationException("The request is not authenticated.");
        var plan = request.Snapshot.Part<AdmissionTable>().PlanOf(key);
        if (Refusals.PriceUnusable(plan, ask, request.Snapshot.Prices.Unknown) is { } unusable)
        {
            return unusable;
        }
        var limits = plan.Request;
        var candidate = new RequestLease(this, request, plan, limits.Budgets.Length == 0 ? [] : new BudgetHold[limits.Budgets.Length], ask.Tokens) { Reserved = Money.MaxValue };
        if (!limits.IsEmpty)
        {
            var now = clock.GetUtcNow();
            lock (gate)
            {
                if ((CheckRates(limits, ask.Tokens, now) ?? CheckConcurrency(limits)) is { } limited)
                {
                    return limited;
                }
                var granted = Affordable(limits.Budgets, candidate.Holds, ask, now, out var refusal);
                if (refusal is not null)
                {
                    return refusal;
                }
                candidate.Reserved = granted;
                Reserve(limits.Budgets, candidate.Holds, granted);
                TakeRates(limits, candidate, now);
                foreach (var slot in limits.Concurrency)
                {
                    slot.Counter.InFlight++;
                }
            }
        }
        lease = candidate;
        return null;
    }

    /// <summary>Where the budgets stand that the caller's calls count against.</summary>
    public IReadOnlyList<BudgetStatus> BudgetsOf(GatewayRequest request)
    {
        var key = request.Key ?? throw new InvalidOperationException("The request is not authenticated.");
        var plan = request.Snapshot.Part<AdmissionTable>().PlanOf(key);
        var now = clock.GetUtcNow();
        lock (gate)
        {
            return [.. plan.Request.Budgets.Concat(plan.Scoped.Budgets).Select(slot =>
            {
                slot.Counter.Advance(now);
                return new BudgetStatus(slot.Budget, new Money(slot.Counter.Settled), new Money(slot.Counter.Reserved), slot.Counter.Reset(now));
            })];
        }
    }

    /// <summary>Where the limits stand that hang on one link of the chain itself: a key, a user, a team or a customer of the snapshot.</summary>
    public LimitStatuses LimitsOf(Snapshot snapshot, Owner owner)
    {
        var slots = snapshot.Part<AdmissionTable>().SlotsOf(owner);
        var now = clock.GetUtcNow();
        lock (gate)
        {
            foreach (var counter in slots.Budgets.Select(slot => slot.Counter).Concat(slots.Rates.Select(slot => slot.Counter)))
            {
                counter.Advance(now);
            }
            return new LimitStatuses(
                [.. slots.Budgets.Select(slot => new BudgetStatus(slot.Budget, new Money(slot.Counter.Settled), new Money(slot.Counter.Reserved), slot.Counter.Reset(now)))],
                [.. slots.Rates.Select(slot => new RateUse(slot.Limit, slot.Counter.Settled + slot.Counter.Reserved, slot.Counter.Reset(now)))],
                [.. slots.Concurrency.Select(slot => new ConcurrencyUse(slot.Limit, slot.Counter.InFlight))]);
        }
    }

    internal AdmissionRefusal? TryBeginAttempt(RequestLease request, AttemptStart start, int index, in AdmissionAsk ask, out AttemptLease? attempt)
    {
        attempt = null;
        var plan = request.Plan;
        if (Refusals.PriceUnusable(plan, ask, request.Request.Snapshot.Prices.Unknown) is { } unusable)
        {
            return unusable;
        }
        var now = clock.GetUtcNow();
        var scoped = plan.Scoped.IsEmpty ? plan.Scoped : plan.Scoped.Covering(start);
        if (start.Rate is { } rate)
        {
            scoped = scoped with { Rates = [.. scoped.Rates, .. toolRates.SlotsOf(plan.Key.Id, start, rate, now)] };
        }
        BudgetSlot[] budgets = scoped.Budgets.Length == 0 ? plan.Request.Budgets : [.. plan.Request.Budgets, .. scoped.Budgets];
        var holds = budgets.Length == 0 ? [] : new BudgetHold[budgets.Length];
        var lease = new AttemptLease(this, request, start, index, scoped, holds, budgets, RowId.Create(now), now)
        {
            // "No bound" is not an amount that could be charged; without a hard budget the least that was asked for is the better guess.
            Bound = !ask.PriceKnown ? Money.Zero : ask.AtMost == Money.MaxValue ? ask.AtLeast : ask.AtMost,
            Reserved = Money.MaxValue,
            EstimatedTokens = ask.Tokens,
        };
        if (budgets.Length > 0 || !scoped.IsEmpty)
        {
            lock (gate)
            {
                if ((CheckRates(scoped, ask.Tokens, now) ?? CheckConcurrency(scoped)) is { } limited)
                {
                    return limited;
                }
                request.Holds.CopyTo(holds, 0);
                var granted = Affordable(budgets, holds, ask, now, out var refusal);
                if (refusal is not null)
                {
                    return refusal;
                }
                Reserve(budgets, holds, granted);
                Array.Clear(request.Holds);
                if (granted != Money.MaxValue)
                {
                    lease.Reserved = granted;
                    lease.Bound = Money.Min(lease.Bound, granted);
                }
                for (var i = 0; i < scoped.Rates.Length; i++)
                {
                    var (limit, counter) = (scoped.Rates[i].Limit, scoped.Rates[i].Counter);
                    lease.ScopedStamps[i] = counter.Stamp;
                    counter.Charge(limit.Unit == RateUnit.Requests ? 1 : ask.Tokens, counter.Stamp);
                }
                foreach (var slot in scoped.Concurrency)
                {
                    slot.Counter.InFlight++;
                }
            }
        }
        if (!ledger.TryBegin(lease))
        {
            Undo(lease);
            return Refusals.LedgerFull(ledger.IsDiskFull);
        }
        request.HasAttempts = true;
        attempt = lease;
        return null;
    }

    internal void Settle(AttemptLease attempt)
    {
        Release(attempt, attempt.Charged ?? Money.Zero, attempt.Result.Source == UsageSource.Reserved ? attempt.EstimatedTokens : attempt.Result.Usage.Total);
        ledger.Settled(attempt);
    }

    internal void Release(RequestLease request)
    {
        var limits = request.Plan.Request;
        if (limits.IsEmpty)
        {
            return;
        }
        lock (gate)
        {
            request.IsReleased = true;
            for (var i = 0; i < request.Holds.Length; i++)
            {
                limits.Budgets[i].Counter.Unhold(request.Holds[i].Amount, request.Holds[i].Stamp);
            }
            foreach (var slot in limits.Concurrency)
            {
                slot.Counter.InFlight--;
            }
            ChargeTokens(request, request.UsedTokens - request.Tokens);
            if (!request.HasAttempts)
            {
                GiveRequestBack(request);
            }
        }
    }

    /// <summary>A request none of whose attempts could begin was refused after all, and takes from nobody's quota.</summary>
    private static void GiveRequestBack(RequestLease request)
    {
        var rates = request.Plan.Request.Rates;
        for (var i = 0; i < rates.Length; i++)
        {
            if (rates[i].Limit.Unit == RateUnit.Requests)
            {
                rates[i].Counter.Charge(-1, request.RateStamps[i]);
            }
        }
    }

    private static void ChargeTokens(RequestLease request, long tokens)
    {
        var rates = request.Plan.Request.Rates;
        for (var i = 0; i < rates.Length; i++)
        {
            if (rates[i].Limit.Unit == RateUnit.Tokens)
            {
                rates[i].Counter.Charge(tokens, request.RateStamps[i]);
            }
        }
    }

    /// <summary>Gives everything back that an attempt took which never began, the units of request limits included.</summary>
    private void Undo(AttemptLease attempt)
    {
        Release(attempt, Money.Zero, 0);
        lock (gate)
        {
            for (var i = 0; i < attempt.Scoped.Rates.Length; i++)
            {
                if (attempt.Scoped.Rates[i].Limit.Unit == RateUnit.Requests)
                {
                    attempt.Scoped.Rates[i].Counter.Charge(-1, attempt.ScopedStamps[i]);
                }
            }
        }
    }

    /// <summary>Charges an attempt and frees what it held. Where it cost nothing, the reservation goes back to its request for the next attempt.</summary>
    private void Release(AttemptLease attempt, Money charged, long tokens)
    {
        var request = attempt.RequestLease;
        if (attempt.Holds.Length == 0 && attempt.Scoped.IsEmpty && request.Plan.Request.Rates.Length == 0)
        {
            return;
        }
        lock (gate)
        {
            if (request.IsReleased)
            {
                // The request has settled its token limits without this attempt.
                ChargeTokens(request, tokens);
            }
            else
            {
                request.UsedTokens += tokens;
            }
            var keep = charged == Money.Zero && !request.IsDisposed;
            for (var i = 0; i < attempt.Holds.Length; i++)
            {
                var counter = attempt.BudgetSlots[i].Counter;
                var hold = attempt.Holds[i];
                if (keep && i < request.Holds.Length && request.Holds[i].Amount == 0)
                {
                    request.Holds[i] = hold;
                }
                else
                {
                    counter.Unhold(hold.Amount, hold.Stamp);
                }
                counter.Charge(charged.Nano, hold.Stamp);
            }
            for (var i = 0; i < attempt.Scoped.Rates.Length; i++)
            {
                var slot = attempt.Scoped.Rates[i];
                if (slot.Limit.Unit == RateUnit.Tokens)
                {
                    slot.Counter.Charge(tokens - attempt.EstimatedTokens, attempt.ScopedStamps[i]);
                }
            }
            foreach (var slot in attempt.Scoped.Concurrency)
            {
                slot.Counter.InFlight--;
            }
        }
    }

    /// <summary>The most that all budgets can still reserve, within the asked range; what the holder already holds of them counts as free.</summary>
    private static Money Affordable(BudgetSlot[] budgets, BudgetHold[] holds, in AdmissionAsk ask, DateTimeOffset now, out AdmissionRefusal? refusal)
    {
        refusal = null;
        var granted = Money.MaxValue;
        for (var i = 0; i < budgets.Length; i++)
        {
            var (budget, counter) = (budgets[i].Budget, budgets[i].Counter);
            counter.Advance(now);
            if (!counter.Counts(holds[i].Stamp))
            {
                holds[i] = default;
            }
            if (!budget.Hard)
            {
                if (counter.Settled >= budget.Limit.Nano && ask.AtMost > Money.Zero)
                {
                    refusal = Refusals.Budget(budgets[i], new Money(0), ask, counter.UntilAtMost(budget.Limit.Nano - 1, now));
                    return Money.Zero;
                }
                continue;
            }
            if (ask.AtMost == Money.Zero)
            {
                // What costs nothing may run although more is spent than the limit (which was lowered, or an upstream charged more than its bound).
                granted = Money.Zero;
                continue;
            }
            var left = budget.Limit.Nano - counter.Settled - counter.Reserved + holds[i].Amount;
            if (left < ask.AtLeast.Nano)
            {
                // Money that other calls hold comes back sooner than the window ends.
                var retry = counter.Settled + ask.AtLeast.Nano <= budget.Limit.Nano ? TimeSpan.FromSeconds(1) : counter.UntilAtMost(budget.Limit.Nano - ask.AtLeast.Nano, now);
                refusal = Refusals.Budget(budgets[i], new Money(Math.Max(0, left)), ask, ask.AtLeast > budget.Limit ? null : retry);
                return Money.Zero;
            }
            granted = Money.Min(granted, Money.Min(new Money(left), ask.AtMost));
        }
        return granted;
    }

    private static void Reserve(BudgetSlot[] budgets, BudgetHold[] holds, Money granted)
    {
        for (var i = 0; i < budgets.Length; i++)
        {
            var amount = budgets[i].Budget.Hard ? granted.Nano : 0;
            budgets[i].Counter.Hold(amount - holds[i].Amount);
            holds[i] = new BudgetHold { Amount = amount, Stamp = budgets[i].Counter.Stamp };
        }
    }

    private static AdmissionRefusal? CheckRates(LimitSlots limits, long tokens, DateTimeOffset now)
    {
        foreach (var slot in limits.Rates)
        {
            slot.Counter.Advance(now);
            var amount = slot.Limit.Unit == RateUnit.Requests ? 1 : tokens;
            if (amount > slot.Limit.Limit - slot.Counter.Settled)
            {
                return Refusals.Rate(slot.Limit, slot.Counter, amount, now);
            }
        }
        return null;
    }

    private static AdmissionRefusal? CheckConcurrency(LimitSlots limits)
    {
        foreach (var slot in limits.Concurrency)
        {
            if (slot.Counter.InFlight >= slot.Limit.Limit)
            {
                return Refusals.Concurrency(slot.Limit);
            }
        }
        return null;
    }

    private static void TakeRates(LimitSlots limits, RequestLease lease, DateTimeOffset now)
    {
        for (var i = 0; i < limits.Rates.Length; i++)
        {
            var (limit, counter) = (limits.Rates[i].Limit, limits.Rates[i].Counter);
            lease.RateStamps[i] = counter.Stamp;
            counter.Charge(limit.Unit == RateUnit.Requests ? 1 : lease.Tokens, counter.Stamp);
            var status = new RateStatus(limit.Limit, Math.Max(0, limit.Limit - counter.Settled), counter.Reset(now));
            if (limit.Unit == RateUnit.Requests)
            {
                lease.RequestRate = Tightest(lease.RequestRate, status);
            }
            else
            {
                lease.TokenRate = Tightest(lease.TokenRate, status);
            }
        }
    }

    private static RateStatus Tightest(RateStatus? left, RateStatus right) => left is { } status && status.Remaining <= right.Remaining ? status : right;
}
