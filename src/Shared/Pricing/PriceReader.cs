using Shared.Configuration;
using Shared.Snapshots;

namespace Shared.Pricing;

/// <summary>Reads the prices that a configuration gives, without a gateway that runs.</summary>
public static class PriceReader
{
    /// <summary>The prices that hold at a moment by the catalog, the gateway file and its price file. What the admin API declared is not among them.</summary>
    /// <param name="paths">Where the gateway file is; tool manifests are not read.</param>
    /// <param name="now">The moment.</param>
    /// <exception cref="ConfigurationException">A file cannot be read or is wrong.</exception>
    public static PriceBook Read(SnapshotPaths paths, DateTimeOffset now)
    {
        List<ConfigError> errors = [];
        var files = new SourceFiles(null);
        // Prices hold no secrets, and who looks them up need not have those of the providers.
        var secrets = new SecretReferences(paths.Environment, files.ReadSecret, _ => null).AsLenient();
        var gateway = ConfigurationSources.ReadGateway(paths, files, secrets, errors);
        var sources = new ConfigurationSources
        {
            Gateway = gateway,
            PriceOverlay = ConfigurationSources.ReadPriceFile(paths, gateway, files, errors),
            Manifests = [],
            StoredKeys = [],
            GatewayFile = paths.ConfigFile ?? "gateway.yaml",
            AsOf = now,
        };
        var book = SnapshotBuilder.PricesOf(sources, [.. gateway.Providers.Keys], errors);
        return errors.Count == 0 ? book : throw new ConfigurationException([.. errors.Select(error => error.ToString())]);
    }

    /// <summary>The prices of a model of the catalog that take effect after a moment.</summary>
    public static IReadOnlyList<ModelPrice> Upcoming(ModelPrice price, DateTimeOffset now) =>
        price.Version.StartsWith("catalog:", StringComparison.Ordinal) && PriceCatalog.Changes.Any(day => day > now)
            ? [.. PriceCatalog.ReadAll().Prices.Where(other => other.Provider == price.Provider && other.Model == price.Model && other.EffectiveFrom > now)]
            : [];
}
