using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using McpHub.Upstreams;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.Catalog;

/// <summary>
/// The tool servers of the current snapshot. Each is connected by itself, in parallel; one whose manifest changes is connected anew, the others keep
/// their connections. Holds the catalog of all their tools.
/// </summary>
public sealed class ToolServers : IToolServerStates, IHostedService, IAsyncDisposable
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

    /// <summary>Raised after the catalog changed, outside the lock of the catalog. Handlers return at once.</summary>
    internal event Action? CatalogChanged;

    /// <summary>All tools as they are now.</summary>
    internal ToolCatalog Catalog => catalog;

    /// <inheritdoc/>
    public event Action<ToolServerState>? Changed;

    /// <inheritdoc/>
    public IReadOnlyList<ToolServerState> ReadAll() => [.. snapshots.Current.Manifests.Select(StateOf)];

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

    /// <summary>A server that is connected or to be connected; null: there is none of that id, or it is switched off.</summary>
    internal Upstream? Find(string id) => running.GetValueOrDefault(id);

    /// <summary>How each server is, in all the detail that an admin may see.</summary>
    public IReadOnlyList<UpstreamState> ReadStates() => [.. snapshots.Current.Manifests.Select(manifest => UpstreamState.Of(manifest, Find(manifest.Id)?.Current, catalog))];

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
                upstreams[manifest.Id] = (SignatureOf(manifest), new Upstream(manifest, connect, toolsChanged => OnUpstream(manifest, toolsChanged), clock, logger));
            }
            running = upstreams.ToImmutableDictionary(pair => pair.Key, pair => pair.Value.Upstream);
        }
        Rebuild();
    }

    private void OnUpstream(ToolManifest manifest, bool toolsChanged)
    {
        if (toolsChanged)
        {
            Rebuild();
        }
        Changed?.Invoke(StateOf(manifest));
    }

    private ToolServerState StateOf(ToolManifest manifest)
    {
        var state = UpstreamState.Of(manifest, Find(manifest.Id)?.Current, catalog);
        var transport = manifest.Transport switch { UpstreamTransport.Stdio => "stdio", UpstreamTransport.StreamableHttp => "http", _ => "built-in" };
        var name = state.Status switch { UpstreamStatus.Ready => "connected", UpstreamStatus.Connecting => "connecting", UpstreamStatus.Waiting => "disconnected", _ => "disabled" };
        return new ToolServerState(manifest.Id, manifest.Title ?? manifest.Id, transport, name, state.Status == UpstreamStatus.Ready ? state.Tools : 0,
            [.. state.Quarantined.Select(tool => $"{tool.Tool}: {tool.Reason}")], state.LastError);
    }

    private void Rebuild()
    {
        lock (gate)
        {
            // Read under the lock: of two that build at once, the later one must not build from the older snapshot.
            var next = ToolCatalog.Build(snapshots.Current, running.ToDictionary(pair => pair.Key, pair => pair.Value.Current.Tools));
            foreach (var (server, tools) in next.Quarantined)
            {
                foreach (var tool in tools.Except(catalog.Quarantined.GetValueOrDefault(server, [])))
                {
                    logger.Quarantined(server, tool.Tool, tool.Reason);
                }
            }
            catalog = next;
        }
        CatalogChanged?.Invoke();
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
