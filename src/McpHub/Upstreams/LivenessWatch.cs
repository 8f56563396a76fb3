using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace McpHub.Upstreams;

/// <summary>
/// Finds out that a server whose connection nobody sees break is gone: one over HTTP has a connection only while it is asked something. It is asked for a sign of
/// life now and then, and as soon as a call could not reach it.
/// </summary>
internal sealed class LivenessWatch(string id, TimeProvider clock, ILogger logger, TimeSpan? period = null)
{
    /// <summary>How often a server is asked whose manifest does not say.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromSeconds(15);

    /// <summary>A doubt is looked into no more often than this.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly Channel<bool> doubts = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>A call found no server. Returns at once.</summary>
    public void Doubt() => doubts.Writer.TryWrite(true);

    /// <summary>Asks for as long as the server answers.</summary>
    /// <returns>Why it is gone.</returns>
    public async Task<UpstreamException> RunAsync(IToolServer server, CancellationToken cancellationToken)
    {
        var (failures, wasDoubted) = (0, false);
        while (true)
        {
            if (wasDoubted)
            {
                await Task.Delay(Pause, clock, cancellationToken);
            }
            wasDoubted = await WaitAsync(failures > 0 ? Pause : period ?? Period, cancellationToken);
            try
            {
                await server.ProbeAsync(cancellationToken);
                failures = 0;
            }
            catch (UpstreamException exception) when (exception.Reason == UpstreamReasons.Unreachable)
            {
                return exception;
            }
            catch (UpstreamException exception) when (exception.Reason is UpstreamReasons.Broken or UpstreamReasons.Timeout || exception.Reason.StartsWith("http_5", StringComparison.Ordinal))
            {
                // One that is merely slow, or is being replaced, gets a second chance.
                if (++failures > 1)
                {
                    return exception;
                }
                logger.NoSignOfLife(id, exception.Reason);
            }
            catch (UpstreamException)
            {
                // Whatever it was, it came from the server; a lost session is told where it is found.
                failures = 0;
            }
        }
    }

    /// <summary>Waits for the next time to ask. True: there is a doubt.</summary>
    private async Task<bool> WaitAsync(TimeSpan period, CancellationToken cancellationToken)
    {
        using var due = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var doubt = doubts.Reader.WaitToReadAsync(due.Token).AsTask();
        try
        {
            await Task.WhenAny(doubt, Task.Delay(period, clock, due.Token));
            cancellationToken.ThrowIfCancellationRequested();
            return doubts.Reader.TryRead(out _);
        }
        finally
        {
            await due.CancelAsync();
        }
    }
}
