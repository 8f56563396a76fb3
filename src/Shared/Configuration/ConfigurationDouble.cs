using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Shared.Budgets;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Shared.Configuration;

/// <summary>Where the files are.</summary>
public sealed record SnapshotPaths(string ConfigurationFile, string ManifestFolder);

/// <summary>The configuration is wrong.</summary>
public sealed class ConfigurationException(IReadOnlyList<string> errors) : Exception(string.Join(Environment.NewLine, errors))
{
    /// <summary>All errors.</summary>
    public IReadOnlyList<string> Errors { get; } = errors;
}

/// <summary>Builds snapshots of the stored keys and the simulator.</summary>
public sealed class SnapshotLoader(SnapshotStore store, IKeySource keys, IEnumerable<ISnapshotCompiler> compilers, SnapshotPaths paths)
{
    /// <summary>Builds and publishes.</summary>
    public Task ReloadAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var errors = new List<string>();
        if (File.Exists(paths.ConfigurationFile) && File.ReadAllText(paths.ConfigurationFile).Contains("unknown:", StringComparison.Ordinal))
        {
            errors.Add($"{paths.ConfigurationFile}:1: unknown key 'unknown'");
        }
        var all = keys.ReadAll();
        var snapshot = new Snapshot
        {
            Revision = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('|', all.Select(key => key.Id + key.Declaration + key.RevokedAt)))))[..16],
            Keys = all.Select(Parse).ToFrozenDictionary(key => key.Id),
            Providers = new[] { new Provider { Id = "simulator", Dialect = "simulator", Origin = "built-in", Models = ["echo", "tools"] } }.ToFrozenDictionary(provider => provider.Id),
            Routes = FrozenDictionary<string, Route>.Empty,
            Manifests = [],
            Prices = PriceBook.Empty,
            Settings = new GatewaySettings(),
        };
        snapshot.Compile(compilers, errors);
        if (errors.Count > 0)
        {
            store.Reject(errors);
            if (!store.HasCurrent)
            {
                throw new ConfigurationException(errors);
            }
        }
        else
        {
            store.Publish(snapshot);
        }
        return Task.CompletedTask;
    }

    private static VirtualKey Parse(StoredKey stored)
    {
        using var document = JsonDocument.Parse(stored.Declaration);
        var root = document.RootElement;
        ImmutableArray<string> Texts(string name) => root.TryGetProperty(name, out var list) ? [.. list.EnumerateArray().Select(item => item.GetString()!)] : [];
        return new VirtualKey
        {
            Kind = OwnerKind.Key,
            Id = stored.Id,
            Name = root.TryGetProperty("name", out var name) ? name.GetString()! : stored.Id,
            SecretHashes = [.. stored.SecretHashes],
            RevokedAt = stored.RevokedAt,
            ExpiresAt = root.TryGetProperty("expiresAt", out var expires) ? expires.GetDateTimeOffset() : null,
            Grants = new Grants { Models = Texts("models"), Tools = Texts("tools") },
            Budgets = [new Budget { Id = $"key:{stored.Id}/day", Limit = Money.FromDollars(5), Window = Window.Aligned(CalendarUnit.Day) }],
        };
    }
}

/// <summary>Registration.</summary>
public static class SnapshotsFeature
{
    /// <summary>Adds snapshots.</summary>
    public static IServiceCollection AddSnapshots(this IServiceCollection services, SnapshotPaths paths) =>
        services.AddSingleton(paths).AddSingleton<SnapshotStore>().AddSingleton<SnapshotLoader>();
}
