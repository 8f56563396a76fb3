using System.Globalization;
using McpHub.Catalog;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;
using ModelContextProtocol.Protocol;
using Shared.Http;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Serving;

/// <summary>
/// Answers tools/list and plain tools/call as bytes, without the SDK, which would read and write each of them anew (docs/decisions/0002). It takes only requests of which
/// everything is known to be in order; each other one goes to the SDK, so that refusals are always the SDK's own.
/// </summary>
internal sealed class BytePath(IToolAccess tools, IToolViews views, HeldCalls held, SessionRegistry sessions, TimeProvider time, ILogger<BytePath> logger)
{
    /// <summary>After this time without an answer the response's headers go out, so that no client or proxy takes a slow tool for a dead server.</summary>
    public static readonly TimeSpan HeadersAfter = TimeSpan.FromSeconds(10);

    /// <summary>Time without a request after which the SDK closes a session.</summary>
    public static readonly TimeSpan SessionIdleTimeout = TimeSpan.FromMinutes(10);

    private readonly long keepAliveAfter = (long)(SessionIdleTimeout.TotalSeconds / 4 * time.TimestampFrequency);

    /// <summary>Answers a request if it can. False: nothing was done, and the SDK must.</summary>
    public ValueTask<bool> TryServeAsync(HttpContext context, GatewayRequest caller, ServedPost post)
    {
        var message = post.Message;
        if (caller.Key is not { } key || message.Form != RpcForm.Request || message.HasOddParams || message.HasOddMeta || !AcceptsBoth(context.Request.Headers))
        {
            return ValueTask.FromResult(false);
        }
        var isList = message.Method == RequestMethods.ToolsList;
        if (isList && HasCursor(message))
        {
            return ValueTask.FromResult(false);
        }
        if (!isList && (message.Method != RequestMethods.ToolsCall || message.Name is null || message.HasProgressToken || message.HasOddArguments))
        {
            return ValueTask.FromResult(false);
        }
        ClientSession? session = null;
        var version = context.Request.Headers[ProtocolEras.VersionHeader];
        var stateless = version.Count == 1 && version[0] == ProtocolEras.Stateless;
        if (stateless ? !StatelessRequest.IsInOrder(context.Request.Headers, message) : !TryFindSession(context.Request.Headers, version, key, caller.ToolScope, message, out session))
        {
            return ValueTask.FromResult(false);
        }
        var view = views.ViewOf(caller.Snapshot, key, caller.ToolScope);
        return isList
            ? ListAsync(context, caller, message, view, session, stateless)
            : CallAsync(context, caller, post, view, session, stateless);
    }

    private bool TryFindSession(IHeaderDictionary headers, StringValues version, VirtualKey key, ToolScope scope, RpcMessage message, out ClientSession? session)
    {
        var id = headers[ProtocolEras.SessionHeader];
        session = null;
        return id.Count == 1 && sessions.TryFind(id[0]!, out session)
            && session.KeyId == key.Id && session.Scope == scope
            && session.ProtocolVersion is { } agreed && (StringValues.IsNullOrEmpty(version) || version == agreed)
            && !message.HasReservedMeta
            && !session.IsKeepAliveDue(time.GetTimestamp(), keepAliveAfter);
    }

    private static async ValueTask<bool> ListAsync(HttpContext context, GatewayRequest caller, RpcMessage message, ToolView view, ClientSession? session, bool stateless)
    {
        var operation = ServingTelemetry.Begin(message, caller, null, session?.Id, stateless ? ProtocolEras.Stateless : session?.ProtocolVersion);
        var (start, end) = ResultShape.AroundTools(stateless);
        PrepareResponse(context, session);
        await RpcAnswer.WriteAsync(context.Response, message.RawId, RpcAnswer.Result, start, view.ToolsJson, end);
        operation.End();
        return true;
    }

    private async ValueTask<bool> CallAsync(HttpContext context, GatewayRequest caller, ServedPost post, ToolView view, ClientSession? session, bool stateless)
    {
        var message = post.Message;
        var tool = view.Tools.GetValueOrDefault(message.Name!);
        if (session is not null && tool?.LongestCall > SessionIdleTimeout / 2)
        {
            // The SDK must see a call that may last so long, or it would take the session for idle meanwhile.
            return false;
        }
        var cancellation = session?.TryBeginCall(message.Id, context.RequestAborted);
        if (session is not null && cancellation is null)
        {
            return false;
        }
        // The end of the HTTP request cancels in a session, too: nobody could be given the result any more, and a client whose
        // response has not begun knows no other way to cancel.
        var cancellationToken = cancellation?.Token ?? context.RequestAborted;
        var operation = ServingTelemetry.Begin(message, caller, tool?.ExposedName, session?.Id, stateless ? ProtocolEras.Stateless : session?.ProtocolVersion);
        var (error, code) = ((string?)"internal", 0);
        using var stream = new PostStream(context);
        var peer = session is { WantsStream: true } ? new PostPeer(session, stream) : null;
        PrepareResponse(context, session);
        try
        {
            var outcome = await AwaitAsync(stream, peer is not null, stateless
                ? held.RunAsync(post, null, (asker, parameters, token) => tools.CallAsync(caller, new ToolCall(message.Name!, parameters) { Peer = asker }, token), cancellationToken)
                : tools.CallAsync(caller, new ToolCall(message.Name!, message.Params) { Peer = peer, LogLevel = session?.LogLevel }, cancellationToken));
            if (outcome.IsError)
            {
                code = ResultShape.CodeOf(outcome.Error.Span);
                error = code.ToString(CultureInfo.InvariantCulture);
                if (stateless && !context.Response.HasStarted)
                {
                    context.Response.StatusCode = StatelessRequest.StatusOf(code);
                }
                await stream.AnswerAsync(message.RawId, RpcAnswer.Error, outcome.Error);
            }
            else
            {
                error = ResultShape.IsToolError(outcome.Result.Span) ? "tool_error" : null;
                await stream.AnswerAsync(message.RawId, RpcAnswer.Result, stateless ? ResultShape.ForStateless(outcome.Result) : outcome.Result);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            error = "cancelled";
            await stream.EndAsync();
        }
        catch (Exception exception) when (!context.RequestAborted.IsCancellationRequested)
        {
            logger.CallFailed(exception);
            code = (int)ModelContextProtocol.McpErrorCode.InternalError;
            await stream.AnswerAsync(message.RawId, RpcAnswer.Error, RpcAnswer.InternalError);
        }
        finally
        {
            if (cancellation is not null)
            {
                session!.EndCall(message.Id, cancellation);
            }
            operation.End(error, code);
        }
        return true;
    }

    /// <summary>Waits for a call; when it takes long, the headers of its response are sent meanwhile.</summary>
    private async ValueTask<ToolCallOutcome> AwaitAsync(PostStream stream, bool canBeAsked, ValueTask<ToolCallOutcome> call)
    {
        if (call.IsCompleted)
        {
            return await call;
        }
        var running = call.AsTask();
        try
        {
            return await running.WaitAsync(HeadersAfter, time);
        }
        catch (TimeoutException) when (!running.IsCompleted)
        {
            await stream.BeginAsync(asStream: canBeAsked);
            return await running;
        }
    }

    private static void PrepareResponse(HttpContext context, ClientSession? session)
    {
        var headers = context.Response.Headers;
        headers.ContentType = "application/json";
        headers.CacheControl = "no-store";
        if (session is not null)
        {
            headers[ProtocolEras.SessionHeader] = session.Id;
        }
    }

    /// <summary>Whether a list is to go on from somewhere. All lists are whole, so that there is no such place, which the SDK's side says.</summary>
    private static bool HasCursor(RpcMessage message) => !message.Params.IsEmpty && message.Params.Span.IndexOf("cursor"u8) >= 0;

    /// <summary>Whether the client takes both JSON and event streams, as it must.</summary>
    private static bool AcceptsBoth(IHeaderDictionary headers)
    {
        var accept = headers.Accept;
        if (accept.Count == 1 && accept[0] is "application/json, text/event-stream" or "application/json,text/event-stream")
        {
            return true;
        }
        if (!MediaTypeHeaderValue.TryParseList(accept, out var types))
        {
            return false;
        }
        return types.Any(static type => type.MatchesMediaType("application/json")) && types.Any(static type => type.MatchesMediaType("text/event-stream"));
    }
}
