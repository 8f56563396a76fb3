using System.Text.Json;
using Shared.Storage;

namespace Shared.VirtualKeys;

/// <summary>A virtual key as an admin's list shows it: nothing of its secret.</summary>
/// <param name="Id">Its public id.</param>
/// <param name="Declaration">What it may do, as JSON.</param>
/// <param name="CreatedBy">The admin key that made it, or <c>first-start</c>.</param>
/// <param name="CreatedAt">When it was made.</param>
/// <param name="RevokedBy">Who revoked it, or null.</param>
/// <param name="RevokedAt">When it was revoked, or null.</param>
public sealed record KeyListing(string Id, string Declaration, string CreatedBy, DateTimeOffset CreatedAt, string? RevokedBy, DateTimeOffset? RevokedAt);

/// <summary>The virtual keys that were made through the API or at first start. Of a secret only its SHA-256 is kept.</summary>
public sealed class KeyStore(GatewayDatabase database, TimeProvider clock) : IKeySource
{
    private const int HashBytes = 32;

    /// <inheritdoc/>
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
            Insert(session, key, declaration, createdBy, clock.GetUtcNow());
            return 0;
        });
        Changed?.Invoke();
        return key;
    }

    /// <summary>Revokes a key for good. False: there is none of that id, or it was revoked before.</summary>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public bool Revoke(string id, string revokedBy)
    {
        var revoked = database.Use(session =>
        {
            using var update = session.Prepare("UPDATE virtual_keys SET revoked_by = ?, revoked_at = ? WHERE id = ? AND revoked_at IS NULL");
            update.Add(revokedBy).Add(clock.GetUtcNow().ToUnixTimeMilliseconds()).Add(id).Run();
            return session.Changes > 0;
        });
        if (revoked)
        {
            Changed?.Invoke();
        }
        return revoked;
    }

    /// <summary>All keys, revoked ones included, ordered by id.</summary>
    public IReadOnlyList<KeyListing> List() => Select((statement, declaration, created, revoked) =>
        new KeyListing(statement.Text(0), declaration, statement.Text(3), created, statement.TextOrNull(5), revoked));

    /// <inheritdoc/>
    public IReadOnlyList<StoredKey> ReadAll() => Select((statement, declaration, created, revoked) =>
        new StoredKey(statement.Text(0), [.. statement.Blob(1).Chunk(HashBytes)], declaration, created, revoked));

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
        using var insert = session.Prepare("INSERT INTO virtual_keys (id, secret_hashes, declaration, created_by, created_at) VALUES (?, ?, ?, ?, ?)");
        insert.Add(key.Id).Add(key.SecretHash).Add(declaration).Add(createdBy).Add(now.ToUnixTimeMilliseconds()).Run();
    }

    internal void RaiseChanged() => Changed?.Invoke();

    private List<T> Select<T>(Func<SqliteStatement, string, DateTimeOffset, DateTimeOffset?, T> row) => database.Use(session =>
    {
        using var select = session.Prepare("SELECT id, secret_hashes, declaration, created_by, created_at, revoked_by, revoked_at FROM virtual_keys ORDER BY id");
        var keys = new List<T>();
        while (select.Read())
        {
            keys.Add(row(select, select.Text(2), DateTimeOffset.FromUnixTimeMilliseconds(select.Int64(4)),
                select.Int64OrNull(6) is { } revoked ? DateTimeOffset.FromUnixTimeMilliseconds(revoked) : null));
        }
        return keys;
    });
}
