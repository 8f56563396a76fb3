using System.Diagnostics;
using LlmProxy.Errors;
using LlmProxy.Providers;
using LlmProxy.Relay;
using LlmProxy.Routing;
using LlmProxy.Telemetry;
using Microsoft.AspNetCore.Http;
using Shared.Admission;
using Shared.Egress;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;

namespace LlmProxy.Passthrough;

/// <summary>One request that is passed on: counted by its caller's limits, traced, in the ledger, tried once. Settles its lease exactly once.</summary>
internal sealed class PassthroughCall : IDisposable
{
    private readonly RequestLease lease;
    private readonly AttemptLease attempt;
    private readonly bool isFree;
    private readonly long started = Stopwatch.GetTimestamp();
    private int status;
    private bool isSettled;

    private PassthroughCall(HttpContext context, TargetPlan target, bool isFree, RequestLease lease, AttemptLease attempt, Deadline deadline)
    {
        (Context, Request, Target, this.isFree, this.lease, this.attempt, Deadline) = (context, GatewayRequest.Of(context), target, isFree, lease, attempt, deadline);
        Activity = ModelTelemetry.Start(Request, target, stream: false);
    }

    public HttpContext Context { get; }

    public GatewayRequest Request { get; }

    public TargetPlan Target { get; }

    public Deadline Deadline { get; }

    public Activity? Activity { get; }

    /// <summary>Whether limits of the gateway's own are shown to the client.</summary>
    public bool LimitsAreOurs => lease.RequestRate is not null || lease.TokenRate is not null;

    /// <summary>Begins a call, or says why not.</summary>
    public static GatewayError? TryBegin(HttpContext context, TargetPlan target, bool isFree, AdmissionController admission, DeadlinePool deadlines, out PassthroughCall? call)
    {
        call = null;
        var ask = isFree ? AdmissionAsk.Free : new AdmissionAsk { AtLeast = Money.Zero, AtMost = Money.MaxValue, PriceKnown = true };
        if (admission.TryAdmit(GatewayRequest.Of(context), ask, out var lease) is { } refusal)
        {
            return GatewayError.From(refusal);
        }
        if (lease!.TryBeginAttempt(target.Start, ask, out var attempt) is { } refused)
        {
            lease.Dispose();
            return GatewayError.From(refused);
        }
        call = new PassthroughCall(context, target, isFree, lease, attempt!, deadlines.Rent(context.RequestAborted));
        return null;
    }

    /// <summary>Sends the request, and waits for the answer's headers. Throws as an HTTP client does.</summary>
    public async Task<HttpResponseMessage> SendAsync(HttpRequestMessage message)
    {
        Deadline.Set(Target.Provider.HeaderTimeout);
        var since = Stopwatch.GetTimestamp();
        try
        {
            if (Target.Authorizer is { } authorizer)
            {
                await authorizer.AuthorizeAsync(message, Deadline.Token);
            }
            var answer = await Target.Client.SendAsync(message, Deadline.Token);
            status = (int)answer.StatusCode;
            return answer;
        }
        finally
        {
            Request.CountUpstream(since);
        }
    }

    /// <summary>Reads the next piece of the answer.</summary>
    public async ValueTask<int> ReadAsync(Stream source, Memory<byte> buffer)
    {
        Deadline.Set(Target.Provider.StallTimeout);
        var since = Stopwatch.GetTimestamp();
        try
        {
            return await source.ReadAsync(buffer, Deadline.Token);
        }
        finally
        {
            Request.CountUpstream(since);
            Deadline.Clear();
        }
    }

    /// <summary>Says who answers, and where the caller's limits stand.</summary>
    public void Describe()
    {
        var headers = Context.Response.Headers;
        headers["x-gateway-provider"] = Target.ProviderHeader;
        ResponseHeaders.Describe(headers, lease);
    }

    /// <summary>Charges what the answer says was used. What it used is in a row of its own under the model's name, at that model's price.</summary>
    public void Settle(PassthroughUsage usage, bool isComplete)
    {
        if (isSettled || !isComplete && usage.Usage is null)
        {
            return; // how it broke is told by the exception
        }
        if (usage.Usage is { } figures)
        {
            Charge(usage, figures);
        }
        if (isComplete)
        {
            // A write of which nobody knows the price has an unknown one, never none.
            var isPriceless = isFree || usage.Usage is not null || status >= 400;
            Settle(status >= 400 ? CallOutcome.Failed : CallOutcome.Succeeded, isPriceless ? Money.Zero : null, status >= 400 ? "upstream_error" : null);
        }
    }

    /// <summary>Settles the call by what broke it, and says so.</summary>
    public GatewayError Fail(Exception exception)
    {
        var tooLarge = TooLarge(exception);
        var (outcome, code, error) = Context.RequestAborted.IsCancellationRequested ? (CallOutcome.Cancelled, "cancelled", OpenAiErrors.UpstreamFailed)
            : Deadline.HasPassed ? (CallOutcome.Broken, "timeout", OpenAiErrors.UpstreamTimeout)
            : EgressRefusedException.Causes(exception) ? (CallOutcome.Broken, EgressRefusedException.Code, OpenAiErrors.UpstreamRefusedByPolicy)
            : tooLarge is not null ? (CallOutcome.Failed, "request_too_large", GatewayError.BodyTooLarge(Request.Snapshot.Settings.MaxBodyBytes))
            : exception is CredentialException ? (CallOutcome.Broken, "no_credential", OpenAiErrors.NoCredential)
            : (CallOutcome.Broken, "reset", OpenAiErrors.UpstreamFailed);
        Settle(outcome, isFree || status == 0 ? Money.Zero : null, code);
        return error;
    }

    public void Dispose()
    {
        Settle(CallOutcome.Broken, null, "invalid_response");
        attempt.Dispose();
        lease.Dispose();
        Deadline.Dispose();
    }

    private void Settle(CallOutcome outcome, Money? cost, string? error)
    {
        if (isSettled)
        {
            return;
        }
        isSettled = true;
        var result = new AttemptResult { Outcome = outcome, Source = UsageSource.None, Status = status, Cost = cost, Error = error };
        attempt.Settle(result);
        ModelTelemetry.End(Activity, Target, result, Stopwatch.GetElapsedTime(started));
    }

    private void Charge(PassthroughUsage usage, in TokenUsage figures)
    {
        var model = usage.Model ?? PassthroughFamily.Name;
        var price = Request.Snapshot.Prices.Find(Target.Provider.Id, model);
        var start = Target.Start with { Name = model, PriceVersion = price?.Version };
        if (lease.TryBeginAttempt(start, AdmissionAsk.Free, out var other) is null)
        {
            using (other)
            {
                other!.Settle(new AttemptResult { Outcome = CallOutcome.Succeeded, Source = UsageSource.Reported, Status = status, Usage = figures, Cost = price?.TryCostOf(figures, usage.ServiceTier) });
            }
        }
    }

    private static BadHttpRequestException? TooLarge(Exception? exception) => exception switch
    {
        null => null,
        BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } bad => bad,
        _ => TooLarge(exception.InnerException),
    };
}
