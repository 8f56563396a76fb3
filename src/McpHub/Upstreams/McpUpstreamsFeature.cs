using System.Diagnostics.Metrics;
using McpHub.BuiltIn;
using McpHub.Catalog;
using McpHub.Catalog.Pins;
using McpHub.Catalog.Rules;
using McpHub.Features;
using McpHub.Health;
using McpHub.Search;
using McpHub.Upstreams.SignIn;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Shared.Admission;
using Shared.Egress;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>Registration of the hub's client side: tool servers, their catalog, callers' views, and the calling of tools.</summary>
internal static class McpUpstreamsFeature
{
    public static IServiceCollection AddMcpUpstreams(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddMetrics();
        services.AddEgress();
        services.AddSingleton<BuiltInTool, WhoAmITool>();
        // Views need the catalog, the catalog the servers, and the built-in server a view: the last step waits until it is called.
        services.AddSingleton<BuiltInTool>(provider => new ListAllowedTool(provider.GetRequiredService<IToolViews>));
        services.AddSingleton<BuiltInTool>(provider => new SpendTool(provider.GetRequiredService<AdmissionController>()));
        services.AddSingleton<BuiltInTool>(provider => new CurrentTimeTool(provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton(provider => new ToolServerConnections(() => new BuiltInServer(provider.GetServices<BuiltInTool>()), provider.GetRequiredService<EgressPolicy>(),
            provider.GetRequiredService<UpstreamSignIn>, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ToolServerConnections>>()));
        services.AddSingleton(provider => new ToolServers(provider.GetRequiredService<SnapshotStore>(), provider.GetRequiredService<ToolServerConnections>().ConnectAsync,
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ToolServers>>(), provider.GetService<ToolHolds>(),
            provider.GetRequiredService<DefinitionReviews>()));
        services.AddSingleton(provider => new DefinitionReviews(provider.GetService<ToolDefinitions>(), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<IMeterFactory>(),
            provider.GetRequiredService<ILogger<DefinitionReviews>>()));
        services.AddSingleton<IToolDefinitions>(provider => provider.GetRequiredService<DefinitionReviews>());
        services.AddSingleton<IToolServerStates>(provider => provider.GetRequiredService<ToolServers>());
        services.AddSingleton<IToolServerAdministration>(provider => provider.GetRequiredService<ToolServers>());
        services.AddSingleton(provider => new UpstreamSignIn(provider.GetRequiredService<SnapshotStore>(), provider.GetRequiredService<EgressPolicy>(), provider.GetRequiredService<UpstreamGrants>(),
            provider.GetRequiredService<IServer>(), provider.GetRequiredService<IToolServerAdministration>, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<UpstreamSignIn>>()));
        services.AddSingleton<IToolServerSignIn>(provider => provider.GetRequiredService<UpstreamSignIn>());
        services.AddSingleton<CallTelemetry>();
        services.AddSingleton<Approvals>();
        services.AddSingleton<ToolGates>();
        services.AddSingleton<IToolViews, ToolViews>();
        services.AddSingleton<IKeyTools, KeyToolReader>();
        services.TryAddSingleton<ToolScopes>();
        services.AddSingleton<ToolDispatcher>();
        services.AddSingleton<IToolAccess, SearchAccess>();
        services.AddSingleton<FeatureViews>();
        services.AddSingleton<IFeatures, FeatureDispatcher>();
        services.AddHostedService(provider => provider.GetRequiredService<ToolServers>());
        services.AddHostedService<ToolServerMetrics>();
        return services;
    }
}
