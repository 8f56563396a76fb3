using McpHub.Serving;
using McpHub.Upstreams;
using Microsoft.Extensions.DependencyInjection;

namespace McpHub;

/// <summary>The tool plane.</summary>
public static class McpHubFeature
{
    /// <summary>Registers the whole plane.</summary>
    public static IServiceCollection AddMcpHub(this IServiceCollection services)
    {
        services.AddMcpUpstreams();
        services.AddMcpServing();
        return services;
    }
}
