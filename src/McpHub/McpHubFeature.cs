using McpHub.Serving;
using Microsoft.Extensions.DependencyInjection;

namespace McpHub;

/// <summary>The tool plane.</summary>
public static class McpHubFeature
{
    /// <summary>Registers the whole plane.</summary>
    public static IServiceCollection AddMcpHub(this IServiceCollection services)
    {
        services.AddMcpServing();
        return services;
    }
}
