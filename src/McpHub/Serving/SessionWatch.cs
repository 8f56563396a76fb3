using System.Threading.Channels;
using McpHub.Catalog;
using McpHub.Features;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Serving;

/// <summary>
/// Tells clients that their tools changed, each only when its own view did, and ends what a key that was revoked or expired still holds open.
/// Changes that come in a burst are looked at once.
/// </summary>
internal sealed class SessionWatch(SessionRegistry sessions, ListenStreams streams, IToolViews views, IFeatures features, SnapshotStore snapshots, TimeProvider time, ILogger<SessionWatch> logger) : BackgroundService
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
        sessions.Crowded += Signal;
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
            sessions.Crowded -= Signal;
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
        streams.Look((key, scope) => FingerprintsOf(snapshot, key, scope));
        foreach (var session in sessions.All)
        {
            if (FingerprintsOf(snapshot, session.KeyId, session.Scope) is not { } fingerprints)
            {
                logger.KeyNoLongerValid(session.Id, session.KeyId);
                await CloseAsync(session);
            }
            else if (session.IsListening)
            {
                foreach (var notification in session.ChangeView(fingerprints))
                {
                    await NotifyAsync(session, notification, cancellationToken);
                }
            }
        }
        await sessions.PruneAsync(session =>
        {
            logger.SessionPruned(session.Id);
            return CloseAsync(session);
        });
    }

    /// <summary>What the key's view looks like; null: the key is no longer valid.</summary>
    private ViewFingerprints? FingerprintsOf(Snapshot snapshot, string keyId, ToolScope scope) =>
        snapshot.FindCaller(keyId) is { } key && IsValid(key) ? ViewFingerprints.Of(views, features, snapshot, key, scope) : null;

    private bool IsValid(VirtualKey key) => key.RevokedAt is null && (key.ExpiresAt is not { } end || time.GetUtcNow() < end);

    private async Task NotifyAsync(ClientSession session, string notification, CancellationToken cancellationToken)
    {
        try
        {
            await session.Server.SendNotificationAsync(notification, cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            // Its stream broke or it ended meanwhile; the other sessions must still hear of the change.
            logger.NotificationFailed(session.Id, exception);
        }
    }

    private async Task CloseAsync(ClientSession session)
    {
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
