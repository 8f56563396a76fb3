using System.Collections.Frozen;
using System.Text;
using McpHub.Features;
using McpHub.Upstreams;
using Shared.Http;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Tests.Serving;

/// <summary>Nothing beside tools.</summary>
internal sealed class FakeFeatures : IFeatures
{
    private static readonly FeatureList Nothing = new(Encoding.UTF8.GetBytes("[]"), "nothing");
    private static readonly FeatureView View = new()
    {
        Prompts = Nothing,
        Resources = Nothing,
        Templates = Nothing,
        PromptsByName = FrozenDictionary<string, CatalogItem>.Empty,
        Servers = [],
        Instructions = null,
    };

    public event Action<ToolManifest, string, string?>? ResourceUpdated
    {
        add { }
        remove { }
    }

    public FeatureView ViewOf(Snapshot snapshot, VirtualKey key, ToolScope scope) => View;

    public bool CanRelay(GatewayRequest caller, string method) => false;

    public ValueTask<ToolCallOutcome> CallAsync(GatewayRequest caller, FeatureCall call, CancellationToken cancellationToken) =>
        ValueTask.FromResult(RpcError.Of(RpcError.MethodNotFound, "There is nothing but tools."));

    public void Tell(GatewayRequest caller, IClientPeer? peer, string method, ReadOnlyMemory<byte> parameters)
    {
    }

    public void SetLogLevel(GatewayRequest caller, IClientPeer peer, string level)
    {
    }

    public ValueTask<(IDisposable? Subscription, ToolCallOutcome Error)> SubscribeAsync(
        GatewayRequest caller, IClientPeer? peer, string address, Func<string, ValueTask> updated, bool isStateless, CancellationToken cancellationToken) =>
        ValueTask.FromResult(((IDisposable?)null, RpcError.Of(RpcError.InvalidParams, "There is nothing but tools.")));

    public void EndSession(string sessionId)
    {
    }
}
