using System.Runtime.InteropServices;
using System.Text;
using McpHub.Catalog;
using McpHub.Upstreams;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using Shared.Http;

namespace McpHub.Serving;

/// <summary>Takes each POST first: reads the body once, refuses what no reader should see, serves what it can as bytes and hands the rest to the SDK.</summary>
internal sealed class PostEndpoint(BytePath bytePath, IToolViews views, SessionRegistry sessions, BodyMemory memory, TimeProvider time, ServingSwitches switches)
{
    private const int ParseError = -32700;
    private const int InvalidRequest = -32600;

    /// <summary>Sent by the gateway's own bridge for clients on standard streams, which have no headers to repeat arguments in.</summary>
    private const string BridgeHeader = "x-gateway-bridge";

    /// <summary>Serves a POST.</summary>
    /// <param name="context">The request.</param>
    /// <param name="sdk">The SDK's endpoint.</param>
    public async Task ServeAsync(HttpContext context, RequestDelegate sdk)
    {
        if (await ReadAsync(context, context.RequestAborted) is not { } post)
        {
            return;
        }
        using (post)
        {
            if (MismatchIn(context.Request.Headers, post) is { } mismatch)
            {
                context.Response.StatusCode = StatusCodes.Status400BadRequest;
                context.Response.ContentType = "application/json";
                await RpcAnswer.WriteAsync(context.Response, post.Message.RawId, RpcAnswer.Error, RpcError.Of((int)McpErrorCode.HeaderMismatch, mismatch).Error);
                return;
            }
            if (switches.AllThroughSdk || !await bytePath.TryServeAsync(context, post.Request, post))
            {
                await HandOverAsync(context, post, sdk);
            }
        }
    }

    /// <summary>Reads a POST. Null: it is nothing that any reader should see, and its client was told so.</summary>
    /// <param name="context">The request.</param>
    /// <param name="aborted">Cancelled when nobody can be answered any more.</param>
    public async ValueTask<ServedPost?> ReadAsync(HttpContext context, CancellationToken aborted)
    {
        var caller = GatewayRequest.Of(context);
        if (!IsUtf8Json(context.Request))
        {
            await McpErrorFormat.Instance.WriteAsync(context, new GatewayError(
                StatusCodes.Status415UnsupportedMediaType, "unsupported_media_type", "'Content-Type' must be application/json, in UTF-8.") { Field = "Content-Type" });
            return null;
        }
        var (body, error) = await PooledBody.ReadAsync(context, memory, caller.Snapshot.Settings.MaxBodyBytes);
        if (body is null)
        {
            await McpErrorFormat.Instance.WriteAsync(context, error!);
            return null;
        }
        var message = RpcMessage.Read(body.Bytes);
        var post = new ServedPost(caller, body, message, aborted);
        switch (message.Form)
        {
            case RpcForm.Malformed:
                post.Dispose();
                await McpErrorFormat.WriteAsync(context, new GatewayError(StatusCodes.Status400BadRequest, "parse_error", "The body is not valid JSON in UTF-8."), ParseError);
                return null;
            case RpcForm.Duplicated:
                post.Dispose();
                await McpErrorFormat.WriteAsync(context, new GatewayError(
                    StatusCodes.Status400BadRequest, "duplicate_member", "A member of the message, of 'params' or of '_meta' occurs twice."), InvalidRequest);
                return null;
            default:
                return post;
        }
    }

    /// <summary>What of a call's arguments its headers must repeat (specification 2026-07-28) and do not; null: nothing.</summary>
    private string? MismatchIn(IHeaderDictionary headers, ServedPost post)
    {
        if (post.Message is not { Method: RequestMethods.ToolsCall, Form: RpcForm.Request, Name: { } name } message || headers[ProtocolEras.VersionHeader] is not [ProtocolEras.Stateless]
            || post.Request.Key is not { } key || headers.ContainsKey(BridgeHeader))
        {
            return null;
        }
        if (views.ViewOf(post.Request.Snapshot, key, post.Request.ToolScope).Tools.GetValueOrDefault(name) is not { ClientHeaders: { } wanted } || ToolParams.Read(message.Params, out var parameters) is not null)
        {
            return null;
        }
        return wanted.Check(header => headers.TryGetValue(header, out var values) ? values.Count == 1 ? values[0]!.Trim(' ', '\t') : "\0" : null, parameters.Arguments);
    }

    private async Task HandOverAsync(HttpContext context, ServedPost post, RequestDelegate sdk)
    {
        ClientSession? used = null;
        if (context.Request.Headers[ProtocolEras.SessionHeader] is [{ } id] && sessions.TryFind(id, out var session))
        {
            if (session.IsOf(post.Request))
            {
                if (TryTakeAnswer(session, post))
                {
                    context.Response.StatusCode = StatusCodes.Status202Accepted;
                    return;
                }
                used = session;
                session.NoteSdkActivity(time.GetTimestamp());
            }
            else
            {
                SessionRegistry.Disown(context);
            }
        }
        else if (post.Message.Method == "initialize" && sessions.RefusalOf(post.Request) is { } refusal)
        {
            await McpErrorFormat.Instance.WriteAsync(context, refusal);
            return;
        }
        // The SDK has read it to the end before anything else happens, so it may read from the very buffer.
        using var again = MemoryMarshal.TryGetArray(post.Bytes, out var segment)
            ? new MemoryStream(segment.Array!, segment.Offset, segment.Count, writable: false)
            : new MemoryStream(post.Bytes.ToArray(), writable: false);
        context.Request.Body = again;
        context.Request.ContentLength = again.Length;
        post.Enter();
        used?.BeginPost();
        try
        {
            await sdk(context);
        }
        finally
        {
            used?.EndPost();
        }
    }

    /// <summary>Takes a client's answer to a question of the gateway's own, which the SDK does not know of.</summary>
    private static bool TryTakeAnswer(ClientSession session, ServedPost post)
    {
        if (post.Message is not { Method: "", Form: RpcForm.Unusual, RawId: { IsEmpty: false } id } || !id.Span.StartsWith("\"gw-"u8) || session.KeyId != post.Request.Key?.Id)
        {
            return false;
        }
        return RpcFrame.TryRead(post.Bytes.Span, out var frame) && frame.IsResponse && session.TryAnswer(Encoding.UTF8.GetString(id.Span[1..^1]), frame.ToOutcome());
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
