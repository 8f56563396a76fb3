using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using LlmProxy.Neutral;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Dialects.Gemini;

/// <summary>
/// Errors as Google's clients expect them: <c>{"error":{"code","message","status","details"}}</c>, the JSON form of <c>google.rpc.Status</c>, with a <c>RetryInfo</c>
/// where waiting helps. A stream without <c>alt=sse</c> is one JSON array, and so is its error.
/// </summary>
internal sealed class GeminiErrorFormat : IErrorFormat
{
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private GeminiErrorFormat()
    {
    }

    /// <summary>The one instance.</summary>
    public static GeminiErrorFormat Instance { get; } = new();

    /// <inheritdoc/>
    public async Task WriteAsync(HttpContext context, GatewayError error)
    {
        var body = new ArrayBufferWriter<byte>(512);
        var isArray = GeminiPath.IsArrayStream(context.Request);
        if (isArray)
        {
            body.Write("["u8);
        }
        WriteJson(body, error);
        if (isArray)
        {
            body.Write("]"u8);
        }
        var response = context.Response;
        response.StatusCode = error.Status;
        response.ContentType = "application/json; charset=UTF-8";
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

    /// <summary>Writes the JSON object alone, as it also stands in the last event of a stream that broke.</summary>
    internal static void WriteJson(IBufferWriter<byte> output, GatewayError error) =>
        Write(output, error.Status, StatusOf(error.Status), error.Message, error.Code, error.Field, error.RetryAfter);

    /// <summary>Writes the JSON object of an error of another dialect.</summary>
    internal static void WriteJson(IBufferWriter<byte> output, AnswerError error) =>
        Write(output, error.Status, StatusOf(error.Status), error.Message, error.Code ?? error.Type, error.Field, error.RetryAfter);

    /// <summary>The name of google.rpc.Code that goes with an HTTP status (googleapis/googleapis:google/rpc/code.proto).</summary>
    internal static string StatusOf(int status) => status switch
    {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 or 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        502 or 503 or 529 => "UNAVAILABLE",
        >= 500 => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };

    private static void Write(IBufferWriter<byte> output, int code, string status, string message, string reason, string? field, TimeSpan? retryAfter)
    {
        using var json = new Utf8JsonWriter(output, Readable);
        json.WriteStartObject();
        json.WriteStartObject("error"u8);
        json.WriteNumber("code"u8, code);
        json.WriteString("message"u8, message);
        json.WriteString("status"u8, status);
        json.WriteStartArray("details"u8);
        json.WriteStartObject();
        json.WriteString("@type"u8, "type.googleapis.com/google.rpc.ErrorInfo"u8);
        json.WriteString("reason"u8, reason.ToUpperInvariant());
        json.WriteString("domain"u8, "gateway"u8);
        json.WriteEndObject();
        if (field is not null)
        {
            json.WriteStartObject();
            json.WriteString("@type"u8, "type.googleapis.com/google.rpc.BadRequest"u8);
            json.WriteStartArray("fieldViolations"u8);
            json.WriteStartObject();
            json.WriteString("field"u8, field);
            json.WriteString("description"u8, message);
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteEndObject();
        }
        if (retryAfter is { } wait)
        {
            json.WriteStartObject();
            json.WriteString("@type"u8, "type.googleapis.com/google.rpc.RetryInfo"u8);
            json.WriteString("retryDelay"u8, Math.Max(0, wait.TotalSeconds).ToString("0.###", CultureInfo.InvariantCulture) + "s");
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndObject();
    }
}

/// <summary>Reads Google's errors: <c>google.rpc.Status</c> in an <c>error</c> member, alone or in an array.</summary>
internal static class GeminiErrorReader
{
    private const int MaxMessageChars = 4096;

    /// <summary>Makes something sensible of any bytes.</summary>
    /// <param name="status">The HTTP status; 0: the error came in a stream, and says itself what it is.</param>
    /// <param name="body">The answer's body.</param>
    public static AnswerError Read(int status, ReadOnlySpan<byte> body)
    {
        var parts = new Parts();
        try
        {
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = 256 });
            if (reader.Read())
            {
                if (reader.TokenType == JsonTokenType.StartArray)
                {
                    reader.Read();
                }
                if (reader.TokenType == JsonTokenType.StartObject)
                {
                    ReadOuter(ref reader, ref parts);
                }
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Half an error is read as far as it goes; what is missing has a default below.
        }
        if (status is < 400 or > 599)
        {
            status = parts.Code is >= 400 and <= 599 ? parts.Code : StatusOf(parts.Status);
        }
        var type = TypeOf(status, parts.Status, parts.Reason);
        var message = parts.Message is { Length: > 0 } text ? text : "The model's provider answered with an error and did not say why.";
        return new AnswerError(status, type, parts.Reason ?? parts.Status, message.Length > MaxMessageChars ? message[..MaxMessageChars] : message)
        {
            Field = parts.Field,
            RetryAfter = parts.RetryAfter,
        };
    }

    private static void ReadOuter(ref Utf8JsonReader reader, ref Parts parts)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isError = GeminiNames.Is(ref reader, "error"u8);
            reader.Read();
            if (isError && reader.TokenType == JsonTokenType.StartObject)
            {
                ReadStatus(ref reader, ref parts);
            }
            else if (isError && reader.TokenType == JsonTokenType.String)
            {
                parts.Message = Text(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private static void ReadStatus(ref Utf8JsonReader reader, ref Parts parts)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (GeminiNames.Is(ref reader, "details"u8))
            {
                reader.Read();
                ReadDetails(ref reader, ref parts);
                continue;
            }
            var (isCode, isMessage, isStatus) = (GeminiNames.Is(ref reader, "code"u8), GeminiNames.Is(ref reader, "message"u8), GeminiNames.Is(ref reader, "status"u8));
            reader.Read();
            if (isCode && GeminiNumbers.TryReadWhole(ref reader, out var code))
            {
                parts.Code = (int)Math.Clamp(code, 0, 1000);
            }
            else if (isMessage && reader.TokenType == JsonTokenType.String)
            {
                parts.Message = Text(ref reader);
            }
            else if (isStatus && reader.TokenType == JsonTokenType.String)
            {
                parts.Status = Text(ref reader);
            }
            reader.Skip();
        }
    }

    private static void ReadDetails(ref Utf8JsonReader reader, ref Parts parts)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (GeminiNames.Is(ref reader, "fieldViolations"u8))
                {
                    reader.Read();
                    ReadViolations(ref reader, ref parts);
                    continue;
                }
                var (isDelay, isReason) = (GeminiNames.Is(ref reader, "retryDelay"u8), GeminiNames.Is(ref reader, "reason"u8));
                reader.Read();
                if (isDelay && reader.TokenType == JsonTokenType.String)
                {
                    parts.RetryAfter = Duration(Text(ref reader)) ?? parts.RetryAfter;
                }
                else if (isReason && reader.TokenType == JsonTokenType.String)
                {
                    parts.Reason ??= Text(ref reader);
                }
                reader.Skip();
            }
        }
    }

    private static void ReadViolations(ref Utf8JsonReader reader, ref Parts parts)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isField = GeminiNames.Is(ref reader, "field"u8);
                reader.Read();
                if (isField && reader.TokenType == JsonTokenType.String)
                {
                    parts.Field ??= Text(ref reader);
                }
                reader.Skip();
            }
        }
    }

    /// <summary>A duration of proto3's JSON mapping, e.g. <c>34.4s</c>; null: it is none.</summary>
    internal static TimeSpan? Duration(string text) =>
        text.EndsWith('s') && decimal.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds < 1_000_000_000
            ? TimeSpan.FromTicks((long)(seconds * TimeSpan.TicksPerSecond))
            : null;

    private static string Text(ref Utf8JsonReader reader) =>
        reader.ValueIsEscaped ? JsonStrings.Unescape(reader.ValueSpan) : System.Text.Encoding.UTF8.GetString(reader.ValueSpan);

    private static int StatusOf(string? status) => status switch
    {
        "INVALID_ARGUMENT" or "FAILED_PRECONDITION" or "OUT_OF_RANGE" => 400,
        "UNAUTHENTICATED" => 401,
        "PERMISSION_DENIED" => 403,
        "NOT_FOUND" => 404,
        "ABORTED" or "ALREADY_EXISTS" => 409,
        "RESOURCE_EXHAUSTED" => 429,
        "CANCELLED" => 499,
        "UNIMPLEMENTED" => 501,
        "UNAVAILABLE" => 503,
        "DEADLINE_EXCEEDED" => 504,
        _ => 500,
    };

    private static string TypeOf(int status, string? name, string? reason) => (status, name) switch
    {
        _ when reason == "API_KEY_INVALID" => "authentication",
        (_, "UNAUTHENTICATED") or (401, _) => "authentication",
        (_, "PERMISSION_DENIED") or (403, _) => "permission",
        (_, "NOT_FOUND") or (404, _) => "not_found",
        (_, "RESOURCE_EXHAUSTED") or (429, _) => "rate_limit",
        (_, "UNAVAILABLE") or (503 or 529, _) => "overloaded",
        (_, "DEADLINE_EXCEEDED") or (408 or 504, _) => "timeout",
        ( < 500, _) => "invalid_request",
        _ => "server",
    };

    private struct Parts
    {
        public int Code;
        public string? Message, Status, Reason, Field;
        public TimeSpan? RetryAfter;
    }
}
