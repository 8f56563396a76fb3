using Shared.Pricing;
using Shared.Storage;

namespace Shared.Stored;

/// <summary>Something that a key made at a provider and that lives there on.</summary>
/// <param name="KeyId">The key.</param>
/// <param name="Kind"><c>file</c>, <c>batch</c>, or <c>response</c> for one that is made in the background.</param>
/// <param name="Id">The provider's own id of it.</param>
/// <param name="Provider">The provider's id.</param>
/// <param name="Label">A file's purpose, a response's model; "" where there is none.</param>
/// <param name="CreatedAt">When it was made.</param>
public sealed record ProviderObject(string KeyId, string Kind, string Id, string Provider, string Label, DateTimeOffset CreatedAt)
{
    /// <summary>What was charged when it was made.</summary>
    public Money Charged { get; init; }

    /// <summary>Whether what it used in the end has been charged.</summary>
    public bool IsBilled { get; init; }
}

/// <summary>
/// Which key made which file, batch and background response at which provider, so that nobody else sees them: the provider itself knows the gateway only. Bounded: of each kind a key's
/// newest are known; what was forgotten is nobody's.
/// </summary>
public sealed class ProviderObjects(GatewayDatabase database)
{
    /// <summary>So many of each kind are known of a key.</summary>
    public const int MaxPerKey = 10_000;

    private const string Columns = "key_id, kind, id, provider, label, created_at, reserved_nano, billed";

    /// <summary>Takes note of an object; one that is known stays as it is.</summary>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public void Add(ProviderObject made) => database.Use(session =>
    {
        session.InOneTransaction(() =>
        {
            using var insert = session.Prepare($"INSERT INTO provider_objects ({Columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
            insert.Add(made.KeyId).Add(made.Kind).Add(made.Id).Add(made.Provider).Add(made.Label).Add(made.CreatedAt.ToUnixTimeMilliseconds()).Add(made.Charged.Nano).Add(made.IsBilled ? 1 : 0).Run();
            using var forget = session.Prepare($"DELETE FROM provider_objects WHERE number IN (SELECT number FROM provider_objects WHERE key_id = ? AND kind = ? ORDER BY number DESC LIMIT -1 OFFSET {MaxPerKey})");
            forget.Add(made.KeyId).Add(made.Kind).Run();
        });
        return true;
    });

    /// <summary>A key's object of an id; null: it has none. The id alone tells, unless two providers use the same one.</summary>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public ProviderObject? Find(string keyId, string kind, string id, string? provider = null) => database.Use(session =>
    {
        using var select = session.Prepare($"SELECT {Columns} FROM provider_objects WHERE key_id = ? AND kind = ? AND id = ? AND (?4 IS NULL OR provider = ?4) ORDER BY number DESC LIMIT 1");
        return select.Add(keyId).Add(kind).Add(id).Add(provider).Read() ? Read(select) : null;
    });

    /// <summary>A key's objects, the newest first or last.</summary>
    /// <param name="keyId">The key.</param>
    /// <param name="kind">Their kind.</param>
    /// <param name="provider">Of one provider alone; null: of all.</param>
    /// <param name="label">Of one label alone; null: of all.</param>
    /// <param name="after">Those that follow the object of this id; null: from the first.</param>
    /// <param name="ascending">Whether the oldest come first.</param>
    /// <param name="limit">The most.</param>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public IReadOnlyList<ProviderObject> List(string keyId, string kind, string? provider, string? label, string? after, bool ascending, int limit) => database.Use(session =>
    {
        var (comparison, order) = ascending ? (">", "ASC") : ("<", "DESC");
        using var select = session.Prepare($"""
            SELECT {Columns} FROM provider_objects WHERE key_id = ?1 AND kind = ?2 AND (?3 IS NULL OR provider = ?3) AND (?4 IS NULL OR label = ?4)
                AND (?5 IS NULL OR number {comparison} (SELECT number FROM provider_objects WHERE key_id = ?1 AND kind = ?2 AND id = ?5)) ORDER BY number {order} LIMIT ?6
            """);
        select.Add(keyId).Add(kind).Add(provider).Add(label).Add(after).Add(limit);
        List<ProviderObject> found = [];
        while (select.Read())
        {
            found.Add(Read(select));
        }
        return found;
    });

    /// <summary>Forgets an object that is gone.</summary>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public void Remove(ProviderObject gone) => database.Use(session =>
    {
        using var delete = session.Prepare("DELETE FROM provider_objects WHERE key_id = ? AND kind = ? AND id = ? AND provider = ?");
        delete.Add(gone.KeyId).Add(gone.Kind).Add(gone.Id).Add(gone.Provider).Run();
        return true;
    });

    /// <summary>Marks that what it used in the end is charged now. False: that was done before.</summary>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public bool TryBill(ProviderObject done) => database.Use(session =>
    {
        using var update = session.Prepare("UPDATE provider_objects SET billed = 1 WHERE key_id = ? AND kind = ? AND id = ? AND provider = ? AND billed = 0");
        update.Add(done.KeyId).Add(done.Kind).Add(done.Id).Add(done.Provider).Run();
        return session.Changes > 0;
    });

    private static ProviderObject Read(SqliteStatement row) =>
        new(row.Text(0), row.Text(1), row.Text(2), row.Text(3), row.Text(4), DateTimeOffset.FromUnixTimeMilliseconds(row.Int64(5))) { Charged = new Money(row.Int64(6)), IsBilled = row.Int64(7) != 0 };
}
