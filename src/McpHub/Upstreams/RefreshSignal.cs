using System.Threading.Channels;

namespace McpHub.Upstreams;

/// <summary>Says when a server's tools are to be read anew: when it says so, though not without end, and now and then in any case.</summary>
internal sealed class RefreshSignal(TimeProvider clock)
{
    private readonly Channel<bool> raised = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private bool isPausing;

    /// <summary>The server says that its tools changed. Several changes at once are one.</summary>
    public void Raise() => raised.Writer.TryWrite(true);

    /// <summary>Waits for the next time. False: the connection is lost.</summary>
    public async Task<bool> NextAsync(Task lost, CancellationToken cancellationToken)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            if (isPausing && await Task.WhenAny(Task.Delay(Upstream.RefreshPause, clock, ended.Token), lost) == lost)
            {
                return false;
            }
            cancellationToken.ThrowIfCancellationRequested();
            isPausing = true;
            var due = raised.Reader.WaitToReadAsync(ended.Token).AsTask();
            if (await Task.WhenAny(due, Task.Delay(Upstream.PollPeriod, clock, ended.Token), lost) == lost)
            {
                return false;
            }
            cancellationToken.ThrowIfCancellationRequested();
            // Servers tell of each of several tools by itself; the whole of it is one change for every client.
            if (await Task.WhenAny(Task.Delay(Upstream.Settling, clock, ended.Token), lost) == lost)
            {
                return false;
            }
            cancellationToken.ThrowIfCancellationRequested();
            raised.Reader.TryRead(out _);
            return true;
        }
        finally
        {
            await ended.CancelAsync();
        }
    }
}
