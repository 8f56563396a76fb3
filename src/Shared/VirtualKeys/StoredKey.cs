using Shared.Configuration;

namespace Shared.VirtualKeys;

/// <summary>One of the secrets that open a key. There are two while a rotation overlaps.</summary>
/// <param name="Hash">SHA-256 of the secret.</param>
/// <param name="ValidUntil">When it stops being accepted; null: with its key.</param>
public sealed record KeySecret(byte[] Hash, DateTimeOffset? ValidUntil = null);

/// <summary>A virtual key as the database holds it.</summary>
public sealed record StoredKey
{
    private KeyDerivation? derivation;

    /// <summary>Its public id.</summary>
    public required string Id { get; init; }

    /// <summary>The secrets that open it, the newest first.</summary>
    public required IReadOnlyList<KeySecret> Secrets { get; init; }

    /// <summary>What it may do: a JSON object of the same form as an entry under <c>keys</c> in <c>gateway.yaml</c>.</summary>
    public required string Declaration { get; init; }

    /// <summary>Who made it: an admin key, or <c>first-start</c>.</summary>
    public string CreatedBy { get; init; } = "";

    /// <summary>When it was made.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>Who changed it last.</summary>
    public string ChangedBy { get; init; } = "";

    /// <summary>When it was changed last.</summary>
    public DateTimeOffset ChangedAt { get; init; }

    /// <summary>Who revoked it, or null.</summary>
    public string? RevokedBy { get; init; }

    /// <summary>When it was revoked, or null.</summary>
    public DateTimeOffset? RevokedAt { get; init; }

    /// <summary>What was worked out of this key before, so that a change of one key among thousands works out that one. A copy begins anew.</summary>
    internal KeyDerivation Derivation => derivation is { } known && ReferenceEquals(known.Key, this) ? known : derivation = new KeyDerivation(this);
}

/// <summary>What is worked out of a stored key, once for each.</summary>
internal sealed class KeyDerivation(StoredKey key)
{
    public StoredKey Key { get; } = key;

    public KeyDeclaration? Declaration { get; set; }

    /// <summary>What is wrong with the declaration; null: it was not read yet.</summary>
    public IReadOnlyList<ConfigError>? Errors { get; set; }

    /// <summary>The key's line of the canonical text.</summary>
    public string? Line { get; set; }

    // It is no part of what makes two keys equal.
    public override bool Equals(object? obj) => obj is KeyDerivation;

    public override int GetHashCode() => 0;
}
