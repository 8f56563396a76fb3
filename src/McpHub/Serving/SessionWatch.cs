using System.Threading.Channels;
using McpHub.Catalog;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ModelContextProtocol.Protocol;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace McpHub.Serving;

/// <summary>
/// Tells clients that their tools changed, each only when its own view did, and ends what a key that was revoked or expired still holds open.
/// Changes that come in a burst are looked at once.
/// </summary>
internal sealed class SessionWatch(SessionRegistry sessions, ListenStreams streams, IToolViews views, SnapshotStore snapshots, TimeProvider time, ILogger<SessionWatch> logger) : BackgroundService
{
    /// <summary>How often keys are checked for having expired.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromSeconds(15);

    private readonly Channel<bool> changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        views.Changed += Signal;
        snapshots.Changed += OnSnapshot;
        sessions.Listening += Signal;
        try
        {
            await using var timer = time.CreateTimer(_ => Signal(), null, Period, Period);
            while (true)
            {
                await changed.Reader.ReadAsync(stoppingToken);
                await LookAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host stops.
        }
        finally
        {
            views.Changed -= Signal;
            snapshots.Changed -= OnSnapshot;
            sessions.Listening -= Signal;
        }
    }

    private void OnSnapshot(Snapshot? previous, Snapshot next) => Signal();

    private void Signal() => changed.Writer.TryWrite(true);

    private async Task LookAsync(CancellationToken cancellationToken)
    {
        if (!snapshots.HasCurrent)
        {
            return;
        }
        var snapshot = snapshots.Current;
        streams.Look(key => FingerprintOf(snapshot, key));
        foreach (var session in sessions.All)
        {
            if (FingerprintOf(snapshot, session.KeyId) is not { } fingerprint)
            {
                await CloseAsync(session);
            }
            else if (session.IsListening && session.TryChangeView(fingerprint))
            {
                await NotifyAsync(session, cancellationToken);
            }
        }
    }

    /// <summary>What the key's view looks like; null: the key is no longer valid.</summary>
    private string? FingerprintOf(Snapshot snapshot, string keyId) =>
        snapshot.Keys.TryGetValue(keyId, out var key) && IsValid(key) ? views.ViewOf(snapshot, key).Fingerprint : null;

    private bool IsValid(VirtualKey key) => key.RevokedAt is null && (key.ExpiresAt is not { } end || time.GetUtcNow() < end);

    private async Task NotifyAsync(ClientSession session, CancellationToken cancellationToken)
    {
        try
        {
            await session.Server.SendNotificationAsync(NotificationMethods.ToolListChangedNotification, cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            // Its stream broke or it ended meanwhile; the other sessions must still hear of the change.
            logger.NotificationFailed(session.Id, exception);
        }
    }

    private async Task CloseAsync(ClientSession session)
    {
        logger.KeyNoLongerValid(session.Id, session.KeyId);
        try
        {
            await sessions.CloseAsync(session);
        }
        catch (Exception exception)
        {
            // Its requests are refused for want of a valid key all the same; it is tried again with the next look.
            logger.CloseFailed(session.Id, exception);
        }
    }
}
