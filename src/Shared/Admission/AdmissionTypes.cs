using Shared.Budgets;
using Shared.Pricing;

namespace Shared.Admission;

/// <summary>What a call asks for before it may run.</summary>
public readonly record struct AdmissionAsk
{
    /// <summary>The smallest reservation with which the call makes sense.</summary>
    public required Money AtLeast { get; init; }

    /// <summary>The largest price that the call can have; what is granted lies between the two. The same as <see cref="AtLeast"/> where the request fixes its output limit.</summary>
    public required Money AtMost { get; init; }

    /// <summary>Tokens taken from token limits until the real figure is known.</summary>
    public long Tokens { get; init; }

    /// <summary>Whether the price is known. Without one, a hard budget refuses the call unless policy allows it.</summary>
    public bool PriceKnown { get; init; }

    /// <summary>The request member that makes the price boundless (a server-side tool, a file by id); null: it is bounded. Hard budgets refuse such a call.</summary>
    public string? UnboundedMember { get; init; }

    /// <summary>A call that costs nothing and counts no tokens.</summary>
    public static AdmissionAsk Free => new() { AtLeast = Money.Zero, AtMost = Money.Zero, PriceKnown = true };
}

/// <summary>Why a call was not admitted.</summary>
public enum RefusalKind
{
    /// <summary>A budget has not enough left.</summary>
    Budget,

    /// <summary>Too many requests in the window.</summary>
    RequestRate,

    /// <summary>Too many tokens in the window.</summary>
    TokenRate,

    /// <summary>Too many calls in flight.</summary>
    Concurrency,

    /// <summary>The model has no price and a hard budget applies.</summary>
    UnknownPrice,

    /// <summary>The request has no provable price bound and a hard budget applies.</summary>
    Unbounded,

    /// <summary>The ledger cannot take another record: no record, no call.</summary>
    LedgerFull,
}

/// <summary>A refusal. Nothing was taken from any limit.</summary>
/// <param name="Kind">Why.</param>
/// <param name="LimitId">The limit that refused, or "".</param>
/// <param name="Message">For the caller: names the limit, what is left, and what helps. Holds no secret and no internal address.</param>
/// <param name="RetryAfter">When it may be worth trying again; null: not without a change.</param>
public sealed record AdmissionRefusal(RefusalKind Kind, string LimitId, string Message, TimeSpan? RetryAfter)
{
    /// <summary>A short code for logs, the ledger and <c>error.code</c>.</summary>
    public string Code => Kind switch
    {
        RefusalKind.Budget => "budget_exceeded",
        RefusalKind.RequestRate or RefusalKind.TokenRate => "rate_limit_exceeded",
        RefusalKind.Concurrency => "concurrency_limit_exceeded",
        RefusalKind.UnknownPrice => "unknown_price",
        RefusalKind.Unbounded => "unbounded_cost",
        _ => "overloaded",
    };

    /// <summary>The HTTP status that carries it: 429 for limits, 400 for requests that cannot be bounded, 503 for overload.</summary>
    public int Status => Kind switch
    {
        RefusalKind.UnknownPrice or RefusalKind.Unbounded => 400,
        RefusalKind.LedgerFull => 503,
        _ => 429,
    };
}

/// <summary>Where a rate limit stands after a call was admitted; the source of <c>x-ratelimit-*</c> headers.</summary>
/// <param name="Limit">The most in one window.</param>
/// <param name="Remaining">What is left.</param>
/// <param name="Reset">Until the window is empty again, if nothing more is taken.</param>
public readonly record struct RateStatus(long Limit, long Remaining, TimeSpan Reset);

/// <summary>Where a budget stands.</summary>
/// <param name="Budget">The budget.</param>
/// <param name="Spent">Spent in the current window.</param>
/// <param name="Reserved">Held by calls in flight.</param>
/// <param name="Reset">Until the window is empty again, if nothing more is spent.</param>
public sealed record BudgetStatus(Budget Budget, Money Spent, Money Reserved, TimeSpan Reset);

/// <summary>Where a rate limit stands.</summary>
/// <param name="Limit">The limit.</param>
/// <param name="Used">Taken in the current window, what calls in flight hold included.</param>
/// <param name="Reset">Until the window is empty again, if nothing more is taken.</param>
public sealed record RateUse(RateLimit Limit, long Used, TimeSpan Reset);

/// <summary>Where a concurrency limit stands.</summary>
/// <param name="Limit">The limit.</param>
/// <param name="InFlight">Calls in flight.</param>
public sealed record ConcurrencyUse(ConcurrencyLimit Limit, int InFlight);

/// <summary>Where all limits of one owner stand.</summary>
/// <param name="Budgets">Its budgets.</param>
/// <param name="Rates">Its rate limits.</param>
/// <param name="Concurrency">Its concurrency limits.</param>
public sealed record LimitStatuses(IReadOnlyList<BudgetStatus> Budgets, IReadOnlyList<RateUse> Rates, IReadOnlyList<ConcurrencyUse> Concurrency);
