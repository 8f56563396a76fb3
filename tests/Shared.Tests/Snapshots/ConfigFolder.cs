using Microsoft.Extensions.Logging.Abstractions;
using Shared.Configuration;
using Shared.Snapshots;
using Shared.Stored;
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

    public SnapshotLoader Loader() => new(Paths, Store, Compilers, NullLogger<SnapshotLoader>.Instance, Keys);

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

/// <summary>A stored configuration, in memory.</summary>
internal sealed class MemoryKeys : IStoredConfiguration
{
    private StoredConfiguration current = StoredConfiguration.Empty;

    public event Action? Changed;

    public List<(PublishedRevision Revision, ChangedBy By)> Revisions { get; } = [];

    public StoredConfiguration Read() => current;

    public StoredConfiguration Commit(StoredConfiguration before, StoredConfiguration after, ChangedBy by, PublishedRevision revision)
    {
        current = after;
        Record(revision, by);
        return after;
    }

    public void Record(PublishedRevision revision, ChangedBy by) => Revisions.Add((revision, by));

    public void Add(StoredKey key)
    {
        current = current.With(key);
        Changed?.Invoke();
    }

    public void Add(EntityKind kind, string id, string declaration) => current = current.With(new EntityName(kind, id), declaration);

    public void Add(string id, string declaration, DateTimeOffset? revokedAt = null) =>
        Add(new StoredKey { Id = id, Secrets = [new KeySecret(new byte[32])], Declaration = declaration, RevokedAt = revokedAt });
}
