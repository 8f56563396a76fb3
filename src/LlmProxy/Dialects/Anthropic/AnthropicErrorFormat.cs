using System.Buffers;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>Errors as Anthropic's clients expect them, with the <c>request-id</c> header that their SDKs show.</summary>
internal sealed class AnthropicErrorFormat : IErrorFormat
{
    private AnthropicErrorFormat()
    {
    }

    /// <summary>The one instance.</summary>
    public static AnthropicErrorFormat Instance { get; } = new();

    /// <inheritdoc/>
    public async Task WriteAsync(HttpContext context, GatewayError error)
    {
        var requestId = context.Features.Get<GatewayRequest>()?.RequestId;
        var body = new ArrayBufferWriter<byte>(256);
        AnthropicErrors.Write(body, AnthropicErrors.TypeOf(error.Status), error.Message, requestId);
        var response = context.Response;
        response.StatusCode = error.Status;
        response.ContentType = "application/json";
        response.ContentLength = body.WrittenCount;
        if (requestId is not null)
        {
            response.Headers["request-id"] = requestId;
        }
        if (!error.Retryable)
        {
            response.Headers["x-should-retry"] = "false";
        }
        if (error.RetryAfter is { } wait)
        {
            response.Headers.RetryAfter = ((long)Math.Ceiling(Math.Max(0, wait.TotalSeconds))).ToString(CultureInfo.InvariantCulture);
        }
        await response.Body.WriteAsync(body.WrittenMemory, context.RequestAborted);
    }
}
