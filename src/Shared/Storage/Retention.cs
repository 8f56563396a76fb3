using System.Diagnostics;
using Shared.Ledger;

namespace Shared.Storage;

/// <summary>What a pass of the retention removed.</summary>
/// <param name="Attempts">Attempts; their sums stay.</param>
/// <param name="Sums">Rows of sums that were put together or have become too old.</param>
/// <param name="Audits">Records of the audit.</param>
/// <param name="AttemptsSince">Attempts are kept from this moment on.</param>
internal readonly record struct RetentionReport(long Attempts, long Sums, long Audits, DateTimeOffset AttemptsSince);

/// <summary>
/// Removes what is older than it is kept, on a connection of its own, in transactions of a few milliseconds with pauses four times as long between them, so that the
/// ledger's writer never waits for long.
/// </summary>
internal sealed class Retention(GatewayDatabase database)
{
    /// <summary>Rows of one transaction.</summary>
    public const int BatchRows = 500;

    /// <summary>Free pages beyond this, and beyond a tenth of the file, are given back to the disk.</summary>
    private const long KeptFreeBytes = 64L << 20;

    /// <summary>A write-ahead log beyond this is written back and cut.</summary>
    private const long MaxWalBytes = 64L << 20;

    private const int VacuumPages = 256;

    private const long Hour = UsageTable.Hour;
    private const long Day = 24 * Hour;

    /// <summary>Does one pass.</summary>
    /// <param name="settings">How long what is kept.</param>
    /// <param name="longestWindow">The longest window of a budget or limit: what it counts must stay.</param>
    /// <param name="now">The time.</param>
    /// <param name="cancellationToken">Ends it between two transactions; what is left is done by the next pass.</param>
    /// <exception cref="StorageException">The database cannot be written now.</exception>
    public async Task<RetentionReport> RunAsync(RetentionSettings settings, TimeSpan longestWindow, DateTimeOffset now, CancellationToken cancellationToken)
    {
        using var session = database.Connect();
        // A day more than needed: calendar windows are longer than their nominal length when clocks are turned back.
        var needed = Floor(now - longestWindow - TimeSpan.FromDays(1), Hour);
        var attemptsFrom = Math.Min(Floor(now - settings.Ledger, Hour), needed);
        var attempts = await DeleteAttemptsAsync(session, attemptsFrom, () => true, cancellationToken);
        while (attemptsFrom < needed && UsedBytes(session) > settings.MaxDatabaseBytes)
        {
            // Too large: the oldest go first, hour by hour, as long as no budget needs them.
            var oldest = OldestAttempt(session);
            attemptsFrom = oldest is null ? needed : Math.Min(needed, Math.Max(attemptsFrom, (oldest.Value / Hour * Hour) + Hour));
            attempts += await DeleteAttemptsAsync(session, attemptsFrom, () => UsedBytes(session) > settings.MaxDatabaseBytes / 10 * 9, cancellationToken);
        }
        var kept = settings.Ledger > longestWindow ? settings.Ledger : longestWindow;
        var sums = await DeleteSpendAsync(session, Math.Min(needed, Floor(now - kept - TimeSpan.FromDays(1), Hour)), cancellationToken);
        sums += await FoldHoursAsync(session, Floor(now - kept, Day), cancellationToken);
        sums += await DeleteAsync(session, "usage_hours", "hour", Floor(now - settings.Usage, Day) / Hour, cancellationToken);
        var audits = await DeleteAsync(session, "audit", "at", (now - settings.Audit).ToUnixTimeMilliseconds(), cancellationToken);
        await GiveBackAsync(session, cancellationToken);
        return new RetentionReport(attempts, sums, audits, DateTimeOffset.FromUnixTimeMilliseconds(attemptsFrom));
    }

    /// <summary>The bytes of the database that are in use.</summary>
    public static long UsedBytes(SqliteSession session) => (Pragma(session, "page_count") - Pragma(session, "freelist_count")) * Pragma(session, "page_size");

    private static async Task<long> DeleteAttemptsAsync(SqliteSession session, long before, Func<bool> goesOn, CancellationToken cancellationToken)
    {
        var deleted = 0L;
        if (OldestAttempt(session) is not { } first || first >= before)
        {
            return 0;
        }
        using var next = session.Prepare("SELECT started_at FROM attempts INDEXED BY attempts_time WHERE started_at < ? ORDER BY started_at LIMIT 1 OFFSET ?");
        // Settled ones are in the sums since they were settled; of the others it stays known that they were never settled, and what they had reserved.
        using var fold = session.Prepare($"""
            INSERT INTO usage_hours
                SELECT started_at / 3600000, key_id, kind, upstream, name, 0, coalesce(user_id, ''), coalesce(team_id, ''), coalesce(customer_id, ''), count(*), count(*),
                    min(sum(reserved_nano / 1000000000), 9223372035) * 1000000000 + sum(reserved_nano % 1000000000), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
                FROM attempts INDEXED BY attempts_unsettled WHERE started_at < ? AND NOT settled GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
            {UsageTable.Merge}
            """);
        using var delete = session.Prepare("DELETE FROM attempts WHERE started_at < ?");
        var isMore = true;
        while (isMore && goesOn())
        {
            var until = before;
            next.Reset();
            isMore = next.Add(before).Add(BatchRows).Read();
            if (isMore)
            {
                until = next.Int64(0) > first ? next.Int64(0) : first + 1;
                first = until;
            }
            next.Reset();
            await InBatchAsync(session, () =>
            {
                fold.Add(until).Run();
                delete.Add(until).Run();
                deleted += session.Changes;
                // From here on the hour that the batch ended in is answered from its sums as a whole.
                Retained.Write(session, Retained.Attempts, isMore ? ((until - 1) / Hour * Hour) + Hour : before);
            }, cancellationToken);
        }
        return deleted;
    }

    /// <summary>Key by key, as that is how the table is ordered.</summary>
    private static async Task<long> DeleteSpendAsync(SqliteSession session, long before, CancellationToken cancellationToken)
    {
        var (deleted, key, minute) = (0L, "", before / 60_000);
        using var next = session.Prepare("SELECT min(key_id) FROM spend WHERE key_id > ?");
        using var delete = session.Prepare("""
            DELETE FROM spend WHERE (key_id, minute, kind, upstream, name, user_id, team_id, customer_id) IN
                (SELECT key_id, minute, kind, upstream, name, user_id, team_id, customer_id FROM spend WHERE key_id = ? AND minute < ? LIMIT ?)
            """);
        while (NextKey())
        {
            int changes;
            do
            {
                changes = 0;
                await InBatchAsync(session, () =>
                {
                    delete.Add(key).Add(minute).Add(BatchRows).Run();
                    changes = session.Changes;
                }, cancellationToken, () => changes > 0);
                deleted += changes;
            }
            while (changes == BatchRows);
        }
        return deleted;

        bool NextKey()
        {
            next.Reset();
            var isThere = next.Add(key).Read() && !next.IsNull(0);
            key = isThere ? next.Text(0) : key;
            next.Reset();
            return isThere;
        }
    }

    /// <summary>Puts the sums of old hours together into those of their days, one hour in a transaction.</summary>
    private static async Task<long> FoldHoursAsync(SqliteSession session, long before, CancellationToken cancellationToken)
    {
        var folded = 0L;
        using var next = session.Prepare("SELECT min(hour) FROM usage_hours WHERE hour > ?");
        using var merge = session.Prepare($"""
            INSERT INTO usage_hours
                SELECT hour / 24 * 24, key_id, kind, upstream, name, outcome, user_id, team_id, customer_id, calls, unsettled, reserved_nano, cost_nano, unknown_cost, input, cached, output, duration_us, longest_us, images, audio_seconds, characters, searches
                FROM usage_hours WHERE hour = ?
            {UsageTable.Merge}
            """);
        using var delete = session.Prepare("DELETE FROM usage_hours WHERE hour = ?");
        var hour = ((Retained.Read(session, Retained.Hours)?.ToUnixTimeMilliseconds() ?? 0) / Hour) - 1;
        while (true)
        {
            next.Reset();
            next.Add(hour).Read();
            var found = next.Int64OrNull(0);
            next.Reset();
            if (found is not { } due || due >= before / Hour)
            {
                break;
            }
            hour = due;
            if (hour % 24 != 0)
            {
                await InBatchAsync(session, () =>
                {
                    merge.Add(hour).Run();
                    delete.Add(hour).Run();
                    folded += session.Changes;
                    Retained.Write(session, Retained.Hours, ((hour / 24) + 1) * Day);
                }, cancellationToken);
            }
        }
        return folded;
    }

    private static async Task<long> DeleteAsync(SqliteSession session, string table, string column, long before, CancellationToken cancellationToken)
    {
        var deleted = 0L;
        using var exists = session.Prepare($"SELECT min({column}) FROM {table}");
        using var delete = session.Prepare(table == "audit"
            ? $"DELETE FROM audit WHERE sequence IN (SELECT sequence FROM audit WHERE at < ? ORDER BY at LIMIT {BatchRows})"
            : "DELETE FROM usage_hours WHERE hour < ?1 AND hour = (SELECT min(hour) FROM usage_hours)");
        while (true)
        {
            exists.Reset();
            exists.Read();
            var first = exists.Int64OrNull(0);
            exists.Reset();
            if (first is not { } oldest || oldest >= before)
            {
                return deleted;
            }
            await InBatchAsync(session, () =>
            {
                delete.Add(before).Run();
                deleted += session.Changes;
            }, cancellationToken);
        }
    }

    /// <summary>Gives free pages back, where there are many, and cuts a write-ahead log that has grown long.</summary>
    private async Task GiveBackAsync(SqliteSession session, CancellationToken cancellationToken)
    {
        while (Pragma(session, "auto_vacuum") == 2 && Pragma(session, "freelist_count") is var free && free * Pragma(session, "page_size") > Math.Max(KeptFreeBytes, Pragma(session, "page_count") * Pragma(session, "page_size") / 10))
        {
            var since = Stopwatch.GetTimestamp();
            using (var vacuum = session.Prepare($"PRAGMA incremental_vacuum({VacuumPages})"))
            {
                vacuum.Run();
            }
            await PauseAsync(since, cancellationToken);
        }
        if (database.WalBytes > MaxWalBytes)
        {
            using var checkpoint = session.Prepare("PRAGMA wal_checkpoint(TRUNCATE)");
            checkpoint.Run();
        }
    }

    private static async Task InBatchAsync(SqliteSession session, Action work, CancellationToken cancellationToken, Func<bool>? pauses = null)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var since = Stopwatch.GetTimestamp();
        session.InOneTransaction(work);
        if (pauses?.Invoke() ?? true)
        {
            await PauseAsync(since, cancellationToken);
        }
    }

    private static Task PauseAsync(long since, CancellationToken cancellationToken) =>
        Task.Delay(TimeSpan.FromMilliseconds(Math.Clamp(Stopwatch.GetElapsedTime(since).TotalMilliseconds * 4, 1, 1000)), cancellationToken);

    private static long? OldestAttempt(SqliteSession session)
    {
        using var oldest = session.Prepare("SELECT min(started_at) FROM attempts");
        oldest.Read();
        return oldest.Int64OrNull(0);
    }

    private static long Pragma(SqliteSession session, string name)
    {
        using var pragma = session.Prepare("PRAGMA " + name);
        return pragma.Read() ? pragma.Int64(0) : 0;
    }

    private static long Floor(DateTimeOffset moment, long unit) => Math.Max(0, moment.ToUnixTimeMilliseconds()) / unit * unit;
}
