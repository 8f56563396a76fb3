using System.Buffers;
using System.Text.Json;
using Shared.Admission;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>The JSON-RPC errors that the hub itself answers with. Own codes stand outside -32768 to -32000, which JSON-RPC keeps for itself.</summary>
internal static class RpcError
{
    /// <summary>A member of the parameters is missing or wrong; also an unknown tool (specification, server/tools, error handling).</summary>
    public const int InvalidParams = -32602;

    /// <summary>The method does not exist.</summary>
    public const int MethodNotFound = -32601;

    /// <summary>Something went wrong that is nobody's fault but the answering side's.</summary>
    public const int InternalError = -32603;

    /// <summary>The person has to visit an address first (specification 2025-11-25, client/elicitation, URL elicitation required).</summary>
    public const int UrlElicitationRequired = -32042;

    /// <summary>The upstream cannot be reached or broke off.</summary>
    public const int UpstreamUnavailable = -31503;

    /// <summary>The upstream did not answer in time.</summary>
    public const int UpstreamTimeout = -31504;

    /// <summary>The upstream answered what is no answer.</summary>
    public const int UpstreamInvalid = -31502;

    /// <summary>A budget or limit refuses the call.</summary>
    public const int Refused = -31429;

    public static ToolCallOutcome Of(int code, string message) => new(default, Write(code, message));

    public static ToolCallOutcome Of(AdmissionRefusal refusal) => new(default, Write(Refused, refusal.Message, refusal.Code, refusal.RetryAfter, refusal.LimitId));

    /// <summary>The failure of an upstream. Where something is known that a client can act on, <c>data</c> says it.</summary>
    public static ToolCallOutcome Of(UpstreamException failure) => failure.RetryAfter is null
        ? Of(failure.Code, failure.Message)
        : new(default, Write(failure.Code, failure.Message, failure.Reason, failure.RetryAfter));

    public static ToolCallOutcome UnknownTool(string name) => Of(InvalidParams, $"Unknown tool: {name}");

    private static byte[] Write(int code, string message, string? detail = null, TimeSpan? retryAfter = null, string limit = "")
    {
        var output = new ArrayBufferWriter<byte>(256);
        using var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        writer.WriteStartObject();
        writer.WriteNumber("code", code);
        writer.WriteString("message", message);
        if (detail is not null)
        {
            writer.WriteStartObject("data");
            writer.WriteString("code", detail);
            if (retryAfter is { } wait)
            {
                writer.WriteNumber("retryAfterSeconds", Math.Ceiling(wait.TotalSeconds));
            }
            if (limit.Length > 0)
            {
                writer.WriteString("limit", limit);
            }
            writer.WriteEndObject();
        }
        writer.WriteEndObject();
        writer.Flush();
        return output.WrittenSpan.ToArray();
    }
}
