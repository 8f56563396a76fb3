using McpHub.Catalog;
using McpHub.Upstreams;
using Shared.Http;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.Features;

/// <summary>
/// Who wants to hear of which resource. However many want to hear of one, its server is asked once on each connection, and told when nobody wants to any more; a server that
/// is connected anew is asked again.
/// </summary>
internal sealed class ResourceSubscriptions
{
    /// <summary>The most subscriptions at once.</summary>
    public const int Most = 100_000;

    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(5);

    private readonly ToolServers servers;
    private readonly Lock gate = new();
    private readonly Dictionary<(string Server, string? Scope), Dictionary<string, List<Subscription>>> byConnection = [];
    private int count;

    public ResourceSubscriptions(ToolServers servers)
    {
        this.servers = servers;
        servers.ResourceUpdated += OnUpdated;
        servers.Changed += OnServer;
    }

    /// <summary>Begins to hear of a resource.</summary>
    /// <returns>What ends it, or the error.</returns>
    public async ValueTask<(IDisposable?, ToolCallOutcome)> AddAsync(ToolManifest server, string address, GatewayRequest caller, IClientPeer? peer, Func<string, ValueTask> updated, CancellationToken cancellationToken)
    {
        if (servers.Find(server.Id) is not { } upstream)
        {
            return (null, RpcError.Of(RpcError.UpstreamUnavailable, $"Tool server '{server.Id}' is not connected."));
        }
        var scope = upstream.ScopeOf(caller, peer);
        var subscription = new Subscription(this, (server.Id, scope), address, updated);
        bool isFirst;
        lock (gate)
        {
            if (count >= Most)
            {
                return (null, RpcError.Of(RpcError.Refused, "Too many subscriptions are open."));
            }
            count++;
            var addresses = byConnection.TryGetValue(subscription.Connection, out var known) ? known : byConnection[subscription.Connection] = new(StringComparer.Ordinal);
            isFirst = !addresses.TryGetValue(address, out var list);
            (list ?? (addresses[address] = [])).Add(subscription);
        }
        if (!isFirst)
        {
            return (subscription, default);
        }
        try
        {
            var outcome = upstream.ServerOf(scope)?.ProtocolVersion == ProtocolEra.ModernVersion
                ? Watch(upstream, subscription.Connection)
                : await AskAsync(upstream, caller, peer, address, cancellationToken);
            if (outcome.IsError)
            {
                Remove(subscription);
                return (null, outcome);
            }
            return (subscription, default);
        }
        catch (UpstreamException exception)
        {
            Remove(subscription);
            return (null, RpcError.Of(exception.Code, exception.Message));
        }
        catch
        {
            Remove(subscription);
            throw;
        }
    }

    private static ValueTask<ToolCallOutcome> AskAsync(Upstream upstream, GatewayRequest caller, IClientPeer? peer, string address, CancellationToken cancellationToken)
    {
        byte[] parameters = [.. "{\"uri\":"u8, .. RawJson.String(address), .. "}"u8];
        return ToolParams.Read(parameters, out var read, "uri") is { } wrong
            ? throw new InvalidOperationException(wrong)
            : upstream.CallAsync(new UpstreamCall { Method = "resources/subscribe", Caller = caller, Tool = address, Params = read, TraceParent = caller.TraceParent, TraceState = caller.TraceState, Peer = peer }, cancellationToken);
    }

    private ToolCallOutcome Watch(Upstream upstream, (string Server, string? Scope) connection)
    {
        upstream.ServerOf(connection.Scope)?.Watch(AddressesOf(connection));
        return new ToolCallOutcome("{}"u8.ToArray(), default);
    }

    private string[] AddressesOf((string, string?) connection)
    {
        lock (gate)
        {
            return byConnection.TryGetValue(connection, out var addresses) ? [.. addresses.Keys] : [];
        }
    }

    private void OnUpdated(ToolManifest server, string address, string? scope)
    {
        List<Subscription> told = [];
        lock (gate)
        {
            if (byConnection.TryGetValue((server.Id, scope), out var addresses))
            {
                foreach (var (wanted, subscriptions) in addresses)
                {
                    // It may be a part of the one that was asked for (specification, server/resources, subscriptions).
                    if (address == wanted || (address.StartsWith(wanted, StringComparison.Ordinal) && (wanted.EndsWith('/') || address[wanted.Length] == '/')))
                    {
                        told.AddRange(subscriptions);
                    }
                }
            }
        }
        foreach (var subscription in told)
        {
            _ = subscription.TellAsync(address);
        }
    }

    private void OnServer(ToolServerState state)
    {
        if (state.State != "connected" || AddressesOf((state.Id, null)) is not { Length: > 0 } addresses || servers.Find(state.Id)?.Current.Server is not { } connection)
        {
            return;
        }
        if (connection.ProtocolVersion == ProtocolEra.ModernVersion)
        {
            connection.Watch(addresses);
            return;
        }
        foreach (var address in addresses)
        {
            _ = QuietAsync(connection, "resources/subscribe", address);
        }
    }

    private void Remove(Subscription subscription)
    {
        bool isLast;
        lock (gate)
        {
            if (!byConnection.TryGetValue(subscription.Connection, out var addresses) || !addresses.TryGetValue(subscription.Address, out var list) || !list.Remove(subscription))
            {
                return;
            }
            count--;
            isLast = list.Count == 0;
            if (isLast)
            {
                addresses.Remove(subscription.Address);
            }
            if (addresses.Count == 0)
            {
                byConnection.Remove(subscription.Connection);
            }
        }
        if (!isLast || servers.Find(subscription.Connection.Server)?.ServerOf(subscription.Connection.Scope) is not { } connection)
        {
            return;
        }
        if (connection.ProtocolVersion == ProtocolEra.ModernVersion)
        {
            connection.Watch(AddressesOf(subscription.Connection));
        }
        else
        {
            _ = QuietAsync(connection, "resources/unsubscribe", subscription.Address);
        }
    }

    private static async Task QuietAsync(IToolServer connection, string method, string address)
    {
        using var patience = new CancellationTokenSource(Farewell);
        try
        {
            await connection.AskAsync(method, (byte[])[.. "{\"uri\":"u8, .. RawJson.String(address), .. "}"u8], patience.Token);
        }
        catch (Exception exception) when (exception is UpstreamException or OperationCanceledException)
        {
            // A server that cannot be told now is told when it is connected anew.
        }
    }

    private sealed class Subscription(ResourceSubscriptions owner, (string Server, string? Scope) connection, string address, Func<string, ValueTask> updated) : IDisposable
    {
        // A server may tell of changes faster than a client hears: one more to come says as much as many.
        private int waiting;

        public (string Server, string? Scope) Connection { get; } = connection;

        public string Address { get; } = address;

        public async Task TellAsync(string changed)
        {
            if (Interlocked.Increment(ref waiting) > 16)
            {
                Interlocked.Decrement(ref waiting);
                return;
            }
            try
            {
                await updated(changed);
            }
            catch (Exception exception) when (exception is not OutOfMemoryException)
            {
                // The client has left; its subscriptions end with its session.
            }
            finally
            {
                Interlocked.Decrement(ref waiting);
            }
        }

        public void Dispose() => owner.Remove(this);
    }
}
