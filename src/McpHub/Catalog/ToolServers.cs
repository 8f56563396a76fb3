using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using McpHub.Catalog.Pins;
using McpHub.Features;
using McpHub.Upstreams;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;
using Shared.Stored;
using Shared.Tools;

namespace McpHub.Catalog;

/// <summary>
/// The tool servers of the current snapshot. Each is connected by itself, in parallel; one whose manifest changes is connected anew, the others keep
/// their connections. Holds the catalog of all their tools.
/// </summary>
public sealed class ToolServers : IToolServerStates, IToolServerAdministration, IHostedService, IAsyncDisposable
{
    private readonly SnapshotStore snapshots;
    private readonly ToolServerConnector connect;
    private readonly TimeProvider clock;
    private readonly ILogger<ToolServers> logger;
    private readonly ToolHolds? store;
    private readonly DefinitionReviews? reviews;
    private readonly Lock gate = new();
    private readonly SemaphoreSlim holding = new(1);
    private volatile ImmutableDictionary<(string Server, string Tool), ToolHold> holds = ImmutableDictionary<(string, string), ToolHold>.Empty;
    private readonly Dictionary<string, (string Signature, Upstream Upstream)> upstreams = [];
    private volatile ImmutableDictionary<string, Upstream> running = ImmutableDictionary<string, Upstream>.Empty;
    private volatile ToolCatalog catalog = ToolCatalog.Empty;
    private volatile IReadOnlyDictionary<string, IReadOnlyList<ReadOnlyMemory<byte>>> built = ImmutableDictionary<string, IReadOnlyList<ReadOnlyMemory<byte>>>.Empty;
    private volatile FeatureCatalog features = FeatureCatalog.Empty;
    private readonly List<Task> ending = [];
    private bool stopped;

    internal ToolServers(SnapshotStore snapshots, ToolServerConnector connect, TimeProvider clock, ILogger<ToolServers> logger, ToolHolds? store = null, DefinitionReviews? reviews = null) =>
        (this.snapshots, this.connect, this.clock, this.logger, this.store, this.reviews) = (snapshots, connect, clock, logger, store, reviews);

    /// <summary>Raised after the catalog changed, outside the lock of the catalog. Handlers return at once.</summary>
    internal event Action? CatalogChanged;

    /// <summary>All tools as they are now.</summary>
    internal ToolCatalog Catalog => catalog;

    /// <summary>What the servers offer beside tools, as it is now.</summary>
    internal FeatureCatalog Features => features;

    /// <summary>Raised with the server, the server's own address and the scope of the connection (null: the shared one) when a resource changed.</summary>
    internal event Action<ToolManifest, string, string?>? ResourceUpdated;

    /// <inheritdoc/>
    public event Action<ToolServerState>? Changed;

    /// <inheritdoc/>
    public IReadOnlyList<ToolServerState> ReadAll() => [.. snapshots.Current.Manifests.Select(StateOf)];

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        // What is held back must not be served for a moment, so this comes before the first catalog.
        holds = store?.Read().ToImmutableDictionary(hold => (hold.Server, hold.Tool)) ?? holds;
        if (reviews is not null)
        {
            reviews.Load();
            reviews.Decided += OnDecision;
        }
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
    public async ValueTask DisposeAsync()
    {
        await StopAsync(CancellationToken.None);
        holding.Dispose();
    }

    /// <inheritdoc/>
    ToolServerDetail? IToolServerAdministration.Find(string id)
    {
        if (snapshots.Current.Manifests.FirstOrDefault(known => known.Id == id) is not { } manifest)
        {
            return null;
        }
        var (now, tools) = (Find(id)?.Current, catalog);
        var state = UpstreamState.Of(manifest, now, tools);
        var info = now?.Server?.ServerInfo ?? default;
        return new ToolServerDetail
        {
            State = StateOf(manifest),
            Since = state.Since,
            ProtocolVersion = state.ProtocolVersion,
            ServerInfo = info.IsEmpty ? null : Encoding.UTF8.GetString(info.Span),
            LastError = state.LastError,
            LastWords = state.LastWords,
            Breaker = Find(id)?.Health.Breaker,
            Hold = HoldOn(id),
            Tools = [.. tools.Tools.Where(tool => tool.Server.Id == id).Select(tool => new AdministeredTool(tool.UpstreamName, tool.ExposedName, tool.Annotations) { Health = Find(id)?.Health.Find(tool.UpstreamName) }).OrderBy(tool => tool.Name, StringComparer.Ordinal)],
            // A hold stands although its server does not list the tool now.
            Withheld = [.. state.Quarantined.Select(tool => new WithheldTool(tool.Tool, tool.Reason, tool.Hold)),
                .. holds.Values.Where(hold => hold.Server == id && hold.Tool.Length > 0 && state.Quarantined.All(tool => tool.Hold != hold)).OrderBy(hold => hold.Tool, StringComparer.Ordinal)
                    .Select(hold => new WithheldTool(hold.Tool, ReasonOf(hold), hold))],
        };
    }

    /// <inheritdoc/>
    public bool Reconnect(string id)
    {
        if (Find(id) is not { } upstream)
        {
            return false;
        }
        upstream.Reconnect();
        return true;
    }

    /// <inheritdoc/>
    public void Hasten(string id) => Find(id)?.Hasten();

    /// <inheritdoc/>
    public void Hold(string id, string tool, string reason, ChangedBy by) => ChangeHolds(id, tool, () =>
    {
        holds = holds.SetItem((id, tool), store?.Hold(id, tool, reason, by) ?? new ToolHold(id, tool, reason, by.Actor, clock.GetUtcNow()));
        return true;
    });

    /// <inheritdoc/>
    public bool Release(string id, string tool, ChangedBy by) => ChangeHolds(id, tool, () =>
    {
        var released = store?.Release(id, tool, by) ?? holds.ContainsKey((id, tool));
        holds = holds.Remove((id, tool));
        return released;
    });

    /// <summary>A server that is connected or to be connected; null: there is none of that id, or it is switched off.</summary>
    internal Upstream? Find(string id) => running.GetValueOrDefault(id);

    /// <summary>How each server is, in all the detail that an admin may see.</summary>
    public IReadOnlyList<UpstreamState> ReadStates() => [.. snapshots.Current.Manifests.Select(manifest => UpstreamState.Of(manifest, Find(manifest.Id)?.Current, catalog))];

    // One at a time, so that what is served is what was written last.
    private bool ChangeHolds(string id, string tool, Func<bool> change)
    {
        bool changed;
        holding.Wait();
        try
        {
            changed = change();
            if (tool.Length == 0)
            {
                OnSnapshot(null, snapshots.Current);
            }
            else
            {
                Rebuild();
            }
        }
        finally
        {
            holding.Release();
        }
        if (snapshots.Current.Manifests.FirstOrDefault(known => known.Id == id) is { } manifest)
        {
            Changed?.Invoke(StateOf(manifest));
        }
        return changed;
    }

    private ToolHold? HoldOn(string server) => holds.GetValueOrDefault((server, ""));

    private static string ReasonOf(ToolHold hold) => $"Held back by {hold.By}: {hold.Reason}";

    private void OnSnapshot(Snapshot? previous, Snapshot current)
    {
        lock (gate)
        {
            if (stopped)
            {
                return;
            }
            var wanted = current.Manifests.Where(manifest => manifest.Enabled && HoldOn(manifest.Id) is null).ToDictionary(manifest => manifest.Id);
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
                var upstream = new Upstream(manifest, connect, toolsChanged => OnUpstream(manifest, toolsChanged), clock, logger);
                upstream.ResourceUpdated += (address, scope) => ResourceUpdated?.Invoke(manifest, address, scope);
                upstreams[manifest.Id] = (SignatureOf(manifest), upstream);
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

    private void OnDecision(string server)
    {
        Rebuild();
        if (snapshots.Current.Manifests.FirstOrDefault(known => known.Id == server) is { } manifest)
        {
            Changed?.Invoke(StateOf(manifest));
        }
    }

    /// <summary>Whether the catalog has a server's tools. Before it has, nobody can call them, however connected the server is.</summary>
    private bool IsBuilt(string id) => Find(id) is not { Current.Tools.Count: > 0 } || built.GetValueOrDefault(id) is { Count: > 0 };

    private ToolServerState StateOf(ToolManifest manifest)
    {
        var state = UpstreamState.Of(manifest, Find(manifest.Id)?.Current, catalog);
        var transport = manifest.Transport switch { UpstreamTransport.Stdio => "stdio", UpstreamTransport.StreamableHttp => "http", UpstreamTransport.Sse => "sse", UpstreamTransport.OpenApi => "openapi", _ => "built-in" };
        var name = state.Status switch { UpstreamStatus.Ready => IsBuilt(manifest.Id) ? "connected" : "connecting", UpstreamStatus.Connecting => "connecting", UpstreamStatus.Waiting => "disconnected", _ => "disabled" };
        return new ToolServerState(manifest.Id, manifest.Title ?? manifest.Id, transport, name, state.Status == UpstreamStatus.Ready ? state.Tools : 0,
            [.. state.Quarantined.Select(tool => $"{tool.Tool}: {tool.Reason}")], HoldOn(manifest.Id) is { } hold ? ReasonOf(hold) : ProblemOf(state));
    }

    // Of a document that cannot be used, the reason is the gateway's own finding, and the code alone would help nobody.
    private static string? ProblemOf(UpstreamState state) => state.LastError == UpstreamReasons.InvalidDocument ? $"{state.LastError}: {state.LastWords}" : state.LastError ?? state.Warning;

    private void Rebuild()
    {
        lock (gate)
        {
            // Read under the lock: of two that build at once, the later one must not build from the older snapshot.
            var listed = running.ToDictionary(pair => pair.Key, pair => pair.Value.Current.Tools);
            var next = ToolCatalog.Build(snapshots.Current, listed, holds, reviews?.Review(snapshots.Current, listed));
            foreach (var (server, tools) in next.Quarantined)
            {
                foreach (var tool in tools.Except(catalog.Quarantined.GetValueOrDefault(server, [])))
                {
                    // Names are strangers' texts: nothing in them may break a line of the log.
                    logger.Quarantined(server, VisibleText.Of(tool.Tool, 256), VisibleText.Of(tool.Reason, 1000));
                }
            }
            (catalog, built) = (next, listed);
            features = FeatureCatalog.Build(snapshots.Current, running.ToDictionary(pair => pair.Key, pair => pair.Value.Current.Offers));
        }
        CatalogChanged?.Invoke();
    }

    /// <summary>A client's session has ended: the connections that were its own are closed.</summary>
    internal void EndSession(string sessionId)
    {
        foreach (var upstream in running.Values)
        {
            upstream.EndSession(sessionId);
        }
    }

    /// <summary>Everything of a manifest that its connection depends on.</summary>
    private static string SignatureOf(ToolManifest manifest)
    {
        var text = new StringBuilder();
        void Add(object? part) => text.Append(CultureInfo.InvariantCulture, $"{part}\u001f");
        Add(manifest.Transport);
        Add(manifest.Url);
        Add(manifest.OpenApi?.Signature);
        Add(manifest.Command);
        Add(manifest.WorkingDirectory);
        Add(manifest.ConnectTimeout);
        Add(manifest.CallTimeout);
        Add(manifest.MaxMessageBytes);
        Add(manifest.MaxConcurrentCalls);
        Add(manifest.MaxConnections);
        Add(manifest.Health);
        Add(manifest.Protocol);
        Add(manifest.Session);
        Add(manifest.Auth?.Signature);
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
