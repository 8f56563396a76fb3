using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Shared.SignIn;
using Shared.Snapshots;
using Shared.Telemetry;

namespace Shared.Http;

/// <summary>Registration of what every request goes through.</summary>
public static class GatewayRequestsFeature
{
    /// <summary>Adds authentication and request handling. Needs a <see cref="SnapshotStore"/> and an <see cref="IAdminAuthenticator"/>.</summary>
    public static IServiceCollection AddGatewayRequests(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<GatewayMetrics>();
        services.TryAddSingleton<Perimeter>();
        services.AddSingleton<RevokedKeys>();
        services.AddSingleton<LiveKeys>();
        services.AddSingleton(provider => new ConnectionRequests(
            provider.GetRequiredService<SnapshotStore>(), provider.GetRequiredService<LiveKeys>(), provider.GetRequiredService<GatewayMetrics>(), provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<CallerAuthentication>();
        services.AddSingleton<UnmatchedRequests>();
        services.AddSingleton<RequestFailures>();
        services.TryAddSingleton(provider => FollowSettings(provider.GetRequiredService<SnapshotStore>()));
        services.AddSingleton<ISnapshotCompiler, KeyDirectoryCompiler>();
        services.AddSignIn();
        return services;
    }

    /// <summary>
    /// Puts the outermost middleware in place; nothing but routing comes before it. Endpoints declare with
    /// <see cref="GatewayEndpointConventions.ForCaller"/> whose credential they want; one that does not is answered with 404.
    /// </summary>
    public static IApplicationBuilder UseGatewayRequests(this IApplicationBuilder app) => app.UseMiddleware<GatewayRequestsMiddleware>();

    private static BodyMemory FollowSettings(SnapshotStore snapshots)
    {
        var memory = new BodyMemory((snapshots.HasCurrent ? snapshots.Current : Snapshot.Empty).Settings.BodyMemoryBytes);
        snapshots.Changed += (_, current) => memory.Capacity = current.Settings.BodyMemoryBytes;
        return memory;
    }
}
