using Shared.Budgets;
using Shared.Pricing;

namespace Shared.Admission;

/// <summary>The words of each refusal.</summary>
internal static class Refusals
{
    public static AdmissionRefusal LedgerFull(bool isDiskFull) => isDiskFull
        ? new(RefusalKind.LedgerFull, "", "The gateway cannot record another call: the disk of its data folder is full. Its operator has to make room there ('retention.minFreeDisk').", TimeSpan.FromSeconds(30))
        : new(RefusalKind.LedgerFull, "", "The gateway cannot record another call right now. Try again shortly.", TimeSpan.FromSeconds(1));

    public static AdmissionRefusal Budget(BudgetSlot slot, Money left, in AdmissionAsk ask, TimeSpan? retryAfter) => new(
        RefusalKind.Budget, slot.Budget.Id,
        $"Budget '{slot.Budget.Id}' of {slot.Describe()} has {left} USD left, and this call may cost {(ask.AtLeast > Money.Zero ? $"{ask.AtLeast} USD or more" : "something")}."
            + (ask.AtLeast > slot.Budget.Limit ? " Ask for fewer output tokens or a cheaper model." : " Ask for fewer output tokens, or try again later."),
        retryAfter);

    public static AdmissionRefusal Rate(RateLimit limit, WindowCounter counter, long amount, DateTimeOffset now) => new(
        limit.Unit == RateUnit.Requests ? RefusalKind.RequestRate : RefusalKind.TokenRate, limit.Id,
        $"Rate limit '{limit.Id}' of {limit.Limit} {(limit.Unit == RateUnit.Requests ? "requests" : "tokens")} per {BudgetSlot.DescribeWindow(limit.Window)} is reached"
            + (limit.Unit == RateUnit.Requests ? "." : $": {Math.Max(0, limit.Limit - counter.Settled)} are left, and this call may use {amount}."),
        amount > limit.Limit ? null : counter.UntilAtMost(limit.Limit - amount, now));

    public static AdmissionRefusal Concurrency(ConcurrencyLimit limit) => new(
        RefusalKind.Concurrency, limit.Id, $"Concurrency limit '{limit.Id}' of {limit.Limit} calls in flight is reached.", TimeSpan.FromSeconds(1));

    /// <summary>Refuses what has no price, or no bound on its price, where a hard budget wants one.</summary>
    public static AdmissionRefusal? PriceUnusable(KeyPlan plan, in AdmissionAsk ask, UnknownPricePolicy policy)
    {
        if (!ask.PriceKnown && (policy == UnknownPricePolicy.Deny || (policy == UnknownPricePolicy.DenyUnderHardBudget && plan.HasHardBudget)))
        {
            return new AdmissionRefusal(RefusalKind.UnknownPrice, "",
                "This model has no price here, and the key has a hard budget. An admin can add the price under 'prices' in gateway.yaml, or choose another 'pricing.unknown' policy.", null);
        }
        if (ask.UnboundedMember is { } member && plan.HasHardBudget)
        {
            return new AdmissionRefusal(RefusalKind.Unbounded, "",
                $"'{member}' makes the cost of this request boundless, and the key has a hard budget. Leave it out, or ask an admin for a route with a fixed 'reservation'.", null);
        }
        return null;
    }
}
