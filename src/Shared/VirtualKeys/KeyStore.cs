using System.Text.Json;
using Shared.Storage;
using Shared.Stored;

namespace Shared.VirtualKeys;

/// <summary>The table of the virtual keys that were made through the API or at first start. Of a secret only its SHA-256 is kept.</summary>
public sealed class KeyStore(GatewayDatabase database, TimeProvider clock)
{
    /// <summary>Raised after a key was made or revoked here, and not as part of a larger change.</summary>
    public event Action? Changed;

    /// <summary>Makes a key. Its token is returned once and kept nowhere.</summary>
    /// <param name="declaration">What it may do: a JSON object of the form of an entry under <c>keys</c> in <c>gateway.yaml</c>. Whether it makes sense is judged when the snapshot is built.</param>
    /// <param name="createdBy">Who makes it, for the audit.</param>
    /// <exception cref="ArgumentException">The declaration is not a JSON object.</exception>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public IssuedKey Create(string declaration, string createdBy)
    {
        RequireObject(declaration);
        var key = KeyToken.NewVirtualKey();
        database.Use(session =>
        {
            session.InOneTransaction(() => Insert(session, key, declaration, createdBy, clock.GetUtcNow()));
            return 0;
        });
        Changed?.Invoke();
        return key;
    }

    /// <summary>Revokes a key for good. False: there is none of that id, or it was revoked before.</summary>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public bool Revoke(string id, ChangedBy by)
    {
        var revoked = database.Use(session =>
        {
            var now = clock.GetUtcNow();
            var changed = false;
            session.InOneTransaction(() =>
            {
                using var update = session.Prepare("UPDATE virtual_keys SET revoked_by = ?1, revoked_at = ?2, changed_by = ?1, changed_at = ?2 WHERE id = ?3 AND revoked_at IS NULL");
                update.Add(by.Actor).Add(now.ToUnixTimeMilliseconds()).Add(id).Run();
                changed = session.Changes > 0;
                if (changed)
                {
                    AuditLog.Write(session, now, by, new AuditChange("revoked", "key", id, null, null), null);
                }
            });
            return changed;
        });
        if (revoked)
        {
            Changed?.Invoke();
        }
        return revoked;
    }

    /// <summary>All keys, revoked ones included, ordered by id.</summary>
    public IReadOnlyList<StoredKey> ReadAll() => database.Use(Read);

    internal static List<StoredKey> Read(SqliteSession session)
    {
        var secrets = ReadSecrets(session);
        using var select = session.Prepare("SELECT id, declaration, created_by, created_at, revoked_by, revoked_at, changed_by, changed_at FROM virtual_keys ORDER BY id");
        var keys = new List<StoredKey>();
        while (select.Read())
        {
            var id = select.Text(0);
            keys.Add(new StoredKey
            {
                Id = id,
                Secrets = secrets.GetValueOrDefault(id) ?? [],
                Declaration = select.Text(1),
                CreatedBy = select.Text(2),
                CreatedAt = Moment(select.Int64(3)),
                RevokedBy = select.TextOrNull(4),
                RevokedAt = select.Int64OrNull(5) is { } revoked ? Moment(revoked) : null,
                ChangedBy = select.TextOrNull(6) ?? select.Text(2),
                ChangedAt = Moment(select.Int64OrNull(7) ?? select.Int64(3)),
            });
        }
        return keys;
    }

    /// <summary>Writes a key as it is now, in the caller's transaction.</summary>
    internal static void Write(SqliteSession session, StoredKey key, DateTimeOffset now)
    {
        using (var upsert = session.Prepare(
            """
            INSERT INTO virtual_keys (id, declaration, created_by, created_at, revoked_by, revoked_at, changed_by, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET declaration = excluded.declaration, revoked_by = excluded.revoked_by, revoked_at = excluded.revoked_at,
                changed_by = excluded.changed_by, changed_at = excluded.changed_at
            """))
        {
            upsert.Add(key.Id).Add(key.Declaration).Add(key.CreatedBy).Add(key.CreatedAt.ToUnixTimeMilliseconds())
                .Add(key.RevokedBy).Add(key.RevokedAt?.ToUnixTimeMilliseconds()).Add(key.ChangedBy).Add(key.ChangedAt.ToUnixTimeMilliseconds()).Run();
        }
        using (var delete = session.Prepare("DELETE FROM key_secrets WHERE key_id = ?"))
        {
            delete.Add(key.Id).Run();
        }
        // The newest secret comes first in the list and last by its number.
        for (var i = 0; i < key.Secrets.Count; i++)
        {
            using var insert = session.Prepare("INSERT INTO key_secrets (key_id, number, hash, added_at, valid_until) VALUES (?, ?, ?, ?, ?)");
            insert.Add(key.Id).Add(key.Secrets.Count - i).Add(key.Secrets[i].Hash).Add(now.ToUnixTimeMilliseconds()).Add(key.Secrets[i].ValidUntil?.ToUnixTimeMilliseconds()).Run();
        }
    }

    internal static void RequireObject(string declaration)
    {
        try
        {
            using var document = JsonDocument.Parse(declaration);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                return;
            }
        }
        catch (JsonException exception)
        {
            throw new ArgumentException($"The declaration of a key must be a JSON object: {exception.Message}", nameof(declaration), exception);
        }
        throw new ArgumentException("The declaration of a key must be a JSON object.", nameof(declaration));
    }

    internal static void Insert(SqliteSession session, IssuedKey key, string declaration, string createdBy, DateTimeOffset now)
    {
        Write(session, new StoredKey { Id = key.Id, Secrets = [new KeySecret(key.SecretHash)], Declaration = declaration, CreatedBy = createdBy, CreatedAt = now, ChangedBy = createdBy, ChangedAt = now }, now);
        AuditLog.Write(session, now, new ChangedBy(createdBy), new AuditChange("created", "key", key.Id, null, declaration), null);
    }

    internal void RaiseChanged() => Changed?.Invoke();

    private static Dictionary<string, List<KeySecret>> ReadSecrets(SqliteSession session)
    {
        var secrets = new Dictionary<string, List<KeySecret>>(StringComparer.Ordinal);
        using var select = session.Prepare("SELECT key_id, hash, valid_until FROM key_secrets ORDER BY key_id, number DESC");
        while (select.Read())
        {
            if (!secrets.TryGetValue(select.Text(0), out var list))
            {
                secrets.Add(select.Text(0), list = []);
            }
            list.Add(new KeySecret(select.Blob(1), select.Int64OrNull(2) is { } until ? Moment(until) : null));
        }
        return secrets;
    }

    private static DateTimeOffset Moment(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);
}
