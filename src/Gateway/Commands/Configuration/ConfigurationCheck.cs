using Gateway.Hosting;
using Shared.Configuration;
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
    /// <summary>Reads and compiles everything.</summary>
    /// <exception cref="Shared.Storage.StorageException">The data folder's database cannot be read.</exception>
    public static async Task<ConfigurationExamination> RunAsync(ServeOptions options)
    {
        var (builder, _) = Program.Compose(options, services =>
        {
            services.AddSingleton<IStoredConfiguration>(new StoredConfigurationReader(options.DataFolder, options.Environment));
            services.AddSingleton<ISpendHistory, NothingSpent>();
        });
        builder.Logging.ClearProviders();
        await using var services = builder.Services.BuildServiceProvider();
        var examination = services.GetRequiredService<SnapshotLoader>().Examine();
        return examination.Errors.Count > 0 ? examination : examination with { Errors = [.. CheckListener(examination, services)] };
    }

    // Decides where a start would listen, reads the certificate, and listens nowhere.
    private static IEnumerable<ConfigError> CheckListener(ConfigurationExamination examination, IServiceProvider services)
    {
        try
        {
            services.GetRequiredService<Listener>().Decide(ServerCompiler.Compile(examination.Sources.Gateway.Server, examination.Sources.GatewayFile, []), services);
            return [];
        }
        catch (ListenAddressException exception)
        {
            return [new ConfigError("", 0, 0, "", exception.Message)];
        }
    }

    // What was spent decides what is admitted, not what is right.
    private sealed class NothingSpent : ISpendHistory
    {
        public IReadOnlyList<SpendRow> Read(OwnerKind kind, string ownerId, DateTimeOffset from) => [];
    }
}
