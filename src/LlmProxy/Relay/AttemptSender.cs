using System.Diagnostics;
using LlmProxy.ChatCompletions;
using LlmProxy.Dialects.Anthropic;
using LlmProxy.Dialects.Bedrock;
using LlmProxy.Dialects.Gemini;
using LlmProxy.Providers;
using LlmProxy.Routing;
using LlmProxy.Telemetry;
using LlmProxy.Translation;
using Microsoft.Extensions.Logging;
using Shared.Egress;
using Shared.Http;
using Shared.Pricing;

namespace LlmProxy.Relay;

/// <summary>
/// Makes one attempt: takes its lease, sends, and reads until it is certain that there is an answer: a complete body, or a stream's first content.
/// </summary>
internal sealed class AttemptSender(DeadlinePool deadlines, Translator translator, BodyMemory memory, TimeProvider clock, ILogger<AttemptSender> logger)
{
    /// <summary>The largest complete answer, in bytes.</summary>
    private const int MaxAnswerBytes = 64 * 1024 * 1024;

    /// <summary>The largest error answer that is relayed, in bytes.</summary>
    private const int MaxErrorBytes = 1024 * 1024;

    /// <summary>Makes an attempt at the call's current target. What goes wrong is told by the answer; it is settled then.</summary>
    public async ValueTask<UpstreamAnswer> SendAsync(ChatCall call)
    {
        var target = call.Target;
        if (call.FailedAt != 0)
        {
            call.Request.CountUpstream(call.FailedAt);
        }
        if (call.IsStrict && call.LostHeaders(target) is [var header, ..])
        {
            return UpstreamAnswer.Inexpressible(call, new GatewayError(400, "not_expressible", $"The provider '{target.Provider.Id}' has no place for the header '{header}'. Leave it out, ask another model, or do without 'strict'.") { Field = header }, logger);
        }
        if (!target.IsTranslated)
        {
            call.Translated = null;
        }
        else if (translator.Encode(call, target, SpendBound.LimitFor(call, target, Money.MaxValue)) is { } inexpressible)
        {
            return UpstreamAnswer.Inexpressible(call, inexpressible, logger);
        }
        if (call.Lease.TryBeginAttempt(target.Start, SpendBound.AskFor(call, target), out var lease) is { } refusal)
        {
            return UpstreamAnswer.Refused(call, refusal, logger);
        }
        call.Attempts++;
        var activity = ModelTelemetry.Start(call.Request, target, call.Fields.Stream);
        ClaudeCode.Describe(activity, call.Context.Request.Headers);
        var answer = new UpstreamAnswer(call, lease!, deadlines.Rent(call.Aborted), activity, logger);
        try
        {
            answer.OutputLimit = SpendBound.LimitFor(call, target, lease!.Reserved);
            if (target.IsTranslated)
            {
                translator.Encode(call, target, answer.OutputLimit); // with what the budget leaves; it was possible before
            }
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
            if (answer.Target.Authorizer is { } authorizer)
            {
                await authorizer.AuthorizeAsync(request, answer.Deadline.Token);
            }
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

    private static Uri AddressOf(ChatCall call, TargetPlan target) =>
        !call.Fields.Stream ? target.Address
        : call.JsonArray && !target.IsTranslated ? GeminiPath.WithoutSse(target.StreamAddress) // what is relayed must come in the form that the client reads
        : target.StreamAddress;

    private static HttpRequestMessage NewRequest(ChatCall call, UpstreamAnswer answer)
    {
        var target = answer.Target;
        answer.Content = call.Translated is { } translated ? new SplicedContent(translated.Body, new EditList()) : new SplicedContent(call.Body.Bytes, BodyEdits.For(call, target, answer.OutputLimit));
        var request = new HttpRequestMessage(HttpMethod.Post, AddressOf(call, target)) { Content = answer.Content };
        foreach (var (name, value) in target.Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        var forwarded = target.ForwardedHeaders;
        for (var i = 0; i < forwarded.Count; i++) // without an enumerator for each call
        {
            var name = forwarded[i];
            // What the configuration sets holds; what the format merely needs is the client's to choose.
            if (call.Context.Request.Headers.TryGetValue(name, out var values) && ResponseHeaders.IsPlain(values) && !target.Provider.Headers.Keys.Contains(name, StringComparer.OrdinalIgnoreCase))
            {
                request.Headers.Remove(name);
                request.Headers.TryAddWithoutValidation(name, (string?)values);
            }
        }
        if (target.IsRehosted)
        {
            AnthropicBetas.AddHeader(call, target, request);
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
        if (answer.Target.HasForeignErrors)
        {
            using (body)
            {
                var said = answer.Target.Upstream.ReadError(answer.Status, body.Bytes.Span);
                answer.RetryAfter ??= said.RetryAfter;
                answer.IsExplained = true;
                answer.Fail(AttemptFailure.HttpError, isFree: true);
                call.Note(Translator.ToGateway(said) with { RetryAfter = answer.RetryAfter }, skipped: false);
            }
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
        if (answer.Target.IsTranslated)
        {
            Translate(call, answer, body);
            return;
        }
        if (!answer.Target.Family.TryReadAnswer(body.Bytes.Span, answer.Target.Model, out var facts))
        {
            answer.Fail(AttemptFailure.InvalidResponse, isFree: false, outputBytes: body.Bytes.Length);
        }
        else if (facts.IsError)
        {
            // Some providers answer 200 and mean 502.
            if (answer.Target.HasForeignErrors)
            {
                using (body)
                {
                    call.Note(Translator.ToGateway(answer.Target.Upstream.ReadError(502, body.Bytes.Span)), skipped: false);
                    answer.IsExplained = true;
                }
            }
            else
            {
                call.Note(new UpstreamError(answer.Target, 502, "application/json", body.Bytes, body));
            }
            answer.Body = null;
            answer.Fail(AttemptFailure.InvalidResponse, isFree: false, facts.Usage, facts.ServiceTier);
        }
        else
        {
            answer.Succeed(facts.Usage ?? answer.Target.Family.UsageIn(answer.Response!.Headers), facts.ServiceTier, facts.Model, body.Bytes.Length);
            AnswerWriter.Remember(call, answer, facts.AnswerId, body.Bytes.Span);
        }
    }

    private void Translate(ChatCall call, UpstreamAnswer answer, PooledBody body)
    {
        var status = translator.Read(call, answer.Response, body.Bytes.Span, out var output, out var decoder, out var error);
        answer.Translated = output;
        if (status == StreamStatus.Completed && error is null)
        {
            answer.Succeed(decoder.Usage, decoder.ServiceTier, decoder.Model == answer.Target.Model ? null : decoder.Model, body.Bytes.Length);
            return;
        }
        if (error is not null)
        {
            call.Note(Translator.ToGateway(error), skipped: false);
            answer.IsExplained = true;
        }
        answer.Fail(status == StreamStatus.OutOfMemory ? AttemptFailure.OutOfMemory : AttemptFailure.InvalidResponse, isFree: false, decoder.Usage, decoder.ServiceTier, body.Bytes.Length);
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
        if ((type.StartsWith("application/json", StringComparison.OrdinalIgnoreCase) && !(call.JsonArray && !answer.Target.IsTranslated)) || type.StartsWith("text/html", StringComparison.OrdinalIgnoreCase))
        {
            answer.Fail(AttemptFailure.InvalidResponse, isFree: false);
            return;
        }
        var target = answer.Target;
        var source = await content.ReadAsStreamAsync(answer.Deadline!.Token);
        var stream = answer.Stream = target.IsTranslated ? translator.Open(call, source, type)
            : target.IsRehosted ? new RehostedStream(source, memory, type, target)
            : new RelayedStream(source, memory, target.Family.NewFramer(type), target.Family.NewWatch(target.Model), dropUsage: BodyEdits.AsksForUsage(call, target), expectsUsage: target.Provider.StreamUsage && target.Family is not BedrockInvokeFamily);
        if (stream is RelayedStream relayed && !target.Provider.StoresResponses)
        {
            relayed.Watch.KeepsLast = true;
        }
        var status = await stream.OpenAsync(answer.Deadline, target.Provider.StallTimeout, call.Request);
        if (status is StreamStatus.Open or StreamStatus.Completed)
        {
            answer.StreamStatus = status;
            return;
        }
        if (status == StreamStatus.Failed)
        {
            NoteFailure(call, answer, stream);
        }
        answer.Fail(status == StreamStatus.OutOfMemory ? AttemptFailure.OutOfMemory : AttemptFailure.InvalidResponse, isFree: false, stream.Usage, stream.ServiceTier, stream.BytesReceived, stream.IsUsagePartial);
    }

    /// <summary>Notes what the upstream said of its failure in the first event of its stream.</summary>
    private static void NoteFailure(ChatCall call, UpstreamAnswer answer, EventStream stream)
    {
        if (stream is TranslatedStream { Error: { } error } || (stream is RehostedStream { Error: { } said } && (error = said) is not null))
        {
            call.Note(Translator.ToGateway(error), skipped: false);
            answer.IsExplained = true;
        }
        else if (stream is RelayedStream { ErrorName: { } name } exception)
        {
            call.Note(Translator.ToGateway(BedrockErrors.Read(0, name, exception.ErrorData.Span)), skipped: false);
            answer.IsExplained = true;
        }
        else if (stream is RelayedStream relayed && relayed.ErrorData.Span.TrimStart(" \t\r\n"u8) is [(byte)'{', ..])
        {
            call.Note(new UpstreamError(answer.Target, 502, "application/json", relayed.ErrorData, null));
        }
    }

    /// <summary>Tells from an exception why an attempt broke. An attempt of which nothing was sent has cost nothing.</summary>
    private static void Break(ChatCall call, UpstreamAnswer answer, Exception exception)
    {
        var isFree = answer.Content is not { Started: true };
        var failure = call.Aborted.IsCancellationRequested ? AttemptFailure.Cancelled
            : answer.Deadline!.HasPassed ? AttemptFailure.Timeout
            : EgressRefusedException.Causes(exception) ? AttemptFailure.RefusedByPolicy
            : exception is CredentialException ? AttemptFailure.NoCredential
            : isFree ? AttemptFailure.Connect
            : exception is HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse or HttpRequestError.ConfigurationLimitExceeded } ? AttemptFailure.InvalidResponse
            : AttemptFailure.Reset;
        answer.Fail(failure, isFree, answer.Stream?.Usage, answer.Stream?.ServiceTier, answer.Stream?.BytesReceived ?? 0, answer.Stream?.IsUsagePartial ?? false);
    }
}
