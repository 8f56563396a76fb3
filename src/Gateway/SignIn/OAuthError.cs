using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Shared.Http;

namespace Gateway.SignIn;

/// <summary>A refusal in the words of OAuth.</summary>
/// <param name="Code">One of OAuth's codes, such as <c>invalid_request</c>.</param>
/// <param name="Description">What is wrong and how to mend it.</param>
internal sealed record OAuthError(string Code, string Description)
{
    /// <summary>HTTP status where it is answered directly.</summary>
    public int Status { get; init; } = StatusCodes.Status400BadRequest;

    public static OAuthError InvalidRequest(string description) => new("invalid_request", description);

    public static OAuthError InvalidGrant(string description) => new("invalid_grant", description);

    public static OAuthError InvalidTarget(string description) => new("invalid_target", description);

    public static OAuthError ProviderAway { get; } = new("temporarily_unavailable", "The company's sign-in provider does not answer. Try again shortly.")
    {
        Status = StatusCodes.Status503ServiceUnavailable,
    };
}

/// <summary>Answers of OAuth's endpoints: JSON that nobody keeps.</summary>
internal sealed class OAuthJson : IErrorFormat
{
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private OAuthJson()
    {
    }

    public static OAuthJson Instance { get; } = new();

    /// <summary>Writes an object.</summary>
    public static async Task WriteAsync(HttpContext context, int status, Action<Utf8JsonWriter> members)
    {
        var response = context.Response;
        response.StatusCode = status;
        response.ContentType = "application/json";
        response.Headers.CacheControl = "no-store";
        await using (var json = new Utf8JsonWriter(response.BodyWriter, Readable))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }
        await response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    /// <summary>Writes a refusal.</summary>
    public static Task WriteAsync(HttpContext context, OAuthError error) => WriteAsync(context, error.Status, json =>
    {
        json.WriteString("error", error.Code);
        json.WriteString("error_description", error.Description);
    });

    /// <inheritdoc/>
    public Task WriteAsync(HttpContext context, GatewayError error)
    {
        if (error.RetryAfter is { } wait)
        {
            context.Response.Headers.RetryAfter = ((long)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        }
        return WriteAsync(context, new OAuthError(error.Code, error.Message) { Status = error.Status });
    }
}
