using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>Anthropic's errors: <c>{"type":"error","error":{"type","message"},"request_id"}</c>.</summary>
internal static class AnthropicErrors
{
    private const int MaxMessageLength = 4096;

    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The type that goes with an HTTP status.</summary>
    public static string TypeOf(int status) => status switch
    {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 or 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 or 529 => "overloaded_error",
        >= 500 => "api_error",
        _ => "invalid_request_error",
    };

    /// <summary>The type that an error of another dialect becomes.</summary>
    public static string TypeOf(AnswerError error) => error.Type switch
    {
        "authentication" => "authentication_error",
        "permission" => error.Status == 402 ? "billing_error" : "permission_error",
        "not_found" => "not_found_error",
        "rate_limit" => "rate_limit_error",
        "overloaded" => "overloaded_error",
        "timeout" => "timeout_error",
        "content_filter" or "invalid_request" => error.Status == 413 ? "request_too_large" : "invalid_request_error",
        _ => TypeOf(Math.Max(error.Status, 500)),
    };

    /// <summary>Writes an error's JSON, without <c>request_id</c> where that is null.</summary>
    public static void Write(IBufferWriter<byte> output, string type, string message, string? requestId)
    {
        using var json = new Utf8JsonWriter(output, Readable);
        json.WriteStartObject();
        json.WriteString("type"u8, "error"u8);
        json.WriteStartObject("error"u8);
        json.WriteString("type"u8, type);
        json.WriteString("message"u8, message);
        json.WriteEndObject();
        if (requestId is not null)
        {
            json.WriteString("request_id"u8, requestId);
        }
        json.WriteEndObject();
    }

    /// <summary>Makes an error of whatever a provider answered: Anthropic's shape, that of a gateway before it (Bedrock's <c>message</c>, Google's array), or any other text.</summary>
    /// <param name="status">The HTTP status; 0: an event of a stream, whose type tells.</param>
    /// <param name="body">The body.</param>
    public static AnswerError Read(int status, ReadOnlySpan<byte> body)
    {
        string? type = null, message = null;
        try
        {
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = 64 });
            while (reader.Read() && reader.CurrentDepth <= 3)
            {
                if (reader.TokenType != JsonTokenType.PropertyName)
                {
                    continue;
                }
                var (isType, isMessage) = (reader.ValueTextEquals("type"u8), reader.ValueTextEquals("message"u8) || reader.ValueTextEquals("Message"u8));
                reader.Read();
                if (reader.TokenType == JsonTokenType.String && (isType || isMessage))
                {
                    var text = new JsonText(body.Slice((int)reader.TokenStartIndex, (int)(reader.BytesConsumed - reader.TokenStartIndex)).ToArray()).ToString();
                    (type, message) = isType && text != "error" ? (text, message) : isMessage ? (type, text) : (type, message);
                }
                else if (reader.TokenType is JsonTokenType.StartArray)
                {
                    reader.Skip();
                }
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            message ??= body.IsEmpty ? null : Encoding.UTF8.GetString(body[..Math.Min(body.Length, MaxMessageLength)]);
        }
        status = status != 0 ? status : StatusOf(type);
        message = string.IsNullOrWhiteSpace(message) ? $"The provider answered with status {status} and no reason." : message;
        return new AnswerError(status, NeutralType(status, type), type, message.Length > MaxMessageLength ? message[..MaxMessageLength] : message);
    }

    private static int StatusOf(string? type) => type switch
    {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    };

    private static string NeutralType(int status, string? type) => (type is null ? status : StatusOf(type) is 500 && type != "api_error" ? status : StatusOf(type)) switch
    {
        401 => "authentication",
        402 or 403 => "permission",
        404 => "not_found",
        408 or 504 => "timeout",
        429 => "rate_limit",
        503 or 529 => "overloaded",
        >= 400 and < 500 => "invalid_request",
        _ => "server",
    };
}
