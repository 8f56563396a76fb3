using System.Diagnostics;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using LlmProxy.Routing;
using LlmProxy.Telemetry;
using LlmProxy.Translation;
using Microsoft.Extensions.Logging;
using Shared.Admission;
using Shared.Egress;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;

namespace LlmProxy.Relay;

/// <summary>The ways in which an attempt can fail.</summary>
internal enum AttemptFailure
{
    /// <summary>It did not.</summary>
    None,

    /// <summary>It did not begin: admission refused it.</summary>
    Refused,

    /// <summary>The client left.</summary>
    Cancelled,

    /// <summary>It did not begin: the target's format cannot express the request.</summary>
    Inexpressible,

    /// <summary>Nothing was sent: no connection.</summary>
    Connect,

    /// <summary>Nothing was sent: no credential for the provider could be had.</summary>
    NoCredential,

    /// <summary>Nothing was sent: the egress policy does not allow the address.</summary>
    RefusedByPolicy,

    /// <summary>The connection broke.</summary>
    Reset,

    /// <summary>Too long a silence.</summary>
    Timeout,

    /// <summary>The upstream answered with an error.</summary>
    HttpError,

    /// <summary>The upstream's answer makes no sense, or is only half there.</summary>
    InvalidResponse,

    /// <summary>The gateway has no memory left for the answer.</summary>
    OutOfMemory,

    /// <summary>The client's request turned out to be none while it was on its way.</summary>
    BadRequest,
}

/// <summary>One attempt: its lease, its connection, and what came of it. Settles the lease exactly once.</summary>
internal sealed class UpstreamAnswer : IDisposable
{
    private readonly ChatCall call;
    private readonly ILogger logger;
    private readonly AttemptLease? lease;
    private readonly GatewayError? inexpressibleFor;

    public UpstreamAnswer(ChatCall call, AttemptLease lease, Deadline deadline, Activity? activity, ILogger logger)
    {
        (this.call, this.lease, this.logger) = (call, lease, logger);
        (Target, Deadline, Activity) = (call.Target, deadline, activity);
        Started = Stopwatch.GetTimestamp();
    }

    private UpstreamAnswer(ChatCall call, AdmissionRefusal refusal, ILogger logger)
    {
        (this.call, this.logger) = (call, logger);
        (Target, Refusal, Failure) = (call.Target, refusal, AttemptFailure.Refused);
    }

    private UpstreamAnswer(ChatCall call, GatewayError inexpressible, ILogger logger)
    {
        (this.call, this.logger) = (call, logger);
        (Target, inexpressibleFor, Failure) = (call.Target, inexpressible, AttemptFailure.Inexpressible);
    }

    public TargetPlan Target { get; }

    public AdmissionRefusal? Refusal { get; }

    public AttemptFailure Failure { get; private set; }

    /// <summary>Whether the upstream's own reason for the failure was noted.</summary>
    public bool IsExplained { get; set; }

    /// <summary>The upstream's status; 0: none came.</summary>
    public int Status { get; set; }

    /// <summary>How long the upstream asks to be left alone.</summary>
    public TimeSpan? RetryAfter { get; set; }

    /// <summary>The output limit that must stand in the body, whoever wrote it; null: it needs none.</summary>
    public long? OutputLimit { get; set; }

    public Deadline? Deadline { get; private set; }

    public Activity? Activity { get; }

    public SplicedContent? Content { get; set; }

    public HttpResponseMessage? Response { get; set; }

    /// <summary>A complete answer as it came; null for a stream.</summary>
    public PooledBody? Body { get; set; }

    /// <summary>A complete answer in the client's format; null: <see cref="Body"/> is.</summary>
    public PooledOutput? Translated { get; set; }

    /// <summary>A stream that has begun; null for a complete answer.</summary>
    public EventStream? Stream { get; set; }

    /// <summary>How far <see cref="Stream"/> had come when its first content arrived.</summary>
    public StreamStatus StreamStatus { get; set; }

    /// <summary>Whether the upstream said what was used. Meaningful once the attempt is settled.</summary>
    public bool IsReported => lease?.Result.Source == UsageSource.Reported;

    /// <summary>What was charged; zero where that is not known. Meaningful once the attempt is settled.</summary>
    public Money Charged => lease?.Charged ?? Money.Zero;

    private long Started { get; }

    /// <summary>Whether the same target may be asked again.</summary>
    public bool CanRetry => Failure is AttemptFailure.Connect or AttemptFailure.NoCredential or AttemptFailure.Reset or AttemptFailure.Timeout || (Failure == AttemptFailure.HttpError && IsRetryable(Status));

    /// <summary>Whether another target may be asked.</summary>
    public bool CanFallBack => CanRetry || Failure is AttemptFailure.Refused or AttemptFailure.Inexpressible or AttemptFailure.RefusedByPolicy or AttemptFailure.InvalidResponse;

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

    public static UpstreamAnswer Refused(ChatCall call, AdmissionRefusal refusal, ILogger logger) => new(call, refusal, logger);

    public static UpstreamAnswer Inexpressible(ChatCall call, GatewayError error, ILogger logger) => new(call, error, logger);

    /// <summary>The attempt has succeeded and used so much.</summary>
    public void Succeed(in TokenUsage? usage, string? serviceTier, string? servedModel, long outputBytes)
    {
        if (usage is { } used)
        {
            Settle(Result(CallOutcome.Succeeded, UsageSource.Reported, null) with { Usage = used, Cost = CostOf(used, serviceTier), ServedModel = servedModel });
        }
        else
        {
            Settle(Unknown(CallOutcome.Succeeded, null, outputBytes) with { ServedModel = servedModel });
        }
    }

    /// <summary>The attempt has failed. What it used: nothing where it surely cost nothing, else what was reported, else nobody knows.</summary>
    /// <param name="failure">What happened.</param>
    /// <param name="isFree">Whether it surely cost nothing.</param>
    /// <param name="usage">What was reported; null: nothing.</param>
    /// <param name="serviceTier">The tier that served it; null: not said.</param>
    /// <param name="outputBytes">No fewer than the tokens that came.</param>
    /// <param name="isPartial">Whether the report is a beginning, so that nobody knows what was produced.</param>
    public void Fail(AttemptFailure failure, bool isFree, in TokenUsage? usage = null, string? serviceTier = null, long outputBytes = 0, bool isPartial = false)
    {
        Failure = failure;
        var outcome = failure switch
        {
            AttemptFailure.Cancelled => CallOutcome.Cancelled,
            AttemptFailure.HttpError => CallOutcome.Failed,
            _ => CallOutcome.Broken,
        };
        var code = CodeOf(failure);
        if (usage is { } used && !isPartial)
        {
            Settle(Result(outcome, UsageSource.Reported, code) with { Usage = used, Cost = CostOf(used, serviceTier) });
        }
        else
        {
            Settle(isFree ? Result(outcome, UsageSource.None, code) with { Cost = Money.Zero } : Unknown(outcome, code, outputBytes, usage, serviceTier));
        }
    }

    /// <summary>What the client is told if nothing better comes.</summary>
    public GatewayError ToError() => Failure switch
    {
        AttemptFailure.Refused => GatewayError.From(Refusal!),
        AttemptFailure.Inexpressible => inexpressibleFor!,
        AttemptFailure.RefusedByPolicy => OpenAiErrors.UpstreamRefusedByPolicy,
        AttemptFailure.NoCredential => OpenAiErrors.NoCredential,
        AttemptFailure.Timeout => OpenAiErrors.UpstreamTimeout,
        AttemptFailure.OutOfMemory => GatewayError.BodyMemoryExhausted,
        _ => OpenAiErrors.UpstreamFailed,
    };

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
        Translated?.Dispose();
        Stream?.Dispose();
        (Response, Body, Translated, Stream) = (null, null, null, null);
        Deadline?.Dispose();
        Deadline = null;
    }

    private static bool IsRetryable(int status) => status is 408 or 409 or 429 or >= 500;

    private static string CodeOf(AttemptFailure failure) => failure switch
    {
        AttemptFailure.Cancelled => "cancelled",
        AttemptFailure.Inexpressible => "not_expressible",
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

    private AttemptResult Unknown(CallOutcome outcome, string? code, long outputBytes, in TokenUsage? partial = null, string? serviceTier = null)
    {
        if (Target.Price is { } price && call.Request.Snapshot.Settings.UnknownUsage == Shared.Snapshots.UnknownUsagePolicy.Reserved)
        {
            return Result(outcome, UsageSource.Reserved, code);
        }
        if (partial is { } reported)
        {
            // What went in was said; what came out is no more than its bytes.
            var seen = reported with { Output = Math.Max(reported.Output, outputBytes) };
            return Result(outcome, UsageSource.Observed, code) with { Usage = seen, Cost = CostOf(seen, serviceTier) is { } cost ? Money.Min(cost, lease!.Reserved) : null };
        }
        return Result(outcome, UsageSource.Observed, code) with
        {
            // What is made in the background is counted when it is over: see BackgroundResponses.
            Usage = call.Fields.Background ? default : new TokenUsage { Input = SpendBound.InputTokens(call, Target.Price), Output = Target.Family.HasOutput ? outputBytes : 0 },
            Cost = Target.Price is { } known ? Money.Min(SpendBound.Observed(call, known, outputBytes), lease!.Reserved) : null,
        };
    }

    private Money? CostOf(in TokenUsage usage, string? serviceTier)
    {
        if (Target.Price is not { } price)
        {
            return null;
        }
        var cost = price.TryCostOf(usage, serviceTier) ?? lease!.Bound;
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
        if (Activity is not null && call.Dropped is { IsEmpty: false } dropped)
        {
            Activity.SetTag("gateway.dropped", dropped.Names.ToArray());
        }
        ModelTelemetry.End(Activity, Target, result, Stopwatch.GetElapsedTime(Started));
    }
}
