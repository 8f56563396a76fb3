using McpHub.Health;
using McpHub.Upstreams.SignIn;
using Microsoft.Extensions.Logging;
using Shared.Http;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>Connects to one tool server. One implementation for each transport.</summary>
/// <param name="manifest">What is connected.</param>
/// <param name="offer">What the server is told of the clients behind the connection.</param>
/// <param name="cancellationToken">Ends the attempt.</param>
internal delegate Task<IToolServer> ToolServerConnector(ToolManifest manifest, ClientOffer offer, CancellationToken cancellationToken);

/// <summary>
/// One tool server of the snapshot: connected in the background, for as long as its manifest stands. What happens to it delays nobody else.
/// </summary>
internal sealed class Upstream : IAsyncDisposable
{
    /// <summary>Servers that never tell of changes are asked this often.</summary>
    public static readonly TimeSpan PollPeriod = TimeSpan.FromMinutes(5);

    /// <summary>A server that tells of changes without end is asked no more often than this.</summary>
    public static readonly TimeSpan RefreshPause = TimeSpan.FromSeconds(1);

    /// <summary>Changes told within this time of the first are one.</summary>
    public static readonly TimeSpan Settling = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan RestPatience = TimeSpan.FromSeconds(1);

    private readonly ToolServerConnector connect;
    private readonly Action<bool> changed;
    private readonly ScopedConnections? scoped;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private readonly CancellationTokenSource stopping = new();
    private readonly Backoff backoff;
    private readonly Task running;
    private TaskCompletionSource<UpstreamException> again = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource sooner = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private LivenessWatch? liveness;
    private TaskCompletionSource turned = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile Status current;

    /// <param name="manifest">What is connected.</param>
    /// <param name="connect">Connects it.</param>
    /// <param name="changed">Told of each change of its state, with whether its tools changed.</param>
    /// <param name="clock">The time.</param>
    /// <param name="logger">The log.</param>
    public Upstream(ToolManifest manifest, ToolServerConnector connect, Action<bool> changed, TimeProvider clock, ILogger logger)
    {
        (Manifest, this.connect, this.changed, this.clock, this.logger) = (manifest, connect, changed, clock, logger);
        backoff = new Backoff(clock);
        Health = new UpstreamHealth(manifest, clock);
        scoped = manifest.Session == SessionMode.Shared ? null : new ScopedConnections(manifest, connect, OnScopedUpdate, clock, logger);
        current = new Status(UpstreamStatus.Connecting, clock.GetUtcNow(), null, [], null, "");
        running = Task.Run(RunAsync);
    }

    public ToolManifest Manifest { get; }

    /// <summary>How calls of its tools go.</summary>
    public UpstreamHealth Health { get; }

    /// <summary>Where it stands now. The tools of a server that is down stay known, so that a short loss does not change what clients see.</summary>
    /// <remarks>From <see cref="Reconnect"/> or <see cref="Hasten"/> on, an earlier reason holds no more: who has just signed in must not be asked to again.</remarks>
    public Status Current => current is { State: UpstreamStatus.Waiting } waiting && IsWanted ? waiting with { Reason = UpstreamReasons.Reconnect } : current;

    private bool IsWanted => Volatile.Read(ref again).Task.IsCompleted || Volatile.Read(ref sooner).Task.IsCompleted;

    /// <summary>Raised when the server says that a resource changed: its address, and the scope of the connection that said so (null: the shared one).</summary>
    public event Action<string, string?>? ResourceUpdated;

    /// <summary>
    /// Makes a request of a caller, on the connection that is the caller's. A server that has forgotten its session gets a new one, and the request, which it did not
    /// execute, is made once more. What a server of the stateless revision wants to know on the way is asked of a caller that cannot be told so.
    /// </summary>
    /// <exception cref="UpstreamException">There is no answer.</exception>
    /// <exception cref="OperationCanceledException">The caller left; the upstream was told.</exception>
    public async ValueTask<ToolCallOutcome> CallAsync(UpstreamCall call, CancellationToken cancellationToken)
    {
        var outcome = await SendAsync(call, cancellationToken);
        return call.Peer is { TakesInputRequired: true } || !InputRounds.IsInputRequired(outcome)
            ? outcome
            : await InputRounds.RunAsync(Manifest.Id, call, outcome, (next, token) => SendAsync(next, token), cancellationToken);
    }

    private ValueTask<ToolCallOutcome> SendAsync(UpstreamCall call, CancellationToken cancellationToken) => Manifest.Auth is null ? SendOnceAsync(call, cancellationToken) : SendSignedAsync(call, cancellationToken);

    /// <summary>Makes a request, once more after somebody has signed in for it.</summary>
    private async ValueTask<ToolCallOutcome> SendSignedAsync(UpstreamCall call, CancellationToken cancellationToken)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await SendOnceAsync(call, cancellationToken);
            }
            catch (SignInRequiredException required) when (attempt < SignInRequiredException.MostSignIns)
            {
                required.Answer = await required.AskAsync(call, cancellationToken);
                if (required.Answer is not null)
                {
                    throw;
                }
            }
        }
    }

    private ValueTask<ToolCallOutcome> SendOnceAsync(UpstreamCall call, CancellationToken cancellationToken) =>
        scoped is null ? SendSharedAsync(call, cancellationToken) : scoped.CallAsync(call, cancellationToken);

    private async ValueTask<ToolCallOutcome> SendSharedAsync(UpstreamCall call, CancellationToken cancellationToken)
    {
        var now = Current;
        var server = now.Server ?? (IsMomentary(now) ? await NextServerAsync(null, cancellationToken) : throw NotConnected());
        try
        {
            return await server.CallAsync(call, cancellationToken);
        }
        catch (UpstreamException exception) when (exception.Reason == UpstreamReasons.SessionLost && !exception.WasSent)
        {
            return await (await NextServerAsync(server, cancellationToken)).CallAsync(call, cancellationToken);
        }
        catch (UpstreamException exception) when (exception.Reason is UpstreamReasons.Unreachable or UpstreamReasons.Broken)
        {
            Volatile.Read(ref liveness)?.Doubt();
            throw;
        }
    }

    /// <summary>The connection of a caller; null: there is none now.</summary>
    /// <param name="scope">As <see cref="ScopeOf"/> says.</param>
    public IToolServer? ServerOf(string? scope) => scope is null ? current.Server : scoped?.Find(scope);

    /// <summary>Which connection is a caller's; null: the shared one.</summary>
    public string? ScopeOf(GatewayRequest caller, IClientPeer? peer) => scoped is null ? null : ScopedConnections.ScopeOf(Manifest, caller, peer);

    /// <summary>A client's session has ended: what was its own is closed.</summary>
    public void EndSession(string sessionId) => scoped?.EndSession(sessionId);

    /// <summary>How many connections there are beside the shared one.</summary>
    public int ScopedCount => scoped?.Count ?? 0;

    private void OnScopedUpdate(string scope, string uri) => ResourceUpdated?.Invoke(uri, scope);

    private void OnUpdate(string uri) => ResourceUpdated?.Invoke(uri, null);

    /// <summary>Drops the connection, if there is one, and connects anew without a pause. Its tools stay known meanwhile.</summary>
    public void Reconnect() => Volatile.Read(ref again).TrySetResult(
        new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Reconnect, $"Tool server '{Manifest.Id}' is being connected anew.", wasSent: false));

    /// <summary>Ends the pause before the next attempt, for what was missing is there now. A connection that stands is left alone.</summary>
    public void Hasten() => Volatile.Read(ref sooner).TrySetResult();

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        if (scoped is not null)
        {
            await scoped.DisposeAsync();
        }
        await running;
    }

    /// <summary>Whether a connection is a matter of a moment, so that who comes waits for it: a session was just lost, or it was said that it is to be connected now.</summary>
    private static bool IsMomentary(Status status) => status.Reason is UpstreamReasons.SessionLost or UpstreamReasons.Reconnect;

    private async Task<IToolServer> NextServerAsync(IToolServer? old, CancellationToken cancellationToken)
    {
        using var deadline = new Deadline(Manifest.ConnectTimeout, clock, cancellationToken);
        try
        {
            while (true)
            {
                var next = Volatile.Read(ref turned).Task;
                var status = Current;
                if (status.Server is { } server && server != old)
                {
                    return server;
                }
                if (status.State == UpstreamStatus.Waiting && !IsMomentary(status))
                {
                    throw NotConnected();
                }
                await next.WaitAsync(deadline.Token);
            }
        }
        catch (OperationCanceledException) when (deadline.HasPassed)
        {
            throw NotConnected();
        }
    }

    private UpstreamException NotConnected() => new(RpcError.UpstreamUnavailable, UpstreamReasons.NotConnected,
        $"Tool server '{Manifest.Id}' is not connected ({(current.State == UpstreamStatus.Connecting ? "it is being connected" : "it is tried again shortly")}).", wasSent: false);

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                var reason = UpstreamReasons.Internal;
                try
                {
                    reason = (await ServeAsync()).Reason;
                }
                catch (UpstreamException exception)
                {
                    reason = exception.Reason;
                    current = current with { LastWords = exception.LastWords };
                    logger.NotConnected(Manifest.Id, exception.Reason, exception.Message, exception.InnerException?.Message);
                }
                catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
                {
                    reason = UpstreamReasons.Timeout;
                    logger.NotConnected(Manifest.Id, reason, "The time allowed for connecting has passed.", null);
                }
                catch (Exception exception) when (exception is not OperationCanceledException)
                {
                    // Nothing that a server does may end the loop that connects it.
                    logger.ConnectingFailed(Manifest.Id, exception);
                }
                Set(current with { State = UpstreamStatus.Waiting, Since = clock.GetUtcNow(), Server = null, Reason = reason });
                var wait = backoff.Next(isSessionLost: reason == UpstreamReasons.SessionLost);
                if (reason != UpstreamReasons.Reconnect)
                {
                    logger.Reconnecting(Manifest.Id, reason, wait.TotalSeconds);
                    await PauseAsync(wait);
                }
                if (IsWanted)
                {
                    current = current with { Reason = UpstreamReasons.Reconnect };
                    Volatile.Write(ref again, new(TaskCreationOptions.RunContinuationsAsynchronously));
                    Volatile.Write(ref sooner, new(TaskCreationOptions.RunContinuationsAsynchronously));
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The manifest was changed or taken away, or the process ends.
        }
    }

    private async Task PauseAsync(TimeSpan wait)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
        await Task.WhenAny(Task.Delay(wait, clock, ended.Token), again.Task, sooner.Task);
        stopping.Token.ThrowIfCancellationRequested();
        await ended.CancelAsync();
    }

    /// <summary>Serves until the connection is lost.</summary>
    private async Task<UpstreamException> ServeAsync()
    {
        if (await ConnectAsync() is not { } server)
        {
            return await again.Task;
        }
        await using (server)
        {
            var refresh = new RefreshSignal(clock);
            server.ToolsChanged += refresh.Raise;
            server.ResourceUpdated += OnUpdate;
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
            var watching = Task.FromResult<UpstreamException?>(null);
            try
            {
                await LoadAsync(server);
                backoff.Connected();
                Health.Connected();
                logger.Connected(Manifest.Id, server.ProtocolVersion, current.Tools.Count);
                Volatile.Write(ref sooner, new(TaskCreationOptions.RunContinuationsAsynchronously));
                Task<UpstreamException>[] ends = [server.Lost, again.Task];
                if (server.WantsProbes)
                {
                    var watch = new LivenessWatch(Manifest.Id, clock, logger, Manifest.Health.Interval);
                    Volatile.Write(ref liveness, watch);
                    var gone = watch.RunAsync(server, ended.Token);
                    (watching, ends) = (EndAsync(gone), [.. ends, gone]);
                }
                var lost = Task.WhenAny(ends).Unwrap();
                while (await refresh.NextAsync(lost, stopping.Token))
                {
                    await RefreshAsync(server);
                }
                return await lost;
            }
            finally
            {
                await ended.CancelAsync();
                await watching;
                Volatile.Write(ref liveness, null);
                server.ToolsChanged -= refresh.Raise;
                server.ResourceUpdated -= OnUpdate;
                current = current with { LastWords = server.LastWords };
            }
        }
    }

    /// <summary>Connects; null: it is to be connected anew, so that this attempt was given up.</summary>
    private async Task<IToolServer?> ConnectAsync()
    {
        using var patience = new Deadline(Manifest.ConnectTimeout, clock, stopping.Token);
        using var attempt = CancellationTokenSource.CreateLinkedTokenSource(patience.Token);
        var connecting = connect(Manifest, ClientOffer.Shared, attempt.Token);
        if (await Task.WhenAny(connecting, again.Task) == connecting)
        {
            return await connecting;
        }
        await attempt.CancelAsync();
        try
        {
            await using var late = await connecting;
        }
        catch (Exception exception) when (!stopping.IsCancellationRequested && exception is UpstreamException or OperationCanceledException)
        {
            // Nobody waits for it any more.
        }
        return null;
    }

    /// <summary>Waits for the end of the watch, however it ends.</summary>
    private static async Task<UpstreamException?> EndAsync(Task<UpstreamException> gone)
    {
        try
        {
            return await gone;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    private async Task LoadAsync(IToolServer server)
    {
        var before = current;
        var offering = LoadOffersAsync(server, before.Offers);
        var tools = await ToolsAsync(server, offering);
        var same = IsSame(tools, before.Tools);
        if (!same || before.Server != server)
        {
            var since = before.Server == server ? before.Since : clock.GetUtcNow();
            Set(new Status(UpstreamStatus.Ready, since, server, same ? before.Tools : tools, null, server.LastWords) { Offers = offering.IsCompletedSuccessfully ? await offering : before.Offers });
        }
        var offers = await offering;
        if (!offers.Equals(current.Offers))
        {
            Set(current with { Offers = offers });
        }
    }

    /// <summary>The tools, and with them the rest, so that clients are told once; but nobody waits for long for the rest.</summary>
    private async Task<IReadOnlyList<ReadOnlyMemory<byte>>> ToolsAsync(IToolServer server, Task<UpstreamOffers> offering)
    {
        try
        {
            var tools = await server.ListToolsAsync(stopping.Token);
            if (!offering.IsCompleted)
            {
                using var enough = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
                await Task.WhenAny(offering, Task.Delay(RestPatience, clock, enough.Token));
                await enough.CancelAsync();
            }
            return tools;
        }
        catch
        {
            _ = offering.ContinueWith(static failed => failed.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            throw;
        }
    }

    /// <summary>Reads what a server offers beside tools. A list that cannot be read stays as it was, and keeps nobody from the tools.</summary>
    private async Task<UpstreamOffers> LoadOffersAsync(IToolServer server, UpstreamOffers before)
    {
        var prompts = await ListAsync(server, ListKind.Prompts, before.Prompts);
        var resources = await ListAsync(server, ListKind.Resources, before.Resources);
        var templates = await ListAsync(server, ListKind.Templates, before.Templates);
        var same = server.Capabilities.Span.SequenceEqual(before.Capabilities.Span) && server.ServerInfo.Span.SequenceEqual(before.ServerInfo.Span);
        return new UpstreamOffers(prompts, resources, templates, same ? before.Capabilities : server.Capabilities, same ? before.ServerInfo : server.ServerInfo, server.Instructions);
    }

    private async Task<IReadOnlyList<ReadOnlyMemory<byte>>> ListAsync(IToolServer server, ListKind kind, IReadOnlyList<ReadOnlyMemory<byte>> before)
    {
        if (server.Capabilities.IsEmpty || JsonMembers.FindObject(server.Capabilities.Span, kind.Capability()).IsEmpty)
        {
            return before.Count == 0 ? before : [];
        }
        try
        {
            var items = await server.ListAsync(kind, stopping.Token);
            return IsSame(items, before) ? before : items;
        }
        catch (UpstreamException exception) when (!server.Lost.IsCompleted)
        {
            logger.ListNotRead(Manifest.Id, kind.Method(), exception.Reason);
            return before;
        }
    }

    private static bool IsSame(IReadOnlyList<ReadOnlyMemory<byte>> one, IReadOnlyList<ReadOnlyMemory<byte>> other) =>
        one.Count == other.Count && one.Zip(other).All(pair => pair.First.Span.SequenceEqual(pair.Second.Span));

    /// <summary>Reads the tools anew. Where that fails on a connection that holds, what was known stays.</summary>
    private async Task RefreshAsync(IToolServer server)
    {
        try
        {
            await LoadAsync(server);
        }
        catch (UpstreamException exception) when (!server.Lost.IsCompleted)
        {
            logger.NotRefreshed(Manifest.Id, exception.Reason);
        }
    }

    private void Set(Status next)
    {
        var toolsChanged = !ReferenceEquals(next.Tools, current.Tools) || !next.Offers.Equals(current.Offers);
        current = next;
        Interlocked.Exchange(ref turned, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
        changed(toolsChanged);
    }

    /// <summary>A moment in the life of an upstream.</summary>
    /// <param name="State">Where the connection stands.</param>
    /// <param name="Since">Since when.</param>
    /// <param name="Server">The connection; null: there is none.</param>
    /// <param name="Tools">Raw definitions, as last heard.</param>
    /// <param name="Reason">Why it is down, as a short code.</param>
    /// <param name="LastWords">What the server wrote about itself last.</param>
    internal sealed record Status(UpstreamStatus State, DateTimeOffset Since, IToolServer? Server, IReadOnlyList<ReadOnlyMemory<byte>> Tools, string? Reason, string LastWords)
    {
        /// <summary>What it offers beside tools, as last heard.</summary>
        public UpstreamOffers Offers { get; init; } = UpstreamOffers.None;
    }
}

/// <summary>What a server offers beside tools, raw.</summary>
/// <param name="Prompts">Prompts.</param>
/// <param name="Resources">Resources.</param>
/// <param name="Templates">Templates of resources.</param>
/// <param name="Capabilities">Its capabilities object; empty: it did not say.</param>
/// <param name="ServerInfo">How it introduced itself; empty: it did not.</param>
/// <param name="Instructions">What it tells models of its use; null: nothing.</param>
internal sealed record UpstreamOffers(
    IReadOnlyList<ReadOnlyMemory<byte>> Prompts, IReadOnlyList<ReadOnlyMemory<byte>> Resources, IReadOnlyList<ReadOnlyMemory<byte>> Templates,
    ReadOnlyMemory<byte> Capabilities, ReadOnlyMemory<byte> ServerInfo, string? Instructions)
{
    public static UpstreamOffers None { get; } = new([], [], [], default, default, null);
}
