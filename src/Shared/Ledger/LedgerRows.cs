using Shared.Admission;
using Shared.Storage;
using Shared.VirtualKeys;

namespace Shared.Ledger;

/// <summary>Writes attempts into the table <c>attempts</c>. A batch is one transaction, so it can be repeated after any error.</summary>
internal sealed class LedgerRows : IDisposable
{
    private const string StartColumns =
        "sequence, id, started_at, settled, kind, request_id, trace_id, key_id, user_id, team_id, customer_id, requested_name, upstream, name, price_version, revision, attempt_index, reserved_nano, reserved_tokens";

    private const string ResultColumns =
        "outcome, status, error, served_model, usage_source, input, cache_read, cache_write, cache_write_1h, audio_input, image_input, output, reasoning, audio_output, image_output, "
        + "unit_kind, unit_thousandths, unit_variant, cost_nano, duration_us";

    private readonly SqliteSession session;
    private readonly SqliteStatement begin;
    private readonly SqliteStatement commit;
    private readonly SqliteStatement started;
    private readonly SqliteStatement settled;
    private readonly SpendTable spend;
    private readonly UsageTable usage;

    public LedgerRows(SqliteSession session)
    {
        this.session = session;
        spend = new SpendTable(session);
        usage = new UsageTable(session);
        begin = session.Prepare("BEGIN IMMEDIATE");
        commit = session.Prepare("COMMIT");
        started = session.Prepare($"INSERT INTO attempts ({StartColumns}) VALUES ({Marks(StartColumns)}) ON CONFLICT (sequence) DO NOTHING");
        settled = session.Prepare(
            $"INSERT INTO attempts ({StartColumns}, {ResultColumns}) VALUES ({Marks(StartColumns)}, {Marks(ResultColumns)}) "
            + $"ON CONFLICT (sequence) DO UPDATE SET settled = 1, {string.Join(", ", ResultColumns.Split(", ").Select(column => $"{column} = excluded.{column}"))}");
    }

    public void Begin() => begin.Run();

    public void Commit()
    {
        spend.Write();
        usage.Write();
        commit.Run();
    }

    public void RollBack()
    {
        session.RollBack();
        spend.Forget();
        usage.Forget();
    }

    /// <summary>The row of an attempt that is still open: it counts at its reservation.</summary>
    public void WriteStarted(AttemptLease attempt)
    {
        AddStart(started, attempt, isSettled: false);
        started.Run();
    }

    /// <summary>The row of an attempt that has ended, whether or not it was written as started before.</summary>
    public void WriteSettled(AttemptLease attempt)
    {
        AddStart(settled, attempt, isSettled: true);
        var result = attempt.Result;
        var used = result.Usage;
        settled
            .Add((long)result.Outcome).Add(result.Status).Add(result.Error).Add(result.ServedModel).Add((long)result.Source)
            .Add(used.Input).Add(used.CacheRead).Add(used.CacheWrite).Add(used.CacheWrite1h).Add(used.AudioInput).Add(used.ImageInput)
            .Add(used.Output).Add(used.Reasoning).Add(used.AudioOutput).Add(used.ImageOutput)
            .Add((long)used.Units.Kind).Add(used.Units.Thousandths).Add(used.Units.Variant)
            .Add(attempt.Charged?.Nano).Add((long)attempt.Duration.TotalMicroseconds);
        settled.Run();
        spend.Add(attempt);
        usage.Add(attempt);
    }

    /// <summary>The row of an attempt of a process that died.</summary>
    public void WriteRecovered(JournalEntry entry)
    {
        Span<byte> id = stackalloc byte[16];
        entry.Id.TryWriteBytes(id, bigEndian: true, out _);
        started
            .Add(entry.Sequence).Add(id).Add(entry.StartedAt).Add(0).Add((long)entry.Kind).Add(entry.RequestId).Add(entry.TraceId)
            .Add(entry.KeyId).Add(entry.UserId).Add(entry.TeamId).Add(entry.CustomerId)
            .Add(entry.RequestedName).Add(entry.Upstream).Add(entry.Name).Add(entry.PriceVersion).Add(entry.Revision)
            .Add(entry.Index).Add(entry.ReservedNano).Add(entry.ReservedTokens);
        started.Run();
    }

    public long HighestSequence()
    {
        using var highest = session.Prepare("SELECT coalesce(max(sequence), 0) FROM attempts");
        highest.Read();
        return highest.Int64(0);
    }

    public void Dispose()
    {
        begin.Dispose();
        commit.Dispose();
        started.Dispose();
        settled.Dispose();
        spend.Dispose();
        usage.Dispose();
    }

    private static void AddStart(SqliteStatement statement, AttemptLease attempt, bool isSettled)
    {
        // An error while binding leaves values behind.
        statement.Reset();
        Span<byte> bytes = stackalloc byte[32];
        attempt.Id.TryWriteBytes(bytes, bigEndian: true, out _);
        attempt.Request.TraceId.CopyTo(bytes[16..]);
        var (key, start) = (attempt.Key, attempt.Start);
        statement
            .Add(attempt.LedgerSequence).Add(bytes[..16]).Add(attempt.StartedAt.ToUnixTimeMilliseconds()).Add(isSettled ? 1 : 0).Add((long)start.Kind)
            .Add(attempt.Request.RequestId).Add(bytes[16..])
            .Add(key.Id).Add(key.IdOf(OwnerKind.User)).Add(key.IdOf(OwnerKind.Team)).Add(key.IdOf(OwnerKind.Customer))
            .Add(start.RequestedName).Add(start.Upstream).Add(start.Name).Add(start.PriceVersion).Add(attempt.Request.Snapshot.Revision)
            .Add(attempt.Index).Add(attempt.Bound.Nano).Add(attempt.EstimatedTokens);
    }

    private static string Marks(string columns) => string.Join(", ", columns.Split(", ").Select(_ => "?"));
}
