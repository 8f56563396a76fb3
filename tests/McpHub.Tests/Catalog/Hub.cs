using System.Diagnostics;
using System.Text;
using McpHub.Catalog;
using McpHub.Tests.Upstreams;
using McpHub.Upstreams;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Shared.Admission;
using Shared.Http;
using Shared.Ledger;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Tests.Catalog;

/// <summary>The client side of the hub as the process composes it, over a ledger in memory.</summary>
internal sealed class Hub : IAsyncDisposable
{
    private readonly ServiceProvider services;

    private Hub(ServiceProvider services) => this.services = services;

    public MemoryLedger Ledger => services.GetRequiredService<MemoryLedger>();

    public ToolServers Servers => services.GetRequiredService<ToolServers>();

    public IToolViews Views => services.GetRequiredService<IToolViews>();

    public SnapshotStore Store => services.GetRequiredService<SnapshotStore>();

    public AdmissionController Admission => services.GetRequiredService<AdmissionController>();

    private IToolAccess Tools => services.GetRequiredService<IToolAccess>();

    public static VirtualKey Key(string id = "k1", Grants? grants = null) =>
        new() { Kind = OwnerKind.Key, Id = id, Name = $"Key {id}", Secrets = [], Grants = grants ?? new Grants { Tools = ["*"] } };

    public static Task<Hub> StartAsync(VirtualKey[] keys, params ToolManifest[] manifests) => StartAsync(TimeProvider.System, keys, manifests);

    public static async Task<Hub> StartAsync(TimeProvider clock, VirtualKey[] keys, params ToolManifest[] manifests)
    {
        var services = new ServiceCollection();
        services.AddSingleton(clock);
        services.AddLogging(logging => logging.ClearProviders());
        services.AddSingleton<SnapshotStore>();
        services.AddSingleton<MemoryLedger>();
        services.AddSingleton<ILedger>(provider => provider.GetRequiredService<MemoryLedger>());
        services.AddSingleton<ISpendHistory>(provider => provider.GetRequiredService<MemoryLedger>());
        services.AddAdmission();
        services.AddMcpUpstreams();
        var hub = new Hub(services.BuildServiceProvider());
        _ = hub.Tools;
        hub.Publish(keys, manifests);
        foreach (var hosted in hub.services.GetServices<IHostedService>())
        {
            await hosted.StartAsync(TestContext.Current.CancellationToken);
        }
        return hub;
    }

    public ToolScopes Scopes => services.GetRequiredService<ToolScopes>();

    public void PublishToolsets(params Toolset[] toolsets) =>
        Publish(Snapshots.New([.. Store.Current.Keys.Values], [.. Store.Current.Manifests], toolsets: toolsets));

    public void Publish(VirtualKey[] keys, params ToolManifest[] manifests) => Publish(Snapshots.New(keys, manifests));

    private void Publish(Snapshot snapshot)
    {
        var errors = new List<string>();
        snapshot.Compile(services.GetServices<ISnapshotCompiler>(), errors);
        Assert.Empty(errors);
        Store.Publish(snapshot);
    }

    /// <summary>Waits until a server's state is as wanted.</summary>
    public async Task UntilAsync(string server, Func<UpstreamState, bool> condition)
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Look()
        {
            if (Servers.ReadStates().Any(state => state.Id == server && condition(state)))
            {
                reached.TrySetResult();
            }
        }
        void OnChange(ToolServerState state) => Look();
        Servers.Changed += OnChange;
        Servers.CatalogChanged += Look;
        Look();
        try
        {
            await reached.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        }
        finally
        {
            Servers.Changed -= OnChange;
            Servers.CatalogChanged -= Look;
        }
    }

    /// <summary>Waits until a server is connected and its tools are in the catalog, which follows a moment later.</summary>
    public Task UntilReadyAsync(string server) => UntilAsync(server, state => state.Status == UpstreamStatus.Ready && state.Tools > 0);

    public GatewayRequest Request(string key = "k1") =>
        new(Guid.NewGuid().ToString("N"), Store.Current, ActivityTraceId.CreateRandom()) { TraceParent = Calls.TraceParent, Key = Store.Current.Keys[key] };

    public string List(string key = "k1") => Encoding.UTF8.GetString(Tools.List(Request(key)).Span);

    public IEnumerable<string> NamesOf(string key = "k1") => Views.ViewOf(Store.Current, Store.Current.Keys[key]).Tools.Keys.Order(StringComparer.Ordinal);

    public Task<ToolCallOutcome> CallAsync(string tool, string? parameters = null, GatewayRequest? caller = null, CancellationToken cancellationToken = default, IClientPeer? peer = null) => Tools.CallAsync(
        caller ?? Request(), new ToolCall(tool, Encoding.UTF8.GetBytes(parameters ?? $$$"""{"name":"{{{tool}}}","arguments":{}}""")) { Peer = peer }, cancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

    /// <summary>A call on behalf of a client, which nobody cancels.</summary>
    public Task<ToolCallOutcome> CallForAsync(IClientPeer? peer, string tool, string? parameters = null) => CallAsync(tool, parameters, null, CancellationToken.None, peer);

    public async Task<string> ResultAsync(string tool, string? parameters = null, GatewayRequest? caller = null)
    {
        var outcome = await CallAsync(tool, parameters, caller);
        Assert.False(outcome.IsError, Encoding.UTF8.GetString(outcome.Error.Span));
        return Encoding.UTF8.GetString(outcome.Result.Span);
    }

    public async Task<string> ErrorAsync(string tool, string? parameters = null, GatewayRequest? caller = null) =>
        Encoding.UTF8.GetString((await CallAsync(tool, parameters, caller)).Error.Span);

    public ValueTask DisposeAsync() => services.DisposeAsync();
}
