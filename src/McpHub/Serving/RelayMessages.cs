using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using McpHub.Catalog;
using McpHub.Features;
using McpHub.Upstreams;
using Microsoft.Extensions.Logging;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using Shared.Http;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Serving;

/// <summary>
/// The SDK's way to the servers: takes what is for them out of the stream of messages before the SDK reads it into its own types, which would drop every member that they do
/// not know, and answers with raw JSON. What is left to the SDK is the handshake, pings and the keeping of sessions and streams.
/// </summary>
internal sealed class RelayMessages(IToolAccess tools, IToolViews views, IFeatures features, HeldCalls held, SessionRegistry sessions, EventStore events, ILogger<RelayMessages> logger)
{
    /// <summary>The filter of what clients send.</summary>
    public McpMessageHandler Incoming(McpMessageHandler next) => (context, cancellationToken) => context.JsonRpcMessage switch
    {
        JsonRpcRequest request => ServeAsync(context, request, next, cancellationToken),
        JsonRpcNotification notification => HearAsync(context, notification, next, cancellationToken),
        _ => next(context, cancellationToken),
    };

    /// <summary>The filter of what the SDK answers: what it says of the server is replaced by what the caller's view of the hub has to say.</summary>
    public McpMessageHandler Outgoing(McpMessageHandler next) => (context, cancellationToken) =>
    {
        if (context.JsonRpcMessage is JsonRpcResponse { Result: JsonObject result } response
            && ServedPost.Current is { Message: { Method: RequestMethods.Initialize or RequestMethods.ServerDiscover } message } post && response.Id.Equals(message.Id))
        {
            Introduction.Write(result, post.Request, features.ViewOf(post.Request.Snapshot, KeyOf(post.Request), post.Request.ToolScope), isHandshake: message.Method == RequestMethods.Initialize);
        }
        return next(context, cancellationToken);
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
            var (error, code) = ((string?)"internal", 0);
            using var lifetime = new CallLifetime(events, context.Server, request.Id, cancellationToken, post.Aborted);
            try
            {
                var outcome = await AnswerAsync(new Exchange(context, request, post, lifetime.Token));
                (error, code) = outcome is { } answer ? await SendAsync(context.Server, request, answer, cancellationToken) : await PassOnAsync(context, next, cancellationToken);
            }
            catch (OperationCanceledException) when (lifetime.Token.IsCancellationRequested)
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

    /// <summary>The answer to a request; null: it is the SDK's to give.</summary>
    private async ValueTask<ToolCallOutcome?> AnswerAsync(Exchange exchange)
    {
        var (post, message) = (exchange.Post, exchange.Post.Message);
        switch (message.Method)
        {
            case RequestMethods.ToolsList:
                return List(exchange, "tools"u8, ViewOf(post.Request).ToolsJson);
            case RequestMethods.PromptsList:
                return List(exchange, "prompts"u8, FeaturesOf(post.Request).Prompts.Json);
            case RequestMethods.ResourcesList:
                return List(exchange, "resources"u8, FeaturesOf(post.Request).Resources.Json);
            case RequestMethods.ResourcesTemplatesList:
                return List(exchange, "resourceTemplates"u8, FeaturesOf(post.Request).Templates.Json);
            case RequestMethods.ToolsCall:
                return await CallToolAsync(exchange);
            case RequestMethods.PromptsGet or RequestMethods.ResourcesRead or RequestMethods.CompletionComplete:
                return await RelayAsync(exchange);
            case RequestMethods.ResourcesSubscribe when SessionOf(exchange) is { } session:
                return await SubscribeAsync(exchange, session);
            case RequestMethods.ResourcesUnsubscribe when SessionOf(exchange) is { } session:
                session.GiveUp(AddressOf(message));
                return Empty;
            case "logging/setLevel" when SessionOf(exchange) is { } session:
                return SetLogLevel(exchange, session);
            case RequestMethods.Initialize or RequestMethods.ServerDiscover or RequestMethods.Ping or RequestMethods.SubscriptionsListen
                or RequestMethods.ResourcesSubscribe or RequestMethods.ResourcesUnsubscribe or "logging/setLevel":
                return null;
            default:
                return features.CanRelay(post.Request, message.Method) ? await RelayAsync(exchange) : null;
        }
    }

    private static ToolCallOutcome List(Exchange exchange, ReadOnlySpan<byte> member, ReadOnlyMemory<byte> items)
    {
        var parameters = exchange.Post.Message.Params;
        if (JsonMembers.FindRaw(parameters.Span, "cursor"u8) is { IsEmpty: false } cursor && !cursor.SequenceEqual("null"u8))
        {
            return RpcError.Of(RpcError.InvalidParams, "'params.cursor' is not one that was given: this list is whole.");
        }
        return new ToolCallOutcome(ResultShape.List(member, items.Span, exchange.IsStateless), default);
    }

    private async ValueTask<ToolCallOutcome?> CallToolAsync(Exchange exchange)
    {
        var (post, message) = (exchange.Post, exchange.Post.Message);
        if (message.Name is not { } name || message.HasOddArguments || message.HasOddMeta)
        {
            throw new McpProtocolException(
                message.Name is null ? "'params.name' must be the name of a tool, a string." : message.HasOddMeta ? "'params._meta' must be an object." : "'params.arguments' must be an object.",
                McpErrorCode.InvalidParams);
        }
        return await MakeAsync(exchange, (peer, parameters, token) => tools.CallAsync(post.Request, new ToolCall(name, parameters, ProgressOf(exchange)) { Peer = peer, LogLevel = LogLevelOf(exchange) }, token));
    }

    private async ValueTask<ToolCallOutcome?> RelayAsync(Exchange exchange)
    {
        var message = exchange.Post.Message;
        if (message.HasOddParams || message.HasOddMeta)
        {
            throw new McpProtocolException(message.HasOddMeta ? "'params._meta' must be an object." : "'params' must be an object.", McpErrorCode.InvalidParams);
        }
        return await MakeAsync(exchange, (peer, parameters, token) => features.CallAsync(
            exchange.Post.Request,
            new FeatureCall(message.Method, parameters) { Peer = peer, OnProgress = ProgressOf(exchange), LogLevel = LogLevelOf(exchange), IsStateless = exchange.IsStateless },
            token));
    }

    /// <summary>Makes a call for whoever is behind it.</summary>
    private async ValueTask<ToolCallOutcome> MakeAsync(Exchange exchange, Func<IClientPeer, ReadOnlyMemory<byte>, CancellationToken, ValueTask<ToolCallOutcome>> call)
    {
        var (server, post) = (exchange.Context.Server, exchange.Post);
        try
        {
            if (SessionOf(exchange) is { } session)
            {
                return await call(new SessionPeer(session, server), post.Message.Params, exchange.CancellationToken);
            }
            return await held.RunAsync(post, TellAsync, call, exchange.CancellationToken);

            async ValueTask TellAsync(string method, ReadOnlyMemory<byte> parameters)
            {
                // Log messages are for those who ask for them with the very request (specification 2026-07-28, server/utilities/logging).
                if (method != "notifications/message" || ClientSession.IsWanted(JsonMembers.FindString(parameters.Span, "level"u8), post.Message.LogLevel))
                {
                    await server.SendMessageAsync(new JsonRpcNotification { Method = method, Params = RawNodes.Parse(parameters.Span) }, exchange.CancellationToken);
                }
            }
        }
        catch (Exception exception) when (exception is not McpProtocolException && !exchange.CancellationToken.IsCancellationRequested)
        {
            logger.CallFailed(exception);
            throw new McpProtocolException("The gateway could not make the call.", McpErrorCode.InternalError);
        }
    }

    private async ValueTask<ToolCallOutcome> SubscribeAsync(Exchange exchange, ClientSession session)
    {
        var address = AddressOf(exchange.Post.Message);
        if (session.Hears(address))
        {
            return Empty;
        }
        var (subscription, error) = await features.SubscribeAsync(exchange.Post.Request, new SessionPeer(session, exchange.Context.Server), address, changed => TellUpdatedAsync(session, changed), isStateless: false, exchange.CancellationToken);
        if (subscription is null)
        {
            return error;
        }
        if (!session.TryKeep(address, subscription))
        {
            subscription.Dispose();
            return session.Hears(address) ? Empty : RpcError.Of(RpcError.Refused, $"A session can hear of at most {ClientSession.MostSubscriptions} resources.");
        }
        return Empty;
    }

    private static async ValueTask TellUpdatedAsync(ClientSession session, string address) =>
        await session.Server.SendMessageAsync(new JsonRpcNotification { Method = NotificationMethods.ResourceUpdatedNotification, Params = new JsonObject { ["uri"] = address } });

    private ToolCallOutcome SetLogLevel(Exchange exchange, ClientSession session)
    {
        var parameters = exchange.Post.Message.Params;
        var level = parameters.IsEmpty ? null : JsonMembers.FindString(parameters.Span, "level"u8);
        if (!ClientSession.IsSeverity(level))
        {
            return RpcError.Of(RpcError.InvalidParams, "'params.level' must be debug, info, notice, warning, error, critical, alert or emergency.");
        }
        session.LogLevel = level;
        features.SetLogLevel(exchange.Post.Request, session.Peer, level!);
        return Empty;
    }

    private static string AddressOf(RpcMessage message) =>
        (message.Params.IsEmpty ? null : JsonMembers.FindString(message.Params.Span, "uri"u8)) ?? throw new McpProtocolException("'params.uri' must be the address of a resource, a string.", McpErrorCode.InvalidParams);

    private static async Task<(string? Error, int Code)> SendAsync(McpServer server, JsonRpcRequest request, ToolCallOutcome outcome, CancellationToken cancellationToken)
    {
        if (outcome.IsError)
        {
            var error = ErrorOf(outcome.Error);
            if (request.Context?.ProtocolVersion == ProtocolEras.Stateless && error is { Code: (int)McpErrorCode.MethodNotFound, Data: null })
            {
                // The SDK gives it the HTTP status that the revision demands.
                throw new McpProtocolException(error.Message, McpErrorCode.MethodNotFound);
            }
            await server.SendMessageAsync(new JsonRpcError { Id = request.Id, Error = error }, cancellationToken);
            return (error.Code.ToString(CultureInfo.InvariantCulture), error.Code);
        }
        var result = request.Context?.ProtocolVersion == ProtocolEras.Stateless ? ResultShape.ForStateless(outcome.Result, request.Method == RequestMethods.ResourcesRead) : outcome.Result;
        await server.SendMessageAsync(new JsonRpcResponse { Id = request.Id, Result = RawNodes.Parse(result.Span) }, cancellationToken);
        return (request.Method == RequestMethods.ToolsCall && ResultShape.IsToolError(outcome.Result.Span) ? "tool_error" : null, 0);
    }

    private static async Task<(string? Error, int Code)> PassOnAsync(MessageContext context, McpMessageHandler next, CancellationToken cancellationToken)
    {
        await next(context, cancellationToken);
        return (null, 0);
    }

    private async Task HearAsync(MessageContext context, JsonRpcNotification notification, McpMessageHandler next, CancellationToken cancellationToken)
    {
        switch (notification.Method)
        {
            case NotificationMethods.CancelledNotification:
                Cancel(context, notification);
                break;
            case NotificationMethods.InitializedNotification:
                break;
            case NotificationMethods.ProgressNotification:
                if (context.Server.SessionId is { } asked && sessions.TryFind(asked, out var answering))
                {
                    await answering.HearAsync(ParamsOf(notification));
                }
                break;
            default:
                if (ServedPost.Current is { } post && context.Server.SessionId is { } id && sessions.TryFind(id, out var session)
                    && (notification.Method == "notifications/roots/list_changed" || features.CanRelay(post.Request, notification.Method)))
                {
                    features.Tell(post.Request, session.Peer, notification.Method, ParamsOf(notification));
                }
                break;
        }
        await next(context, cancellationToken);
    }

    private static byte[] ParamsOf(JsonRpcNotification notification) => notification.Params is null ? [] : Encoding.UTF8.GetBytes(notification.Params.ToJsonString(RawNodes.Writing));

    private void Cancel(MessageContext context, JsonRpcNotification notification)
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
    }

    private static Func<ReadOnlyMemory<byte>, ValueTask>? ProgressOf(Exchange exchange)
    {
        var (server, cancellationToken) = (exchange.Context.Server, exchange.CancellationToken);
        return !exchange.Post.Message.HasProgressToken ? null : async parameters =>
            await server.SendMessageAsync(new JsonRpcNotification { Method = NotificationMethods.ProgressNotification, Params = RawNodes.Parse(parameters.Span) }, cancellationToken);
    }

    private string? LogLevelOf(Exchange exchange) => exchange.IsStateless ? exchange.Post.Message.LogLevel : SessionOf(exchange)?.LogLevel;

    private ClientSession? SessionOf(Exchange exchange) => exchange.Context.Server.SessionId is { } id && sessions.TryFind(id, out var session) ? session : null;

    private static JsonRpcErrorDetail ErrorOf(ReadOnlyMemory<byte> raw)
    {
        var error = RawNodes.Parse(raw.Span) as JsonObject;
        return new JsonRpcErrorDetail
        {
            Code = error?["code"] is JsonValue code && code.TryGetValue(out int value) ? value : (int)McpErrorCode.InternalError,
            Message = error?["message"] is JsonValue message && message.TryGetValue(out string? text) ? text : "",
            Data = error?["data"],
        };
    }

    private static ToolCallOutcome Empty { get; } = new("{}"u8.ToArray(), default);

    private ToolView ViewOf(GatewayRequest caller) => views.ViewOf(caller.Snapshot, KeyOf(caller), caller.ToolScope);

    private FeatureView FeaturesOf(GatewayRequest caller) => features.ViewOf(caller.Snapshot, KeyOf(caller), caller.ToolScope);

    private static VirtualKey KeyOf(GatewayRequest caller) => caller.Key ?? throw new InvalidOperationException("A request came in without a virtual key.");

    /// <summary>A request under way.</summary>
    private readonly record struct Exchange(MessageContext Context, JsonRpcRequest Request, ServedPost Post, CancellationToken CancellationToken)
    {
        public bool IsStateless => Request.Context?.ProtocolVersion == ProtocolEras.Stateless;
    }
}
