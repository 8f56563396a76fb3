using System.Diagnostics;
using Shared.Pricing;
using Shared.Storage;

namespace Shared.Ledger;

/// <summary>Which attempts are asked for; the newest come first.</summary>
public sealed record LedgerRequest
{
    /// <summary>Only this key's, by its id.</summary>
    public string? Key { get; init; }

    /// <summary>Only this user's.</summary>
    public string? User { get; init; }

    /// <summary>Only this team's.</summary>
    public string? Team { get; init; }

    /// <summary>Only this customer's.</summary>
    public string? Customer { get; init; }

    /// <summary>Only calls of this provider's models.</summary>
    public string? Provider { get; init; }

    /// <summary>Only calls of this model, as <c>provider/model</c>.</summary>
    public string? Model { get; init; }

    /// <summary>Only calls of this tool server's tools.</summary>
    public string? Server { get; init; }

    /// <summary>Only calls of this tool, as <c>server/tool</c>.</summary>
    public string? Tool { get; init; }

    /// <summary>Only calls that ended so; <see cref="CallOutcome.Started"/>: those that are not settled.</summary>
    public CallOutcome? Outcome { get; init; }

    /// <summary>Only calls that the upstream answered with this status.</summary>
    public int? Status { get; init; }

    /// <summary>Only calls with this short code of an error.</summary>
    public string? Error { get; init; }

    /// <summary>Only calls that began at or after this moment.</summary>
    public DateTimeOffset? From { get; init; }

    /// <summary>Only calls that began before this moment.</summary>
    public DateTimeOffset? To { get; init; }

    /// <summary>Only calls that cost at least this.</summary>
    public Money? MinCost { get; init; }

    /// <summary>Only the attempts of this request.</summary>
    public string? RequestId { get; init; }

    /// <summary>Only attempts in this trace: 16 bytes.</summary>
    public byte[]? TraceId { get; init; }

    /// <summary>Only attempts with a smaller <see cref="LedgerEntry.Sequence"/>: where the page before ended.</summary>
    public long? Before { get; init; }

    /// <summary>The most entries; 1 to <see cref="LedgerQuery.MaxRows"/>.</summary>
    public int Limit { get; init; } = 100;
}

/// <summary>Everything that the ledger holds of an attempt. No prompts, arguments or results are in it.</summary>
public sealed record LedgerEntry
{
    /// <summary>Its place; grows.</summary>
    public required long Sequence { get; init; }

    /// <summary>Its id, a UUID of version 7.</summary>
    public required Guid Id { get; init; }

    /// <summary>When it began.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>Whether it has ended; one that has not counts at its reservation.</summary>
    public required bool Settled { get; init; }

    /// <summary>Model or tool.</summary>
    public required CallKind Kind { get; init; }

    /// <summary>The request that it belongs to.</summary>
    public required string RequestId { get; init; }

    /// <summary>The trace, 32 hex digits.</summary>
    public required string TraceId { get; init; }

    /// <summary>Key, by id.</summary>
    public required string Key { get; init; }

    /// <summary>User, or null.</summary>
    public string? User { get; init; }

    /// <summary>Team, or null.</summary>
    public string? Team { get; init; }

    /// <summary>Customer, or null.</summary>
    public string? Customer { get; init; }

    /// <summary>What the client asked for.</summary>
    public required string RequestedName { get; init; }

    /// <summary>Provider or tool server.</summary>
    public required string Upstream { get; init; }

    /// <summary>The upstream's own name of the model or tool.</summary>
    public required string Name { get; init; }

    /// <summary>The model that the provider says it served, where it differs.</summary>
    public string? ServedModel { get; init; }

    /// <summary>The price that it was charged at; null: unknown.</summary>
    public string? PriceVersion { get; init; }

    /// <summary>The revision of the configuration that it ran under.</summary>
    public required string Revision { get; init; }

    /// <summary>Its place among the attempts of its request, from 0.</summary>
    public required int Index { get; init; }

    /// <summary>What it reserved.</summary>
    public required Money Reserved { get; init; }

    /// <summary>The tokens that it was estimated at.</summary>
    public required long ReservedTokens { get; init; }

    /// <summary>How it ended.</summary>
    public required CallOutcome Outcome { get; init; }

    /// <summary>The upstream's status; 0: none was received.</summary>
    public required int Status { get; init; }

    /// <summary>A short code of what went wrong, or null.</summary>
    public string? Error { get; init; }

    /// <summary>Where the figures come from.</summary>
    public required UsageSource Source { get; init; }

    /// <summary>What it used.</summary>
    public required TokenUsage Usage { get; init; }

    /// <summary>What it cost; null: unknown, or not settled.</summary>
    public Money? Cost { get; init; }

    /// <summary>How long it took; null: not settled.</summary>
    public TimeSpan? Duration { get; init; }
}

/// <summary>A page of the ledger.</summary>
/// <param name="Entries">The entries, the newest first.</param>
/// <param name="Next">Where the next page begins, as <see cref="LedgerRequest.Before"/>; null: there is nothing more. A page can have few entries, or none, and still have a next one: a search stops after a while.</param>
public sealed record LedgerPage(IReadOnlyList<LedgerEntry> Entries, long? Next);

/// <summary>Finds attempts in the ledger.</summary>
public sealed class LedgerQuery(GatewayDatabase database, EmbeddedLedger ledger)
{
    /// <summary>The most entries of a page.</summary>
    public const int MaxRows = 1_000;

    /// <summary>The most attempts of one request that are shown together.</summary>
    private const int MaxAttempts = 100;

    /// <summary>What no index finds is looked for in pieces of so many places, newest first, and for so long.</summary>
    private const long Piece = 50_000;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private const string Columns = """
        sequence, id, started_at, settled, kind, request_id, trace_id, key_id, user_id, team_id, customer_id, requested_name, upstream, name, served_model, price_version, revision, attempt_index,
        reserved_nano, reserved_tokens, outcome, status, error, usage_source, input, cache_read, cache_write, audio_input, output, reasoning, audio_output, cost_nano, duration_us,
        cache_write_1h, image_input, image_output, unit_kind, unit_thousandths, unit_variant
        """;

    /// <summary>A page of attempts. Everything recorded before the call is included. Runs on a connection of its own and for a few seconds at most, so it delays no call.</summary>
    /// <exception cref="ArgumentException">The limit is out of range.</exception>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public async Task<LedgerPage> SearchAsync(LedgerRequest request, CancellationToken cancellationToken = default)
    {
        if (request.Limit is < 1 or > MaxRows)
        {
            throw new ArgumentException($"The limit must be 1 to {MaxRows}, not {request.Limit}.", nameof(request));
        }
        await ledger.FlushAsync(cancellationToken);
        return await Task.Run(() => Search(request, cancellationToken), cancellationToken);
    }

    /// <summary>An attempt with all attempts of its request, in their order; empty: there is none of that id.</summary>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public async Task<IReadOnlyList<LedgerEntry>> FindAsync(Guid id, CancellationToken cancellationToken = default)
    {
        await ledger.FlushAsync(cancellationToken);
        return await Task.Run(() => Find(id), cancellationToken);
    }

    private LedgerPage Search(LedgerRequest request, CancellationToken cancellationToken)
    {
        var since = Stopwatch.GetTimestamp();
        using var session = database.Connect();
        if (BoundsOf(session, request) is not var (lowest, highest))
        {
            return new LedgerPage([], null);
        }
        var before = Math.Min(highest + 1, request.Before ?? long.MaxValue);
        var filters = Filters(request);
        var isIndexed = request.RequestId is not null || request.Key is not null;
        using var select = session.Prepare(
            $"SELECT {Columns} FROM attempts WHERE sequence < ?1 AND sequence >= ?2{string.Concat(filters.Select((filter, index) => $" AND {string.Format(System.Globalization.CultureInfo.InvariantCulture, filter.Condition, "?" + (index + 4))}"))} ORDER BY sequence DESC LIMIT ?3");
        var entries = new List<LedgerEntry>();
        while (before > lowest)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var after = isIndexed ? lowest : Math.Max(lowest, before - Piece);
            Bind(select, before, after, request.Limit + 1 - entries.Count, filters);
            while (select.Read())
            {
                if (entries.Count == request.Limit)
                {
                    return new LedgerPage(entries, entries[^1].Sequence);
                }
                entries.Add(EntryOf(select));
            }
            before = after;
            if (before > lowest && Stopwatch.GetElapsedTime(since) > Patience)
            {
                return new LedgerPage(entries, before);
            }
        }
        return new LedgerPage(entries, null);
    }

    /// <summary>The first and last place that can be of interest; null: none. A span of time is found in the index of the times, which need not be in the places' order.</summary>
    private static (long Lowest, long Highest)? BoundsOf(SqliteSession session, LedgerRequest request)
    {
        var isTimed = request.From is not null || request.To is not null;
        using var bounds = session.Prepare(isTimed
            ? "SELECT min(sequence), max(sequence) FROM attempts INDEXED BY attempts_time WHERE started_at >= ? AND started_at < ?"
            : "SELECT (SELECT min(sequence) FROM attempts), (SELECT max(sequence) FROM attempts)");
        if (isTimed)
        {
            bounds.Add(request.From?.ToUnixTimeMilliseconds() ?? long.MinValue).Add(request.To?.ToUnixTimeMilliseconds() ?? long.MaxValue);
        }
        return bounds.Read() && bounds.Int64OrNull(0) is { } lowest ? (lowest, bounds.Int64(1)) : null;
    }

    private static List<(string Condition, object Value)> Filters(LedgerRequest request)
    {
        var filters = new List<(string, object)>();
        void Add(string condition, object? value)
        {
            if (value is not null)
            {
                filters.Add((condition, value));
            }
        }
        void AddName(int kind, string? name)
        {
            if (name is not null)
            {
                // A provider's id has no slash, a model's may have several.
                var slash = name.IndexOf('/', StringComparison.Ordinal);
                filters.Add(($"kind = {kind} AND upstream = {{0}}", slash < 0 ? name : name[..slash]));
                filters.Add(("name = {0}", slash < 0 ? "" : name[(slash + 1)..]));
            }
        }
        Add("request_id = {0}", request.RequestId);
        Add("key_id = {0}", request.Key);
        Add("user_id = {0}", request.User);
        Add("team_id = {0}", request.Team);
        Add("customer_id = {0}", request.Customer);
        Add("kind = 0 AND upstream = {0}", request.Provider);
        Add("kind = 1 AND upstream = {0}", request.Server);
        AddName(0, request.Model);
        AddName(1, request.Tool);
        Add(request.Outcome > CallOutcome.Succeeded ? "outcome > 1 AND outcome = {0}" : "outcome = {0}", request.Outcome is { } outcome ? (long)outcome : null);
        Add("status = {0}", request.Status is { } status ? (long)status : null);
        Add("error = {0}", request.Error);
        Add("started_at >= {0}", request.From?.ToUnixTimeMilliseconds());
        Add("started_at < {0}", request.To?.ToUnixTimeMilliseconds());
        Add("cost_nano >= {0}", request.MinCost?.Nano);
        Add("trace_id = {0}", request.TraceId);
        return filters;
    }

    private static void Bind(SqliteStatement statement, long before, long after, int limit, List<(string Condition, object Value)> filters)
    {
        statement.Reset();
        statement.Add(before).Add(after).Add(limit);
        foreach (var (_, value) in filters)
        {
            switch (value)
            {
                case long number:
                    statement.Add(number);
                    break;
                case byte[] bytes:
                    statement.Add(bytes);
                    break;
                default:
                    statement.Add((string)value);
                    break;
            }
        }
    }

    private List<LedgerEntry> Find(Guid id)
    {
        using var session = database.Connect();
        Span<byte> bytes = stackalloc byte[16];
        id.TryWriteBytes(bytes, bigEndian: true, out _);
        string? request = null;
        // The first 48 bits of the id are the time of its start, for which there is an index.
        using (var select = session.Prepare("SELECT request_id FROM attempts WHERE started_at = ? AND id = ?"))
        {
            if (select.Add((long)(System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(bytes) >> 16)).Add(bytes).Read())
            {
                request = select.Text(0);
            }
        }
        var entries = new List<LedgerEntry>();
        if (request is not null)
        {
            // A client may send one request id many times: the attempt asked for is among those shown in any case.
            using var select = session.Prepare($"SELECT {Columns} FROM attempts WHERE request_id = ?1 ORDER BY id = ?2 DESC, sequence LIMIT ?3");
            select.Add(request).Add(bytes).Add(MaxAttempts);
            while (select.Read())
            {
                entries.Add(EntryOf(select));
            }
            entries.Sort(static (one, other) => one.Sequence.CompareTo(other.Sequence));
        }
        return entries;
    }

    private static LedgerEntry EntryOf(SqliteStatement row) => new()
    {
        Sequence = row.Int64(0),
        Id = new Guid(row.Blob(1), bigEndian: true),
        StartedAt = DateTimeOffset.FromUnixTimeMilliseconds(row.Int64(2)),
        Settled = row.Int64(3) != 0,
        Kind = (CallKind)row.Int64(4),
        RequestId = row.Text(5),
        TraceId = Convert.ToHexStringLower(row.Blob(6)),
        Key = row.Text(7),
        User = row.TextOrNull(8),
        Team = row.TextOrNull(9),
        Customer = row.TextOrNull(10),
        RequestedName = row.Text(11),
        Upstream = row.Text(12),
        Name = row.Text(13),
        ServedModel = row.TextOrNull(14),
        PriceVersion = row.TextOrNull(15),
        Revision = row.Text(16),
        Index = (int)row.Int64(17),
        Reserved = new Money(row.Int64(18)),
        ReservedTokens = row.Int64(19),
        Outcome = (CallOutcome)row.Int64(20),
        Status = (int)row.Int64(21),
        Error = row.TextOrNull(22),
        Source = (UsageSource)row.Int64(23),
        Usage = new TokenUsage
        {
            Input = row.Int64(24), CacheRead = row.Int64(25), CacheWrite = row.Int64(26), AudioInput = row.Int64(27), Output = row.Int64(28), Reasoning = row.Int64(29), AudioOutput = row.Int64(30),
            CacheWrite1h = row.Int64(33), ImageInput = row.Int64(34), ImageOutput = row.Int64(35), Units = new UnitUsage((UnitKind)row.Int64(36), row.Int64(37), row.TextOrNull(38)),
        },
        Cost = row.Int64OrNull(31) is { } nano ? new Money(nano) : null,
        Duration = row.Int64OrNull(32) is { } microseconds ? TimeSpan.FromMicroseconds(microseconds) : null,
    };
}
