using Gateway.Hosting;
using Shared.Ledger;
using Shared.Snapshots;
using Shared.Stored;
using Shared.VirtualKeys;

namespace Gateway.Commands.Configuration;

/// <summary>
/// Looks at a configuration with everything that the start looks at it with, and changes nothing: no lock is taken, nothing is listened on, nobody is
/// called. What the admin API declared is read where the data folder has a database.
/// </summary>
internal static class ConfigurationCheck
{
    // Where nothing is listened on, no address can be wrong.
    private const string Nowhere = "http://127.0.0.1:0";

    /// <summary>Reads and compiles everything.</summary>
    /// <exception cref="Shared.Storage.StorageException">The data folder's database cannot be read.</exception>
    public static async Task<ConfigurationExamination> RunAsync(ServeOptions options)
    {
        var (builder, _) = Program.Compose(options with { Urls = Nowhere }, services =>
        {
            services.AddSingleton<IStoredConfiguration>(new StoredConfigurationReader(options.DataFolder, options.Environment));
            services.AddSingleton<ISpendHistory, NothingSpent>();
        });
        builder.Logging.ClearProviders();
        await using var services = builder.Services.BuildServiceProvider();
        return services.GetRequiredService<SnapshotLoader>().Examine();
    }

    // What was spent decides what is admitted, not what is right.
    private sealed class NothingSpent : ISpendHistory
    {
        public IReadOnlyList<SpendRow> Read(OwnerKind kind, string ownerId, DateTimeOffset from) => [];
    }
}
