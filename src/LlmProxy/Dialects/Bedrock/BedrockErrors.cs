using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using LlmProxy.Neutral;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Errors as AWS's SDKs expect them: the exception's name in <c>x-amzn-ErrorType</c>, <c>{"message"}</c> in the body.</summary>
internal sealed class BedrockErrorFormat : IErrorFormat
{
    private BedrockErrorFormat()
    {
    }

    /// <summary>The one instance.</summary>
    public static BedrockErrorFormat Instance { get; } = new();

    /// <inheritdoc/>
    public async Task WriteAsync(HttpContext context, GatewayError error)
    {
        var body = new ArrayBufferWriter<byte>(256);
        BedrockErrors.Write(body, error.Message);
        var response = context.Response;
        response.StatusCode = error.Status;
        response.ContentType = "application/json";
        response.ContentLength = body.WrittenCount;
        response.Headers["x-amzn-ErrorType"] = BedrockErrors.TypeOf(error.Status);
        if (context.Features.Get<GatewayRequest>()?.RequestId is { } id)
        {
            response.Headers["x-amzn-RequestId"] = id;
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

/// <summary>Bedrock's errors, in answers and in streams.</summary>
internal static class BedrockErrors
{
    private const int MaxMessageLength = 4096;

    /// <summary>The exception that goes with an HTTP status.</summary>
    public static string TypeOf(int status) => status switch
    {
        401 or 402 or 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 or 504 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 or 529 => "ServiceUnavailableException",
        >= 500 => "InternalServerException",
        _ => "ValidationException",
    };

    /// <summary>The exception of a stream that goes with an HTTP status: there are five, their names begin in lower case.</summary>
    public static ReadOnlySpan<byte> StreamTypeOf(int status) => status switch
    {
        429 => "throttlingException"u8,
        424 => "modelStreamErrorException"u8,
        503 or 529 => "serviceUnavailableException"u8,
        >= 500 => "internalServerException"u8,
        _ => "validationException"u8,
    };

    /// <summary>Writes an error's JSON.</summary>
    public static void Write(IBufferWriter<byte> output, string message)
    {
        var json = new JsonObjectWriter(output);
        json.Text("message"u8, message);
        json.End();
    }

    /// <summary>Writes the exception by which a stream breaks off.</summary>
    public static void WriteException(IBufferWriter<byte> output, int status, string message)
    {
        var payload = new ArrayBufferWriter<byte>(256);
        Write(payload, message);
        AwsEventStreamWriter.WriteException(output, StreamTypeOf(status), payload.WrittenSpan);
    }

    /// <summary>Makes an error of whatever was answered.</summary>
    /// <param name="status">The HTTP status; 0: an exception of a stream, whose type tells.</param>
    /// <param name="type">The exception's type; null: not said.</param>
    /// <param name="body">The body or payload.</param>
    public static AnswerError Read(int status, string? type, ReadOnlySpan<byte> body)
    {
        string? message = null;
        try
        {
            var isObject = false;
            for (var members = new SpanMembers(body); members.Next();)
            {
                isObject = true;
                if (members.Is("message"u8) || members.Is("Message"u8))
                {
                    message = Text(members.Text);
                }
                else if (members.Is("__type"u8) || members.Is("code"u8))
                {
                    type ??= Text(members.Text);
                }
                else if (members.Is("originalStatusCode"u8) && status is 0 or 424 && members.Kind == JsonTokenType.Number
                    && System.Buffers.Text.Utf8Parser.TryParse(members.Value, out int original, out _) && original is >= 400 and <= 599)
                {
                    status = original;
                }
            }
            message ??= isObject || body.IsEmpty ? null : Raw(body);
        }
        catch (JsonException)
        {
            message ??= Raw(body);
        }
        // "com.amazon.coral.service#ThrottlingException", "ThrottlingException:http://…"
        type = type?[(type.LastIndexOf('#') + 1)..].Split(':')[0];
        status = status != 0 ? status : StatusOf(type);
        message = string.IsNullOrWhiteSpace(message) ? $"The provider answered with {type ?? $"status {status}"} and no reason." : message;
        return new AnswerError(status, NeutralType(status, message), type, message.Length > MaxMessageLength ? message[..MaxMessageLength] : message);
    }

    private static string? Text(ReadOnlySpan<byte> token) => token.IsEmpty ? null : new JsonText(token.ToArray()).ToString();

    private static string Raw(ReadOnlySpan<byte> body) => Encoding.UTF8.GetString(body[..Math.Min(body.Length, MaxMessageLength)]);

    private static int StatusOf(string? type) => type?.ToUpperInvariant() switch
    {
        "VALIDATIONEXCEPTION" => 400,
        "ACCESSDENIEDEXCEPTION" => 403,
        "RESOURCENOTFOUNDEXCEPTION" => 404,
        "MODELTIMEOUTEXCEPTION" => 408,
        "MODELERROREXCEPTION" or "MODELSTREAMERROREXCEPTION" => 424,
        "THROTTLINGEXCEPTION" or "MODELNOTREADYEXCEPTION" or "SERVICEQUOTAEXCEEDEDEXCEPTION" => 429,
        "SERVICEUNAVAILABLEEXCEPTION" => 503,
        _ => 500,
    };

    private static string NeutralType(int status, string message) => status switch
    {
        // AWS answers 403 to bad signatures and unknown keys, too.
        401 => "authentication",
        403 when message.Contains("security token", StringComparison.OrdinalIgnoreCase) || message.Contains("signature", StringComparison.OrdinalIgnoreCase) || message.Contains("API Key", StringComparison.OrdinalIgnoreCase) => "authentication",
        402 or 403 => "permission",
        404 => "not_found",
        408 or 504 => "timeout",
        424 => "server",
        429 => "rate_limit",
        503 or 529 => "overloaded",
        >= 400 and < 500 => "invalid_request",
        _ => "server",
    };
}
