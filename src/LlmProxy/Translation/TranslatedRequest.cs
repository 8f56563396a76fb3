using System.Buffers;
using LlmProxy.ChatCompletions;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Gemini;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Translation;

/// <summary>A request as it is encoded for one target.</summary>
/// <param name="Body">The body.</param>
/// <param name="OutputLimit">The output limit that was written into it.</param>
/// <param name="Dropped">What the target's format cannot express.</param>
internal sealed record TranslatedRequest(ReadOnlyMemory<byte> Body, long? OutputLimit, DropReport Dropped)
{
    /// <summary>Encodes a call for a target.</summary>
    /// <param name="call">The call.</param>
    /// <param name="target">Where it goes.</param>
    /// <param name="outputLimit">The output limit that must stand in the body; null: the client's own, or none.</param>
    /// <param name="signatures">What models signed in earlier turns.</param>
    /// <param name="translated">The encoded request.</param>
    /// <returns>Null, or why the target cannot be asked.</returns>
    public static GatewayError? TryMake(ChatCall call, TargetPlan target, long? outputLimit, SignatureMemory signatures, out TranslatedRequest? translated)
    {
        translated = null;
        var dropped = new DropReport();
        var output = new ArrayBufferWriter<byte>(Math.Max(1024, call.Body.Bytes.Length + 256));
        if ((target.Family.Dialect is null ? EmbeddingTranslation.Encode(call, target, dropped, output) : Encode(call, target, outputLimit, signatures, dropped, output)) is { } inexpressible)
        {
            return inexpressible;
        }
        if (call.IsStrict && !dropped.IsEmpty)
        {
            return new GatewayError(StatusCodes.Status400BadRequest, "not_expressible",
                $"The provider '{target.Provider.Id}' speaks another format, which cannot express: {string.Join(", ", dropped.Names)}. Leave it out, ask another model, or do without 'strict'.")
            { Field = dropped.Names[0] };
        }
        translated = new TranslatedRequest(output.WrittenMemory, outputLimit, dropped);
        return null;
    }

    private static GatewayError? Encode(ChatCall call, TargetPlan target, long? outputLimit, SignatureMemory signatures, DropReport dropped, ArrayBufferWriter<byte> output)
    {
        if (call.Decode(out var request) is { } undecodable)
        {
            return undecodable;
        }
        dropped.Client = request!.Source;
        var dialect = target.Upstream.Dialect!;
        if (dialect.Id != DialectIds.OpenAiChat)
        {
            dropped.Add("", request.OfRoute);
        }
        signatures.Restore(call.Request.Key!.Id, request, dialect.SignatureFamily);
        return dialect.Encode(
            request,
            new EncodeTarget { Provider = target.Provider, Model = target.Model, OutputLimit = outputLimit, MaxOutputTokens = target.Price?.MaxOutputTokens, Dropped = dropped },
            output);
    }
}
