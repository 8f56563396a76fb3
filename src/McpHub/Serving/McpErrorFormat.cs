using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace McpHub.Serving;

/// <summary>
/// Errors of the tool plane that arise before a request's id is known: a JSON-RPC error whose id is null, under the HTTP status that clients act upon.
/// </summary>
public sealed class McpErrorFormat : IErrorFormat
{
    private const int InvalidRequest = -32600;
    private const int InternalError = -32603;
    private const int UnknownSession = -32001;

    private McpErrorFormat()
    {
    }

    /// <summary>The only one.</summary>
    public static McpErrorFormat Instance { get; } = new();

    /// <inheritdoc/>
    public Task WriteAsync(HttpContext context, GatewayError error) => WriteAsync(context, error, CodeOf(error.Status));

    /// <summary>As <see cref="WriteAsync(HttpContext, GatewayError)"/>, with a JSON-RPC code of the caller's choice.</summary>
    internal static async Task WriteAsync(HttpContext context, GatewayError error, int code)
    {
        var response = context.Response;
        response.StatusCode = error.Status;
        response.ContentType = "application/json";
        if (error.Status == StatusCodes.Status401Unauthorized)
        {
            response.Headers.WWWAuthenticate = response.Headers.WWWAuthenticate is { Count: > 0 } told ? told : "Bearer";
        }
        if (error.RetryAfter is { } wait)
        {
            response.Headers.RetryAfter = Math.Max(1, (long)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        }
        using var writer = new Utf8JsonWriter(response.BodyWriter, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        writer.WriteStartObject();
        writer.WriteString("jsonrpc", "2.0");
        writer.WriteNull("id");
        writer.WriteStartObject("error");
        writer.WriteNumber("code", code);
        writer.WriteString("message", error.Message);
        writer.WriteStartObject("data");
        writer.WriteString("code", error.Code);
        if (error.Field is { } field)
        {
            writer.WriteString("field", field);
        }
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.Flush();
        await response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    /// <summary>A session that is not known at this endpoint: the client is to begin a new one (specification 2025-11-25, basic/transports, session management).</summary>
    internal static Task WriteUnknownSessionAsync(HttpContext context) =>
        WriteAsync(context, new GatewayError(StatusCodes.Status404NotFound, "unknown_session", "Session not found. Begin a new one with initialize."), UnknownSession);

    /// <summary>JSON-RPC has words for a wrong request and for a server at fault; elsewhere the HTTP status is the code, which stays clear of the reserved range.</summary>
    private static int CodeOf(int status) => status switch
    {
        StatusCodes.Status400BadRequest or StatusCodes.Status413PayloadTooLarge or StatusCodes.Status415UnsupportedMediaType => InvalidRequest,
        StatusCodes.Status500InternalServerError => InternalError,
        _ => status,
    };
}
