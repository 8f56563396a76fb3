using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Shared.Storage;
using Shared.Stored;

namespace Shared.VirtualKeys;

/// <summary>The tokens that a first start made, to be shown once.</summary>
/// <param name="AdminKey">The admin key.</param>
/// <param name="VirtualKey">The virtual key.</param>
public sealed record FirstKeys(IssuedKey AdminKey, IssuedKey VirtualKey);

/// <summary>An admin key as a list shows it: nothing of its secret.</summary>
public sealed record AdminKey
{
    /// <summary>Its public id.</summary>
    public required string Id { get; init; }

    /// <summary>A name for people; may be empty.</summary>
    public string Name { get; init; } = "";

    /// <summary>Whether it may only read.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Who made it.</summary>
    public string CreatedBy { get; init; } = "";

    /// <summary>When it was made.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>When it stops being accepted; null: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Who revoked it, or null.</summary>
    public string? RevokedBy { get; init; }

    /// <summary>When it was revoked, or null.</summary>
    public DateTimeOffset? RevokedAt { get; init; }

    /// <summary>Whether it opens the admin API at a moment.</summary>
    public bool HoldsAt(DateTimeOffset moment) => RevokedAt is null && !(ExpiresAt <= moment);
}

/// <summary>The keys that open the admin API. They are held in memory, so that trouble of the database locks no admin out.</summary>
public sealed class AdminKeys
{
    private const string FirstStart = "first-start";
    private const string Columns = "id, name, read_only, created_by, created_at, expires_at, revoked_by, revoked_at, secret_hash";

    private readonly Lock changing = new();
    private readonly GatewayDatabase database;
    private readonly KeyStore keys;
    private readonly TimeProvider clock;
    private readonly ConcurrentDictionary<string, (byte[] Hash, AdminKey Key)> held = new(StringComparer.Ordinal);

    /// <summary>Reads the keys.</summary>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public AdminKeys(GatewayDatabase database, KeyStore keys, TimeProvider clock)
    {
        (this.database, this.keys, this.clock) = (database, keys, clock);
        foreach (var (hash, key) in database.Use(session => Read(session, $"SELECT {Columns} FROM admin_keys WHERE revoked_at IS NULL")))
        {
            held[key.Id] = (hash, key);
        }
    }

    /// <summary>Whether a credential is an admin key that holds. The secret is compared in constant time.</summary>
    public bool TryVerify(ReadOnlySpan<char> token, [NotNullWhen(true)] out AdminKey? key)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        key = KeyToken.TryParse(token, KeyToken.AdminKeyPrefix, out var id, hash)
            && held.TryGetValue(id, out var known)
            && CryptographicOperations.FixedTimeEquals(hash, known.Hash)
            && known.Key.HoldsAt(clock.GetUtcNow()) ? known.Key : null;
        return key is not null;
    }

    /// <summary>All admin keys, revoked and expired ones included, ordered by id.</summary>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public IReadOnlyList<AdminKey> List() => [.. database.Use(session => Read(session, $"SELECT {Columns} FROM admin_keys ORDER BY id")).Select(row => row.Key)];

    /// <summary>
    /// Where no admin key was ever made (a revoked one counts), makes one and a virtual key with it, both or neither. Null: this is not the first start.
    /// </summary>
    /// <param name="declaration">What the virtual key may do, as for <see cref="KeyStore.Create"/>.</param>
    /// <exception cref="ArgumentException">The declaration is not a JSON object.</exception>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public FirstKeys? CreateFirst(string declaration)
    {
        KeyStore.RequireObject(declaration);
        var now = clock.GetUtcNow();
        AdminKey? admin = null;
        var made = database.Use(session =>
        {
            using (var any = session.Prepare("SELECT EXISTS (SELECT 1 FROM admin_keys)"))
            {
                any.Read();
                if (any.Int64(0) != 0)
                {
                    return null;
                }
            }
            var first = new FirstKeys(KeyToken.NewAdminKey(), KeyToken.NewVirtualKey());
            admin = new AdminKey { Id = first.AdminKey.Id, Name = "first admin key", CreatedBy = FirstStart, CreatedAt = now };
            session.InOneTransaction(() =>
            {
                Insert(session, admin, first.AdminKey.SecretHash, new ChangedBy(FirstStart));
                KeyStore.Insert(session, first.VirtualKey, declaration, FirstStart, now);
            });
            return first;
        });
        if (made is not null)
        {
            held[made.AdminKey.Id] = (made.AdminKey.SecretHash, admin!);
            keys.RaiseChanged();
        }
        return made;
    }

    /// <summary>Makes another admin key.</summary>
    /// <param name="name">A name for people.</param>
    /// <param name="readOnly">Whether it may only read.</param>
    /// <param name="expiresAt">When it stops being accepted; null: never.</param>
    /// <param name="by">Who makes it, for the audit.</param>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public IssuedKey Create(string name, bool readOnly, DateTimeOffset? expiresAt, ChangedBy by)
    {
        var issued = KeyToken.NewAdminKey();
        var key = new AdminKey { Id = issued.Id, Name = name, ReadOnly = readOnly, CreatedBy = by.Actor, CreatedAt = clock.GetUtcNow(), ExpiresAt = expiresAt };
        database.Use(session =>
        {
            session.InOneTransaction(() => Insert(session, key, issued.SecretHash, by));
            return 0;
        });
        held[key.Id] = (issued.SecretHash, key);
        return issued;
    }

    /// <summary>Makes a key that takes another one's place; the old one goes on holding for a while.</summary>
    /// <param name="id">The key to replace.</param>
    /// <param name="overlap">How long the old key still holds; zero: no longer.</param>
    /// <param name="by">Who does it, for the audit.</param>
    /// <returns>The new key; null: there is none of that id that holds.</returns>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public IssuedKey? Rotate(string id, TimeSpan overlap, ChangedBy by)
    {
        lock (changing)
        {
            return held.TryGetValue(id, out var old) && old.Key.HoldsAt(clock.GetUtcNow()) ? Replace(id, old, overlap, by) : null;
        }
    }

    private IssuedKey Replace(string id, (byte[] Hash, AdminKey Key) old, TimeSpan overlap, ChangedBy by)
    {
        var now = clock.GetUtcNow();
        var end = now + overlap;
        var ending = old.Key with { ExpiresAt = old.Key.ExpiresAt < end ? old.Key.ExpiresAt : end };
        var issued = KeyToken.NewAdminKey();
        var next = old.Key with { Id = issued.Id, CreatedBy = by.Actor, CreatedAt = now };
        database.Use(session =>
        {
            session.InOneTransaction(() =>
            {
                Insert(session, next, issued.SecretHash, by);
                using var update = session.Prepare("UPDATE admin_keys SET expires_at = ? WHERE id = ?");
                update.Add(ending.ExpiresAt?.ToUnixTimeMilliseconds()).Add(id).Run();
                AuditLog.Write(session, now, by, new AuditChange("rotated", "adminKey", id, null, null), null);
            });
            return 0;
        });
        held[id] = (old.Hash, ending);
        held[next.Id] = (issued.SecretHash, next);
        return issued;
    }

    /// <summary>Revokes an admin key, unless it is the last one that holds and can change anything: nobody could make another one then. Revoking one twice is fine.</summary>
    /// <returns>Whether it is revoked.</returns>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public bool TryRevoke(string id, ChangedBy by)
    {
        lock (changing)
        {
            var now = clock.GetUtcNow();
            bool Opens((byte[] Hash, AdminKey Key) entry) => entry.Key.HoldsAt(now) && !entry.Key.ReadOnly;
            if (held.TryGetValue(id, out var known) && Opens(known) && !held.Any(entry => entry.Key != id && Opens(entry.Value)))
            {
                return false;
            }
            Revoke(id, by);
            return true;
        }
    }

    /// <summary>Revokes an admin key for good. False: there is none of that id, or it was revoked before.</summary>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public bool Revoke(string id, ChangedBy by)
    {
        var now = clock.GetUtcNow();
        var revoked = database.Use(session =>
        {
            var changed = false;
            session.InOneTransaction(() =>
            {
                using var update = session.Prepare("UPDATE admin_keys SET revoked_by = ?, revoked_at = ? WHERE id = ? AND revoked_at IS NULL");
                update.Add(by.Actor).Add(now.ToUnixTimeMilliseconds()).Add(id).Run();
                changed = session.Changes > 0;
                if (changed)
                {
                    AuditLog.Write(session, now, by, new AuditChange("revoked", "adminKey", id, null, null), null);
                }
            });
            return changed;
        });
        held.TryRemove(id, out _);
        return revoked;
    }

    private void Insert(SqliteSession session, AdminKey key, byte[] hash, ChangedBy by)
    {
        using var insert = session.Prepare("INSERT INTO admin_keys (id, name, read_only, secret_hash, created_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)");
        insert.Add(key.Id).Add(key.Name).Add(key.ReadOnly ? 1 : 0).Add(hash).Add(key.CreatedBy).Add(key.CreatedAt.ToUnixTimeMilliseconds()).Add(key.ExpiresAt?.ToUnixTimeMilliseconds()).Run();
        AuditLog.Write(session, clock.GetUtcNow(), by, new AuditChange("created", "adminKey", key.Id, null, null), null);
    }

    private static List<(byte[] Hash, AdminKey Key)> Read(SqliteSession session, string sql)
    {
        using var select = session.Prepare(sql);
        var rows = new List<(byte[], AdminKey)>();
        while (select.Read())
        {
            rows.Add((select.Blob(8), new AdminKey
            {
                Id = select.Text(0),
                Name = select.Text(1),
                ReadOnly = select.Int64(2) != 0,
                CreatedBy = select.Text(3),
                CreatedAt = DateTimeOffset.FromUnixTimeMilliseconds(select.Int64(4)),
                ExpiresAt = MomentOrNull(select.Int64OrNull(5)),
                RevokedBy = select.TextOrNull(6),
                RevokedAt = MomentOrNull(select.Int64OrNull(7)),
            }));
        }
        return rows;
    }

    private static DateTimeOffset? MomentOrNull(long? milliseconds) => milliseconds is { } known ? DateTimeOffset.FromUnixTimeMilliseconds(known) : null;
}
