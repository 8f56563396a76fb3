using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using McpHub.Catalog;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using ModelContextProtocol.Server;
using Shared.Http;

namespace McpHub.Serving;

/// <summary>All sessions of clients that shook hands, from the SDK's creation of them to their end.</summary>
internal sealed class SessionRegistry(IToolViews views, TimeProvider time, IServiceProvider services)
{
    private readonly ConcurrentDictionary<string, ClientSession> sessions = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int> counts = new(StringComparer.Ordinal);
    private volatile RequestDelegate? deleteEndpoint;

    /// <summary>Raised when a client begins to listen: it may have missed a change of its tools.</summary>
    public event Action? Listening;

    /// <summary>The sessions now.</summary>
    public IEnumerable<ClientSession> All => sessions.Values;

    /// <summary>How many sessions a key has now.</summary>
    public int CountOf(string keyId) => counts.GetValueOrDefault(keyId);

    /// <summary>Sets the SDK's endpoint that ends a session.</summary>
    public void UseDeleteEndpoint(RequestDelegate endpoint) => deleteEndpoint = endpoint;

    /// <summary>The live session of an id.</summary>
    public bool TryFind(string id, [NotNullWhen(true)] out ClientSession? session) => sessions.TryGetValue(id, out session);

    /// <summary>Runs a server for as long as its session, or its one stateless request, lasts; the SDK calls this for each that it creates.</summary>
    public Task RunAsync(HttpContext context, McpServer server, CancellationToken cancellationToken)
    {
        if (server.SessionId is not { Length: > 0 } id)
        {
            return server.RunAsync(cancellationToken);
        }
        var request = GatewayRequest.Of(context);
        var key = request.Key ?? throw new InvalidOperationException("An MCP session was opened without a virtual key.");
        var fingerprint = views.ViewOf(request.Snapshot, key).Fingerprint;
        return RunAsync(new ClientSession(id, key.Id, context.User, server, fingerprint, time.GetTimestamp()), cancellationToken);
    }

    /// <summary>Serves a GET, on which a client listens for what the server says of itself.</summary>
    public async Task ListenAsync(HttpContext context, RequestDelegate sdk)
    {
        if (context.Request.Headers[ProtocolEras.SessionHeader] is not [{ } id] || !TryFind(id, out var session))
        {
            await sdk(context);
            return;
        }
        var begun = false;
        context.Response.OnStarting(() =>
        {
            begun = context.Response.StatusCode == StatusCodes.Status200OK;
            if (begun)
            {
                session.BeginListening();
                Listening?.Invoke();
            }
            return Task.CompletedTask;
        });
        try
        {
            await sdk(context);
        }
        finally
        {
            if (begun)
            {
                session.EndListening();
            }
        }
    }

    private async Task RunAsync(ClientSession session, CancellationToken cancellationToken)
    {
        ServedPost.Leave();
        sessions[session.Id] = session;
        counts.AddOrUpdate(session.KeyId, 1, static (_, count) => count + 1);
        try
        {
            await using var ending = cancellationToken.UnsafeRegister(static state => ((ClientSession)state!).End(), session);
            await session.Server.RunAsync(cancellationToken);
        }
        finally
        {
            sessions.TryRemove(session.Id, out _);
            if (counts.AddOrUpdate(session.KeyId, 0, static (_, count) => count - 1) == 0)
            {
                counts.TryRemove(new KeyValuePair<string, int>(session.KeyId, 0));
            }
            session.End();
        }
    }

    /// <summary>Ends a session the way its own client would: streams close, calls are cancelled, its id is unknown from then on.</summary>
    public async Task CloseAsync(ClientSession session)
    {
        // The SDK has no other door to a session from outside than the endpoint that its client uses.
        var endpoint = deleteEndpoint ?? throw new InvalidOperationException("app.MapMcpHub() has not run.");
        await using var scope = services.GetRequiredService<IServiceScopeFactory>().CreateAsyncScope();
        var context = new DefaultHttpContext { RequestServices = scope.ServiceProvider, User = session.Principal };
        context.Request.Method = HttpMethods.Delete;
        context.Request.Headers[ProtocolEras.SessionHeader] = session.Id;
        await endpoint(context);
    }
}
