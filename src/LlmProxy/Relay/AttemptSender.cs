using System.Diagnostics;
using LlmProxy.ChatCompletions;
using LlmProxy.Routing;
using LlmProxy.Telemetry;
using LlmProxy.Usage;
using Microsoft.Extensions.Logging;
using Shared.Egress;
using Shared.Http;

namespace LlmProxy.Relay;

/// <summary>
/// Makes one attempt: takes its lease, sends, and reads until it is certain that there is an answer: a complete body, or a stream's first content.
/// </summary>
internal sealed class AttemptSender(DeadlinePool deadlines, BodyMemory memory, TimeProvider clock, ILogger<AttemptSender> logger)
{
    /// <summary>The largest complete answer, in bytes.</summary>
    private const int MaxAnswerBytes = 64 * 1024 * 1024;

    /// <summary>The largest error answer that is relayed, in bytes.</summary>
    private const int MaxErrorBytes = 1024 * 1024;

    // What of the client's headers goes up. Credentials and account names never do.
    private static readonly string[] Forwarded = ["idempotency-key", "openai-beta"];

    /// <summary>Makes an attempt at the call's current target. What goes wrong is told by the answer; it is settled then.</summary>
    public async ValueTask<UpstreamAnswer> SendAsync(ChatCall call)
    {
        var target = call.Target;
        if (call.FailedAt != 0)
        {
            call.Request.CountUpstream(call.FailedAt);
        }
        if (call.Lease.TryBeginAttempt(target.Start, SpendBound.AskFor(call, target), out var lease) is { } refusal)
        {
            return UpstreamAnswer.Refused(call, refusal, logger);
        }
        call.Attempts++;
        var answer = new UpstreamAnswer(call, lease!, deadlines.Rent(call.Aborted), ModelTelemetry.Start(call.Request, target, call.Fields.Stream), logger);
        try
        {
            answer.OutputLimit = SpendBound.LimitFor(call, target, lease!.Reserved);
            await SendAsync(call, answer);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            Break(call, answer, exception);
        }
        catch
        {
            answer.Dispose();
            throw;
        }
        if (answer.Failure != AttemptFailure.None)
        {
            answer.Dispose();
            call.FailedAt = Stopwatch.GetTimestamp();
        }
        return answer;
    }

    private async ValueTask SendAsync(ChatCall call, UpstreamAnswer answer)
    {
        using var request = NewRequest(call, answer);
        answer.Deadline!.Set(answer.Target.Provider.HeaderTimeout);
        var since = Stopwatch.GetTimestamp();
        HttpResponseMessage response;
        try
        {
            response = await answer.Target.Client.SendAsync(request, answer.Deadline.Token);
        }
        finally
        {
            call.Request.CountUpstream(since);
        }
        answer.Response = response;
        answer.Status = (int)response.StatusCode;
        if (answer.Status >= 400)
        {
            await TakeErrorAsync(call, answer);
        }
        else if (answer.Status is < 200 or >= 300 || IsCompressed(response.Content))
        {
            answer.Fail(AttemptFailure.InvalidResponse, isFree: answer.Status >= 300);
        }
        else if (call.Fields.Stream)
        {
            await OpenStreamAsync(call, answer);
        }
        else
        {
            await TakeBodyAsync(call, answer);
        }
    }

    /// <summary>Whether an answer came compressed although it was asked not to be; nobody here could read its usage.</summary>
    private static bool IsCompressed(HttpContent content) =>
        content.Headers.NonValidated.TryGetValues("Content-Encoding", out var encoding) && !encoding.ToString().Equals("identity", StringComparison.OrdinalIgnoreCase);

    private static HttpRequestMessage NewRequest(ChatCall call, UpstreamAnswer answer)
    {
        var target = answer.Target;
        answer.Content = new SplicedContent(call.Body.Bytes, BodyEdits.For(call, target, answer.OutputLimit));
        var request = new HttpRequestMessage(HttpMethod.Post, target.Address) { Content = answer.Content };
        foreach (var (name, value) in target.Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        foreach (var name in Forwarded)
        {
            if (call.Context.Request.Headers.TryGetValue(name, out var values) && ResponseHeaders.IsPlain(values) && !request.Headers.NonValidated.Contains(name))
            {
                request.Headers.TryAddWithoutValidation(name, (string?)values);
            }
        }
        var activity = answer.Activity ?? Activity.Current;
        request.Headers.TryAddWithoutValidation("traceparent", activity?.Id ?? call.Request.TraceParent);
        if ((activity?.TraceStateString ?? call.Request.TraceState) is { Length: > 0 } state && ResponseHeaders.IsPlain(state))
        {
            request.Headers.TryAddWithoutValidation("tracestate", state);
        }
        return request;
    }

    private async ValueTask TakeErrorAsync(ChatCall call, UpstreamAnswer answer)
    {
        var response = answer.Response!;
        answer.RetryAfter = RetryAfter.Of(response.Headers, clock.GetUtcNow());
        var (body, _) = await ReadBodyAsync(call, answer, MaxErrorBytes);
        if (body is null)
        {
            answer.Fail(AttemptFailure.InvalidResponse, isFree: true);
            return;
        }
        var error = new UpstreamError(answer.Target, answer.Status, response.Content.Headers.NonValidated.TryGetValues("Content-Type", out var type) ? type.ToString() : null, body.Bytes, body);
        error.Keep(response);
        call.Note(error);
        answer.Fail(AttemptFailure.HttpError, isFree: true);
    }

    private async ValueTask TakeBodyAsync(ChatCall call, UpstreamAnswer answer)
    {
        var (body, error) = await ReadBodyAsync(call, answer, MaxAnswerBytes);
        if (body is null)
        {
            answer.Fail(error == GatewayError.BodyMemoryExhausted ? AttemptFailure.OutOfMemory : AttemptFailure.InvalidResponse, isFree: false);
            return;
        }
        answer.Body = body;
        if (!CompletionReader.TryRead(body.Bytes.Span, answer.Target, out var facts))
        {
            answer.Fail(AttemptFailure.InvalidResponse, isFree: false, outputBytes: body.Bytes.Length);
        }
        else if (facts.IsError)
        {
            // Some providers answer 200 and mean 502.
            call.Note(new UpstreamError(answer.Target, 502, "application/json", body.Bytes, body));
            answer.Body = null;
            answer.Fail(AttemptFailure.InvalidResponse, isFree: false, facts.Usage, facts.ServiceTier);
        }
        else
        {
            answer.Succeed(facts.Usage, facts.ServiceTier, facts.Model, body.Bytes.Length);
        }
    }

    private async ValueTask<(PooledBody? Body, GatewayError? Error)> ReadBodyAsync(ChatCall call, UpstreamAnswer answer, int maxBytes)
    {
        var content = answer.Response!.Content;
        var length = content.Headers.ContentLength;
        if (length > maxBytes)
        {
            return (null, null);
        }
        answer.Deadline!.Set(answer.Target.Provider.StallTimeout);
        var since = Stopwatch.GetTimestamp();
        try
        {
            return await PooledBody.ReadAsync(await content.ReadAsStreamAsync(answer.Deadline.Token), length, memory, maxBytes, answer.Deadline.Token);
        }
        finally
        {
            call.Request.CountUpstream(since);
            answer.Deadline.Clear();
        }
    }

    private async ValueTask OpenStreamAsync(ChatCall call, UpstreamAnswer answer)
    {
        var content = answer.Response!.Content;
        var type = content.Headers.NonValidated.TryGetValues("Content-Type", out var values) ? values.ToString() : "";
        if (type.StartsWith("application/json", StringComparison.OrdinalIgnoreCase) || type.StartsWith("text/html", StringComparison.OrdinalIgnoreCase))
        {
            answer.Fail(AttemptFailure.InvalidResponse, isFree: false);
            return;
        }
        var provider = answer.Target.Provider;
        var stream = answer.Stream = new EventStream(await content.ReadAsStreamAsync(answer.Deadline!.Token), memory, new ChunkReader(answer.Target.Model),
            dropUsage: BodyEdits.AsksForUsage(call, answer.Target), expectsUsage: provider.StreamUsage);
        var status = await stream.OpenAsync(answer.Deadline, provider.StallTimeout, call.Request);
        if (status is StreamStatus.Open or StreamStatus.Completed)
        {
            answer.StreamStatus = status;
            return;
        }
        if (status == StreamStatus.Failed && stream.ErrorData.Span.TrimStart(" \t\r\n"u8) is [(byte)'{', ..])
        {
            call.Note(new UpstreamError(answer.Target, 502, "application/json", stream.ErrorData, null));
        }
        answer.Fail(status == StreamStatus.OutOfMemory ? AttemptFailure.OutOfMemory : AttemptFailure.InvalidResponse, isFree: false,
            stream.Chunks.Usage, stream.Chunks.ServiceTier, stream.BytesReceived);
    }

    /// <summary>Tells from an exception why an attempt broke. An attempt of which nothing was sent has cost nothing.</summary>
    private static void Break(ChatCall call, UpstreamAnswer answer, Exception exception)
    {
        var isFree = answer.Content is not { Started: true };
        var failure = call.Aborted.IsCancellationRequested ? AttemptFailure.Cancelled
            : answer.Deadline!.HasPassed ? AttemptFailure.Timeout
            : EgressRefusedException.Causes(exception) ? AttemptFailure.RefusedByPolicy
            : isFree ? AttemptFailure.Connect
            : exception is HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse or HttpRequestError.ConfigurationLimitExceeded } ? AttemptFailure.InvalidResponse
            : AttemptFailure.Reset;
        answer.Fail(failure, isFree, answer.Stream?.Chunks.Usage, answer.Stream?.Chunks.ServiceTier, answer.Stream?.BytesReceived ?? 0);
    }
}
