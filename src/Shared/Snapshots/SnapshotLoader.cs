using Microsoft.Extensions.Logging;
using Shared.Configuration;
using Shared.Storage;
using Shared.Stored;

namespace Shared.Snapshots;

/// <summary>What came of a change.</summary>
/// <param name="Revision">The revision that serves now, or that would serve.</param>
/// <param name="Errors">What is wrong with the change; empty when it is in force.</param>
/// <param name="ElsewhereErrors">What was wrong before it, in files, so that no change can take effect.</param>
public sealed record ChangeOutcome(string Revision, IReadOnlyList<ConfigError> Errors, IReadOnlyList<ConfigError> ElsewhereErrors)
{
    /// <summary>Whether the change is in force.</summary>
    public bool Succeeded => Errors.Count == 0 && ElsewhereErrors.Count == 0;
}

/// <summary>
/// Builds snapshots from files, environment and what is stored, and puts them in force. At start a bad configuration is an exception; later it is refused,
/// and the last good one goes on serving. What is stored never keeps the gateway from starting: what of it does not fit is left out and named. A change of what is stored is built before it is written, so that one which does not fit leaves no trace.
/// </summary>
public sealed class SnapshotLoader : IDisposable
{
    private static readonly ChangedBy Start = new("start");
    private static readonly ChangedBy Files = new("files");

    private readonly SnapshotPaths paths;
    private readonly SnapshotStore store;
    private readonly ISnapshotCompiler[] compilers;
    private readonly IStoredConfiguration? stored;
    private readonly TimeProvider clock;
    private readonly ILogger<SnapshotLoader> logger;
    private readonly SemaphoreSlim building = new(1, 1);
    private volatile SourceFiles? files;
    private volatile string currentText = "";
    private volatile TelemetryDeclaration telemetry = new();
    private volatile ServerSettings server = new();
    private volatile Lazy<IReadOnlyList<DeclaredEntity>> declared = new(() => []);
    private volatile Lazy<IReadOnlyDictionary<string, DeclaredKey>> declaredKeys = new(() => new Dictionary<string, DeclaredKey>());
    private volatile StoredConfiguration serving = StoredConfiguration.Empty;
    private HashSet<string> leftOut = [];
    private (StoredConfiguration Configuration, long Changes)? held;
    private (PublishedRevision Revision, ChangedBy By)? unrecorded;
    private long storedChanges;
    private long storedChangesBuilt;

    /// <summary>A loader; nothing is read yet.</summary>
    public SnapshotLoader(SnapshotPaths paths, SnapshotStore store, IEnumerable<ISnapshotCompiler> compilers, ILogger<SnapshotLoader> logger, IStoredConfiguration? stored = null, TimeProvider? clock = null)
    {
        this.paths = paths;
        this.store = store;
        this.logger = logger;
        this.compilers = [.. compilers];
        this.stored = stored;
        this.clock = clock ?? TimeProvider.System;
        stored?.Changed += OnStoredChanged;
    }

    /// <summary>Raised when what is stored changed and the snapshot is due to be built anew.</summary>
    internal event Action? StoredChanged;

    /// <summary>The canonical text of the snapshot that serves; its revision is the hash of this text. Secrets stand in it as hashes.</summary>
    public string CurrentText => currentText;

    /// <summary>Everything that is declared by name, with where it is declared, as it serves.</summary>
    public IReadOnlyList<DeclaredEntity> Declared => declared.Value;

    /// <summary>The keys that files declare, by id, as they serve.</summary>
    public IReadOnlyDictionary<string, DeclaredKey> DeclaredKeys => declaredKeys.Value;

    /// <summary>What is stored, as it serves: the snapshot that is in force was built from it.</summary>
    public StoredConfiguration Stored => serving;

    /// <summary>Where the configuration sends telemetry. Takes effect at start only.</summary>
    public TelemetryDeclaration Telemetry => telemetry;

    /// <summary>Where the configuration says the gateway listens and whom it answers. Takes effect at start only.</summary>
    public ServerSettings Server => server;

    /// <summary>Builds and publishes the first snapshot.</summary>
    /// <exception cref="ConfigurationException">The configuration has errors; the exception carries all of them.</exception>
    public void Load()
    {
        building.Wait();
        try
        {
            var errors = BuildAndPublish(Start);
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

    /// <summary>Builds the snapshot and publishes nothing, for those who want to see what is declared and what is wrong with it.</summary>
    internal ConfigurationExamination Examine()
    {
        building.Wait();
        try
        {
            var build = Build(stored?.Read() ?? StoredConfiguration.Empty);
            return new ConfigurationExamination(build.Snapshot, build.Sources, build.AtFirst);
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
            Record();
            var errors = BuildAndPublish(Files);
            if (errors.Count > 0)
            {
                store.Reject(errors);
                foreach (var error in errors)
                {
                    logger.ConfigurationError(error);
                }
                logger.Refused(errors.Count, store.HasCurrent ? store.Current.Revision : "none");
            }
            Record();
            return errors;
        }
        finally
        {
            building.Release();
        }
    }

    /// <summary>
    /// Changes what is stored: builds the snapshot that would follow, and only if it is good writes the change, its audit records and its revision, and
    /// puts it in force. One change at a time. When the call returns without errors, the next request sees the change.
    /// </summary>
    /// <param name="edit">Makes the changed configuration from the present one. What it throws is thrown on, and nothing is changed.</param>
    /// <param name="by">Who changes it.</param>
    /// <param name="dryRun">Whether it is only to be seen what would be wrong.</param>
    /// <exception cref="InvalidOperationException">There is no store.</exception>
    /// <exception cref="StorageException">The database cannot be read or written; nothing was changed.</exception>
    public async Task<ChangeOutcome> ChangeAsync(Func<StoredConfiguration, StoredConfiguration> edit, ChangedBy by, bool dryRun = false)
    {
        var source = stored ?? throw new InvalidOperationException("There is nothing to change: the configuration consists of files only.");
        // Not given up when the caller leaves: what is written is published.
        await building.WaitAsync(CancellationToken.None);
        try
        {
            var before = ReadStored(source);
            var after = edit(before);
            var seen = files;
            var build = Build(after);
            if (build.Errors.Count > 0 || build.LeftOut.Count > 0)
            {
                var known = Build(before);
                // A file that changed meanwhile is still news to the watcher, which reports what is wrong with it.
                files = seen;
                var refused = RefusalsOf(before, after, known, build);
                if (refused.Count > 0 || known.Errors.Count > 0)
                {
                    return new ChangeOutcome(store.Current.Revision, refused, known.Errors);
                }
            }
            if (!dryRun && !ReferenceEquals(before, after))
            {
                Record();
                // Until it is written it is not known; should writing fail, what is there is read anew.
                held = null;
                var changes = Interlocked.Read(ref storedChanges);
                var written = source.Commit(before, after, by, new PublishedRevision(build.Snapshot.Revision, build.Text));
                held = (written, changes);
                unrecorded = null;
                Publish(build with { Stored = written }, by);
            }
            return new ChangeOutcome(build.Snapshot.Revision, [], []);
        }
        finally
        {
            building.Release();
        }
    }

    /// <summary>Builds anew if a file or what is stored is not as it was or a price takes effect, and keeps the text of a revision that is not kept yet.</summary>
    internal async Task ReloadIfChangedAsync(CancellationToken cancellationToken)
    {
        if (Interlocked.Read(ref storedChanges) != Interlocked.Read(ref storedChangesBuilt) || files is null || files.HaveChanged() || (store.HasCurrent && store.Current.Prices.NextChange <= clock.GetUtcNow()))
        {
            await ReloadAsync(cancellationToken);
            return;
        }
        await building.WaitAsync(cancellationToken);
        try
        {
            Record();
        }
        finally
        {
            building.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        stored?.Changed -= OnStoredChanged;
        building.Dispose();
    }

    private List<string> BuildAndPublish(ChangedBy by)
    {
        var changes = Interlocked.Read(ref storedChanges);
        var build = Build(stored is null ? StoredConfiguration.Empty : ReadStored(stored));
        Interlocked.Exchange(ref storedChangesBuilt, changes);
        // A start must not fail for what is stored. Later on, the last good configuration serves better than one that lacks something.
        var errors = store.HasCurrent && build.LeftOut.Keys.Except(leftOut).Any() ? build.AtFirst : build.Errors;
        if (errors.Count == 0)
        {
            Publish(build, by);
        }
        return [.. errors.Select(error => error.ToString())];
    }

    // The data folder belongs to this process alone, so that what was read or written last is what is there, unless somebody says otherwise.
    private StoredConfiguration ReadStored(IStoredConfiguration source)
    {
        var changes = Interlocked.Read(ref storedChanges);
        if (held is { } known && known.Changes == changes)
        {
            return known.Configuration;
        }
        var read = source.Read();
        held = (read, changes);
        return read;
    }

    // Leaves out of what is stored what does not fit. The errors are those for which nothing can be left out.
    private SnapshotBuild Build(StoredConfiguration configuration)
    {
        var leaving = new LeavingOut(configuration);
        var build = BuildWithout(leaving);
        var atFirst = build.Errors;
        while (build.Errors.Count > 0 && leaving.Next(build.Sources, build.Errors))
        {
            build = BuildWithout(leaving);
        }
        // Where the whole is refused, all that is wrong is told.
        return build with { Stored = configuration, AtFirst = atFirst, LeftOut = leaving.Parts, Errors = build.Errors.Count == 0 ? [] : atFirst };
    }

    private SnapshotBuild BuildWithout(LeavingOut leaving)
    {
        List<ConfigError> found = [];
        var read = new SourceFiles(paths.ManifestDirectory);
        var sources = leaving.Of(ConfigurationSources.Read(paths, read, leaving.Remaining, found)) with { AsOf = clock.GetUtcNow() };
        files = read;
        var (snapshot, text) = SnapshotBuilder.Build(sources, paths.Environment, found);
        List<ConfigError> errors = [.. found.OrderBy(error => error.File, StringComparer.Ordinal).ThenBy(error => error.Line).ThenBy(error => error.Column)];
        if (errors.Count == 0 && !(store.HasCurrent && store.Current.Revision == snapshot.Revision))
        {
            List<string> refused = [];
            snapshot.Compile(compilers, refused);
            errors.AddRange(refused.Select(message => new ConfigError("", 0, 0, "", message)));
        }
        return new SnapshotBuild(snapshot, text, sources, leaving.Remaining, errors);
    }

    // A change is refused for what it would leave out that served before, and for what it touches and does not mend.
    private static List<ConfigError> RefusalsOf(StoredConfiguration before, StoredConfiguration after, SnapshotBuild known, SnapshotBuild build)
    {
        var refused = build.LeftOut.Where(part => !known.LeftOut.ContainsKey(part.Key) || IsTouched(part.Key)).ToList();
        var own = build.Errors.Except(known.Errors).ToList();
        if (refused.Count == 0)
        {
            return own;
        }
        var news = build.AtFirst.Except(known.AtFirst).ToList();
        var touched = refused.Where(part => IsTouched(part.Key)).SelectMany(part => part.Value.Errors).ToList();
        List<ConfigError> told = [.. own.Concat(news).Concat(touched).Distinct()];
        return told.Count > 0 ? told : [.. refused.SelectMany(part => part.Value.Errors)];

        bool IsTouched(string source) =>
            after.Entities.Any(entity => StoredDocuments.SourceOf(entity.Key) == source && before.Entities.GetValueOrDefault(entity.Key) != entity.Value)
            || after.Keys.Any(key => StoredDocuments.SourceOf(key.Key) == source && !ReferenceEquals(before.Keys.GetValueOrDefault(key.Key), key.Value));
    }

    private void Report(SnapshotBuild build)
    {
        List<LeftOut> parts = [.. build.LeftOut.Values.Select(part => part.Part with { Reasons = [.. part.Errors.Select(error => error.ToString()).Distinct()] })];
        parts.AddRange(build.Stored.Unknown.Select(unknown => new LeftOut(unknown, null, ["this version of the gateway does not know such things"])));
        foreach (var part in parts.Where(part => !store.LeftOut.Any(known => known.What == part.What)))
        {
            logger.LeavesOut(part.What, string.Join("; ", part.Reasons));
        }
        leftOut = [.. build.LeftOut.Keys];
        store.LeftOut = parts;
    }

    private void Publish(SnapshotBuild build, ChangedBy by)
    {
        (currentText, telemetry) = (build.Text, build.Sources.Gateway.Telemetry);
        serving = build.Stored;
        Report(build);
        server = ServerCompiler.Compile(build.Sources.Gateway.Server, build.Sources.GatewayFile, []);
        declared = new Lazy<IReadOnlyList<DeclaredEntity>>(() => DeclaredEntity.ListAll(build.Sources));
        declaredKeys = new Lazy<IReadOnlyDictionary<string, DeclaredKey>>(() => DeclaredKey.ListAll(build.Sources));
        if (store.Publish(build.Snapshot))
        {
            var snapshot = build.Snapshot;
            unrecorded = (new PublishedRevision(snapshot.Revision, build.Text), by);
            logger.Published(snapshot.Revision, snapshot.Keys.Count, snapshot.Providers.Count, snapshot.Routes.Count, snapshot.Manifests.Length);
        }
    }

    // A revision whose text cannot be kept now serves all the same, and is tried again with the next look at the files.
    private void Record()
    {
        if (unrecorded is not { } published || stored is null)
        {
            return;
        }
        try
        {
            stored.Record(published.Revision, published.By);
            unrecorded = null;
        }
        catch (StorageException exception)
        {
            logger.RevisionNotKept(published.Revision.Revision, exception);
        }
    }

    private void OnStoredChanged()
    {
        Interlocked.Increment(ref storedChanges);
        StoredChanged?.Invoke();
    }

    private sealed record SnapshotBuild(Snapshot Snapshot, string Text, ConfigurationSources Sources, StoredConfiguration Stored, IReadOnlyList<ConfigError> Errors)
    {
        public IReadOnlyList<ConfigError> AtFirst { get; init; } = [];

        public IReadOnlyDictionary<string, (LeftOut Part, List<ConfigError> Errors)> LeftOut { get; init; } = new Dictionary<string, (LeftOut Part, List<ConfigError> Errors)>();
    }
}

/// <summary>What a look at the configuration found.</summary>
/// <param name="Snapshot">What would serve; usable only when there are no errors.</param>
/// <param name="Sources">What was read.</param>
/// <param name="Errors">What is wrong. The start fails with the same, but for errors of the database alone: what they are of is left out.</param>
internal sealed record ConfigurationExamination(Snapshot Snapshot, ConfigurationSources Sources, IReadOnlyList<ConfigError> Errors);
