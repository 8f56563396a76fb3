using System.Globalization;
using System.Text.Json.Nodes;
using McpHub.Catalog;
using Microsoft.Extensions.Logging;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using Shared.Http;
using Shared.Tools;

namespace McpHub.Serving;

/// <summary>
/// The SDK's way to the tools: takes tools/list and tools/call out of the stream of messages before the SDK reads them into its own types, which would drop
/// every member that they do not know, and answers with raw JSON.
/// </summary>
internal sealed class ToolMessages(IToolAccess tools, IToolViews views, SessionRegistry sessions, ILogger<ToolMessages> logger)
{
    /// <summary>The filter.</summary>
    public McpMessageHandler Filter(McpMessageHandler next) => (context, cancellationToken) => context.JsonRpcMessage switch
    {
        JsonRpcRequest request => ServeAsync(context, request, next, cancellationToken),
        JsonRpcNotification { Method: NotificationMethods.CancelledNotification } notification => CancelAsync(context, notification, next, cancellationToken),
        _ => next(context, cancellationToken),
    };

    private async Task ServeAsync(MessageContext context, JsonRpcRequest request, McpMessageHandler next, CancellationToken cancellationToken)
    {
        var post = ServedPost.Current ?? throw new InvalidOperationException("A request came in past the gateway's endpoint.");
        if (!post.TryRetain())
        {
            // Its client left before it was looked at; there is nobody to answer.
            return;
        }
        using (post)
        {
            var tool = request.Method == RequestMethods.ToolsCall && ViewOf(post.Request).Tools.ContainsKey(post.Message.Name ?? "") ? post.Message.Name : null;
            var operation = ServingTelemetry.Begin(post.Message, post.Request, tool, context.Server.SessionId, context.Server.NegotiatedProtocolVersion);
            var (error, code) = ("internal", 0);
            // In a session the SDK lets a call go on when its client hangs up, though nobody could be given the result any more.
            using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, post.Aborted);
            try
            {
                (error, code) = request.Method switch
                {
                    RequestMethods.ToolsList => await ListAsync(context.Server, request, post, linked.Token),
                    RequestMethods.ToolsCall => await CallAsync(context.Server, request, post, linked.Token),
                    _ => await PassOnAsync(context, next, cancellationToken),
                };
            }
            catch (OperationCanceledException) when (linked.IsCancellationRequested)
            {
                error = "cancelled";
                if (request.Context?.RelatedTransport is { } stream)
                {
                    // A cancelled request gets no answer. Without one the SDK would hold its HTTP response open for as long as the session lasts.
                    await stream.DisposeAsync();
                }
                cancellationToken.ThrowIfCancellationRequested();
            }
            catch (McpProtocolException exception)
            {
                (error, code) = ("protocol", (int)exception.ErrorCode);
                throw;
            }
            finally
            {
                operation.End(error, code);
            }
        }
    }

    private static async Task<(string? Error, int Code)> PassOnAsync(MessageContext context, McpMessageHandler next, CancellationToken cancellationToken)
    {
        await next(context, cancellationToken);
        return (null, 0);
    }

    private async Task<(string? Error, int Code)> ListAsync(McpServer server, JsonRpcRequest request, ServedPost post, CancellationToken cancellationToken)
    {
        var (start, end) = ResultShape.AroundTools(IsStateless(request));
        byte[] result = [.. start.Span, .. ViewOf(post.Request).ToolsJson.Span, .. end.Span];
        await server.SendMessageAsync(new JsonRpcResponse { Id = request.Id, Result = JsonNode.Parse(result) }, cancellationToken);
        return (null, 0);
    }

    private async Task<(string? Error, int Code)> CallAsync(McpServer server, JsonRpcRequest request, ServedPost post, CancellationToken cancellationToken)
    {
        var message = post.Message;
        if (message.Name is not { } name || message.HasOddArguments || message.HasOddMeta)
        {
            throw new McpProtocolException(
                message.Name is null ? "'params.name' must be the name of a tool, a string." : message.HasOddMeta ? "'params._meta' must be an object." : "'params.arguments' must be an object.",
                McpErrorCode.InvalidParams);
        }
        Func<ReadOnlyMemory<byte>, ValueTask>? onProgress = message.HasProgressToken
            ? parameters => SendProgressAsync(server, parameters, cancellationToken)
            : null;
        ToolCallOutcome outcome;
        try
        {
            outcome = await tools.CallAsync(post.Request, new ToolCall(name, message.Params, onProgress), cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            logger.CallFailed(exception);
            throw new McpProtocolException("The gateway could not make the call.", McpErrorCode.InternalError);
        }
        if (outcome.IsError)
        {
            var error = ErrorOf(outcome.Error);
            await server.SendMessageAsync(new JsonRpcError { Id = request.Id, Error = error }, cancellationToken);
            return (error.Code.ToString(CultureInfo.InvariantCulture), error.Code);
        }
        var result = IsStateless(request) ? ResultShape.ForStateless(outcome.Result) : outcome.Result;
        await server.SendMessageAsync(new JsonRpcResponse { Id = request.Id, Result = JsonNode.Parse(result.Span) }, cancellationToken);
        return (ResultShape.IsToolError(outcome.Result.Span) ? "tool_error" : null, 0);
    }

    private static async ValueTask SendProgressAsync(McpServer server, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken) =>
        await server.SendMessageAsync(
            new JsonRpcNotification { Method = NotificationMethods.ProgressNotification, Params = JsonNode.Parse(parameters.Span) }, cancellationToken);

    private Task CancelAsync(MessageContext context, JsonRpcNotification notification, McpMessageHandler next, CancellationToken cancellationToken)
    {
        if (context.Server.SessionId is { } sessionId && sessions.TryFind(sessionId, out var session)
            && notification.Params is JsonObject parameters && parameters["requestId"] is JsonValue id)
        {
            // A call that never reached the SDK: it would not know what to cancel.
            if (id.TryGetValue(out string? text))
            {
                session.TryCancelCall(new RequestId(text));
            }
            else if (id.TryGetValue(out long number))
            {
                session.TryCancelCall(new RequestId(number));
            }
        }
        return next(context, cancellationToken);
    }

    private static JsonRpcErrorDetail ErrorOf(ReadOnlyMemory<byte> raw)
    {
        var error = JsonNode.Parse(raw.Span) as JsonObject;
        return new JsonRpcErrorDetail
        {
            Code = error?["code"] is JsonValue code && code.TryGetValue(out int value) ? value : (int)McpErrorCode.InternalError,
            Message = error?["message"] is JsonValue message && message.TryGetValue(out string? text) ? text : "",
            Data = error?["data"],
        };
    }

    private static bool IsStateless(JsonRpcRequest request) => request.Context?.ProtocolVersion == ProtocolEras.Stateless;

    private ToolView ViewOf(GatewayRequest caller) => views.ViewOf(caller.Snapshot, KeyOf(caller));

    private static Shared.VirtualKeys.VirtualKey KeyOf(GatewayRequest caller) =>
        caller.Key ?? throw new InvalidOperationException("A request came in without a virtual key.");
}
