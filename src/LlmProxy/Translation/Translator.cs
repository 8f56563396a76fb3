using LlmProxy.ChatCompletions;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Gemini;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Shared.Http;

namespace LlmProxy.Translation;

/// <summary>Translates calls between the client's format and a target's.</summary>
internal sealed class Translator(SignatureMemory signatures, BodyMemory memory, TimeProvider clock)
{
    /// <summary>Encodes the call for its current target, unless that was done with the same output limit already.</summary>
    /// <returns>Null, or why the target cannot be asked.</returns>
    public GatewayError? Encode(ChatCall call, TargetPlan target, long? outputLimit)
    {
        if (call.Translated is { } done && done.OutputLimit == outputLimit)
        {
            return null;
        }
        var error = TranslatedRequest.TryMake(call, target, outputLimit, signatures, out var translated);
        call.Translated = translated;
        return error;
    }

    /// <summary>The client's stream for an upstream's.</summary>
    /// <param name="call">The call.</param>
    /// <param name="source">What the upstream sends.</param>
    /// <param name="type">Its media type.</param>
    public TranslatedStream Open(ChatCall call, Stream source, string type)
    {
        var target = call.Target;
        var upstream = target.Upstream.Dialect!;
        var output = new PooledOutput(memory);
        var encoder = NewEncoder(call, output);
        return new TranslatedStream(source, memory, upstream.NewFramer(type), upstream.NewDecoder(), encoder, new TranslatedAnswer(encoder, NewKeeper(call, upstream), call.Request.RequestId), output, target.Model);
    }

    /// <summary>Translates a complete answer.</summary>
    /// <param name="call">The call.</param>
    /// <param name="response">The upstream's headers; null: not at hand.</param>
    /// <param name="body">The upstream's answer.</param>
    /// <param name="output">Receives the client's.</param>
    /// <param name="decoder">What the answer says of itself.</param>
    /// <param name="error">Why the answer is a failure; null: it is none.</param>
    public StreamStatus Read(ChatCall call, HttpResponseMessage? response, ReadOnlySpan<byte> body, out PooledOutput output, out AnswerDecoder decoder, out AnswerError? error)
    {
        output = new PooledOutput(memory);
        if (call.Target.Family.Dialect is null)
        {
            (decoder, error) = (EmbeddingTranslation.NewDecoder(call, response, output), null);
            var read = decoder.ReadComplete(body, IgnoredAnswer.Instance);
            return output.IsOutOfMemory ? StreamStatus.OutOfMemory : read;
        }
        var upstream = call.Target.Upstream.Dialect!;
        var encoder = NewEncoder(call, output);
        var answer = new TranslatedAnswer(encoder, NewKeeper(call, upstream), call.Request.RequestId);
        decoder = upstream.NewDecoder();
        var status = decoder.ReadComplete(body, answer);
        error = answer.Error ?? encoder.Error;
        return output.IsOutOfMemory ? StreamStatus.OutOfMemory : status;
    }

    /// <summary>An error of the gateway's as an answer's.</summary>
    public static AnswerError ToNeutral(GatewayError error) => new(error.Status, TypeOf(error.Status), error.Code, error.Message) { Field = error.Field, RetryAfter = error.RetryAfter };

    /// <summary>An upstream's error as one of the gateway's, so that the client's format can say it.</summary>
    public static GatewayError ToGateway(AnswerError error) => new(error.Status, error.Code ?? error.Type, error.Message)
    {
        Field = error.Field,
        RetryAfter = error.RetryAfter,
        Retryable = error.Status is 408 or 409 or 429 or >= 500,
    };

    private AnswerEncoder NewEncoder(ChatCall call, PooledOutput output)
    {
        call.Decode(out var request);
        return call.Target.Family.Dialect!.NewEncoder(new AnswerContext
        {
            Request = request!,
            RequestedModel = call.Entry.Name,
            Stream = call.Fields.Stream,
            JsonArray = call.JsonArray,
            RequestId = call.Request.RequestId,
            Now = clock.GetUtcNow().ToUnixTimeSeconds(),
            Dropped = call.Translated!.Dropped,
            Keeper = call.Context.Features.Get<IAnswerKeeper>(),
        }, output);
    }

    private SignatureKeeper? NewKeeper(ChatCall call, Dialect upstream) => upstream.SignatureFamily is { } family ? new SignatureKeeper(signatures, call.Request.Key!.Id, family) : null;

    private static string TypeOf(int status) => status switch
    {
        400 or 404 or 409 or 413 or 422 => status == 404 ? "not_found" : "invalid_request",
        401 => "authentication",
        403 => "permission",
        408 or 504 => "timeout",
        429 => "rate_limit",
        503 or 529 => "overloaded",
        _ => "server",
    };
}
