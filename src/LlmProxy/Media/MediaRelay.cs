using System.Buffers;
using System.Globalization;
using LlmProxy.Errors;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Shared.Admission;
using Shared.Http;

namespace LlmProxy.Media;

/// <summary>
/// Relays calls for rankings, pictures and audio: the body is held once, in pooled memory, so that another target can be asked with it, and goes up as it came save for the
/// model's name; the answer comes back as it is. A large form goes up while it still comes in.
/// </summary>
internal sealed class MediaRelay(AdmissionController admission, MediaSender sender, MediaTargets targets, BodyMemory memory, ILogger<MediaRelay> logger)
{
    private static readonly GatewayError Truncated = new(502, "upstream_stream_broken", "The model's provider broke the stream off before the answer was complete.") { Retryable = true };

    private static readonly GatewayError Stalled = new(504, "upstream_timeout", "The model's provider fell silent before the answer was complete.") { Retryable = true };

    private static readonly GatewayError NotAForm = new(415, "unsupported_media_type", "This endpoint takes JSON ('application/json'), not a form.");

    /// <summary>Answers a request to an endpoint.</summary>
    public RequestDelegate For(MediaEndpoint endpoint) => context => AnswerAsync(context, endpoint);

    private async Task AnswerAsync(HttpContext context, MediaEndpoint endpoint)
    {
        var request = GatewayRequest.Of(context);
        if (endpoint.TakesForms && FormBody.IsFor(context.Request))
        {
            await AnswerFormAsync(context, endpoint, request);
            return;
        }
        var (body, error) = await PooledBody.ReadAsync(context, memory, request.Snapshot.Settings.MaxBodyBytes);
        if (body is null)
        {
            await OpenAiErrorFormat.Instance.WriteAsync(context, error!);
            return;
        }
        using (body)
        {
            MediaCall? call = null;
            error = Read(context, endpoint, body, out var fields) ?? Prepare(context, endpoint, request, fields!, body, null, out call);
            await RelayOrRefuseAsync(context, call, error);
        }
    }

    /// <summary>A form that is too large to wait for its end: what routes it has come, and the rest follows while it is sent.</summary>
    private async Task AnswerFormAsync(HttpContext context, MediaEndpoint endpoint, GatewayRequest request)
    {
        var (form, error) = await FormBody.OpenAsync(context, endpoint, memory, whole: AdmissionController.NeedsBound(request));
        if (form is null)
        {
            await OpenAiErrorFormat.Instance.WriteAsync(context, error!);
            return;
        }
        await using (form)
        {
            error = Prepare(context, endpoint, request, form.Fields, null, form, out var call);
            if (call is not null && Array.Exists(call.Targets, target => target.Plan.Authorizer is { NeedsContent: true }) && await form.HoldAsync(context.RequestAborted) is { } refusal)
            {
                call.Dispose();
                (call, error) = (null, refusal);
            }
            await RelayOrRefuseAsync(context, call, error);
        }
    }

    private async Task RelayOrRefuseAsync(HttpContext context, MediaCall? call, GatewayError? error)
    {
        if (call is null)
        {
            await OpenAiErrorFormat.Instance.WriteAsync(context, error!);
            return;
        }
        using (call)
        {
            try
            {
                await RelayAsync(call);
            }
            catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
            {
                context.Abort(); // the attempt is settled, and nobody is there to be told
            }
        }
    }

    private static GatewayError? Read(HttpContext context, MediaEndpoint endpoint, PooledBody body, out MediaFields? fields)
    {
        fields = null;
        var isForm = FormFields.IsForm(context.Request.ContentType);
        if (isForm && !endpoint.TakesForms)
        {
            return NotAForm;
        }
        return isForm
            ? FormFields.Read(body.Bytes.Span, context.Request.ContentType!, endpoint, out fields)
            : JsonFields.Read(body.Bytes.Span, endpoint, out fields);
    }

    private GatewayError? Prepare(HttpContext context, MediaEndpoint endpoint, GatewayRequest request, MediaFields fields, PooledBody? body, FormBody? form, out MediaCall? call)
    {
        call = null;
        if (request.Snapshot.Part<RouteTable>().Find(fields.ModelName, endpoint.Family) is not { } entry || !ModelEndpoint.IsGranted(request.Key!, entry.Name))
        {
            return OpenAiErrors.ModelNotFound(fields.ModelName);
        }
        var found = targets.For(entry, endpoint);
        if (found.Length == 0)
        {
            return OpenAiErrors.EndpointNotSupported(endpoint.Family, entry);
        }
        call = new MediaCall(context, request, endpoint, entry, found, fields) { Body = body, Form = form };
        return null;
    }

    private async Task RelayAsync(MediaCall call)
    {
        if (admission.TryAdmit(call.Request, MediaBound.AskFor(call, call.Target.Price, out _), out var lease) is { } refusal)
        {
            await OpenAiErrorFormat.Instance.WriteAsync(call.Context, GatewayError.From(refusal));
            return;
        }
        call.Lease = lease!;
        using var attempt = await sender.SendAsync(call);
        if (attempt is not null)
        {
            try
            {
                await WriteAsync(call, attempt);
            }
            finally
            {
                await attempt.StopSendingAsync(); // an answer may come before all was sent
            }
        }
        else if (!call.Aborted.IsCancellationRequested)
        {
            await WriteFailureAsync(call);
        }
    }

    private async Task WriteAsync(MediaCall call, MediaAttempt attempt)
    {
        var response = call.Context.Response;
        var content = attempt.Response!.Content;
        response.StatusCode = attempt.Status;
        Relay(call, attempt.Response);
        Describe(call);
        response.Headers["x-gateway-provider"] = attempt.Target.ProviderHeader;
        response.Headers["x-gateway-model"] = attempt.Target.ModelHeader;
        foreach (var name in (ReadOnlySpan<string>)["Content-Type", "Content-Disposition"])
        {
            if (content.Headers.NonValidated.TryGetValues(name, out var values) && values.ToString() is var value && ResponseHeaders.IsPlain(value))
            {
                response.Headers[name] = value;
            }
        }
        if (attempt.Body is { } body)
        {
            response.ContentLength = body.Bytes.Length;
            await response.BodyWriter.WriteAsync(body.Bytes, call.Aborted);
        }
        else if (attempt.Bytes is { } bytes)
        {
            response.ContentLength = content.Headers.ContentLength;
            await CopyAsync(call, attempt, bytes);
        }
        else
        {
            response.Headers.CacheControl = "no-cache";
            response.Headers["x-accel-buffering"] = "no";
            await CopyAsync(call, attempt, attempt.Stream!);
        }
    }

    private async Task CopyAsync(MediaCall call, MediaAttempt attempt, ByteStream bytes)
    {
        var client = call.Context.Response.BodyWriter;
        var failure = AttemptFailure.None;
        var hasMore = bytes.Received > 0;
        try
        {
            while (hasMore)
            {
                if (!await bytes.SendAsync(client, call.Aborted))
                {
                    failure = AttemptFailure.Cancelled;
                    break;
                }
                hasMore = await bytes.ReadAsync(attempt.Deadline!, attempt.Target.Provider.StallTimeout, call.Request);
            }
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            failure = Failures.Of(exception, call.Aborted, attempt.Deadline!, nothingWasSent: false);
        }
        if (failure == AttemptFailure.None)
        {
            attempt.Succeed(null, null);
            return;
        }
        attempt.Fail(failure, isFree: false);
        Report(call, attempt, failure);
        call.Context.Abort(); // the only sign that bytes can give of their being cut short
    }

    private async Task CopyAsync(MediaCall call, MediaAttempt attempt, RelayedStream stream)
    {
        var client = call.Context.Response.BodyWriter;
        var status = attempt.StreamStatus;
        var failure = AttemptFailure.None;
        try
        {
            while (true)
            {
                if (status == StreamStatus.Completed)
                {
                    // Settled before the end of the stream leaves: whoever sees it finds the budget as it now is.
                    attempt.Succeed(stream.Watch.Usage, stream.Watch.Model, ((MediaStreamWatch)stream.Watch).Completed);
                }
                if (stream.HasReady && !await stream.SendAsync(client, call.Aborted))
                {
                    failure = AttemptFailure.Cancelled;
                    break;
                }
                if (status != StreamStatus.Open)
                {
                    break;
                }
                status = await stream.ReadAsync(attempt.Deadline!, attempt.Target.Provider.StallTimeout, call.Request);
            }
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            failure = Failures.Of(exception, call.Aborted, attempt.Deadline!, nothingWasSent: false);
        }
        if (status == StreamStatus.Completed)
        {
            return; // a connection whose end has not come yet is only lost for reuse
        }
        if (failure == AttemptFailure.None)
        {
            failure = status switch
            {
                StreamStatus.OutOfMemory => AttemptFailure.OutOfMemory,
                StreamStatus.Truncated => AttemptFailure.Reset,
                _ => AttemptFailure.InvalidResponse,
            };
        }
        attempt.Fail(failure, isFree: false, stream.Watch.Usage);
        Report(call, attempt, failure);
        if (failure != AttemptFailure.Cancelled && status != StreamStatus.Failed)
        {
            await WriteErrorEventAsync(call, failure == AttemptFailure.Timeout ? Stalled : Truncated);
        }
    }

    private void Report(MediaCall call, MediaAttempt attempt, AttemptFailure failure)
    {
        if (failure == AttemptFailure.Cancelled)
        {
            logger.ClientLeft(call.Request.RequestId, attempt.Target.Provider.Id, attempt.Target.Model);
        }
        else
        {
            logger.StreamBroke(call.Request.RequestId, attempt.Target.Provider.Id, attempt.Target.Model, attempt.Reason);
        }
    }

    private static async Task WriteFailureAsync(MediaCall call)
    {
        Describe(call);
        if (call.HttpError is { } upstream && call.Form?.Refusal is null)
        {
            call.Context.Response.Headers["x-gateway-provider"] = upstream.Target.ProviderHeader;
            call.Context.Response.Headers["x-gateway-model"] = upstream.Target.ModelHeader;
            await upstream.WriteAsync(call.Context.Response, call.Aborted);
        }
        else
        {
            await OpenAiErrorFormat.Instance.WriteAsync(call.Context, call.Error ?? OpenAiErrors.UpstreamFailed);
        }
    }

    private static async Task WriteErrorEventAsync(MediaCall call, GatewayError error)
    {
        var output = new ArrayBufferWriter<byte>(256);
        output.Write("event: error\ndata: "u8);
        OpenAiErrorFormat.WriteJson(output, error);
        output.Write("\n\n"u8);
        await call.Context.Response.BodyWriter.WriteAsync(output.WrittenMemory, call.Aborted);
    }

    private static void Relay(MediaCall call, HttpResponseMessage upstream)
    {
        var limitsAreOurs = call.Lease.RequestRate is not null || call.Lease.TokenRate is not null;
        foreach (var header in upstream.Headers.NonValidated)
        {
            if (ResponseHeaders.NameFor(header.Key, limitsAreOurs) is { } name && header.Value.ToString() is var value && ResponseHeaders.IsPlain(value))
            {
                call.Context.Response.Headers[name] = value;
            }
        }
    }

    private static void Describe(MediaCall call)
    {
        var headers = call.Context.Response.Headers;
        headers["x-gateway-attempts"] = call.Attempts.ToString(CultureInfo.InvariantCulture);
        LimitHeaders.Add(headers, call.Lease);
    }
}

/// <summary>Where the caller's rate limits stand, in OpenAI's headers.</summary>
internal static class LimitHeaders
{
    public static void Add(IHeaderDictionary headers, RequestLease lease)
    {
        Add(headers, lease.RequestRate, "requests");
        Add(headers, lease.TokenRate, "tokens");
    }

    private static void Add(IHeaderDictionary headers, RateStatus? status, string unit)
    {
        if (status is { } known)
        {
            headers["x-ratelimit-limit-" + unit] = known.Limit.ToString(CultureInfo.InvariantCulture);
            headers["x-ratelimit-remaining-" + unit] = known.Remaining.ToString(CultureInfo.InvariantCulture);
            headers["x-ratelimit-reset-" + unit] = ResponseHeaders.Duration(known.Reset);
        }
    }
}
