using Microsoft.Extensions.Logging.Abstractions;
using Shared.Configuration;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Shared.Tests.Snapshots;

/// <summary>A folder with a gateway.yaml and manifests, an environment, and what is loaded from them.</summary>
internal sealed class ConfigFolder : IDisposable
{
    public string Root { get; } = Directory.CreateTempSubdirectory("gateway-config-").FullName;

    public Dictionary<string, string> Environment { get; } = [];

    public MemoryKeys Keys { get; } = new();

    public List<ISnapshotCompiler> Compilers { get; } = [];

    public SnapshotStore Store { get; } = new();

    public string GatewayFile => Path.Combine(Root, "gateway.yaml");

    public SnapshotPaths Paths => new(GatewayFile, Path.Combine(Root, "tool-manifests")) { Environment = Environment.GetValueOrDefault };

    public ConfigFolder Gateway(string yaml)
    {
        File.WriteAllText(GatewayFile, yaml);
        return this;
    }

    public ConfigFolder Manifest(string name, string yaml)
    {
        Directory.CreateDirectory(Path.Combine(Root, "tool-manifests"));
        File.WriteAllText(Path.Combine(Root, "tool-manifests", name), yaml);
        return this;
    }

    public SnapshotLoader Loader() => new(Paths, Store, Compilers, [Keys], NullLogger<SnapshotLoader>.Instance);

    public Snapshot Load()
    {
        using var loader = Loader();
        loader.Load();
        return Store.Current;
    }

    /// <summary>The errors that loading fails with, without the folder's path.</summary>
    public IReadOnlyList<string> Errors()
    {
        using var loader = Loader();
        var exception = Assert.Throws<ConfigurationException>(loader.Load);
        return [.. exception.Errors.Select(error => error.Replace(Root + Path.DirectorySeparatorChar, "", StringComparison.Ordinal))];
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);
}

/// <summary>Stored keys, in memory.</summary>
internal sealed class MemoryKeys : IKeySource
{
    private readonly List<StoredKey> keys = [];

    public event Action? Changed;

    public IReadOnlyList<StoredKey> ReadAll() => [.. keys];

    public void Add(StoredKey key)
    {
        keys.Add(key);
        Changed?.Invoke();
    }

    public void Add(string id, string declaration, DateTimeOffset? revokedAt = null) => Add(new StoredKey(id, [new byte[32]], declaration, DateTimeOffset.UnixEpoch, revokedAt));
}
