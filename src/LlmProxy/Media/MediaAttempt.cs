using System.Diagnostics;
using LlmProxy.Errors;
using LlmProxy.Relay;
using LlmProxy.Routing;
using LlmProxy.Telemetry;
using Microsoft.Extensions.Logging;
using Shared.Admission;
using Shared.Egress;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;

namespace LlmProxy.Media;

/// <summary>One attempt: its lease, its connection, and what came of it. Settles the lease exactly once.</summary>
internal sealed class MediaAttempt : IDisposable
{
    private readonly MediaCall call;
    private readonly ILogger logger;
    private readonly AttemptLease? lease;
    private readonly bool isBounded;

    public MediaAttempt(MediaCall call, AttemptLease lease, bool isBounded, Deadline deadline, Activity? activity, ILogger logger)
    {
        (this.call, this.lease, this.isBounded, this.logger) = (call, lease, isBounded, logger);
        (Target, Deadline, Activity) = (call.Target, deadline, activity);
        Started = Stopwatch.GetTimestamp();
    }

    private MediaAttempt(MediaCall call, AdmissionRefusal refusal, ILogger logger)
    {
        (this.call, this.logger) = (call, logger);
        (Target, Refusal, Failure) = (call.Target, refusal, AttemptFailure.Refused);
    }

    public TargetPlan Target { get; }

    public AdmissionRefusal? Refusal { get; }

    public AttemptFailure Failure { get; private set; }

    /// <summary>The upstream's status; 0: none came.</summary>
    public int Status { get; set; }

    /// <summary>How long the upstream asks to be left alone.</summary>
    public TimeSpan? RetryAfter { get; set; }

    public Deadline? Deadline { get; private set; }

    public Activity? Activity { get; }

    public HttpContent? Content { get; set; }

    /// <summary>Whether anything may have been sent.</summary>
    public bool HasStarted => Content is SplicedContent { Started: true } or FormContent { Started: true };

    public HttpResponseMessage? Response { get; set; }

    /// <summary>A complete JSON answer; null for a stream or bytes.</summary>
    public PooledBody? Body { get; set; }

    /// <summary>A stream of events that has begun; null for another answer.</summary>
    public RelayedStream? Stream { get; set; }

    /// <summary>How far <see cref="Stream"/> had come when its first content arrived.</summary>
    public StreamStatus StreamStatus { get; set; }

    /// <summary>Bytes of any type, whose first have come; null for another answer.</summary>
    public ByteStream? Bytes { get; set; }

    private long Started { get; }

    /// <summary>Whether the same target may be asked again.</summary>
    public bool CanRetry => call.IsRepeatable && (Failure is AttemptFailure.Connect or AttemptFailure.NoCredential or AttemptFailure.Reset or AttemptFailure.Timeout || (Failure == AttemptFailure.HttpError && IsRetryable(Status)));

    /// <summary>Whether another target may be asked.</summary>
    public bool CanFallBack => CanRetry || (call.IsRepeatable && Failure is AttemptFailure.Refused or AttemptFailure.RefusedByPolicy or AttemptFailure.InvalidResponse);

    /// <summary>Whether it speaks against the target's health.</summary>
    public bool IsUnhealthy => Failure is AttemptFailure.Connect or AttemptFailure.NoCredential or AttemptFailure.Reset or AttemptFailure.Timeout or AttemptFailure.InvalidResponse
        || (Failure == AttemptFailure.HttpError && Status >= 500);

    /// <summary>A short word for logs: why another target is asked.</summary>
    public string Reason => Failure switch
    {
        AttemptFailure.Refused => Refusal!.Kind == RefusalKind.Budget ? "budget" : Refusal.Code,
        AttemptFailure.HttpError => $"status {Status}",
        _ => CodeOf(Failure),
    };

    public static MediaAttempt Refused(MediaCall call, AdmissionRefusal refusal, ILogger logger) => new(call, refusal, logger);

    /// <summary>The attempt has succeeded and used so much; null: the provider did not say.</summary>
    /// <param name="usage">What was used.</param>
    /// <param name="servedModel">The model's name where it differs.</param>
    /// <param name="items">How many pictures came.</param>
    public void Succeed(in TokenUsage? usage, string? servedModel, int items = 0)
    {
        if (usage is { } used)
        {
            Settle(Reported(CallOutcome.Succeeded, null, WithPictures(used, items)) with { ServedModel = servedModel });
        }
        else
        {
            Settle(Unreported(CallOutcome.Succeeded, null, items) with { ServedModel = servedModel });
        }
    }

    /// <summary>The attempt has failed. What it used: nothing where it surely cost nothing, else what was reported, else nobody knows.</summary>
    public void Fail(AttemptFailure failure, bool isFree, in TokenUsage? usage = null)
    {
        Failure = failure;
        var outcome = failure switch
        {
            AttemptFailure.Cancelled or AttemptFailure.BadRequest => CallOutcome.Cancelled,
            AttemptFailure.HttpError => CallOutcome.Failed,
            _ => CallOutcome.Broken,
        };
        var code = CodeOf(failure);
        Settle(usage is { } used ? Reported(outcome, code, used)
            : isFree ? Result(outcome, UsageSource.None, code) with { Cost = Money.Zero }
            : Unreported(outcome, code, 0));
    }

    /// <summary>What the client is told if nothing better comes.</summary>
    public GatewayError ToError() => Failure switch
    {
        AttemptFailure.Refused => GatewayError.From(Refusal!),
        AttemptFailure.BadRequest => call.Form?.Refusal ?? OpenAiErrors.UpstreamFailed,
        AttemptFailure.RefusedByPolicy => OpenAiErrors.UpstreamRefusedByPolicy,
        AttemptFailure.NoCredential => OpenAiErrors.NoCredential,
        AttemptFailure.Timeout => OpenAiErrors.UpstreamTimeout,
        AttemptFailure.OutOfMemory => GatewayError.BodyMemoryExhausted,
        _ => OpenAiErrors.UpstreamFailed,
    };

    /// <summary>Makes certain that nothing is sent any more.</summary>
    public ValueTask StopSendingAsync() => Content is FormContent form ? form.StopAsync() : ValueTask.CompletedTask;

    /// <summary>Gives everything back; the connection of an answer that was not read to its end is closed, which cancels the upstream's work.</summary>
    public void Dispose()
    {
        if (lease is { IsSettled: false })
        {
            Fail(AttemptFailure.Reset, isFree: false);
        }
        lease?.Dispose();
        Response?.Dispose();
        Body?.Dispose();
        Stream?.Dispose();
        Bytes?.Dispose();
        (Response, Body, Stream, Bytes) = (null, null, null, null);
        Deadline?.Dispose();
        Deadline = null;
    }

    private static bool IsRetryable(int status) => status is 408 or 409 or 429 or >= 500;

    private static string CodeOf(AttemptFailure failure) => failure switch
    {
        AttemptFailure.Cancelled => "cancelled",
        AttemptFailure.BadRequest => "invalid_request",
        AttemptFailure.Connect => "connect",
        AttemptFailure.NoCredential => "no_credential",
        AttemptFailure.RefusedByPolicy => EgressRefusedException.Code,
        AttemptFailure.Reset => "reset",
        AttemptFailure.Timeout => "timeout",
        AttemptFailure.HttpError => "upstream_error",
        AttemptFailure.OutOfMemory => "overloaded",
        _ => "invalid_response",
    };

    private AttemptResult Result(CallOutcome outcome, UsageSource source, string? code) => new() { Outcome = outcome, Source = source, Status = Status, Error = code };

    private AttemptResult Reported(CallOutcome outcome, string? code, in TokenUsage usage)
    {
        if (Target.Price is { } price && !price.Covers(usage))
        {
            // Reported in units that the price says nothing of: a bound is charged where there is one, and else the cost is unknown, which is not 0.
            return lease!.Reserved != Money.MaxValue ? Result(outcome, UsageSource.Reserved, code) with { Usage = usage }
                : Result(outcome, UsageSource.Reported, code) with { Usage = usage };
        }
        return Result(outcome, UsageSource.Reported, code) with { Usage = usage, Cost = CostOf(usage) };
    }

    /// <summary>Nobody said what was used. Counted where it can be, charged as reserved where policy or a hard budget wants it, and otherwise unknown.</summary>
    private AttemptResult Unreported(CallOutcome outcome, string? code, int items)
    {
        var seen = new TokenUsage { Units = items > 0 ? PicturesOf(items) : outcome == CallOutcome.Succeeded ? MediaBound.Observed(call) : default };
        if (Target.Price is { } price)
        {
            if (seen.Units.Kind != UnitKind.None && price.HighestUnitRate(seen.Units.Kind) is not null)
            {
                return Result(outcome, UsageSource.Observed, code) with { Usage = seen, Cost = CostOf(seen) };
            }
            if (price.IsFree)
            {
                return Result(outcome, UsageSource.Observed, code) with { Usage = seen, Cost = Money.Zero };
            }
            if (lease!.Reserved != Money.MaxValue || (isBounded && call.Request.Snapshot.Settings.UnknownUsage == UnknownUsagePolicy.Reserved))
            {
                return Result(outcome, UsageSource.Reserved, code) with { Usage = seen };
            }
        }
        return Result(outcome, UsageSource.Observed, code) with { Usage = seen };
    }

    private TokenUsage WithPictures(in TokenUsage usage, int items)
    {
        if (call.Endpoint.Unit != UnitKind.Image || items == 0 || usage.Units.Kind != UnitKind.None || Target.Price?.HighestUnitRate(UnitKind.Image) is null)
        {
            return usage;
        }
        return usage with { Units = PicturesOf(items) };
    }

    private UnitUsage PicturesOf(int items) => UnitUsage.Of(UnitKind.Image, items, call.Fields.Variant);

    private Money? CostOf(in TokenUsage usage)
    {
        if (Target.Price is not { } price)
        {
            return null;
        }
        var cost = price.TryCostOf(usage) ?? lease!.Bound;
        if (cost > lease!.Reserved)
        {
            logger.ReservationExceeded(call.Request.RequestId, Target.Provider.Id, Target.Model, cost, lease.Reserved);
            ModelTelemetry.ReservationExceeded(Target);
        }
        return cost;
    }

    private void Settle(in AttemptResult result)
    {
        lease!.Settle(result);
        ModelTelemetry.End(Activity, Target, result, Stopwatch.GetElapsedTime(Started));
    }
}
