using System.Diagnostics;
using LlmProxy.Routing;
using LlmProxy.Telemetry;
using Microsoft.Extensions.Logging;
using Shared.Admission;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;

namespace LlmProxy.Media;

/// <summary>
/// What the responses of one session hold and cost. One response is always paid for in advance, as a provider may begin one by itself when it hears that somebody has
/// spoken; each one that is begun takes that reservation and the next is made. Used from both directions at once.
/// </summary>
internal sealed class RealtimeBilling(GatewayRequest session, TargetPlan target, Route? route, AdmissionController admission, SnapshotStore snapshots, LiveKeys keys, ILogger logger) : IDisposable
{
    /// <summary>More responses than this are not asked for before the first of them begins.</summary>
    private const int MaxAsked = 16;

    private readonly Lock gate = new();
    private readonly Dictionary<string, Held> running = [];
    private readonly Queue<Held> asked = new();
    private Held? next;

    /// <summary>Whether a hard budget counts the session, so that nothing without a bound may be asked for.</summary>
    public bool IsHard { get; } = AdmissionController.NeedsBound(session);

    /// <summary>Whether a route fixes what a response reserves, whatever is asked for.</summary>
    public bool IsFixed { get; } = route?.FixedReservation is not null;

    /// <summary>Reserves the first response.</summary>
    public GatewayError? Begin()
    {
        lock (gate)
        {
            return Hold();
        }
    }

    /// <summary>The client asks for a response. Not null: it may not.</summary>
    public GatewayError? Ask()
    {
        lock (gate)
        {
            if (asked.Count >= MaxAsked)
            {
                return new GatewayError(429, "too_many_responses", $"{MaxAsked} responses are asked for and have not begun. Wait for them.");
            }
            if (next is null && Hold() is { } refusal)
            {
                return refusal;
            }
            asked.Enqueue(next!);
            next = null;
            // Should the provider begin one by itself, it has to be paid, too; that there is no money for it yet is no reason to refuse this one.
            _ = Hold();
            return null;
        }
    }

    /// <summary>A response has begun. False: nothing is left to pay it from.</summary>
    public bool Start(string id)
    {
        lock (gate)
        {
            var held = asked.Count > 0 ? asked.Dequeue() : next;
            if (held is null)
            {
                return false;
            }
            if (running.ContainsKey(id))
            {
                return Back(held);
            }
            if (held == next)
            {
                next = null;
                _ = Hold();
            }
            held.Activity = ModelTelemetry.Start(held.Request, target, stream: true);
            held.Started = Stopwatch.GetTimestamp();
            running[id] = held;
            return true;
        }
    }

    /// <summary>A response has ended. Not null: there is nothing to pay another one from, and the session is over.</summary>
    public GatewayError? End(string id, in TokenUsage? usage, string? status)
    {
        lock (gate)
        {
            if (running.Remove(id, out var held))
            {
                Settle(held, status switch { "failed" => CallOutcome.Failed, "cancelled" => CallOutcome.Cancelled, _ => CallOutcome.Succeeded }, usage, status is "failed" ? "upstream_error" : status is "cancelled" ? "cancelled" : null);
            }
            return next is null ? Hold() : null;
        }
    }

    /// <summary>Charges what the transcription of the client's words used, by another model, in a row of its own.</summary>
    public void Transcribed(string model, in TokenUsage? usage)
    {
        lock (gate)
        {
            if ((next ?? running.Values.FirstOrDefault()) is not { } payer)
            {
                return; // the session is at its end for want of money
            }
            var price = payer.Request.Snapshot.Prices.Find(target.Provider.Id, model);
            var start = new AttemptStart { Kind = CallKind.Model, Upstream = target.Provider.Id, Name = model, RequestedName = target.Start.RequestedName, PriceVersion = price?.Version };
            if (payer.Lease.TryBeginAttempt(start, AdmissionAsk.Free, out var attempt) is null)
            {
                using (attempt)
                {
                    attempt!.Settle(new AttemptResult
                    {
                        Outcome = CallOutcome.Succeeded,
                        Source = usage is null ? UsageSource.Observed : UsageSource.Reported,
                        Status = 101,
                        Usage = usage ?? default,
                        Cost = usage is { } used && price is not null && price.Covers(used) ? price.TryCostOf(used) : null,
                    });
                }
            }
        }
    }

    /// <summary>The session did not come about.</summary>
    public void Fail(string code)
    {
        lock (gate)
        {
            next?.Attempt.Settle(new AttemptResult { Outcome = CallOutcome.Broken, Source = UsageSource.None, Cost = Money.Zero, Error = code });
        }
    }

    /// <summary>Settles what is left: responses that were cut off, and the one that was never asked for.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            foreach (var held in running.Values)
            {
                Settle(held, CallOutcome.Cancelled, null, "cancelled");
            }
            running.Clear();
            foreach (var held in asked)
            {
                Settle(held, CallOutcome.Cancelled, null, "cancelled"); // asked for, and perhaps begun
            }
            asked.Clear();
            if (next is not null)
            {
                next.Attempt.Settle(new AttemptResult { Outcome = CallOutcome.Succeeded, Source = UsageSource.None, Status = 101, Cost = Money.Zero });
                next.Dispose();
                next = null;
            }
        }
    }

    /// <summary>What one response has to reserve: the model's longest input and longest output, each at its dearest rate.</summary>
    private AdmissionAsk AskFor(ModelPrice? price, out bool isBounded)
    {
        isBounded = false;
        if (price is null)
        {
            return new AdmissionAsk { AtLeast = Money.Zero, AtMost = Money.Zero };
        }
        if (price.IsFree)
        {
            isBounded = true;
            return AdmissionAsk.Free;
        }
        if (price is { Bounded: true, MaxInputTokens: { } input, MaxOutputTokens: { } output })
        {
            isBounded = true;
            var most = price.UpperBound(input, output);
            return new AdmissionAsk { AtLeast = most, AtMost = most, PriceKnown = true };
        }
        if (route?.FixedReservation is { } reservation)
        {
            isBounded = true;
            return new AdmissionAsk { AtLeast = reservation, AtMost = reservation, PriceKnown = true };
        }
        return new AdmissionAsk { AtLeast = Money.Zero, AtMost = Money.MaxValue, PriceKnown = true, UnboundedMember = "model" };
    }

    private GatewayError? Hold()
    {
        var snapshot = snapshots.Current;
        if (keys.Find(session) is not { } key)
        {
            return RealtimeSession.KeyIsOver;
        }
        // Limits and prices are those of now: a session may outlive several configurations.
        var price = snapshot.Prices.Find(target.Provider.Id, target.Model);
        var ask = AskFor(price, out var isBounded);
        var request = NewRequest(snapshot);
        request.Key = key;
        if (admission.TryAdmit(request, ask, out var lease) is { } refusal)
        {
            return GatewayError.From(refusal);
        }
        if (lease!.TryBeginAttempt(target.Start with { PriceVersion = price?.Version }, ask, out var attempt) is { } refused)
        {
            lease.Dispose();
            return GatewayError.From(refused);
        }
        next = new Held(request, lease, attempt!, price, isBounded);
        return null;
    }

    private GatewayRequest NewRequest(Snapshot snapshot) =>
        new(session.RequestId, snapshot, session.TraceId) { TraceParent = session.TraceParent, TraceState = session.TraceState, Key = session.Key };

    private bool Back(Held held)
    {
        // The provider names a response that runs already: nothing new was begun.
        if (held == next)
        {
            return true;
        }
        Settle(held, CallOutcome.Cancelled, null, "invalid_response");
        return true;
    }

    private void Settle(Held held, CallOutcome outcome, in TokenUsage? usage, string? error)
    {
        var result = new AttemptResult { Outcome = outcome, Source = UsageSource.Reported, Status = 101, Usage = usage ?? default, Error = error };
        if (usage is { } used && held.Price is { } price && price.Covers(used))
        {
            result = result with { Cost = CostOf(held, price, used) };
        }
        else if (usage is null)
        {
            var isCharged = held.Attempt.Reserved != Money.MaxValue || (held.IsBounded && held.Request.Snapshot.Settings.UnknownUsage == UnknownUsagePolicy.Reserved);
            result = result with { Source = isCharged && held.Price is not null ? UsageSource.Reserved : UsageSource.Observed };
        }
        held.Attempt.Settle(result);
        ModelTelemetry.End(held.Activity, target, result, held.Started == 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(held.Started));
        held.Dispose();
    }

    private Money CostOf(Held held, ModelPrice price, in TokenUsage usage)
    {
        var cost = price.TryCostOf(usage) ?? held.Attempt.Bound;
        if (cost > held.Attempt.Reserved)
        {
            logger.ReservationExceeded(session.RequestId, target.Provider.Id, target.Model, cost, held.Attempt.Reserved);
            ModelTelemetry.ReservationExceeded(target);
        }
        return cost;
    }

    private sealed class Held(GatewayRequest request, RequestLease lease, AttemptLease attempt, ModelPrice? price, bool isBounded) : IDisposable
    {
        public GatewayRequest Request { get; } = request;

        public RequestLease Lease { get; } = lease;

        public AttemptLease Attempt { get; } = attempt;

        public ModelPrice? Price { get; } = price;

        public bool IsBounded { get; } = isBounded;

        public Activity? Activity { get; set; }

        public long Started { get; set; }

        public void Dispose()
        {
            Attempt.Dispose();
            Lease.Dispose();
        }
    }
}
