using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using Shared.Http;

namespace McpHub.Serving;

/// <summary>Takes each POST first: reads the body once, refuses what no reader should see, serves what it can as bytes and hands the rest to the SDK.</summary>
internal sealed class PostEndpoint(BytePath bytePath, SessionRegistry sessions, BodyMemory memory, TimeProvider time, ServingSwitches switches)
{
    private const int ParseError = -32700;
    private const int InvalidRequest = -32600;

    /// <summary>Serves a POST.</summary>
    /// <param name="context">The request.</param>
    /// <param name="sdk">The SDK's endpoint.</param>
    public async Task ServeAsync(HttpContext context, RequestDelegate sdk)
    {
        var caller = GatewayRequest.Of(context);
        if (!IsUtf8Json(context.Request))
        {
            await McpErrorFormat.Instance.WriteAsync(context, new GatewayError(
                StatusCodes.Status415UnsupportedMediaType, "unsupported_media_type", "'Content-Type' must be application/json, in UTF-8.") { Field = "Content-Type" });
            return;
        }
        var (body, error) = await PooledBody.ReadAsync(context, memory, caller.Snapshot.Settings.MaxBodyBytes);
        if (body is null)
        {
            await McpErrorFormat.Instance.WriteAsync(context, error!);
            return;
        }
        var message = RpcMessage.Read(body.Bytes);
        using var post = new ServedPost(caller, body, message, context.RequestAborted);
        switch (message.Form)
        {
            case RpcForm.Malformed:
                await McpErrorFormat.WriteAsync(context, new GatewayError(StatusCodes.Status400BadRequest, "parse_error", "The body is not valid JSON in UTF-8."), ParseError);
                return;
            case RpcForm.Duplicated:
                await McpErrorFormat.WriteAsync(context, new GatewayError(
                    StatusCodes.Status400BadRequest, "duplicate_member", "A member of the message, of 'params' or of '_meta' occurs twice."), InvalidRequest);
                return;
        }
        if (switches.AllThroughSdk || !await bytePath.TryServeAsync(context, caller, message))
        {
            await HandOverAsync(context, post, sdk);
        }
    }

    private async Task HandOverAsync(HttpContext context, ServedPost post, RequestDelegate sdk)
    {
        if (context.Request.Headers[ProtocolEras.SessionHeader] is [{ } id] && sessions.TryFind(id, out var session))
        {
            session.NoteSdkActivity(time.GetTimestamp());
        }
        else if (post.Message.Method == "initialize" && GatewayRequest.Of(context) is { Key: { } key, Snapshot.Settings.MaxSessionsPerKey: var most } && sessions.CountOf(key.Id) >= most)
        {
            await McpErrorFormat.Instance.WriteAsync(context, new GatewayError(
                StatusCodes.Status429TooManyRequests, "too_many_sessions", $"The key has {most} sessions open ('limits.maxSessionsPerKey'). End some with DELETE, or wait: idle ones end by themselves.")
            {
                RetryAfter = TimeSpan.FromSeconds(10),
                Retryable = true,
            });
            return;
        }
        // The SDK has read it to the end before anything else happens, so it may read from the very buffer.
        using var again = MemoryMarshal.TryGetArray(post.Bytes, out var segment)
            ? new MemoryStream(segment.Array!, segment.Offset, segment.Count, writable: false)
            : new MemoryStream(post.Bytes.ToArray(), writable: false);
        context.Request.Body = again;
        context.Request.ContentLength = again.Length;
        post.Enter();
        await sdk(context);
    }

    private static bool IsUtf8Json(HttpRequest request) =>
        request.ContentType is "application/json" or "application/json; charset=utf-8"
        || (MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
            && type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            && (!type.Charset.HasValue || HeaderUtilities.RemoveQuotes(type.Charset).Equals("utf-8", StringComparison.OrdinalIgnoreCase)));
}

/// <summary>For tests and measurements: how requests are served.</summary>
internal sealed class ServingSwitches
{
    /// <summary>Whether every request goes through the SDK.</summary>
    public bool AllThroughSdk { get; set; }
}
