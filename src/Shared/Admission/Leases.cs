using System.Diagnostics;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;
using Shared.VirtualKeys;

namespace Shared.Admission;

/// <summary>
/// What an admitted request holds: one unit of each request and concurrency limit of its owners, tokens, and money up to its highest price.
/// Attempts run inside it. Disposing it gives back whatever no attempt used; it must be disposed on every path.
/// </summary>
public sealed class RequestLease : IDisposable
{
    private readonly AdmissionController controller;
    private int attempts;
    private int disposed;

    internal RequestLease(AdmissionController controller, GatewayRequest request, KeyPlan plan, BudgetHold[] holds, long tokens)
    {
        this.controller = controller;
        Request = request;
        Plan = plan;
        Holds = holds;
        Tokens = tokens;
        RateStamps = plan.Request.Rates.Length == 0 ? [] : new long[plan.Request.Rates.Length];
    }

    /// <summary>The request that was admitted.</summary>
    public GatewayRequest Request { get; }

    /// <summary>Money reserved at admission; <see cref="Money.MaxValue"/> where no hard budget applies.</summary>
    public Money Reserved { get; internal set; }

    /// <summary>Where the tightest request limit stands; null: there is none.</summary>
    public RateStatus? RequestRate { get; internal set; }

    /// <summary>Where the tightest token limit stands; null: there is none.</summary>
    public RateStatus? TokenRate { get; internal set; }

    internal KeyPlan Plan { get; }

    internal BudgetHold[] Holds { get; }

    internal long Tokens { get; }

    internal long[] RateStamps { get; }

    internal long UsedTokens { get; set; }

    internal bool HasAttempts { get; set; }

    internal bool IsDisposed => Volatile.Read(ref disposed) != 0;

    /// <summary>Whether what it held has been given back. Set under the controller's lock.</summary>
    internal bool IsReleased { get; set; }

    /// <summary>
    /// Begins an attempt: takes the limits that are scoped to its target and tops the reservation up where this target is dearer.
    /// </summary>
    /// <param name="start">What is called.</param>
    /// <param name="ask">Its price range.</param>
    /// <param name="attempt">The attempt's lease, to be settled and disposed.</param>
    /// <returns>Null when it began; otherwise why not, and nothing was taken.</returns>
    public AdmissionRefusal? TryBeginAttempt(AttemptStart start, in AdmissionAsk ask, out AttemptLease? attempt)
    {
        var refusal = controller.TryBeginAttempt(this, start, attempts, ask, out attempt);
        if (refusal is null)
        {
            // One that was refused has no row, and the first row of a request is the one that counts the request.
            attempts++;
        }
        return refusal;
    }

    /// <summary>Gives back what was not used. Safe to call twice.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposed, 1) == 0)
        {
            controller.Release(this);
        }
    }
}

/// <summary>
/// One attempt: the reservation it runs under, and its record in the ledger. Settle it with what it used; an attempt disposed unsettled is charged
/// at its full reservation, as nobody knows what it used.
/// </summary>
public sealed class AttemptLease : IDisposable
{
    private readonly AdmissionController controller;
    private int claimed;

    internal AttemptLease(AdmissionController controller, RequestLease request, AttemptStart start, int index, LimitSlots scoped, BudgetHold[] holds, BudgetSlot[] budgets, Guid id, DateTimeOffset startedAt)
    {
        this.controller = controller;
        RequestLease = request;
        Start = start;
        Index = index;
        Scoped = scoped;
        ScopedStamps = scoped.Rates.Length == 0 ? [] : new long[scoped.Rates.Length];
        Holds = holds;
        BudgetSlots = budgets;
        Id = id;
        StartedAt = startedAt;
        StartTimestamp = Stopwatch.GetTimestamp();
    }

    /// <summary>Unique id of the ledger row; ordered by time.</summary>
    public Guid Id { get; }

    /// <summary>When it began.</summary>
    public DateTimeOffset StartedAt { get; }

    /// <summary>What is called.</summary>
    public AttemptStart Start { get; }

    /// <summary>0 for a request's first attempt.</summary>
    public int Index { get; }

    /// <summary>The request it belongs to.</summary>
    public GatewayRequest Request => RequestLease.Request;

    /// <summary>The key that pays.</summary>
    public VirtualKey Key => RequestLease.Plan.Key;

    /// <summary>Money that the attempt may spend at most; <see cref="Money.MaxValue"/> where no hard budget applies.</summary>
    public Money Reserved { get; internal set; }

    /// <summary>The upper bound of its price, to be charged when its use stays unknown. Zero where the price is unknown.</summary>
    public Money Bound { get; internal set; }

    /// <summary>Tokens that it was estimated to use.</summary>
    public long EstimatedTokens { get; internal set; }

    /// <summary>How it ended; meaningful once it is settled.</summary>
    public AttemptResult Result { get; private set; }

    /// <summary>What is charged; null: unknown.</summary>
    public Money? Charged { get; private set; }

    /// <summary>How long it took.</summary>
    public TimeSpan Duration { get; private set; }

    /// <summary>Whether it was settled.</summary>
    public bool IsSettled { get; private set; }

    internal RequestLease RequestLease { get; }

    internal BudgetHold[] Holds { get; }

    internal BudgetSlot[] BudgetSlots { get; }

    internal LimitSlots Scoped { get; }

    internal long[] ScopedStamps { get; }

    internal long StartTimestamp { get; }

    /// <summary>The ledger's own mark of how far this record has been written.</summary>
    internal int LedgerState;

    /// <summary>The record's place in the ledger's journal.</summary>
    internal long LedgerSequence;

    /// <summary>Charges what was used, gives the rest of the reservation back, and completes the ledger row. Only the first call counts, from whichever thread.</summary>
    public void Settle(in AttemptResult result)
    {
        // The end of a stream and the cancellation of its request may come from two threads at once.
        if (Interlocked.Exchange(ref claimed, 1) != 0)
        {
            return;
        }
        Result = result;
        Charged = result.Source == UsageSource.Reserved ? Bound : result.Cost;
        Duration = Stopwatch.GetElapsedTime(StartTimestamp);
        IsSettled = true;
        controller.Settle(this);
    }

    /// <summary>Settles at the full reservation where that has not been done.</summary>
    public void Dispose() => Settle(new AttemptResult { Outcome = CallOutcome.Broken, Source = UsageSource.Reserved, Error = "unsettled" });
}
