namespace Shared.VirtualKeys;

/// <summary>A virtual key as the database holds it.</summary>
/// <param name="Id">Its public id.</param>
/// <param name="SecretHashes">SHA-256 of each secret that is accepted.</param>
/// <param name="Declaration">What it may do: a JSON object of the same form as an entry under <c>keys</c> in <c>gateway.yaml</c>.</param>
/// <param name="CreatedAt">When it was made.</param>
/// <param name="RevokedAt">When it was revoked, or null.</param>
public sealed record StoredKey(string Id, IReadOnlyList<byte[]> SecretHashes, string Declaration, DateTimeOffset CreatedAt, DateTimeOffset? RevokedAt);

/// <summary>Keys that were made through the API or at first start.</summary>
public interface IKeySource
{
    /// <summary>Raised after any key changed; the snapshot is then built anew.</summary>
    event Action? Changed;

    /// <summary>All keys, revoked ones included, ordered by id.</summary>
    IReadOnlyList<StoredKey> ReadAll();
}
