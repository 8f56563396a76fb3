using McpHub.BuiltIn;
using McpHub.Catalog;
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
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ToolServerConnections>>()));
        services.AddSingleton(provider => new ToolServers(provider.GetRequiredService<SnapshotStore>(), provider.GetRequiredService<ToolServerConnections>().ConnectAsync,
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ToolServers>>(), provider.GetService<ToolHolds>()));
        services.AddSingleton<IToolServerStates>(provider => provider.GetRequiredService<ToolServers>());
        services.AddSingleton<IToolServerAdministration>(provider => provider.GetRequiredService<ToolServers>());
        services.AddSingleton<CallTelemetry>();
        services.AddSingleton<IToolViews, ToolViews>();
        services.AddSingleton<IToolAccess, ToolDispatcher>();
        services.AddHostedService(provider => provider.GetRequiredService<ToolServers>());
        return services;
    }
}
