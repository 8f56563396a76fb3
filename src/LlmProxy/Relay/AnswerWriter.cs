using System.Buffers;
using LlmProxy.ChatCompletions;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Responses.Store;
using LlmProxy.Errors;
using LlmProxy.Neutral;
using Microsoft.Extensions.Logging;
using Shared.Http;

namespace LlmProxy.Relay;

/// <summary>Writes what came of a call to the client.</summary>
internal sealed class AnswerWriter(ILogger<AnswerWriter> logger)
{
    private static readonly GatewayError Truncated = new(502, "upstream_stream_broken", "The model's provider broke the stream off before the answer was complete.") { Retryable = true };

    private static readonly GatewayError Stalled = new(504, "upstream_timeout", "The model's provider fell silent before the answer was complete.") { Retryable = true };

    /// <summary>Relays a complete answer or a stream, unmodified.</summary>
    public async Task WriteAsync(ChatCall call, UpstreamAnswer answer)
    {
        var response = call.Context.Response;
        response.StatusCode = answer.Status;
        ResponseHeaders.Relay(call, answer.Response!.Headers);
        ResponseHeaders.Describe(call, answer);
        ResponseHeaders.Describe(call);
        if (answer.Target.HasForeignErrors)
        {
            response.ContentType = answer.Stream is null || call.JsonArray ? "application/json" : answer.Target.Family.Dialect!.StreamType;
        }
        else if (answer.Response.Content.Headers.NonValidated.TryGetValues("Content-Type", out var values) && values.ToString() is var type && ResponseHeaders.IsPlain(type))
        {
            response.ContentType = type;
        }
        if (answer.Body is { } body)
        {
            var bytes = answer.Translated?.WrittenMemory ?? body.Bytes;
            response.ContentLength = bytes.Length;
            await response.BodyWriter.WriteAsync(bytes, call.Aborted);
            return;
        }
        response.ContentType ??= answer.Target.Family.Dialect?.StreamType ?? "text/event-stream";
        response.Headers.CacheControl = "no-cache";
        response.Headers["x-accel-buffering"] = "no";
        await CopyAsync(call, answer, answer.Stream!);
    }

    /// <summary>Writes why there is no answer: an upstream's own error as it came, or the gateway's.</summary>
    public static async Task WriteFailureAsync(ChatCall call)
    {
        ResponseHeaders.Describe(call);
        // What another format said was noted as the gateway's own error.
        if (call.HttpError is { } upstream)
        {
            call.Context.Response.Headers["x-gateway-provider"] = upstream.Target.ProviderHeader;
            call.Context.Response.Headers["x-gateway-model"] = upstream.Target.ModelHeader;
            await upstream.WriteAsync(call.Context.Response, call.Aborted);
        }
        else
        {
            await call.Target.Family.Errors.WriteAsync(call.Context, call.Error ?? OpenAiErrors.UpstreamFailed);
        }
    }

    /// <summary>Notes which provider keeps an answer, for a client that asks for it again; keeps it here if the provider does not.</summary>
    /// <param name="call">The request.</param>
    /// <param name="answer">How it was answered.</param>
    /// <param name="answerId">The answer's id; null: it has none.</param>
    /// <param name="whole">The whole answer, where the provider does not keep it.</param>
    public static void Remember(ChatCall call, UpstreamAnswer answer, string? answerId, ReadOnlySpan<byte> whole)
    {
        if (answerId is null || call.Context.Features.Get<IAnswerKeeper>() is not { } keeper)
        {
            return;
        }
        if (answer.Target.Provider.StoresResponses)
        {
            keeper.KeepProvider(answerId, answer.Target.Provider.Id);
            if (call.Fields.Background && !answer.IsReported)
            {
                BackgroundResponses.Note(call, answer, answerId);
            }
        }
        else if (!whole.IsEmpty)
        {
            keeper.KeepRelayed(answerId, whole);
        }
    }

    private async Task CopyAsync(ChatCall call, UpstreamAnswer answer, EventStream stream)
    {
        var client = call.Context.Response.BodyWriter;
        var status = answer.StreamStatus;
        var failure = AttemptFailure.None;
        try
        {
            while (true)
            {
                if (status == StreamStatus.Completed)
                {
                    // Settled before the last event leaves: whoever sees it finds the budget as it now is.
                    answer.Succeed(stream.Usage, stream.ServiceTier, stream.Model, stream.BytesReceived);
                    if (stream is RelayedStream { Watch: { AnswerId: { } id } watch })
                    {
                        Remember(call, answer, id, watch.LastData.IsEmpty ? default : JsonMembers.Of(watch.LastData).Take("response"u8).Raw.Span);
                    }
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
                status = await stream.ReadAsync(answer.Deadline!, answer.Target.Provider.StallTimeout, call.Request);
            }
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            failure = call.Aborted.IsCancellationRequested ? AttemptFailure.Cancelled : answer.Deadline!.HasPassed ? AttemptFailure.Timeout : AttemptFailure.Reset;
        }
        if (status == StreamStatus.Completed)
        {
            await FinishAsync(call, answer, stream);
            return;
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
        answer.Fail(failure, isFree: false, stream.Usage, stream.ServiceTier, stream.BytesReceived, stream.IsUsagePartial);
        if (call.Fields.Background && stream is RelayedStream { Watch.AnswerId: { } begun })
        {
            Remember(call, answer, begun, default); // it is made all the same
        }
        if (failure == AttemptFailure.Cancelled)
        {
            logger.ClientLeft(call.Request.RequestId, answer.Target.Provider.Id, answer.Target.Model);
            return;
        }
        logger.StreamBroke(call.Request.RequestId, answer.Target.Provider.Id, answer.Target.Model, answer.Reason);
        if (status != StreamStatus.Failed)
        {
            await WriteErrorEventAsync(call, stream, failure == AttemptFailure.Timeout ? Stalled : Truncated);
        }
    }

    /// <summary>Waits shortly for the end of the upstream's answer, so that its connection can serve again; the client's answer is complete before that.</summary>
    private static async Task FinishAsync(ChatCall call, UpstreamAnswer answer, EventStream stream)
    {
        var drained = stream.DrainAsync(answer.Deadline!);
        if (drained.IsCompletedSuccessfully)
        {
            return;
        }
        try
        {
            await call.Context.Response.CompleteAsync();
            await drained;
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            // The answer is complete and paid; a connection that does not end properly is only lost for reuse.
            answer.Response?.Dispose();
        }
    }

    private static async Task WriteErrorEventAsync(ChatCall call, EventStream stream, GatewayError error)
    {
        var output = new ArrayBufferWriter<byte>(256);
        stream.WriteError(error, output);
        await call.Context.Response.BodyWriter.WriteAsync(output.WrittenMemory, call.Aborted);
    }
}
