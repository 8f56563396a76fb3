using System.Text;
using System.Text.Json;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>Reads errors as OpenAI and the many that are nearly like it write them.</summary>
internal static class ChatErrors
{
    /// <summary>The longest message that is passed on, in bytes.</summary>
    private const int MaxMessageBytes = 4096;

    /// <summary>Reads an error answer.</summary>
    /// <param name="status">Its HTTP status; 0: it came within an answer that began well.</param>
    /// <param name="body">The answer, of any form.</param>
    public static AnswerError Read(int status, ReadOnlySpan<byte> body)
    {
        try
        {
            var json = new JsonValue(body.Trim(" \t\r\n"u8).ToArray());
            Validate(json.Raw.Span);
            var elements = new JsonArrayReader(json);
            if (elements.Next(out var first))
            {
                json = first; // Google's compatible endpoint wraps its error in an array
            }
            if (json.IsObject)
            {
                return FromOuter(status, json);
            }
        }
        catch (JsonException)
        {
            // Not JSON: a proxy's page, perhaps. Its text is nobody's business.
        }
        return Make(status, null, null, null, null);
    }

    /// <summary>Reads what stands in <c>error</c>.</summary>
    public static AnswerError ReadObject(int status, ReadOnlySpan<byte> error)
    {
        try
        {
            return FromError(status, new JsonValue(error.ToArray()));
        }
        catch (JsonException)
        {
            return Make(status, null, null, null, null);
        }
    }

    private static void Validate(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json, JsonArrayReader.Options);
        while (reader.Read())
        {
        }
    }

    private static AnswerError FromOuter(int status, JsonValue json)
    {
        var outer = JsonMembers.Of(json.Raw);
        var error = outer.Take("error"u8);
        if (error.IsText)
        {
            return Make(status, null, null, error.Text.ToString(), null);
        }
        if (error.IsObject)
        {
            return FromError(status, error);
        }
        // FastAPI's and others': {"detail":…}, {"message":…}, {"errors":…}
        var message = outer.Take("message"u8) is { IsText: true } said ? said : outer.Take("detail"u8);
        return Make(status, outer.Take("type"u8).Text.ToString(), CodeOf(outer.Take("code"u8)), message.IsText ? message.Text.ToString() : null, null);
    }

    private static AnswerError FromError(int status, JsonValue error)
    {
        var members = JsonMembers.Of(error.Raw);
        var code = members.Take("code"u8);
        if (status is 0 or 500 && code.TryGetWhole(out var number) && number is >= 400 and < 600)
        {
            status = (int)number;
        }
        var type = members.Take("type"u8).Text.ToString();
        var message = members.Take("message"u8).Text;
        var known = Make(status, type, CodeOf(code), message.IsBlank ? null : message.ToString(), members.Take("param"u8).Text is { IsBlank: false } param ? param.ToString() : null);
        return known with { RetryAfter = RetryOf(members) };
    }

    private static string? CodeOf(JsonValue code) => code.IsText && !code.Text.IsBlank ? code.Text.ToString() : code.IsNumber ? Encoding.ASCII.GetString(code.Raw.Span) : null;

    /// <summary>Google's compatible endpoint says in <c>details</c> when to try again, e.g. <c>"retryDelay":"34.4s"</c>.</summary>
    private static TimeSpan? RetryOf(JsonMembers error)
    {
        var details = new JsonArrayReader(error.Take("details"u8));
        while (details.Next(out var detail))
        {
            var text = JsonMembers.Of(detail.Raw).Take("retryDelay"u8).Text.ToString();
            if (text.EndsWith('s') && double.TryParse(text[..^1], System.Globalization.CultureInfo.InvariantCulture, out var seconds) && seconds is >= 0 and < 86400)
            {
                return TimeSpan.FromSeconds(seconds);
            }
        }
        return null;
    }

    private static AnswerError Make(int status, string? type, string? code, string? message, string? field)
    {
        var kind = TypeOf(status, type, code);
        message = message is { Length: > 0 } ? Cut(message) : "The model's provider answered with an error.";
        return new AnswerError(status is >= 400 and < 600 ? status : StatusOf(kind), kind, code ?? (string.IsNullOrEmpty(type) ? null : type), message) { Field = field };
    }

    private static string Cut(string message) => message.Length <= MaxMessageBytes ? message : string.Concat(message.AsSpan(0, MaxMessageBytes), "…");

    private static string TypeOf(int status, string? type, string? code) => (type, code) switch
    {
        (_, "content_filter" or "content_policy_violation") => "content_filter",
        (_, "rate_limit_exceeded" or "insufficient_quota") or ("rate_limit_error" or "tokens" or "requests" or "insufficient_quota", _) => "rate_limit",
        (_, "invalid_api_key") or ("authentication_error", _) => "authentication",
        (_, "model_not_found") or ("not_found_error", _) => "not_found",
        ("permission_error", _) => "permission",
        ("overloaded_error", _) => "overloaded",
        ("timeout_error", _) => "timeout",
        ("invalid_request_error", _) when status is 0 or 400 or 422 => "invalid_request",
        _ => status switch
        {
            401 => "authentication",
            402 => "rate_limit",
            403 => "permission",
            404 => "not_found",
            408 or 504 => "timeout",
            429 => "rate_limit",
            503 or 529 => "overloaded",
            >= 400 and < 500 => "invalid_request",
            _ => "server",
        },
    };

    private static int StatusOf(string type) => type switch
    {
        "invalid_request" or "content_filter" => 400,
        "authentication" => 401,
        "permission" => 403,
        "not_found" => 404,
        "rate_limit" => 429,
        "overloaded" => 503,
        "timeout" => 504,
        _ => 502,
    };
}
