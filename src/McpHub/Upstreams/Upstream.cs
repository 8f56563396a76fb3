using Microsoft.Extensions.Logging;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>Connects to one tool server. One implementation for each transport.</summary>
internal delegate Task<IToolServer> ToolServerConnector(ToolManifest manifest, CancellationToken cancellationToken);

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

    private readonly ToolServerConnector connect;
    private readonly Action<bool> changed;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private readonly CancellationTokenSource stopping = new();
    private readonly Backoff backoff;
    private readonly Task running;
    private TaskCompletionSource<UpstreamException> again = new(TaskCreationOptions.RunContinuationsAsynchronously);
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
        current = new Status(UpstreamStatus.Connecting, clock.GetUtcNow(), null, [], null, "");
        running = Task.Run(RunAsync);
    }

    public ToolManifest Manifest { get; }

    /// <summary>Where it stands now. The tools of a server that is down stay known, so that a short loss does not change what clients see.</summary>
    public Status Current => current;

    /// <summary>Calls a tool. A server that has forgotten its session gets a new one, and the call, which it did not execute, is made once more.</summary>
    /// <exception cref="UpstreamException">There is no answer.</exception>
    /// <exception cref="OperationCanceledException">The caller left; the upstream was told.</exception>
    public async ValueTask<ToolCallOutcome> CallAsync(UpstreamCall call, CancellationToken cancellationToken)
    {
        var server = current.Server ?? throw NotConnected();
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

    /// <summary>Drops the connection, if there is one, and connects anew without a pause. Its tools stay known meanwhile.</summary>
    public void Reconnect() => Volatile.Read(ref again).TrySetResult(
        new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Reconnect, $"Tool server '{Manifest.Id}' is being connected anew.", wasSent: false));

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await running;
    }

    private async Task<IToolServer> NextServerAsync(IToolServer old, CancellationToken cancellationToken)
    {
        using var deadline = new Deadline(Manifest.ConnectTimeout, clock, cancellationToken);
        try
        {
            while (true)
            {
                var next = Volatile.Read(ref turned).Task;
                var status = current;
                if (status.Server is { } server && server != old)
                {
                    return server;
                }
                if (status.State == UpstreamStatus.Waiting && status.Reason != UpstreamReasons.SessionLost)
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
                if (again.Task.IsCompleted)
                {
                    Volatile.Write(ref again, new(TaskCreationOptions.RunContinuationsAsynchronously));
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
        await Task.WhenAny(Task.Delay(wait, clock, ended.Token), again.Task);
        stopping.Token.ThrowIfCancellationRequested();
        await ended.CancelAsync();
    }

    /// <summary>Serves until the connection is lost.</summary>
    private async Task<UpstreamException> ServeAsync()
    {
        IToolServer server;
        using (var patience = new Deadline(Manifest.ConnectTimeout, clock, stopping.Token))
        {
            server = await connect(Manifest, patience.Token);
        }
        await using (server)
        {
            var refresh = new RefreshSignal(clock);
            server.ToolsChanged += refresh.Raise;
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
            var watching = Task.FromResult<UpstreamException?>(null);
            try
            {
                await LoadAsync(server);
                backoff.Connected();
                logger.Connected(Manifest.Id, server.ProtocolVersion, current.Tools.Count);
                Task<UpstreamException>[] ends = [server.Lost, again.Task];
                if (server.WantsProbes)
                {
                    var watch = new LivenessWatch(Manifest.Id, clock, logger);
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
                current = current with { LastWords = server.LastWords };
            }
        }
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
        var (tools, before) = (await server.ListToolsAsync(stopping.Token), current);
        var same = tools.Count == before.Tools.Count && tools.Zip(before.Tools).All(pair => pair.First.Span.SequenceEqual(pair.Second.Span));
        if (!same || before.Server != server)
        {
            var since = before.Server == server ? before.Since : clock.GetUtcNow();
            Set(new Status(UpstreamStatus.Ready, since, server, same ? before.Tools : tools, null, server.LastWords));
        }
    }

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
        var toolsChanged = !ReferenceEquals(next.Tools, current.Tools);
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
    internal sealed record Status(UpstreamStatus State, DateTimeOffset Since, IToolServer? Server, IReadOnlyList<ReadOnlyMemory<byte>> Tools, string? Reason, string LastWords);
}
