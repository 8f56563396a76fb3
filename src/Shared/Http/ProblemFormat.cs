using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace Shared.Http;

/// <summary>Writes errors as problem details (RFC 9457), with the members <c>code</c>, <c>field</c> and <c>requestId</c> beside the standard ones.</summary>
public sealed class ProblemFormat : IErrorFormat
{
    private ProblemFormat()
    {
    }

    /// <summary>Quotes stay readable; the content type keeps browsers from taking the text for a page.</summary>
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The one instance.</summary>
    public static ProblemFormat Instance { get; } = new();

    /// <inheritdoc/>
    public async Task WriteAsync(HttpContext context, GatewayError error)
    {
        var response = context.Response;
        response.StatusCode = error.Status;
        response.ContentType = "application/problem+json";
        if (error.RetryAfter is { } wait)
        {
            response.Headers.RetryAfter = ((long)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        }
        if (HttpMethods.IsHead(context.Request.Method))
        {
            return;
        }
        await using (var json = new Utf8JsonWriter(response.BodyWriter, Readable))
        {
            json.WriteStartObject();
            json.WriteString("title", ReasonPhrases.GetReasonPhrase(error.Status));
            json.WriteNumber("status", error.Status);
            json.WriteString("detail", error.Message);
            json.WriteString("code", error.Code);
            if (error.Field is not null)
            {
                json.WriteString("field", error.Field);
            }
            if (error.Errors.Count > 0)
            {
                json.WriteStartArray("errors");
                foreach (var (field, message) in error.Errors)
                {
                    json.WriteStartObject();
                    json.WriteString("field", field);
                    json.WriteString("message", message);
                    json.WriteEndObject();
                }
                json.WriteEndArray();
            }
            if (context.Features.Get<GatewayRequest>() is { } request)
            {
                json.WriteString("requestId", request.RequestId);
            }
            json.WriteEndObject();
        }
        await response.BodyWriter.FlushAsync(context.RequestAborted);
    }
}
