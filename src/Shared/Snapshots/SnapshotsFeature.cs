using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Shared.Snapshots;

/// <summary>Registration of the configuration's snapshots.</summary>
public static class SnapshotsFeature
{
    /// <summary>
    /// Adds the <see cref="SnapshotStore"/> and the <see cref="SnapshotLoader"/>. The first snapshot is loaded before any hosted service starts, unless
    /// <see cref="SnapshotLoader.Load"/> was called before; then the files are watched. Uses every <see cref="ISnapshotCompiler"/> and
    /// the <see cref="Stored.IStoredConfiguration"/> that is registered.
    /// </summary>
    public static IServiceCollection AddSnapshots(this IServiceCollection services, SnapshotPaths paths)
    {
        // What could fail in it fails again, and is reported, when the first snapshot is loaded.
        _ = Task.Run(SnapshotBuilder.WarmUp);
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(paths);
        services.AddSingleton<SnapshotStore>();
        services.AddSingleton<SnapshotLoader>();
        services.AddHostedService<SnapshotWatcher>();
        return services;
    }
}
