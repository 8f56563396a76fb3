using System.Buffers;
using System.Globalization;
using System.Text.Json;
using LlmProxy.Errors;
using LlmProxy.Neutral;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Dialects.Responses.Socket;

/// <summary>
/// Errors over WebSocket: <c>{"type":"error","status","error","headers"}</c>, in which <c>error</c> is what would be the body's over HTTP, and <c>headers</c> what an answer's headers would
/// say of it: Codex reads from there when to ask again.
/// </summary>
internal static class SocketErrors
{
    /// <summary>Writes an error of the gateway's.</summary>
    public static ReadOnlyMemory<byte> Write(GatewayError error, JsonText? lane)
    {
        var body = new ArrayBufferWriter<byte>(256);
        OpenAiErrorFormat.WriteJson(body, error);
        IHeaderDictionary headers = new HeaderDictionary();
        if (error.RetryAfter is { } wait)
        {
            headers.RetryAfter = ((long)Math.Ceiling(Math.Max(0, wait.TotalSeconds))).ToString(CultureInfo.InvariantCulture);
        }
        return Write(error.Status, body.WrittenMemory, headers, lane);
    }

    /// <summary>Writes what would be an error answer.</summary>
    /// <param name="status">Its status.</param>
    /// <param name="body">Its body.</param>
    /// <param name="headers">Its headers, of which those are told that say something of the request.</param>
    /// <param name="lane">The lane of the request; null: none was named.</param>
    public static ReadOnlyMemory<byte> Write(int status, ReadOnlyMemory<byte> body, IHeaderDictionary headers, JsonText? lane)
    {
        var output = new ArrayBufferWriter<byte>(512);
        var json = new JsonObjectWriter(output);
        json.Text("type"u8, "error");
        if (lane is { } name)
        {
            json.Text("stream_id"u8, name);
        }
        json.Number("status"u8, status);
        json.Raw("error"u8, ErrorOf(status, body));
        json.Name("headers"u8);
        var named = new JsonObjectWriter(output);
        foreach (var (header, value) in headers)
        {
            if (header.StartsWith("x-", StringComparison.OrdinalIgnoreCase) || header.Equals("retry-after", StringComparison.OrdinalIgnoreCase))
            {
                named.Text(System.Text.Encoding.UTF8.GetBytes(header.ToLowerInvariant()), value.ToString());
            }
        }
        named.End();
        json.End();
        return output.WrittenMemory;
    }

    private static ReadOnlyMemory<byte> ErrorOf(int status, ReadOnlyMemory<byte> body)
    {
        try
        {
            if (JsonMembers.Of(body).Take("error"u8) is { IsObject: true } error)
            {
                return error.Raw;
            }
        }
        catch (JsonException)
        {
            // Some upstreams answer with text or a page: what can be told of it is told below.
        }
        var read = ResponsesErrors.Read(status, body.Span);
        var output = new ArrayBufferWriter<byte>(256);
        ResponsesErrorEvent.WriteNested(output, read);
        return output.WrittenMemory;
    }
}
