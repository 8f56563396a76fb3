using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Shared.Http;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Upstreams;

/// <summary>
/// The connections of one server that belong to single sessions, keys or users. Each is opened by its first request, told what its client can be asked for, and closed
/// when its session ends or nobody has used it for a while.
/// </summary>
internal sealed class ScopedConnections : IAsyncDisposable
{
    /// <summary>A connection that nobody has used for so long is closed.</summary>
    public static readonly TimeSpan IdleTime = TimeSpan.FromMinutes(10);

    private readonly ToolManifest manifest;
    private readonly ToolServerConnector connect;
    private readonly Action<string, string> updated;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private readonly ConcurrentDictionary<string, Scope> scopes = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource stopping = new();
    private readonly ITimer sweeping;
    private int count;

    /// <param name="manifest">The server.</param>
    /// <param name="connect">Connects to it.</param>
    /// <param name="updated">Told of each resource that changed: the scope and the address.</param>
    /// <param name="clock">The time.</param>
    /// <param name="logger">The log.</param>
    public ScopedConnections(ToolManifest manifest, ToolServerConnector connect, Action<string, string> updated, TimeProvider clock, ILogger logger)
    {
        (this.manifest, this.connect, this.updated, this.clock, this.logger) = (manifest, connect, updated, clock, logger);
        sweeping = clock.CreateTimer(_ => Sweep(), null, TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1));
    }

    /// <summary>How many there are.</summary>
    public int Count => Volatile.Read(ref count);

    /// <summary>The name of a caller's connection.</summary>
    public static string ScopeOf(ToolManifest manifest, GatewayRequest caller, IClientPeer? peer) => manifest.Session switch
    {
        SessionMode.PerSession when peer?.SessionId is { } session => $"session {session}",
        SessionMode.PerUser when caller.Key!.IdOf(OwnerKind.User) is { } user => $"user {user}",
        _ => $"key {caller.Key!.Id}",
    };

    /// <summary>The connection of that name; null: there is none, or it is not ready.</summary>
    public IToolServer? Find(string scope) => scopes.TryGetValue(scope, out var found) && found.Connecting is { IsValueCreated: true, Value.IsCompletedSuccessfully: true } ? found.Connecting.Value.Result : null;

    /// <summary>Makes a request of a caller on the caller's own connection.</summary>
    /// <exception cref="UpstreamException">There is no answer.</exception>
    public async ValueTask<ToolCallOutcome> CallAsync(UpstreamCall call, CancellationToken cancellationToken)
    {
        var name = ScopeOf(manifest, call.Caller, call.Peer);
        for (var attempt = 0; ; attempt++)
        {
            var scope = Take(name, call);
            try
            {
                var server = await scope.Connecting.Value.WaitAsync(cancellationToken);
                return await server.CallAsync(call, cancellationToken);
            }
            catch (UpstreamException exception) when (exception.Reason == UpstreamReasons.SessionLost && !exception.WasSent && attempt == 0)
            {
                await CloseAsync(name, scope, exception.Reason);
            }
            catch (UpstreamException) when (scope.Connecting.Value.IsFaulted)
            {
                await CloseAsync(name, scope, UpstreamReasons.NotConnected);
                throw;
            }
            finally
            {
                scope.Release(clock.GetTimestamp());
            }
        }
    }

    /// <summary>A client's session has ended.</summary>
    public void EndSession(string sessionId)
    {
        var name = $"session {sessionId}";
        if (scopes.TryGetValue(name, out var scope))
        {
            _ = CloseAsync(name, scope, "session ended");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await sweeping.DisposeAsync();
        await stopping.CancelAsync();
        await Task.WhenAll(scopes.Select(pair => CloseAsync(pair.Key, pair.Value, UpstreamReasons.Closed)));
    }

    private Scope Take(string name, UpstreamCall call)
    {
        while (true)
        {
            if (stopping.IsCancellationRequested)
            {
                throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.NotConnected, $"Tool server '{manifest.Id}' is not connected (it was just taken away).", wasSent: false);
            }
            if (scopes.TryGetValue(name, out var known))
            {
                if (known.TryTake())
                {
                    return known;
                }
                continue;
            }
            if (Interlocked.Increment(ref count) > manifest.MaxConnections)
            {
                Interlocked.Decrement(ref count);
                throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Busy,
                    $"Tool server '{manifest.Id}' has {manifest.MaxConnections} connections ('limits.maxConnections'), and all are in use. Try again later.", wasSent: false);
            }
            var peer = call.Peer;
            var owner = manifest.Session == SessionMode.PerSession ? peer?.Session : null;
            var offer = (owner is null ? ClientOffer.Shared : new ClientOffer(peer!.Capabilities, owner)) with { Key = call.Caller.Key };
            var made = new Scope();
            made.Connecting = new Lazy<Task<IToolServer>>(() => ConnectAsync(name, made, offer));
            if (scopes.TryAdd(name, made))
            {
                return made;
            }
            Interlocked.Decrement(ref count);
        }
    }

    private async Task<IToolServer> ConnectAsync(string name, Scope scope, ClientOffer offer)
    {
        try
        {
            using var patience = new Deadline(manifest.ConnectTimeout, clock, stopping.Token);
            var server = await connect(manifest, offer, patience.Token);
            server.ResourceUpdated += uri => updated(name, uri);
            _ = server.Lost.ContinueWith(_ => CloseAsync(name, scope, UpstreamReasons.Closed), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            return server;
        }
        catch (OperationCanceledException exception)
        {
            throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.NotConnected, $"Tool server '{manifest.Id}' could not be connected in time.", wasSent: false, exception);
        }
        catch (Exception exception) when (exception is not UpstreamException)
        {
            // What is thrown here is thrown again to whoever finds the connection, unless it is known to be none.
            logger.ConnectingFailed(manifest.Id, exception);
            throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Internal, $"Tool server '{manifest.Id}' could not be connected.", wasSent: false, exception);
        }
    }

    private async Task CloseAsync(string name, Scope scope, string reason)
    {
        if (!scopes.TryRemove(KeyValuePair.Create(name, scope)))
        {
            return;
        }
        scope.Close();
        Interlocked.Decrement(ref count);
        logger.ScopeClosed(manifest.Id, name, reason);
        try
        {
            if (scope.Connecting.IsValueCreated)
            {
                await (await scope.Connecting.Value).DisposeAsync();
            }
        }
        catch (UpstreamException exception)
        {
            logger.NotConnected(manifest.Id, exception.Reason, exception.Message, null);
        }
    }

    private void Sweep()
    {
        var now = clock.GetTimestamp();
        foreach (var (name, scope) in scopes)
        {
            if (scope.TryCloseIdle(now, clock, IdleTime))
            {
                _ = CloseAsync(name, scope, "idle");
            }
        }
    }

    /// <summary>One connection and who uses it.</summary>
    private sealed class Scope
    {
        private int users = 1;
        private long lastUsed;
        private bool isClosed;

        public Lazy<Task<IToolServer>> Connecting { get; set; } = null!;

        /// <summary>Begins a use. False: it is being closed, and another takes its place.</summary>
        public bool TryTake()
        {
            lock (this)
            {
                users += isClosed ? 0 : 1;
                return !isClosed;
            }
        }

        public void Release(long now)
        {
            lock (this)
            {
                users--;
                lastUsed = now;
            }
        }

        public void Close()
        {
            lock (this)
            {
                isClosed = true;
            }
        }

        public bool TryCloseIdle(long now, TimeProvider clock, TimeSpan limit)
        {
            lock (this)
            {
                return isClosed |= users == 0 && clock.GetElapsedTime(lastUsed, now) >= limit;
            }
        }
    }
}
