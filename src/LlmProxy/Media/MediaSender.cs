using System.Diagnostics;
using LlmProxy.Errors;
using LlmProxy.Providers;
using LlmProxy.Relay;
using LlmProxy.Routing;
using LlmProxy.Telemetry;
using Microsoft.Extensions.Logging;
using Polly;
using Polly.CircuitBreaker;
using Shared.Egress;
using Shared.Http;

namespace LlmProxy.Media;

/// <summary>Asks a route's targets in their order, each as often as its retries allow, until there is an answer: a complete body, or the first of a stream.</summary>
internal sealed class MediaSender(DeadlinePool deadlines, BodyMemory memory, TimeProvider clock, ILogger<MediaSender> logger)
{
    /// <summary>The largest JSON answer, in bytes: several pictures.</summary>
    private const int MaxAnswerBytes = 256 * 1024 * 1024;

    private const int MaxErrorBytes = 1024 * 1024;

    /// <summary>The first answer, or null: the call then says what went wrong, unless its client has left.</summary>
    public async ValueTask<MediaAttempt?> SendAsync(MediaCall call)
    {
        foreach (var target in call.Targets)
        {
            call.Target = target.Plan;
            var outcome = await AskAsync(call, target);
            if (outcome.Exception is BrokenCircuitException open)
            {
                call.Note(OpenAiErrors.CoolingDown(open.RetryAfter ?? TimeSpan.FromSeconds(1)), skipped: true);
                logger.FallingBack(call.Request.RequestId, target.Plan.Provider.Id, target.Plan.Model, call.Entry.Name, "cooling down");
                continue;
            }
            if (outcome.Exception is OperationCanceledException && call.Aborted.IsCancellationRequested)
            {
                return null; // the client left while a retry was waited for
            }
            outcome.ThrowIfException();
            var attempt = outcome.Result!;
            if (attempt.Failure == AttemptFailure.None)
            {
                return attempt;
            }
            if (attempt.Failure == AttemptFailure.Cancelled)
            {
                logger.ClientLeft(call.Request.RequestId, target.Plan.Provider.Id, target.Plan.Model);
                return null;
            }
            call.Note(attempt.ToError(), skipped: attempt.Failure == AttemptFailure.Refused);
            if (!attempt.CanFallBack)
            {
                return null;
            }
            logger.FallingBack(call.Request.RequestId, target.Plan.Provider.Id, target.Plan.Model, call.Entry.Name, attempt.Reason);
        }
        return null;
    }

    private async ValueTask<Outcome<MediaAttempt>> AskAsync(MediaCall call, MediaTarget target)
    {
        var context = ResilienceContextPool.Shared.Get(call.Aborted);
        try
        {
            return await target.Pipeline.ExecuteOutcomeAsync(static async (_, state) => Outcome.FromResult(await state.sender.TryAsync(state.call)), context, (sender: this, call));
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    private async ValueTask<MediaAttempt> TryAsync(MediaCall call)
    {
        var target = call.Target;
        if (call.FailedAt != 0)
        {
            call.Request.CountUpstream(call.FailedAt);
        }
        if (call.Lease.TryBeginAttempt(target.Start, MediaBound.AskFor(call, target.Price, out var isBounded), out var lease) is { } refusal)
        {
            return MediaAttempt.Refused(call, refusal, logger);
        }
        call.Attempts++;
        var attempt = new MediaAttempt(call, lease!, isBounded, deadlines.Rent(call.Aborted), ModelTelemetry.Start(call.Request, target, call.Fields.Stream), logger);
        try
        {
            await SendAsync(call, attempt);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            Break(call, attempt, exception);
        }
        catch
        {
            await attempt.StopSendingAsync();
            attempt.Dispose();
            throw;
        }
        if (attempt.Failure != AttemptFailure.None)
        {
            await attempt.StopSendingAsync();
            attempt.Dispose();
            call.FailedAt = Stopwatch.GetTimestamp();
        }
        return attempt;
    }

    private async ValueTask SendAsync(MediaCall call, MediaAttempt attempt)
    {
        using var request = NewRequest(call, attempt);
        attempt.Deadline!.Set(attempt.Target.Provider.HeaderTimeout);
        var since = Stopwatch.GetTimestamp();
        HttpResponseMessage response;
        try
        {
            if (attempt.Target.Authorizer is { } authorizer)
            {
                await authorizer.AuthorizeAsync(request, attempt.Deadline.Token);
            }
            response = await attempt.Target.Client.SendAsync(request, attempt.Deadline.Token);
        }
        finally
        {
            call.Request.CountUpstream(since);
        }
        attempt.Response = response;
        attempt.Status = (int)response.StatusCode;
        var type = TypeOf(response);
        if (attempt.Status >= 400)
        {
            await TakeErrorAsync(call, attempt, type);
        }
        else if (attempt.Status is < 200 or >= 300 || IsCompressed(response.Content))
        {
            attempt.Fail(AttemptFailure.InvalidResponse, isFree: attempt.Status >= 300);
        }
        else if (IsOf(type, "text/event-stream"))
        {
            await OpenStreamAsync(call, attempt);
        }
        else if (IsOf(type, "application/json") || !call.Endpoint.AnswersBytes)
        {
            await TakeBodyAsync(call, attempt);
        }
        else if (IsOf(type, "text/html"))
        {
            attempt.Fail(AttemptFailure.InvalidResponse, isFree: false);
        }
        else
        {
            attempt.Bytes = new ByteStream(await response.Content.ReadAsStreamAsync(attempt.Deadline.Token));
            if (!await attempt.Bytes.ReadAsync(attempt.Deadline, attempt.Target.Provider.StallTimeout, call.Request) && !IsOf(type, "text/plain"))
            {
                attempt.Fail(AttemptFailure.InvalidResponse, isFree: false); // no sound at all; an empty text is one of silence
            }
        }
    }

    private static HttpRequestMessage NewRequest(MediaCall call, MediaAttempt attempt)
    {
        var target = attempt.Target;
        var model = target.Model == call.Fields.ModelName ? null : call.Fields.IsForm ? System.Text.Encoding.UTF8.GetBytes(target.Model) : target.ModelJson;
        if (call.Form is { } form)
        {
            attempt.Content = new FormContent(form, model, attempt.Deadline!, target.Provider.HeaderTimeout);
        }
        else
        {
            var edits = new EditList();
            if (model is not null)
            {
                edits.Add(call.Fields.Model.Offset, call.Fields.Model.Length, model);
            }
            attempt.Content = new SplicedContent(call.Body!.Bytes, edits);
            if (call.Fields.IsForm)
            {
                attempt.Content.Headers.Remove("Content-Type");
                attempt.Content.Headers.TryAddWithoutValidation("Content-Type", call.Context.Request.ContentType);
            }
        }
        var request = new HttpRequestMessage(HttpMethod.Post, target.Address) { Content = attempt.Content };
        UpstreamHeaders.Add(request, target, call.Context, call.Request, attempt.Activity);
        return request;
    }

    private async ValueTask TakeErrorAsync(MediaCall call, MediaAttempt attempt, string type)
    {
        var response = attempt.Response!;
        attempt.RetryAfter = RetryAfter.Of(response.Headers, clock.GetUtcNow());
        var (body, _) = await ReadBodyAsync(call, attempt, MaxErrorBytes);
        if (body is null)
        {
            attempt.Fail(AttemptFailure.InvalidResponse, isFree: true);
            return;
        }
        var error = new UpstreamError(attempt.Target, attempt.Status, type.Length == 0 ? null : type, body.Bytes, body);
        error.Keep(response);
        call.Note(error);
        attempt.Fail(AttemptFailure.HttpError, isFree: true);
    }

    private async ValueTask TakeBodyAsync(MediaCall call, MediaAttempt attempt)
    {
        var (body, error) = await ReadBodyAsync(call, attempt, MaxAnswerBytes);
        if (body is null)
        {
            attempt.Fail(error == GatewayError.BodyMemoryExhausted ? AttemptFailure.OutOfMemory : AttemptFailure.InvalidResponse, isFree: false);
            return;
        }
        attempt.Body = body;
        if (!MediaUsage.TryRead(body.Bytes.Span, call.Endpoint, attempt.Target.Model, out var facts))
        {
            attempt.Fail(AttemptFailure.InvalidResponse, isFree: false);
        }
        else if (facts.IsError)
        {
            // Some providers answer 200 and mean 502.
            call.Note(new UpstreamError(attempt.Target, 502, "application/json", body.Bytes, body));
            attempt.Body = null;
            attempt.Fail(AttemptFailure.InvalidResponse, isFree: false, facts.Usage);
        }
        else
        {
            attempt.Succeed(facts.Usage, facts.Model, facts.Items);
        }
    }

    private async ValueTask<(PooledBody? Body, GatewayError? Error)> ReadBodyAsync(MediaCall call, MediaAttempt attempt, int maxBytes)
    {
        var content = attempt.Response!.Content;
        var length = content.Headers.ContentLength;
        if (length > maxBytes)
        {
            return (null, null);
        }
        attempt.Deadline!.Set(attempt.Target.Provider.StallTimeout);
        var since = Stopwatch.GetTimestamp();
        try
        {
            return await PooledBody.ReadAsync(await content.ReadAsStreamAsync(attempt.Deadline.Token), length, memory, maxBytes, attempt.Deadline.Token);
        }
        finally
        {
            call.Request.CountUpstream(since);
            attempt.Deadline.Clear();
        }
    }

    private async ValueTask OpenStreamAsync(MediaCall call, MediaAttempt attempt)
    {
        var provider = attempt.Target.Provider;
        var source = await attempt.Response!.Content.ReadAsStreamAsync(attempt.Deadline!.Token);
        var stream = attempt.Stream = new RelayedStream(source, memory, new SseFramer(), new MediaStreamWatch(call.Endpoint, attempt.Target.Model), dropUsage: false, expectsUsage: false);
        var status = await stream.OpenAsync(attempt.Deadline, provider.StallTimeout, call.Request);
        if (status is StreamStatus.Open or StreamStatus.Completed)
        {
            attempt.StreamStatus = status;
            return;
        }
        if (status == StreamStatus.Failed && stream.ErrorData.Span.TrimStart(" \t\r\n"u8) is [(byte)'{', ..])
        {
            call.Note(new UpstreamError(attempt.Target, 502, "application/json", stream.ErrorData, null));
        }
        attempt.Fail(status == StreamStatus.OutOfMemory ? AttemptFailure.OutOfMemory : AttemptFailure.InvalidResponse, isFree: false, stream.Watch.Usage);
    }

    /// <summary>Tells from an exception why an attempt broke. An attempt of which nothing was sent has cost nothing.</summary>
    private static void Break(MediaCall call, MediaAttempt attempt, Exception exception)
    {
        var nothingWasSent = !attempt.HasStarted;
        var failure = call.Form is { Refusal: not null } ? AttemptFailure.BadRequest
            : call.Form is { IsClientGone: true } ? AttemptFailure.Cancelled
            : Failures.Of(exception, call.Aborted, attempt.Deadline!, nothingWasSent);
        // Nobody can work on a form whose end has not come.
        attempt.Fail(failure, isFree: nothingWasSent || call.Form is { IsWhole: false }, attempt.Stream?.Watch.Usage);
    }

    private static string TypeOf(HttpResponseMessage response) => response.Content.Headers.NonValidated.TryGetValues("Content-Type", out var values) ? values.ToString() : "";

    private static bool IsOf(string type, string expected) => type.StartsWith(expected, StringComparison.OrdinalIgnoreCase);

    private static bool IsCompressed(HttpContent content) =>
        content.Headers.NonValidated.TryGetValues("Content-Encoding", out var encoding) && !encoding.ToString().Equals("identity", StringComparison.OrdinalIgnoreCase);
}

/// <summary>Tells from exceptions what happened.</summary>
internal static class Failures
{
    /// <summary>Why an attempt broke.</summary>
    public static AttemptFailure Of(Exception exception, CancellationToken client, Deadline deadline, bool nothingWasSent) =>
        client.IsCancellationRequested ? AttemptFailure.Cancelled
        : deadline.HasPassed ? AttemptFailure.Timeout
        : EgressRefusedException.Causes(exception) ? AttemptFailure.RefusedByPolicy
        : exception is CredentialException ? AttemptFailure.NoCredential
        : nothingWasSent ? AttemptFailure.Connect
        : exception is HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse or HttpRequestError.ConfigurationLimitExceeded } ? AttemptFailure.InvalidResponse
        : AttemptFailure.Reset;
}
