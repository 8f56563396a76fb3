using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Shared.Http;

/// <summary>Tells of calls that last whether their key still holds, by the newest configuration.</summary>
public sealed class LiveKeys(SnapshotStore snapshots, RevokedKeys revokedKeys, TimeProvider clock)
{
    /// <summary>
    /// The key as it is now; null: it was revoked, has expired or is gone. A caller who signed in has none of the configured keys, and is taken as it was.
    /// </summary>
    /// <param name="request">The request that the key was accepted for.</param>
    public VirtualKey? Find(GatewayRequest request)
    {
        var key = request.Key ?? throw new InvalidOperationException("The request is not authenticated.");
        if (request.Snapshot.Keys.ContainsKey(key.Id))
        {
            if (!snapshots.Current.Keys.TryGetValue(key.Id, out var now) || (now.RevokedAt ?? revokedKeys.Find(key.Id)) is not null)
            {
                return null;
            }
            key = now;
        }
        return key.ExpiresAt is { } expires && expires <= clock.GetUtcNow() ? null : key;
    }
}
