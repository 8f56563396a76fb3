using System.Security.Cryptography;
using McpHub.Catalog;
using McpHub.Upstreams.SignIn;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using ModelContextProtocol.AspNetCore;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using Shared.Http;
using Shared.Stored;
using Shared.Tools;

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
        services.AddSingleton<RelayMessages>();
        services.AddSingleton<HeldCalls>();
        services.AddSingleton(provider => new StateSeal(
            () => provider.GetService<SecretVault>()?.DeriveKey("requestState of the tool plane") ?? RandomNumberGenerator.GetBytes(32), provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<BytePath>();
        services.AddSingleton<PostEndpoint>();
        services.AddSingleton<ServingSwitches>();
        services.TryAddSingleton<ToolScopes>();
        services.AddSingleton<ServedScopes>();
        services.AddSingleton<LegacySseEndpoints>();
        services.AddSingleton(provider => new EventStore(provider.GetRequiredService<TimeProvider>(), provider.GetService<IHostApplicationLifetime>()));
        services.AddHostedService<SessionWatch>();
        services.AddHostedService<SessionMetrics>();
        services.AddMcpServer().WithHttpTransport();
        services.AddOptions<HttpServerTransportOptions>().Configure<SessionRegistry, EventStore, TimeProvider>(ConfigureTransport);
        services.AddOptions<McpServerOptions>().Configure<RelayMessages, ListenStreams, LegacySseEndpoints>(ConfigureServer);
        return services;
    }

    /// <summary>Maps <c>/mcp</c>, which serves all tool servers, <c>/mcp/{server}</c>, which serves one under its own names, and <c>/mcp/t/{toolset}</c>. A caller needs a virtual key.</summary>
    public static IEndpointConventionBuilder MapMcpHub(this IEndpointRouteBuilder endpoints)
    {
        var all = new List<IEndpointConventionBuilder> { Map(endpoints, "/mcp", static _ => default) };
        all.Add(Map(endpoints, "/mcp/{server}", static context => new ToolScope((string?)context.GetRouteValue("server"), null)));
        all.Add(Map(endpoints, "/mcp/t/{toolset}", static context => new ToolScope(null, (string?)context.GetRouteValue("toolset"))));
        endpoints.MapUpstreamSignIn();
        return new Conventions(all);
    }

    private static IEndpointConventionBuilder Map(IEndpointRouteBuilder endpoints, string path, Func<HttpContext, ToolScope> scopeOf)
    {
        var services = endpoints.ServiceProvider;
        var posts = services.GetRequiredService<PostEndpoint>();
        var sessions = services.GetRequiredService<SessionRegistry>();
        var scopes = services.GetRequiredService<ServedScopes>();
        var legacy = services.GetRequiredService<LegacySseEndpoints>();
        var hub = endpoints.MapMcp(path).ForCaller(CallerKind.VirtualKey, McpErrorFormat.Instance);
        hub.Add(endpoint =>
        {
            var methods = endpoint.Metadata.OfType<IHttpMethodMetadata>().LastOrDefault()?.HttpMethods ?? [];
            var sdk = endpoint.RequestDelegate ?? throw new InvalidOperationException("The SDK's endpoint has no handler.");
            if (methods.Contains(HttpMethods.Post))
            {
                endpoint.RequestDelegate = context => LegacySseEndpoints.Serves(context, scopeOf(context).Server) ? legacy.PostAsync(context)
                    : scopes.TryEnter(context, scopeOf(context) with { Search = context.Request.Query["mode"] == "search" }) ? posts.ServeAsync(context, sdk) : ServedScopes.RefuseAsync(context);
            }
            else if (methods.Contains(HttpMethods.Get))
            {
                endpoint.RequestDelegate = context => LegacySseEndpoints.Serves(context, scopeOf(context).Server) ? legacy.StreamAsync(context)
                    : scopes.TryEnter(context, scopeOf(context) with { Search = context.Request.Query["mode"] == "search" }) ? sessions.ListenAsync(context, sdk) : ServedScopes.RefuseAsync(context);
            }
            else if (methods.Contains(HttpMethods.Delete))
            {
                sessions.UseDeleteEndpoint(sdk);
                endpoint.RequestDelegate = context => scopes.TryEnter(context, scopeOf(context) with { Search = context.Request.Query["mode"] == "search" }) ? sessions.DeleteAsync(context, sdk) : ServedScopes.RefuseAsync(context);
            }
        });
        return hub;
    }

    private sealed class Conventions(List<IEndpointConventionBuilder> all) : IEndpointConventionBuilder
    {
        public void Add(Action<EndpointBuilder> convention) => all.ForEach(one => one.Add(convention));

        public void Finally(Action<EndpointBuilder> finalConvention) => all.ForEach(one => one.Finally(finalConvention));
    }

    private static void ConfigureTransport(HttpServerTransportOptions options, SessionRegistry sessions, EventStore events, TimeProvider time)
    {
        options.SessionMode = HttpServerSessionMode.StatefulForInitializeClients;
        options.TimeProvider = time;
#pragma warning disable MCP9006 // Sessions are declared obsolete together with the handshake, which most clients still do.
        options.IdleTimeout = BytePath.SessionIdleTimeout;
        options.MaxIdleSessionCount = int.MaxValue;
        options.EventStreamStore = events;
#pragma warning restore MCP9006
#pragma warning disable MCPEXP002 // The only place where both a session's server and the request that opened it are at hand.
        options.RunSessionHandler = sessions.RunAsync;
#pragma warning restore MCPEXP002
    }

    private static void ConfigureServer(McpServerOptions options, RelayMessages messages, ListenStreams streams, LegacySseEndpoints legacy)
    {
        options.ServerInfo = McpJson.ServerInfo;
        options.Capabilities = new ServerCapabilities { Tools = new ToolsCapability { ListChanged = true } };
        options.Filters.Message.IncomingFilters.Add(legacy.Incoming);
        options.Filters.Message.IncomingFilters.Add(messages.Incoming);
        options.Filters.Message.OutgoingFilters.Add(messages.Outgoing);
        options.Handlers.SubscriptionsListenHandler = streams.ListenAsync;
    }
}
