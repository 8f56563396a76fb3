using System.Diagnostics;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using LlmProxy.Routing;
using LlmProxy.Telemetry;
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

    /// <summary>Nothing was sent: no connection.</summary>
    Connect,

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
}

/// <summary>One attempt: its lease, its connection, and what came of it. Settles the lease exactly once.</summary>
internal sealed class UpstreamAnswer : IDisposable
{
    private readonly ChatCall call;
    private readonly ILogger logger;
    private readonly AttemptLease? lease;

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

    public TargetPlan Target { get; }

    public AdmissionRefusal? Refusal { get; }

    public AttemptFailure Failure { get; private set; }

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

    /// <summary>A complete answer; null for a stream.</summary>
    public PooledBody? Body { get; set; }

    /// <summary>A stream that has begun; null for a complete answer.</summary>
    public EventStream? Stream { get; set; }

    /// <summary>How far <see cref="Stream"/> had come when its first content arrived.</summary>
    public StreamStatus StreamStatus { get; set; }

    private long Started { get; }

    /// <summary>Whether the same target may be asked again.</summary>
    public bool CanRetry => Failure is AttemptFailure.Connect or AttemptFailure.Reset or AttemptFailure.Timeout || (Failure == AttemptFailure.HttpError && IsRetryable(Status));

    /// <summary>Whether another target may be asked.</summary>
    public bool CanFallBack => CanRetry || Failure is AttemptFailure.Refused or AttemptFailure.RefusedByPolicy or AttemptFailure.InvalidResponse;

    /// <summary>Whether it speaks against the target's health.</summary>
    public bool IsUnhealthy => Failure is AttemptFailure.Connect or AttemptFailure.Reset or AttemptFailure.Timeout or AttemptFailure.InvalidResponse
        || (Failure == AttemptFailure.HttpError && Status >= 500);

    /// <summary>A short word for logs: why another target is asked.</summary>
    public string Reason => Failure switch
    {
        AttemptFailure.Refused => Refusal!.Kind == RefusalKind.Budget ? "budget" : Refusal.Code,
        AttemptFailure.HttpError => $"status {Status}",
        _ => CodeOf(Failure),
    };

    public static UpstreamAnswer Refused(ChatCall call, AdmissionRefusal refusal, ILogger logger) => new(call, refusal, logger);

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
    public void Fail(AttemptFailure failure, bool isFree, in TokenUsage? usage = null, string? serviceTier = null, long outputBytes = 0)
    {
        Failure = failure;
        var outcome = failure switch
        {
            AttemptFailure.Cancelled => CallOutcome.Cancelled,
            AttemptFailure.HttpError => CallOutcome.Failed,
            _ => CallOutcome.Broken,
        };
        var code = CodeOf(failure);
        if (usage is { } used)
        {
            Settle(Result(outcome, UsageSource.Reported, code) with { Usage = used, Cost = CostOf(used, serviceTier) });
        }
        else
        {
            Settle(isFree ? Result(outcome, UsageSource.None, code) with { Cost = Money.Zero } : Unknown(outcome, code, outputBytes));
        }
    }

    /// <summary>What the client is told if nothing better comes.</summary>
    public GatewayError ToError() => Failure switch
    {
        AttemptFailure.Refused => GatewayError.From(Refusal!),
        AttemptFailure.RefusedByPolicy => OpenAiErrors.UpstreamRefusedByPolicy,
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
        Stream?.Dispose();
        (Response, Body, Stream) = (null, null, null);
        Deadline?.Dispose();
        Deadline = null;
    }

    private static bool IsRetryable(int status) => status is 408 or 409 or 429 or >= 500;

    private static string CodeOf(AttemptFailure failure) => failure switch
    {
        AttemptFailure.Cancelled => "cancelled",
        AttemptFailure.Connect => "connect",
        AttemptFailure.RefusedByPolicy => EgressRefusedException.Code,
        AttemptFailure.Reset => "reset",
        AttemptFailure.Timeout => "timeout",
        AttemptFailure.HttpError => "upstream_error",
        AttemptFailure.OutOfMemory => "overloaded",
        _ => "invalid_response",
    };

    private AttemptResult Result(CallOutcome outcome, UsageSource source, string? code) => new() { Outcome = outcome, Source = source, Status = Status, Error = code };

    private AttemptResult Unknown(CallOutcome outcome, string? code, long outputBytes)
    {
        if (Target.Price is { } price && call.Request.Snapshot.Settings.UnknownUsage == Shared.Snapshots.UnknownUsagePolicy.Reserved)
        {
            return Result(outcome, UsageSource.Reserved, code);
        }
        return Result(outcome, UsageSource.Observed, code) with
        {
            Usage = new TokenUsage { Input = SpendBound.InputTokens(call, Target.Price), Output = Target.Family.HasOutput ? outputBytes : 0 },
            Cost = Target.Price is { } known ? Money.Min(SpendBound.Observed(call, known, outputBytes), lease!.Reserved) : null,
        };
    }

    private Money? CostOf(in TokenUsage usage, string? serviceTier)
    {
        if (Target.Price is not { } price)
        {
            return null;
        }
        Money cost;
        try
        {
            cost = price.CostOf(usage, serviceTier);
        }
        catch (OverflowException)
        {
            cost = lease!.Bound; // figures that no price can follow are nonsense
        }
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
