using System.Collections.Concurrent;

namespace Shared.Http;

/// <summary>
/// Virtual keys that were revoked while this process runs. The snapshot says so too, but a newer snapshot may be refused for a mistake in a file, and a
/// revocation waits for nobody.
/// </summary>
public sealed class RevokedKeys
{
    private readonly ConcurrentDictionary<string, DateTimeOffset> revoked = new(StringComparer.Ordinal);

    /// <summary>Refuses a key from now on.</summary>
    public void Add(string id, DateTimeOffset when) => revoked.TryAdd(id, when);

    /// <summary>When a key was revoked, or null.</summary>
    internal DateTimeOffset? Find(string id) => revoked.TryGetValue(id, out var when) ? when : null;
}
