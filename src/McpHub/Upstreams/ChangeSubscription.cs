using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace McpHub.Upstreams;

/// <summary>
/// Without a session a server tells of changes only on a stream that was asked for: one long <c>subscriptions/listen</c>, opened anew when it ends.
/// A server that offers none is polled like every other.
/// </summary>
internal sealed class ChangeSubscription(RpcConnection connection, TimeProvider clock, ILogger logger, string server)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    /// <summary>How long one stream may last.</summary>
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(12);

    private IReadOnlyCollection<string> resources = [];
    private CancellationTokenSource again = new();

    /// <summary>Says which resources are to be heard of. The stream is opened anew with them.</summary>
    public void Watch(IReadOnlyCollection<string> wanted)
    {
        Volatile.Write(ref resources, wanted);
        Interlocked.Exchange(ref again, new CancellationTokenSource()).Cancel();
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var pause = FirstPause;
        try
        {
            while (!connection.Lost.IsCompleted)
            {
                var since = clock.GetTimestamp();
                var changed = CancellationToken.None;
                try
                {
                    changed = Volatile.Read(ref again).Token;
                    using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, changed);
                    using var deadline = new Deadline(Lifetime, clock, either.Token);
                    if ((await connection.AskAsync("subscriptions/listen", Parameters(), deadline)).IsError)
                    {
                        logger.NoSubscription(server);
                        return;
                    }
                }
                catch (OperationCanceledException) when (changed.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
                {
                    continue;
                }
                catch (UpstreamException exception)
                {
                    logger.ListeningBroke(server, exception.Reason);
                }
                pause = clock.GetElapsedTime(since) > LongestPause ? FirstPause : pause;
                await Task.Delay(pause, clock, cancellationToken);
                pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, LongestPause.Ticks));
            }
        }
        catch (OperationCanceledException)
        {
            // The connection is closed.
        }
    }

    private ReadOnlyMemory<byte> Parameters()
    {
        var wanted = Volatile.Read(ref resources);
        byte[] subscriptions = wanted.Count == 0 ? [] : [.. ",\"resourceSubscriptions\":"u8, .. JsonSerializer.SerializeToUtf8Bytes(wanted)];
        return ProtocolEra.Modern.Params([.. ",\"notifications\":{\"toolsListChanged\":true,\"promptsListChanged\":true,\"resourcesListChanged\":true"u8, .. subscriptions, .. "}"u8]);
    }
}
