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

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var parameters = ProtocolEra.Modern.Params(",\"notifications\":{\"toolsListChanged\":true}"u8);
        var pause = FirstPause;
        try
        {
            while (!connection.Lost.IsCompleted)
            {
                var since = clock.GetTimestamp();
                try
                {
                    using var deadline = new Deadline(Lifetime, clock, cancellationToken);
                    if ((await connection.AskAsync("subscriptions/listen", parameters, deadline)).IsError)
                    {
                        logger.NoSubscription(server);
                        return;
                    }
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
}
