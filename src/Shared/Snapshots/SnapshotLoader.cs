using Microsoft.Extensions.Logging;
using Shared.Configuration;
using Shared.VirtualKeys;

namespace Shared.Snapshots;

/// <summary>
/// Builds snapshots from files, environment and stored keys, and puts them in force. At start a bad configuration is an exception; later it is refused,
/// and the last good one goes on serving.
/// </summary>
public sealed class SnapshotLoader : IDisposable
{
    private readonly SnapshotPaths paths;
    private readonly SnapshotStore store;
    private readonly ISnapshotCompiler[] compilers;
    private readonly IKeySource[] keySources;
    private readonly ILogger<SnapshotLoader> logger;
    private readonly SemaphoreSlim building = new(1, 1);
    private volatile SourceFiles? files;
    private volatile string currentText = "";
    private volatile TelemetryDeclaration telemetry = new();
    private long keyChanges;
    private long keyChangesBuilt;

    /// <summary>A loader; nothing is read yet.</summary>
    public SnapshotLoader(SnapshotPaths paths, SnapshotStore store, IEnumerable<ISnapshotCompiler> compilers, IEnumerable<IKeySource> keySources, ILogger<SnapshotLoader> logger)
    {
        this.paths = paths;
        this.store = store;
        this.logger = logger;
        this.compilers = [.. compilers];
        this.keySources = [.. keySources];
        foreach (var source in this.keySources)
        {
            source.Changed += OnKeysChanged;
        }
    }

    /// <summary>Raised when stored keys changed and the snapshot is due to be built anew.</summary>
    internal event Action? KeysChanged;

    /// <summary>The canonical text of the snapshot that serves; its revision is the hash of this text. Secrets stand in it as hashes.</summary>
    public string CurrentText => currentText;

    /// <summary>Where the configuration sends telemetry. Takes effect at start only.</summary>
    public TelemetryDeclaration Telemetry => telemetry;

    /// <summary>Builds and publishes the first snapshot.</summary>
    /// <exception cref="ConfigurationException">The configuration has errors; the exception carries all of them.</exception>
    public void Load()
    {
        building.Wait();
        try
        {
            var errors = BuildAndPublish();
            if (errors.Count > 0)
            {
                throw new ConfigurationException(errors);
            }
        }
        finally
        {
            building.Release();
        }
    }

    /// <summary>
    /// Builds the snapshot anew. When the call returns, every change made before it is in force, or was refused: the reasons are then logged and in
    /// <see cref="SnapshotStore.LastErrors"/>.
    /// </summary>
    /// <returns>What is wrong; empty when the configuration is in force.</returns>
    public async Task<IReadOnlyList<string>> ReloadAsync(CancellationToken cancellationToken = default)
    {
        await building.WaitAsync(cancellationToken);
        try
        {
            var errors = BuildAndPublish();
            if (errors.Count > 0)
            {
                store.Reject(errors);
                foreach (var error in errors)
                {
                    logger.ConfigurationError(error);
                }
                logger.Refused(errors.Count, store.HasCurrent ? store.Current.Revision : "none");
            }
            return errors;
        }
        finally
        {
            building.Release();
        }
    }

    /// <summary>Builds anew if a file or a stored key is not as it was.</summary>
    internal async Task ReloadIfChangedAsync(CancellationToken cancellationToken)
    {
        if (Interlocked.Read(ref keyChanges) != Interlocked.Read(ref keyChangesBuilt) || files is null || files.HaveChanged())
        {
            await ReloadAsync(cancellationToken);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var source in keySources)
        {
            source.Changed -= OnKeysChanged;
        }
        building.Dispose();
    }

    private List<string> BuildAndPublish()
    {
        var changes = Interlocked.Read(ref keyChanges);
        List<ConfigError> found = [];
        var read = new SourceFiles(paths.ManifestDirectory);
        var sources = ConfigurationSources.Read(paths, read, [.. keySources.SelectMany(source => source.ReadAll())], found);
        files = read;
        Interlocked.Exchange(ref keyChangesBuilt, changes);
        var (snapshot, text) = SnapshotBuilder.Build(sources, paths.Environment, found);
        List<string> errors = [.. found.OrderBy(error => error.File, StringComparer.Ordinal).ThenBy(error => error.Line).ThenBy(error => error.Column).Select(error => error.ToString())];
        if (errors.Count == 0 && !(store.HasCurrent && store.Current.Revision == snapshot.Revision))
        {
            snapshot.Compile(compilers, errors);
        }
        if (errors.Count > 0)
        {
            return errors;
        }
        (currentText, telemetry) = (text, sources.Gateway.Telemetry);
        if (store.Publish(snapshot))
        {
            logger.Published(snapshot.Revision, snapshot.Keys.Count, snapshot.Providers.Count, snapshot.Routes.Count, snapshot.Manifests.Length);
        }
        return errors;
    }

    private void OnKeysChanged()
    {
        Interlocked.Increment(ref keyChanges);
        KeysChanged?.Invoke();
    }
}
