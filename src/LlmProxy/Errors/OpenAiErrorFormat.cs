using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Errors;

/// <summary>Errors as OpenAI's clients expect them: <c>{"error":{"message","type","param","code"}}</c>, all four always there.</summary>
public sealed class OpenAiErrorFormat : IErrorFormat
{
    private OpenAiErrorFormat()
    {
    }

    /// <summary>The one instance.</summary>
    public static OpenAiErrorFormat Instance { get; } = new();

    /// <inheritdoc/>
    public async Task WriteAsync(HttpContext context, GatewayError error)
    {
        var body = new ArrayBufferWriter<byte>(256);
        WriteJson(body, error);
        var response = context.Response;
        response.StatusCode = error.Status;
        response.ContentType = "application/json";
        response.ContentLength = body.WrittenCount;
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

    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the JSON alone, as it also stands in the last event of a stream that broke.</summary>
    internal static void WriteJson(IBufferWriter<byte> output, GatewayError error)
    {
        using var json = new Utf8JsonWriter(output, Readable);
        json.WriteStartObject();
        json.WriteStartObject("error"u8);
        json.WriteString("message"u8, error.Message);
        json.WriteString("type"u8, TypeOf(error));
        json.WriteString("param"u8, error.Field);
        // Whatever is wrong with a key, OpenAI calls it by one code, and clients look for that one; the message says more.
        json.WriteString("code"u8, error.Status == StatusCodes.Status401Unauthorized ? "invalid_api_key" : error.Code);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static string TypeOf(GatewayError error) => error.Status switch
    {
        401 => "authentication_error",
        403 => "permission_error",
        408 or 504 => "timeout_error",
        429 => error.Code == "budget_exceeded" ? "insufficient_quota" : "rate_limit_error",
        >= 500 => "server_error",
        _ => "invalid_request_error",
    };
}
