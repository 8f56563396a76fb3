using System.Collections.Immutable;
using Shared.Configuration;
using Shared.Storage;
using Shared.VirtualKeys;

namespace Shared.Stored;

/// <summary>The stored part of the configuration in the embedded database: virtual keys, entities and sealed secrets.</summary>
public sealed class ConfigurationStore : IStoredConfiguration
{
    private readonly GatewayDatabase database;
    private readonly SecretVault vault;
    private readonly TimeProvider clock;

    // Set under the database's lock.
    private PublishedRevision? newest;

    /// <summary>A store over a database; nothing is read yet.</summary>
    public ConfigurationStore(GatewayDatabase database, KeyStore keys, SecretVault vault, TimeProvider clock)
    {
        (this.database, this.vault, this.clock) = (database, vault, clock);
        keys.Changed += () => Changed?.Invoke();
    }

    /// <inheritdoc/>
    public event Action? Changed;

    /// <inheritdoc/>
    public StoredConfiguration Read() => database.Use(session => Read(session, vault));

    /// <summary>All of it, from a connection of one's own.</summary>
    internal static StoredConfiguration Read(SqliteSession session, SecretVault vault)
    {
        List<string> unknown = [];
        return new()
        {
            Keys = KeyStore.Read(session).ToImmutableSortedDictionary(key => key.Id, key => key, StringComparer.Ordinal),
            Entities = ReadEntities(session, unknown).ToImmutableSortedDictionary(entity => entity.Name, entity => entity),
            Secrets = ReadSecrets(session, vault).ToImmutableSortedDictionary(StringComparer.Ordinal),
            Unknown = [.. unknown],
        };
    }

    /// <inheritdoc/>
    public StoredConfiguration Commit(StoredConfiguration before, StoredConfiguration after, ChangedBy by, PublishedRevision revision) => database.Use(session =>
    {
        // To the millisecond, as it is read back.
        var now = DateTimeOffset.FromUnixTimeMilliseconds(clock.GetUtcNow().ToUnixTimeMilliseconds());
        var written = after;
        var kept = Kept(revision);
        session.InOneTransaction(() =>
        {
            void Audit(string action, string kind, string id, string? was, string? becomes) =>
                AuditLog.Write(session, now, by, new AuditChange(action, kind, id, was, becomes), revision.Revision);

            foreach (var (id, old, key) in Differences(before.Keys, after.Keys))
            {
                var becomes = key ?? throw new InvalidOperationException($"The key {id} cannot be deleted, only revoked.");
                var stamped = becomes with { CreatedBy = old?.CreatedBy ?? by.Actor, CreatedAt = old?.CreatedAt ?? now, ChangedBy = by.Actor, ChangedAt = now };
                written = written.With(stamped);
                KeyStore.Write(session, stamped, now);
                Audit(ActionOf(old, stamped), "key", id, old?.Declaration, stamped.Declaration);
            }
            foreach (var (name, old, entity) in Differences(before.Entities, after.Entities))
            {
                var stamped = entity is null ? null : entity with { CreatedBy = old?.CreatedBy ?? by.Actor, CreatedAt = old?.CreatedAt ?? now, ChangedBy = by.Actor, ChangedAt = now };
                written = stamped is null ? written : written with { Entities = written.Entities.SetItem(name, stamped) };
                WriteEntity(session, name, stamped);
                Audit(ActionOf(old, entity), KindOf(name.Kind), name.Id, old?.Declaration, entity?.Declaration);
            }
            foreach (var (name, old, secret) in Differences(before.Secrets, after.Secrets))
            {
                var stamped = secret is null ? null : secret with { ChangedBy = by.Actor, ChangedAt = now };
                written = stamped is null ? written : written with { Secrets = written.Secrets.SetItem(name, stamped) };
                WriteSecret(session, name, stamped);
                Audit(ActionOf(old, secret), "secret", name, null, null);
            }
            RevisionLog.Write(session, now, by, kept, newest);
        });
        newest = kept;
        return written;
    });

    /// <inheritdoc/>
    public void Record(PublishedRevision revision, ChangedBy by) => database.Use(session =>
    {
        var kept = Kept(revision);
        session.InOneTransaction(() => RevisionLog.Write(session, clock.GetUtcNow(), by, kept, newest));
        newest = kept;
        return 0;
    });

    /// <summary>How a kind is called in the database, the audit and the admin API: <c>provider</c>, <c>route</c>, ….</summary>
    public static string KindOf(EntityKind kind) => Scalars.CamelCase(kind.ToString());

    // The revision is the hash of the text with plain hashes, the same on every machine; what is kept of it must not help to guess a short secret.
    private PublishedRevision Kept(PublishedRevision revision) => revision with { Text = vault.HideGuessable(revision.Text) };

    private static void WriteEntity(SqliteSession session, EntityName name, StoredEntity? entity)
    {
        if (entity is null)
        {
            using var delete = session.Prepare("DELETE FROM entities WHERE kind = ? AND id = ?");
            delete.Add(KindOf(name.Kind)).Add(name.Id).Run();
            return;
        }
        using var upsert = session.Prepare(
            """
            INSERT INTO entities (kind, id, declaration, created_by, created_at, changed_by, changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT (kind, id) DO UPDATE SET declaration = ?3, changed_by = ?6, changed_at = ?7
            """);
        upsert.Add(KindOf(name.Kind)).Add(name.Id).Add(entity.Declaration).Add(entity.CreatedBy).Add(entity.CreatedAt.ToUnixTimeMilliseconds())
            .Add(entity.ChangedBy).Add(entity.ChangedAt.ToUnixTimeMilliseconds()).Run();
    }

    private void WriteSecret(SqliteSession session, string name, StoredSecret? secret)
    {
        if (secret is null)
        {
            using var delete = session.Prepare("DELETE FROM secrets WHERE name = ?");
            delete.Add(name).Run();
            return;
        }
        using var upsert = session.Prepare(
            "INSERT INTO secrets (name, sealed, changed_by, changed_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE SET sealed = ?2, changed_by = ?3, changed_at = ?4");
        upsert.Add(name).Add(vault.Seal(name, secret.Value ?? throw new InvalidOperationException($"The secret '{name}' has no value.")))
            .Add(secret.ChangedBy).Add(secret.ChangedAt.ToUnixTimeMilliseconds()).Run();
    }

    private static IEnumerable<StoredEntity> ReadEntities(SqliteSession session, List<string> unknown)
    {
        using var select = session.Prepare("SELECT kind, id, declaration, created_by, created_at, changed_by, changed_at FROM entities");
        while (select.Read())
        {
            if (!Enum.TryParse<EntityKind>(select.Text(0), ignoreCase: true, out var kind) || !Enum.IsDefined(kind))
            {
                unknown.Add($"{select.Text(0)} '{select.Text(1)}'");
                continue;
            }
            yield return new StoredEntity
            {
                Name = new EntityName(kind, select.Text(1)),
                Declaration = select.Text(2),
                CreatedBy = select.Text(3),
                CreatedAt = DateTimeOffset.FromUnixTimeMilliseconds(select.Int64(4)),
                ChangedBy = select.Text(5),
                ChangedAt = DateTimeOffset.FromUnixTimeMilliseconds(select.Int64(6)),
            };
        }
    }

    private static IEnumerable<KeyValuePair<string, StoredSecret>> ReadSecrets(SqliteSession session, SecretVault vault)
    {
        using var select = session.Prepare("SELECT name, sealed, changed_by, changed_at FROM secrets");
        while (select.Read())
        {
            var name = select.Text(0);
            vault.TryOpen(name, select.Blob(1), out var value);
            yield return KeyValuePair.Create(name, new StoredSecret(value, select.Text(2), DateTimeOffset.FromUnixTimeMilliseconds(select.Int64(3))));
        }
    }

    private static IEnumerable<(TName Name, T? Old, T? New)> Differences<TName, T>(ImmutableSortedDictionary<TName, T> before, ImmutableSortedDictionary<TName, T> after)
        where TName : notnull where T : class
    {
        foreach (var (name, value) in after)
        {
            var old = before.GetValueOrDefault(name);
            if (!ReferenceEquals(old, value))
            {
                yield return (name, old, value);
            }
        }
        foreach (var (name, value) in before)
        {
            if (!after.ContainsKey(name))
            {
                yield return (name, value, null);
            }
        }
    }

    private static string ActionOf(StoredKey? old, StoredKey key) => old is null ? "created"
        : old.RevokedAt is null && key.RevokedAt is not null ? "revoked"
        : !old.Secrets.SequenceEqual(key.Secrets) ? "rotated"
        : "changed";

    private static string ActionOf(object? old, object? becomes) => old is null ? "created" : becomes is null ? "deleted" : "changed";
}
