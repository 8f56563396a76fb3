using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using ModelContextProtocol.AspNetCore;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using Shared.Http;

namespace McpHub.Serving;

/// <summary>The server side of the hub: one endpoint for clients with a handshake and clients without.</summary>
public static class McpServingFeature
{
    /// <summary>The most sessions that are kept without a request or stream in progress; the longest idle go first.</summary>
    public const int MaxIdleSessions = 1000;

    /// <summary>
    /// Registers what serves MCP clients. Needs <c>IToolAccess</c>, <c>IToolViews</c>, <see cref="Shared.Snapshots.SnapshotStore"/>, <see cref="BodyMemory"/> and, unless the
    /// system's clock will do, a <see cref="TimeProvider"/>.
    /// </summary>
    public static IServiceCollection AddMcpServing(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<SessionRegistry>();
        services.AddSingleton<ListenStreams>();
        services.AddSingleton<ToolMessages>();
        services.AddSingleton<BytePath>();
        services.AddSingleton<PostEndpoint>();
        services.AddSingleton<ServingSwitches>();
        services.AddHostedService<SessionWatch>();
        services.AddMcpServer().WithHttpTransport();
        services.AddOptions<HttpServerTransportOptions>().Configure<SessionRegistry, TimeProvider>(ConfigureTransport);
        services.AddOptions<McpServerOptions>().Configure<ToolMessages, ListenStreams>(ConfigureServer);
        return services;
    }

    /// <summary>Maps <c>/mcp</c>. A caller needs a virtual key.</summary>
    public static IEndpointConventionBuilder MapMcpHub(this IEndpointRouteBuilder endpoints)
    {
        var posts = endpoints.ServiceProvider.GetRequiredService<PostEndpoint>();
        var sessions = endpoints.ServiceProvider.GetRequiredService<SessionRegistry>();
        var hub = endpoints.MapMcp("/mcp").ForCaller(CallerKind.VirtualKey, McpErrorFormat.Instance);
        hub.Add(endpoint =>
        {
            var methods = endpoint.Metadata.OfType<IHttpMethodMetadata>().LastOrDefault()?.HttpMethods ?? [];
            var sdk = endpoint.RequestDelegate ?? throw new InvalidOperationException("The SDK's endpoint has no handler.");
            if (methods.Contains(HttpMethods.Post))
            {
                endpoint.RequestDelegate = context => posts.ServeAsync(context, sdk);
            }
            else if (methods.Contains(HttpMethods.Get))
            {
                endpoint.RequestDelegate = context => sessions.ListenAsync(context, sdk);
            }
            else if (methods.Contains(HttpMethods.Delete))
            {
                sessions.UseDeleteEndpoint(sdk);
            }
        });
        return hub;
    }

    private static void ConfigureTransport(HttpServerTransportOptions options, SessionRegistry sessions, TimeProvider time)
    {
        options.SessionMode = HttpServerSessionMode.StatefulForInitializeClients;
        options.TimeProvider = time;
#pragma warning disable MCP9006 // Sessions are declared obsolete together with the handshake, which most clients still do.
        options.IdleTimeout = BytePath.SessionIdleTimeout;
        options.MaxIdleSessionCount = MaxIdleSessions;
#pragma warning restore MCP9006
#pragma warning disable MCPEXP002 // The only place where both a session's server and the request that opened it are at hand.
        options.RunSessionHandler = sessions.RunAsync;
#pragma warning restore MCPEXP002
    }

    private static void ConfigureServer(McpServerOptions options, ToolMessages tools, ListenStreams streams)
    {
        options.ServerInfo = McpJson.ServerInfo;
        options.Capabilities = new ServerCapabilities { Tools = new ToolsCapability { ListChanged = true } };
        options.Filters.Message.IncomingFilters.Add(tools.Filter);
        options.Handlers.SubscriptionsListenHandler = streams.ListenAsync;
    }
}
