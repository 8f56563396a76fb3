using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpHub.Serving;

/// <summary>
/// How long a call in a session goes on. One whose client hangs up ends: nobody could be given its result. Where the client can come back for it, the call waits for that a
/// while (specification 2025-11-25, basic/transports: a disconnection is no cancellation), but not for ever, as some clients cancel by nothing but hanging up.
/// </summary>
internal sealed class CallLifetime : IDisposable
{
    /// <summary>How long a call waits for its client.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(30);

    private readonly Lock gate = new();
    private readonly EventStore events;
    private readonly string session;
    private readonly string stream;
    private readonly CancellationTokenSource over;
    private readonly CancellationTokenRegistration leaving;
    private ITimer? waiting;
    private bool hasEnded;

    /// <param name="events">The events of all streams.</param>
    /// <param name="server">The session's server.</param>
    /// <param name="request">The call.</param>
    /// <param name="ended">Cancelled when the call is cancelled or the session ends.</param>
    /// <param name="aborted">Cancelled when the client hangs up.</param>
    public CallLifetime(EventStore events, McpServer server, RequestId request, CancellationToken ended, CancellationToken aborted)
    {
        (this.events, session, stream) = (events, server.SessionId ?? "", request.ToString());
        if (!EventStore.CanResume(server))
        {
            over = CancellationTokenSource.CreateLinkedTokenSource(ended, aborted);
            return;
        }
        over = CancellationTokenSource.CreateLinkedTokenSource(ended);
        leaving = aborted.UnsafeRegister(static state => ((CallLifetime)state!).Wait(), this);
    }

    /// <summary>Cancelled when the call must end.</summary>
    public CancellationToken Token => over.Token;

    public void Dispose()
    {
        leaving.Dispose();
        lock (gate)
        {
            hasEnded = true;
            waiting?.Dispose();
        }
        over.Dispose();
    }

    private void Wait()
    {
        lock (gate)
        {
            if (!hasEnded)
            {
                waiting = events.Clock.CreateTimer(static state => ((CallLifetime)state!).Look(), this, Grace, Timeout.InfiniteTimeSpan);
            }
        }
    }

    private void Look()
    {
        lock (gate)
        {
            if (hasEnded)
            {
                return;
            }
            if (events.IsRead(session, stream))
            {
                waiting!.Change(Grace, Timeout.InfiniteTimeSpan);
                return;
            }
        }
        try
        {
            over.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The call ended at this very moment.
        }
    }
}
