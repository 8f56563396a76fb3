using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Shared.Ledger;
using Shared.Snapshots;
using Shared.Stored;
using Shared.Telemetry;
using Shared.Tools;
using Shared.VirtualKeys;

namespace Shared.Storage;

/// <summary>Registration of the embedded database and what is kept in it.</summary>
public static class StorageFeature
{
    /// <summary>
    /// Opens the data folder's database, now and not at first use, so that trouble shows at once; adds it with the ledger and its writer, the spend history, the keys and the usage query.
    /// The container closes it. Register it before the services that serve calls: hosted services stop in the reverse order, so that the ledger writes to the end.
    /// </summary>
    /// <exception cref="StorageException">The folder is in use or cannot be written, the database is damaged, or a newer version made it.</exception>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public static IServiceCollection AddStorage(this IServiceCollection services, StorageOptions options)
    {
        var database = GatewayDatabase.Open(options, TimeProvider.System);
        services.TryAddSingleton(TimeProvider.System);
        services.AddMetrics();
        services.AddSingleton(options);
        // Made by a factory, as the container disposes only of what it has made.
        services.AddSingleton(_ => database);
        services.AddSingleton<EmbeddedLedger>();
        services.AddSingleton<ILedger>(provider => provider.GetRequiredService<EmbeddedLedger>());
        services.AddSingleton<ISpendHistory, SpendHistory>();
        services.AddSingleton<UsageQuery>();
        services.AddSingleton<LedgerQuery>();
        services.AddSingleton<KeyStore>();
        services.AddSingleton(new SecretVault(database.Folder, options.Environment));
        services.AddSingleton<ConfigurationStore>();
        services.AddSingleton<IStoredConfiguration>(provider => provider.GetRequiredService<ConfigurationStore>());
        services.AddSingleton<ToolHolds>();
        services.AddSingleton<ProviderObjects>();
        services.AddSingleton<UpstreamGrants>();
        services.AddSingleton<ToolDefinitions>();
        services.AddSingleton<Backup>();
        services.AddSingleton<AuditLog>();
        services.AddSingleton<RevisionLog>();
        services.AddSingleton<AdminKeys>();
        services.AddSingleton<IReadinessCheck>(_ => new StorageCheck(database));
        services.AddHostedService<LedgerWriter>();
        services.AddSingleton(provider => new StorageMaintenance(database, provider.GetService<SnapshotStore>(), provider.GetRequiredService<RevisionLog>(),
            provider.GetRequiredService<IMeterFactory>(), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<StorageMaintenance>>()));
        services.AddHostedService(provider => provider.GetRequiredService<StorageMaintenance>());
        return services;
    }
}
