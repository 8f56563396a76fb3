using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using McpHub.Upstreams;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;

namespace McpHub.Catalog;

/// <summary>Where a tool server stands, for admins.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Status">Where its connection stands.</param>
/// <param name="Since">Since when.</param>
/// <param name="ProtocolVersion">The revision that was agreed on; null while it is down.</param>
/// <param name="Tools">Tools that it lists.</param>
/// <param name="Quarantined">Those of them that are not served.</param>
/// <param name="Reason">Why it is down, as a short code.</param>
public sealed record ToolServerState(string Id, UpstreamStatus Status, DateTimeOffset Since, string? ProtocolVersion, int Tools, ImmutableArray<QuarantinedTool> Quarantined, string? Reason);

/// <summary>
/// The tool servers of the current snapshot. Each is connected by itself, in parallel; one whose manifest changes is connected anew, the others keep
/// their connections. Holds the catalog of all their tools.
/// </summary>
public sealed class ToolServers : IHostedService, IAsyncDisposable
{
    private readonly SnapshotStore snapshots;
    private readonly ToolServerConnector connect;
    private readonly TimeProvider clock;
    private readonly ILogger<ToolServers> logger;
    private readonly Lock gate = new();
    private readonly Dictionary<string, (string Signature, Upstream Upstream)> upstreams = [];
    private volatile ImmutableDictionary<string, Upstream> running = ImmutableDictionary<string, Upstream>.Empty;
    private volatile ToolCatalog catalog = ToolCatalog.Empty;
    private readonly List<Task> ending = [];
    private bool stopped;

    internal ToolServers(SnapshotStore snapshots, ToolServerConnector connect, TimeProvider clock, ILogger<ToolServers> logger) =>
        (this.snapshots, this.connect, this.clock, this.logger) = (snapshots, connect, clock, logger);

    /// <summary>Raised after the catalog changed, never under a lock.</summary>
    internal event Action? CatalogChanged;

    /// <summary>All tools as they are now.</summary>
    internal ToolCatalog Catalog => catalog;

    /// <summary>The state of each tool server of the current snapshot, ordered by id.</summary>
    public IReadOnlyList<ToolServerState> States
    {
        get
        {
            var (known, current) = (running, catalog);
            return [.. snapshots.Current.Manifests.Select(manifest => known.TryGetValue(manifest.Id, out var upstream) && upstream.Current is var status
                ? new ToolServerState(manifest.Id, status.State, status.Since, status.Server?.ProtocolVersion, status.Tools.Count,
                    current.Quarantined.GetValueOrDefault(manifest.Id, []), status.Reason)
                : new ToolServerState(manifest.Id, UpstreamStatus.Disabled, clock.GetUtcNow(), null, 0, [], null))];
        }
    }

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        snapshots.Changed += OnSnapshot;
        if (snapshots.HasCurrent)
        {
            OnSnapshot(null, snapshots.Current);
        }
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        snapshots.Changed -= OnSnapshot;
        Task[] all;
        lock (gate)
        {
            stopped = true;
            all = [.. ending, .. upstreams.Values.Select(entry => entry.Upstream.DisposeAsync().AsTask())];
            upstreams.Clear();
            running = ImmutableDictionary<string, Upstream>.Empty;
        }
        await Task.WhenAll(all).WaitAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await StopAsync(CancellationToken.None);

    /// <summary>The connection of a server, or null while there is none, with the state that says why.</summary>
    internal (IToolServer? Server, UpstreamStatus Status) Find(string id) =>
        running.TryGetValue(id, out var upstream) && upstream.Current is var status ? (status.Server, status.State) : (null, UpstreamStatus.Disabled);

    private void OnSnapshot(Snapshot? previous, Snapshot current)
    {
        lock (gate)
        {
            if (stopped)
            {
                return;
            }
            var wanted = current.Manifests.Where(manifest => manifest.Enabled).ToDictionary(manifest => manifest.Id);
            foreach (var (id, entry) in upstreams.ToList())
            {
                if (!wanted.TryGetValue(id, out var manifest) || SignatureOf(manifest) != entry.Signature)
                {
                    upstreams.Remove(id);
                    ending.RemoveAll(task => task.IsCompleted);
                    ending.Add(entry.Upstream.DisposeAsync().AsTask());
                }
            }
            foreach (var manifest in wanted.Values.Where(manifest => !upstreams.ContainsKey(manifest.Id)))
            {
                upstreams[manifest.Id] = (SignatureOf(manifest), new Upstream(manifest, connect, OnTools, clock, logger));
            }
            running = upstreams.ToImmutableDictionary(pair => pair.Key, pair => pair.Value.Upstream);
        }
        Rebuild(current);
    }

    private void OnTools()
    {
        if (snapshots.HasCurrent)
        {
            Rebuild(snapshots.Current);
        }
    }

    private void Rebuild(Snapshot snapshot)
    {
        ToolCatalog next;
        lock (gate)
        {
            next = ToolCatalog.Build(snapshot, running.ToDictionary(pair => pair.Key, pair => pair.Value.Current.Tools));
            foreach (var (server, tools) in next.Quarantined)
            {
                foreach (var tool in tools.Except(catalog.Quarantined.GetValueOrDefault(server, [])))
                {
                    logger.Quarantined(server, tool.Tool, tool.Reason);
                }
            }
            catalog = next;
        }
        // Whoever changed the snapshot waits for nothing but the catalog itself.
        _ = Task.Run(() => CatalogChanged?.Invoke());
    }

    /// <summary>Everything of a manifest that its connection depends on.</summary>
    private static string SignatureOf(ToolManifest manifest)
    {
        var text = new StringBuilder();
        void Add(object? part) => text.Append(CultureInfo.InvariantCulture, $"{part}\u001f");
        Add(manifest.Transport);
        Add(manifest.Url);
        Add(manifest.Command);
        Add(manifest.WorkingDirectory);
        Add(manifest.ConnectTimeout);
        Add(manifest.CallTimeout);
        Add(manifest.MaxMessageBytes);
        Add(manifest.MaxConcurrentCalls);
        foreach (var argument in manifest.Arguments)
        {
            Add(argument);
        }
        foreach (var (name, value) in manifest.Headers.Concat(manifest.Environment).OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            Add(name);
            Add(value);
        }
        return text.ToString();
    }
}
