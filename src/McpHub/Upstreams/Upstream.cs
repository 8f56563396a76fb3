using Microsoft.Extensions.Logging;
using Shared.Snapshots;

namespace McpHub.Upstreams;

/// <summary>Connects to one tool server. One implementation for each transport.</summary>
internal delegate Task<IToolServer> ToolServerConnector(ToolManifest manifest, CancellationToken cancellationToken);

/// <summary>Where the connection to a tool server stands.</summary>
public enum UpstreamStatus
{
    /// <summary>Being connected.</summary>
    Connecting,

    /// <summary>Connected, tools known.</summary>
    Ready,

    /// <summary>Lost or never reached; tried again later.</summary>
    Waiting,

    /// <summary>Switched off by its manifest.</summary>
    Disabled,
}

/// <summary>
/// One tool server of the snapshot: connected in the background, for as long as its manifest stands. What happens to it delays nobody else.
/// </summary>
internal sealed class Upstream : IAsyncDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly ToolServerConnector connect;
    private readonly Action<bool> changed;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private readonly CancellationTokenSource stopping = new();
    private readonly SemaphoreSlim refresh = new(0);
    private readonly Task running;
    private volatile Status current;
    private TaskCompletionSource moved = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Upstream(ToolManifest manifest, ToolServerConnector connect, Action<bool> changed, TimeProvider clock, ILogger logger)
    {
        (Manifest, this.connect, this.changed, this.clock, this.logger) = (manifest, connect, changed, clock, logger);
        current = new Status(UpstreamStatus.Connecting, clock.GetUtcNow(), null, [], null);
        running = Task.Run(RunAsync);
    }

    public ToolManifest Manifest { get; }

    /// <summary>Where it stands now. The tools of a server that is down stay known, so that a short loss does not change what clients see.</summary>
    public Status Current => current;

    /// <summary>Waits for a connection other than one that was lost.</summary>
    public async Task<IToolServer> ReconnectedAsync(IToolServer lost, CancellationToken cancellationToken)
    {
        while (true)
        {
            var next = Volatile.Read(ref moved).Task;
            if (current.Server is { } server && server != lost)
            {
                return server;
            }
            await next.WaitAsync(cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await running;
    }

    private async Task RunAsync()
    {
        var pause = FirstPause;
        try
        {
            while (true)
            {
                string reason;
                try
                {
                    reason = await ServeAsync(() => pause = FirstPause);
                }
                catch (UpstreamException exception)
                {
                    reason = exception.Reason;
                    logger.NotConnected(Manifest.Id, exception.Reason, exception.Message, exception.InnerException?.Message);
                }
                catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
                {
                    reason = "timeout";
                }
                Set(current with { State = UpstreamStatus.Waiting, Since = clock.GetUtcNow(), Server = null, Reason = reason });
                // A server that only forgot its session is asked for a new one at once; jitter keeps many gateways from returning in step.
                var wait = reason == "session_lost" ? TimeSpan.Zero : pause * (0.75 + (Random.Shared.NextDouble() / 2));
                logger.Reconnecting(Manifest.Id, reason, wait.TotalSeconds);
                await Task.Delay(wait, clock, stopping.Token);
                pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, LongestPause.Ticks));
            }
        }
        catch (OperationCanceledException)
        {
            // The manifest was changed or taken away, or the process ends.
        }
    }

    /// <summary>Serves until the connection is lost.</summary>
    private async Task<string> ServeAsync(Action connected)
    {
        IToolServer server;
        using (var patience = new CancellationTokenSource(Manifest.ConnectTimeout, clock))
        using (var either = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token, patience.Token))
        {
            server = await connect(Manifest, either.Token);
        }
        await using (server)
        {
            server.ToolsChanged += () => refresh.Release();
            await LoadAsync(server);
            connected();
            logger.Connected(Manifest.Id, server.ProtocolVersion, current.Tools.Count);
            while (true)
            {
                var next = refresh.WaitAsync(stopping.Token);
                if (await Task.WhenAny(next, server.Lost) == server.Lost)
                {
                    return await server.Lost;
                }
                await next;
                while (refresh.Wait(0))
                {
                    // Several changes at once are one refresh.
                }
                await LoadAsync(server);
            }
        }
    }

    private async Task LoadAsync(IToolServer server)
    {
        var tools = await server.ListToolsAsync(stopping.Token);
        Set(new Status(UpstreamStatus.Ready, clock.GetUtcNow(), server, tools, null));
    }

    private void Set(Status next)
    {
        var toolsChanged = !ReferenceEquals(next.Tools, current.Tools);
        current = next;
        Interlocked.Exchange(ref moved, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
        changed(toolsChanged);
    }

    /// <summary>A moment in the life of an upstream.</summary>
    /// <param name="State">Where the connection stands.</param>
    /// <param name="Since">Since when.</param>
    /// <param name="Server">The connection; null: there is none.</param>
    /// <param name="Tools">Raw definitions, as last heard.</param>
    /// <param name="Reason">Why it is down, as a short code.</param>
    internal sealed record Status(UpstreamStatus State, DateTimeOffset Since, IToolServer? Server, IReadOnlyList<ReadOnlyMemory<byte>> Tools, string? Reason);
}
