using Shared.Configuration;
using Shared.Stored;
using Shared.VirtualKeys;

namespace Shared.Snapshots;

/// <summary>Everything that a snapshot is built from, read and bound but not yet checked against each other.</summary>
internal sealed record ConfigurationSources
{
    public required GatewayDeclaration Gateway { get; init; }

    public required IReadOnlyList<PriceDeclaration> PriceOverlay { get; init; }

    public required IReadOnlyList<ManifestDeclaration> Manifests { get; init; }

    public required IReadOnlyCollection<StoredKey> StoredKeys { get; init; }

    /// <summary>The moment whose prices hold.</summary>
    public DateTimeOffset AsOf { get; init; } = TimeProvider.System.GetUtcNow();

    /// <summary>What the gateway file is called in messages.</summary>
    public required string GatewayFile { get; init; }

    /// <summary>Reads all of it; what is wrong goes to the errors and leaves its place empty.</summary>
    public static ConfigurationSources Read(SnapshotPaths paths, SourceFiles files, StoredConfiguration stored, ICollection<ConfigError> errors)
    {
        var secrets = new SecretReferences(paths.Environment, files.ReadSecret, name => stored.Secrets.GetValueOrDefault(name)?.Value?.Reveal());
        var gateway = ReadGateway(paths, files, secrets, errors);
        var declared = new ConfigurationSources
        {
            Gateway = gateway,
            PriceOverlay = ReadPriceFile(paths, gateway, files, errors),
            Manifests = [.. files.Manifests.Select(path => ReadManifest(path, files, secrets, errors)).OfType<ManifestDeclaration>()],
            StoredKeys = [.. stored.Keys.Values],
            GatewayFile = paths.ConfigFile ?? "gateway.yaml",
        };
        return stored.Entities.IsEmpty ? declared : new StoredEntities(secrets.ForAdminApi(), errors).AddTo(declared, stored);
    }

    /// <summary>What the gateway file declares; its defaults where there is none.</summary>
    internal static GatewayDeclaration ReadGateway(SnapshotPaths paths, SourceFiles files, SecretReferences secrets, ICollection<ConfigError> errors)
    {
        if (paths.ConfigFile is not { } path)
        {
            return new GatewayDeclaration();
        }
        if (!files.TryRead(path, out var text, out var missing, out var reason))
        {
            if (!missing || paths.ConfigFileRequired)
            {
                errors.Add(new ConfigError(path, 0, 0, "", reason));
            }
            return new GatewayDeclaration();
        }
        return (YamlNodes.Read(path, text, errors) is { } node ? new ConfigBinder(errors, secrets).Bind<GatewayDeclaration>(node) : null) ?? new GatewayDeclaration();
    }

    /// <summary>The prices of the file that <c>priceFile</c> names.</summary>
    internal static IReadOnlyList<PriceDeclaration> ReadPriceFile(SnapshotPaths paths, GatewayDeclaration gateway, SourceFiles files, ICollection<ConfigError> errors)
    {
        if (gateway.PriceFile is not { } name)
        {
            return [];
        }
        var path = Path.Combine(Path.GetDirectoryName(paths.ConfigFile) ?? "", name);
        if (!files.TryRead(path, out var text, out _, out var reason))
        {
            errors.Add(gateway.Error("priceFile", $"{path}: {reason}"));
            return [];
        }
        var file = YamlNodes.Read(path, text, errors) is { } node ? new ConfigBinder(errors, SecretReferences.None).Bind<PriceFileDeclaration>(node) : null;
        return file?.Prices ?? [];
    }

    private static ManifestDeclaration? ReadManifest(string path, SourceFiles files, SecretReferences secrets, ICollection<ConfigError> errors)
    {
        if (!files.TryRead(path, out var text, out var missing, out var reason))
        {
            // A file that went away between the listing and now is gone, not wrong.
            if (!missing)
            {
                errors.Add(new ConfigError(path, 0, 0, "", reason));
            }
            return null;
        }
        if (SourceFiles.IsOpenApiDocument(text) || YamlNodes.Read(path, text, errors) is not { } node)
        {
            return null;
        }
        // A server that is switched off may lack its secrets.
        var off = node.At("enabled") is ConfigScalar { Text: "false" };
        return new ConfigBinder(errors, off ? secrets.AsLenient() : secrets).Bind<ManifestDeclaration>(node);
    }
}
