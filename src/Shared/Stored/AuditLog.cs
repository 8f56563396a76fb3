using Shared.Storage;

namespace Shared.Stored;

/// <summary>What was done to one thing.</summary>
/// <param name="Action"><c>created</c>, <c>changed</c>, <c>deleted</c>, <c>revoked</c>, <c>rotated</c>, or another verb in the past tense.</param>
/// <param name="Kind">The kind of thing: <c>key</c>, <c>adminKey</c>, <c>secret</c>, an entity's kind, <c>toolServer</c>, ….</param>
/// <param name="Id">Its id.</param>
/// <param name="Before">Its declaration before, as JSON without secrets; null where there was none.</param>
/// <param name="After">Its declaration after, as JSON without secrets; null where there is none.</param>
public sealed record AuditChange(string Action, string Kind, string Id, string? Before, string? After);

/// <summary>A record of the audit.</summary>
/// <param name="Sequence">Its place; grows.</param>
/// <param name="At">When.</param>
/// <param name="By">Who, and in which request.</param>
/// <param name="Change">What.</param>
/// <param name="Revision">The revision that the change made; null where it made none.</param>
public sealed record AuditRecord(long Sequence, DateTimeOffset At, ChangedBy By, AuditChange Change, string? Revision);

/// <summary>Which audit records are asked for; the newest come first.</summary>
public sealed record AuditRequest
{
    /// <summary>Only this kind of thing.</summary>
    public string? Kind { get; init; }

    /// <summary>Only the thing of this id.</summary>
    public string? Id { get; init; }

    /// <summary>Only what this actor did.</summary>
    public string? Actor { get; init; }

    /// <summary>Only records at or after this moment.</summary>
    public DateTimeOffset? From { get; init; }

    /// <summary>Only records before this moment.</summary>
    public DateTimeOffset? To { get; init; }

    /// <summary>Only records with a smaller <see cref="AuditRecord.Sequence"/>: the last one of the page before.</summary>
    public long? Before { get; init; }

    /// <summary>The most records; 1 to 1,000.</summary>
    public int Limit { get; init; } = 100;
}

/// <summary>Who changed what and when. Changes of the configuration write their records in their own transaction.</summary>
public sealed class AuditLog(GatewayDatabase database, TimeProvider clock)
{
    /// <summary>Records something that is no change of the configuration, such as a reconnect or a backup.</summary>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public void Record(AuditChange change, ChangedBy by) => database.Use(session =>
    {
        Write(session, clock.GetUtcNow(), by, change, null);
        return 0;
    });

    /// <summary>Reads records, the newest first.</summary>
    /// <exception cref="ArgumentException">The limit is out of range.</exception>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public IReadOnlyList<AuditRecord> Read(AuditRequest request)
    {
        if (request.Limit is < 1 or > 1000)
        {
            throw new ArgumentException($"The limit must be 1 to 1000, not {request.Limit}.", nameof(request));
        }
        return database.Use(session =>
        {
            using var select = session.Prepare(
                """
                SELECT sequence, at, actor, request_id, action, kind, id, before, after, revision FROM audit
                WHERE sequence < ?1 AND at >= ?2 AND at < ?3 AND (?4 IS NULL OR kind = ?4) AND (?5 IS NULL OR id = ?5) AND (?6 IS NULL OR actor = ?6)
                ORDER BY sequence DESC LIMIT ?7
                """);
            select.Add(request.Before ?? long.MaxValue).Add(request.From?.ToUnixTimeMilliseconds() ?? long.MinValue).Add(request.To?.ToUnixTimeMilliseconds() ?? long.MaxValue)
                .Add(request.Kind).Add(request.Id).Add(request.Actor).Add(request.Limit);
            var records = new List<AuditRecord>();
            while (select.Read())
            {
                records.Add(new AuditRecord(select.Int64(0), DateTimeOffset.FromUnixTimeMilliseconds(select.Int64(1)), new ChangedBy(select.Text(2), select.TextOrNull(3)),
                    new AuditChange(select.Text(4), select.Text(5), select.Text(6), select.TextOrNull(7), select.TextOrNull(8)), select.TextOrNull(9)));
            }
            return records;
        });
    }

    /// <summary>Writes a record in the caller's transaction.</summary>
    internal static void Write(SqliteSession session, DateTimeOffset now, ChangedBy by, AuditChange change, string? revision)
    {
        using var insert = session.Prepare("INSERT INTO audit (at, actor, request_id, action, kind, id, before, after, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
        insert.Add(now.ToUnixTimeMilliseconds()).Add(by.Actor).Add(by.RequestId).Add(change.Action).Add(change.Kind).Add(change.Id)
            .Add(change.Before).Add(change.After).Add(revision).Run();
    }
}
