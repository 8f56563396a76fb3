using System.Diagnostics;
using LlmProxy.Errors;
using LlmProxy.Relay;
using LlmProxy.Routing;
using LlmProxy.Telemetry;
using Microsoft.AspNetCore.Http;
using Polly;
using Polly.CircuitBreaker;
using Shared.Admission;
using Shared.Egress;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Storage;
using Shared.Stored;

namespace LlmProxy.Media;

/// <summary>
/// One call of a provider's endpoint about what lives there (files, batches): counted by the caller's limits, traced, and in the ledger. It goes to one provider; what only looks
/// is asked again as chats are, all else is tried once, as it cannot be done twice. Settles its lease exactly once.
/// </summary>
internal sealed class ProviderCall : IDisposable
{
    private const int MaxAnswerBytes = 64 * 1024 * 1024;

    private readonly BodyMemory memory;
    private readonly ProviderPipelines pipelines;
    private readonly RequestLease lease;
    private readonly AttemptLease attempt;
    private readonly Activity? activity;
    private readonly long started = Stopwatch.GetTimestamp();
    private HttpResponseMessage? response;
    private PooledBody? body;
    private bool isSettled;

    private ProviderCall(HttpContext context, TargetPlan target, RequestLease lease, AttemptLease attempt, Deadline deadline, BodyMemory memory, ProviderPipelines pipelines)
    {
        (Context, Request, Target, this.lease, this.attempt, Deadline, this.memory, this.pipelines) = (context, GatewayRequest.Of(context), target, lease, attempt, deadline, memory, pipelines);
        activity = ModelTelemetry.Start(Request, target, stream: false);
    }

    public HttpContext Context { get; }

    public GatewayRequest Request { get; }

    public TargetPlan Target { get; }

    public Deadline Deadline { get; }

    /// <summary>The upstream's status; 0: none came yet.</summary>
    public int Status => response is null ? 0 : (int)response.StatusCode;

    /// <summary>Whether the upstream did what it was asked.</summary>
    public bool IsSuccess => Status is >= 200 and < 300;

    /// <summary>Whether a budget holds money for it.</summary>
    public bool IsReserved => attempt.Reserved != Money.MaxValue;

    /// <summary>Begins a call, or says why not.</summary>
    public static GatewayError? TryBegin(
        HttpContext context, TargetPlan target, in AdmissionAsk ask, AdmissionController admission, DeadlinePool deadlines, BodyMemory memory, ProviderPipelines pipelines, out ProviderCall? call)
    {
        call = null;
        if (admission.TryAdmit(GatewayRequest.Of(context), ask, out var lease) is { } refusal)
        {
            return GatewayError.From(refusal);
        }
        if (lease!.TryBeginAttempt(target.Start, ask, out var attempt) is { } refused)
        {
            lease.Dispose();
            return GatewayError.From(refused);
        }
        call = new ProviderCall(context, target, lease, attempt!, deadlines.Rent(context.RequestAborted), memory, pipelines);
        return null;
    }

    /// <summary>Sends the request, and waits for the answer's headers. Null: they are there, whatever they say.</summary>
    /// <param name="method">Its method.</param>
    /// <param name="path">What follows the endpoint's address.</param>
    /// <param name="content">Its body; null: none.</param>
    /// <param name="query">Its query, beside the address's own; "": none.</param>
    public async ValueTask<GatewayError?> SendAsync(HttpMethod method, string path, HttpContent? content = null, string query = "")
    {
        try
        {
            response?.Dispose();
            response = null;
            response = await RequestAsync(method, path, content, query);
            return null;
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException or BadHttpRequestException or BrokenCircuitException)
        {
            return Fail(exception);
        }
    }

    /// <summary>Asks for something beside, under the same lease. Throws as an HTTP client does, and where the provider is left alone for a while.</summary>
    /// <exception cref="BrokenCircuitException">The provider failed too often.</exception>
    public async Task<HttpResponseMessage> RequestAsync(HttpMethod method, string path, HttpContent? content = null, string query = "")
    {
        var context = ResilienceContextPool.Shared.Get(Context.RequestAborted);
        try
        {
            var outcome = await pipelines.For(Target, canRepeat: method == HttpMethod.Get).ExecuteOutcomeAsync(
                static (_, state) => state.call.TryAsync(state.method, state.path, state.content, state.query), context, (call: this, method, path, content, query));
            outcome.ThrowIfException();
            return outcome.Result!;
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    private async ValueTask<Outcome<HttpResponseMessage>> TryAsync(HttpMethod method, string path, HttpContent? content, string query)
    {
        try
        {
            return Outcome.FromResult(await RequestOnceAsync(method, path, content, query));
        }
        catch (OperationCanceledException exception) when (Deadline.HasPassed)
        {
            return Outcome.FromException<HttpResponseMessage>(new HttpRequestException("The provider was silent for too long.", new TimeoutException(null, exception)));
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            return Outcome.FromException<HttpResponseMessage>(exception);
        }
    }

    private async Task<HttpResponseMessage> RequestOnceAsync(HttpMethod method, string path, HttpContent? content, string query)
    {
        var address = new UriBuilder(Target.Address) { Path = Target.Address.AbsolutePath + path };
        address.Query = string.Join('&', ((ReadOnlySpan<string>)[address.Query, query]).ToArray().Select(part => part.TrimStart('?')).Where(part => part.Length > 0));
        using var request = new HttpRequestMessage(method, address.Uri) { Content = content };
        UpstreamHeaders.Add(request, Target, Context, Request, activity);
        Deadline.Set(Target.Provider.HeaderTimeout);
        var since = Stopwatch.GetTimestamp();
        try
        {
            if (Target.Authorizer is { } authorizer)
            {
                await authorizer.AuthorizeAsync(request, Deadline.Token);
            }
            return await Target.Client.SendAsync(request, Deadline.Token);
        }
        finally
        {
            Request.CountUpstream(since);
        }
    }

    /// <summary>Reads the answer's whole body. Null, with the call settled as failed: it cannot be read.</summary>
    public async ValueTask<PooledBody?> ReadAsync()
    {
        try
        {
            body?.Dispose();
            return body = await ReadAsync(response!);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            Fail(exception);
            return null;
        }
    }

    /// <summary>Reads another answer's whole body; null: it is too large. Throws as an HTTP client does.</summary>
    public async ValueTask<PooledBody?> ReadAsync(HttpResponseMessage answer)
    {
        Deadline.Set(Target.Provider.StallTimeout);
        var since = Stopwatch.GetTimestamp();
        try
        {
            var (read, _) = await PooledBody.ReadAsync(
                await answer.Content.ReadAsStreamAsync(Deadline.Token), answer.Content.Headers.ContentLength, memory, MaxAnswerBytes, Deadline.Token);
            return read;
        }
        finally
        {
            Request.CountUpstream(since);
            Deadline.Clear();
        }
    }

    /// <summary>Relays the answer with its body, which was read.</summary>
    public async Task WriteAsync(PooledBody read)
    {
        Describe();
        Context.Response.ContentLength = read.Bytes.Length;
        await Context.Response.BodyWriter.WriteAsync(read.Bytes, Context.RequestAborted);
    }

    /// <summary>Relays the answer's body as it arrives, and settles the call.</summary>
    public async Task CopyAsync()
    {
        using var bytes = new ByteStream(await response!.Content.ReadAsStreamAsync(Deadline.Token));
        Describe();
        Context.Response.ContentLength = response.Content.Headers.ContentLength;
        try
        {
            while (await bytes.ReadAsync(Deadline, Target.Provider.StallTimeout, Request))
            {
                if (!await bytes.SendAsync(Context.Response.BodyWriter, Context.RequestAborted))
                {
                    Settle(CallOutcome.Cancelled, UsageSource.None, Money.Zero, "cancelled");
                    return;
                }
            }
            Settle(CallOutcome.Succeeded, UsageSource.None, Money.Zero);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            Fail(exception);
            Context.Abort(); // the only sign that bytes can give of their being cut short
        }
    }

    /// <summary>Relays the upstream's error as it came, and settles the call as free.</summary>
    public async Task WriteErrorAsync()
    {
        if (await ReadAsync() is not { } read)
        {
            await OpenAiErrorFormat.Instance.WriteAsync(Context, OpenAiErrors.UpstreamFailed);
            return;
        }
        Settle(CallOutcome.Failed, UsageSource.None, Money.Zero, "upstream_error");
        if (Status >= 400)
        {
            await WriteAsync(read);
        }
        else
        {
            await OpenAiErrorFormat.Instance.WriteAsync(Context, OpenAiErrors.UpstreamFailed); // a redirect, or worse
        }
    }

    /// <summary>Charges the call.</summary>
    public void Settle(CallOutcome outcome, UsageSource source, Money? cost, string? error = null)
    {
        if (isSettled)
        {
            return;
        }
        isSettled = true;
        var result = new AttemptResult { Outcome = outcome, Source = source, Status = Status, Cost = cost, Error = error };
        attempt.Settle(result);
        ModelTelemetry.End(activity, Target, result, Stopwatch.GetElapsedTime(started));
    }

    /// <summary>Charges what the provider did after the call that made an object of its, in a row of its own: once, and without what was charged when it was made.</summary>
    /// <param name="objects">Knows what has been charged.</param>
    /// <param name="made">What the provider did it for.</param>
    /// <param name="model">The model, as prices name it.</param>
    /// <param name="requested">What the row says was asked for.</param>
    /// <param name="usage">What was used.</param>
    /// <param name="serviceTier">The tier that served it; null: the usual one.</param>
    /// <exception cref="StorageException">It cannot be noted that it was charged.</exception>
    public void ChargeOnce(ProviderObjects objects, ProviderObject made, string model, string requested, in TokenUsage usage, string? serviceTier)
    {
        if (made.IsBilled)
        {
            return;
        }
        var price = Request.Snapshot.Prices.Find(made.Provider, model);
        var start = new AttemptStart { Kind = CallKind.Model, Upstream = made.Provider, Name = model, RequestedName = requested, PriceVersion = price?.Version };
        if (lease.TryBeginAttempt(start, AdmissionAsk.Free, out var other) is not null)
        {
            return; // a limit of the model's stands against it now: it is charged when somebody looks again
        }
        using (other)
        {
            other!.Settle(objects.TryBill(made)
                ? new AttemptResult { Outcome = CallOutcome.Succeeded, Source = UsageSource.Reported, Status = Status, Usage = usage, Cost = price?.TryCostOf(usage, serviceTier) is { } cost ? Money.Max(Money.Zero, cost - made.Charged) : null }
                : new AttemptResult { Outcome = CallOutcome.Succeeded, Source = UsageSource.None, Status = Status, Cost = Money.Zero });
        }
    }

    /// <summary>Settles the call by what broke it, and says so.</summary>
    public GatewayError Fail(Exception exception)
    {
        var failure = Failures.Of(exception, Context.RequestAborted, Deadline, nothingWasSent: false);
        Settle(failure == AttemptFailure.Cancelled ? CallOutcome.Cancelled : CallOutcome.Broken, UsageSource.None, Money.Zero, failure switch
        {
            AttemptFailure.Cancelled => "cancelled",
            AttemptFailure.Timeout => "timeout",
            AttemptFailure.RefusedByPolicy => EgressRefusedException.Code,
            AttemptFailure.InvalidResponse => "invalid_response",
            AttemptFailure.NoCredential => "no_credential",
            _ when exception is BrokenCircuitException => "cooling_down",
            _ => "reset",
        });
        return failure switch
        {
            _ when exception is BrokenCircuitException open => OpenAiErrors.CoolingDown(open.RetryAfter ?? TimeSpan.FromSeconds(1)),
            AttemptFailure.Timeout => OpenAiErrors.UpstreamTimeout,
            AttemptFailure.RefusedByPolicy => OpenAiErrors.UpstreamRefusedByPolicy,
            AttemptFailure.NoCredential => OpenAiErrors.NoCredential,
            _ when IsTooLarge(exception) => FilesRelay.TooLarge(Request),
            _ => OpenAiErrors.UpstreamFailed,
        };
    }

    public void Dispose()
    {
        Settle(CallOutcome.Broken, UsageSource.None, Money.Zero, "invalid_response");
        attempt.Dispose();
        lease.Dispose();
        body?.Dispose();
        response?.Dispose();
        Deadline.Dispose();
    }

    private static bool IsTooLarge(Exception? exception) =>
        exception is BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } || (exception is not null && IsTooLarge(exception.InnerException));

    private void Describe()
    {
        var headers = Context.Response.Headers;
        Context.Response.StatusCode = Status;
        var limitsAreOurs = lease.RequestRate is not null || lease.TokenRate is not null;
        foreach (var header in response!.Headers.NonValidated)
        {
            if (ResponseHeaders.NameFor(header.Key, limitsAreOurs) is { } name && header.Value.ToString() is var value && ResponseHeaders.IsPlain(value))
            {
                headers[name] = value;
            }
        }
        foreach (var name in (ReadOnlySpan<string>)["Content-Type", "Content-Disposition"])
        {
            if (response.Content.Headers.NonValidated.TryGetValues(name, out var values) && values.ToString() is var value && ResponseHeaders.IsPlain(value))
            {
                headers[name] = value;
            }
        }
        headers["x-gateway-provider"] = Target.ProviderHeader;
        LimitHeaders.Add(headers, lease);
    }
}

/// <summary>Retries and breakers of calls about what lives at a provider.</summary>
internal sealed class ProviderPipelines(TimeProvider clock)
{
    private readonly Pipelines<HttpResponseMessage> pipelines = new(clock, new Verdict<HttpResponseMessage>(
        static outcome => outcome.Exception is HttpRequestException exception ? exception.InnerException is not TimeoutException && !EgressRefusedException.Causes(exception)
            : outcome.Result is { StatusCode: var status } && (int)status is 408 or 429 or >= 500,
        static outcome => outcome.Exception is HttpRequestException exception ? !EgressRefusedException.Causes(exception) : outcome.Result is { StatusCode: >= System.Net.HttpStatusCode.InternalServerError },
        outcome => outcome.Result is { } response ? RetryAfter.Of(response.Headers, clock.GetUtcNow()) : null));

    /// <summary>The one for a provider's endpoint.</summary>
    public ResiliencePipeline<HttpResponseMessage> For(TargetPlan target, bool canRepeat) => pipelines.For(target.Provider, "", target.Family.Id, canRepeat ? target.Provider.MaxRetries : 0);
}
