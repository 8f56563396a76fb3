using System.Net.WebSockets;
using LlmProxy.Dialects.Responses.Store;
using LlmProxy.Errors;
using LlmProxy.Relay;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Shared.Http;

namespace LlmProxy.Dialects.Responses.Socket;

/// <summary>
/// <c>GET /v1/responses</c>: OpenAI's WebSocket mode, in which a client asks for one response after the other over one connection (developers.openai.com/api/docs/guides/websocket-mode).
/// Each is a request of its own, as if it had been posted: routed, admitted, charged, traced, and translated where its provider speaks another format.
/// </summary>
internal sealed class ResponsesSockets(
    ResponsesEndpoints endpoints, ResponseStore store, ConnectionRequests requests, LiveKeys keys, BodyMemory memory, IHostApplicationLifetime lifetime, TimeProvider clock, ILogger<ResponsesSockets> logger)
{
    private static readonly GatewayError NoSocket = new(StatusCodes.Status426UpgradeRequired, "websocket_required", "Responses are made by POST, or over WebSocket: send 'Upgrade: websocket'.");

    public ResponsesEndpoints Endpoints => endpoints;

    public ResponseStore Store => store;

    public ConnectionRequests Requests => requests;

    public LiveKeys Keys => keys;

    public BodyMemory Memory => memory;

    public TimeProvider Clock => clock;

    public ILogger Logger => logger;

    /// <summary>Answers a request to open a connection, and serves it until it ends.</summary>
    public async Task AnswerAsync(HttpContext context)
    {
        if (!context.WebSockets.IsWebSocketRequest)
        {
            context.Response.Headers.Upgrade = "websocket";
            await OpenAiErrorFormat.Instance.WriteAsync(context, NoSocket);
            return;
        }
        using var client = await context.WebSockets.AcceptWebSocketAsync();
        using var socket = new ResponsesSocket(this, context, client);
        await using var stopping = lifetime.ApplicationStopping.UnsafeRegister(static state => ((ResponsesSocket)state!).EndWhenIdle(new SocketEnd(WebSocketCloseStatus.EndpointUnavailable, null)), socket);
        await socket.RunAsync();
    }
}
