using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Shared.Storage;

namespace Shared.VirtualKeys;

/// <summary>The tokens that a first start made, to be shown once.</summary>
/// <param name="AdminKey">The admin key.</param>
/// <param name="VirtualKey">The virtual key.</param>
public sealed record FirstKeys(IssuedKey AdminKey, IssuedKey VirtualKey);

/// <summary>The keys that open the admin API. They are held in memory, so that trouble of the database locks no admin out.</summary>
public sealed class AdminKeys
{
    private const string FirstStart = "first-start";

    private readonly GatewayDatabase database;
    private readonly KeyStore keys;
    private readonly TimeProvider clock;
    private readonly ConcurrentDictionary<string, byte[]> hashes = new(StringComparer.Ordinal);

    /// <summary>Reads the keys.</summary>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public AdminKeys(GatewayDatabase database, KeyStore keys, TimeProvider clock)
    {
        (this.database, this.keys, this.clock) = (database, keys, clock);
        database.Use(session =>
        {
            using var select = session.Prepare("SELECT id, secret_hash FROM admin_keys WHERE revoked_at IS NULL");
            while (select.Read())
            {
                hashes[select.Text(0)] = select.Blob(1);
            }
            return 0;
        });
    }

    /// <summary>Whether a credential is an admin key that holds; <paramref name="id"/> is then its id, for the audit. The secret is compared in constant time.</summary>
    public bool TryVerify(ReadOnlySpan<char> token, [NotNullWhen(true)] out string? id)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        return KeyToken.TryParse(token, KeyToken.AdminKeyPrefix, out id, hash)
            && hashes.TryGetValue(id, out var stored)
            && CryptographicOperations.FixedTimeEquals(hash, stored);
    }

    /// <summary>
    /// Where no admin key was ever made (a revoked one counts), makes one and a virtual key with it, both or neither. Null: this is not the first start.
    /// </summary>
    /// <param name="declaration">What the virtual key may do, as for <see cref="KeyStore.Create"/>.</param>
    /// <exception cref="ArgumentException">The declaration is not a JSON object.</exception>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public FirstKeys? CreateFirst(string declaration)
    {
        KeyStore.RequireObject(declaration);
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
            session.InOneTransaction(() =>
            {
                Insert(session, first.AdminKey, FirstStart);
                KeyStore.Insert(session, first.VirtualKey, declaration, FirstStart, clock.GetUtcNow());
            });
            return first;
        });
        if (made is not null)
        {
            hashes[made.AdminKey.Id] = made.AdminKey.SecretHash;
            keys.RaiseChanged();
        }
        return made;
    }

    /// <summary>Makes another admin key.</summary>
    /// <param name="createdBy">Who makes it, for the audit.</param>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public IssuedKey Create(string createdBy)
    {
        var key = KeyToken.NewAdminKey();
        database.Use(session =>
        {
            Insert(session, key, createdBy);
            return 0;
        });
        hashes[key.Id] = key.SecretHash;
        return key;
    }

    /// <summary>Revokes an admin key for good. False: there is none of that id, or it was revoked before.</summary>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public bool Revoke(string id, string revokedBy)
    {
        var revoked = database.Use(session =>
        {
            using var update = session.Prepare("UPDATE admin_keys SET revoked_by = ?, revoked_at = ? WHERE id = ? AND revoked_at IS NULL");
            update.Add(revokedBy).Add(clock.GetUtcNow().ToUnixTimeMilliseconds()).Add(id).Run();
            return session.Changes > 0;
        });
        hashes.TryRemove(id, out _);
        return revoked;
    }

    private void Insert(SqliteSession session, IssuedKey key, string createdBy)
    {
        using var insert = session.Prepare("INSERT INTO admin_keys (id, secret_hash, created_by, created_at) VALUES (?, ?, ?, ?)");
        insert.Add(key.Id).Add(key.SecretHash).Add(createdBy).Add(clock.GetUtcNow().ToUnixTimeMilliseconds()).Run();
    }
}
