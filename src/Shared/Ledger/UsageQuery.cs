using System.Globalization;
using Shared.Budgets;
using Shared.Pricing;
using Shared.Storage;

namespace Shared.Ledger;

/// <summary>
/// Answers what was used: whole hours from their sums, the rest of a span, and what is not settled, from the attempts themselves. Exact for as long as attempts
/// are kept; older calls count at the beginning of their hour, or of their day, so that spans that touch never count one twice.
/// </summary>
public sealed class UsageQuery(GatewayDatabase database, EmbeddedLedger ledger)
{
    /// <summary>The most rows of one answer.</summary>
    public const int MaxRows = 10_000;

    /// <summary>The most spans of a time series.</summary>
    public const int MaxPoints = 2_000;

    /// <summary>The most groups that the largest can be asked for of.</summary>
    public const int MaxTop = 100;

    private const long Hour = UsageTable.Hour;

    private const string Sums = """
        coalesce(sum(calls), 0), coalesce(sum(CASE WHEN outcome IN (2, 3) THEN calls ELSE 0 END), 0),
        coalesce(sum(input), 0), coalesce(sum(cached), 0), coalesce(sum(output), 0),
        coalesce(sum(cost_nano / 1000000000), 0) AS dollars, coalesce(sum(cost_nano % 1000000000), 0), coalesce(sum(unknown_cost), 0), coalesce(sum(unsettled), 0),
        coalesce(sum(reserved_nano / 1000000000), 0), coalesce(sum(reserved_nano % 1000000000), 0), coalesce(sum(duration_us), 0), coalesce(max(longest_us), 0),
        cast(total(images) AS INTEGER), cast(total(audio_seconds) AS INTEGER), cast(total(characters) AS INTEGER), cast(total(searches) AS INTEGER)
        """;

    private static readonly string AttemptColumns = $"""
        started_at / 3600000 AS hour, key_id, kind, upstream, name, outcome, coalesce(user_id, '') AS user_id, coalesce(team_id, '') AS team_id, coalesce(customer_id, '') AS customer_id,
        1 AS calls, NOT settled AS unsettled, CASE WHEN settled THEN 0 ELSE reserved_nano END AS reserved_nano, coalesce(cost_nano, 0) AS cost_nano, settled AND cost_nano IS NULL AS unknown_cost,
        {LedgerSums.Input} AS input, cache_read AS cached, {LedgerSums.Output} AS output, coalesce(duration_us, 0) AS duration_us, coalesce(duration_us, 0) AS longest_us,
        {LedgerSums.Units(UnitKind.Image)} AS images, {LedgerSums.Units(UnitKind.AudioSecond)} AS audio_seconds, {LedgerSums.Units(UnitKind.Character)} AS characters, {LedgerSums.Units(UnitKind.Search)} AS searches
        """;

    private const string HourColumns =
        "hour, key_id, kind, upstream, name, outcome, user_id, team_id, customer_id, calls, unsettled, reserved_nano, cost_nano, unknown_cost, input, cached, output, duration_us, longest_us, images, audio_seconds, characters, searches";

    /// <summary>Sums the ledger up. Everything recorded before the call is included. Runs on a connection of its own, so a long one delays no call.</summary>
    /// <exception cref="ArgumentException">A dimension is given twice, or the limit, the span or the number of points is out of range.</exception>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public async Task<UsageReport> RunAsync(UsageRequest request, CancellationToken cancellationToken = default)
    {
        Validate(request);
        var spans = request.Interval is null ? null : Spans(request);
        await ledger.FlushAsync(cancellationToken);
        return await Task.Run(() => Run(request, spans, cancellationToken), cancellationToken);
    }

    /// <summary>How many spans a time series has; more than <see cref="MaxPoints"/> + 1 are not counted.</summary>
    public static int CountPoints(UsageRequest request) => Boundaries(request).Take(MaxPoints + 2).Count() - 1;

    /// <summary>The end of the span in which a moment lies; later than the moment.</summary>
    public static DateTimeOffset EndOf(DateTimeOffset moment, UsageInterval interval, TimeZoneInfo zone) => interval switch
    {
        UsageInterval.Minute => moment.AddTicks(TimeSpan.TicksPerMinute - (moment.UtcTicks % TimeSpan.TicksPerMinute)),
        UsageInterval.Hour => Window.Aligned(CalendarUnit.Hour).BoundsAt(moment).End,
        UsageInterval.Day => Window.Aligned(CalendarUnit.Day, zone).BoundsAt(moment).End,
        UsageInterval.Week => Window.Aligned(CalendarUnit.Week, zone).BoundsAt(moment).End,
        _ => Window.Aligned(CalendarUnit.Month, zone).BoundsAt(moment).End,
    };

    private static void Validate(UsageRequest request)
    {
        if (request.GroupBy.Distinct().Count() != request.GroupBy.Count)
        {
            throw new ArgumentException("Usage cannot be grouped by the same thing twice.");
        }
        if (request.Limit is < 1 or > MaxRows)
        {
            throw new ArgumentException($"The limit must be 1 to {MaxRows}, not {request.Limit}.");
        }
        if (request.Top is < 1 or > MaxTop)
        {
            throw new ArgumentException($"The number of largest groups must be 1 to {MaxTop}, not {request.Top}.");
        }
        if (request.From >= request.To)
        {
            throw new ArgumentException("'from' must be earlier than 'to'.");
        }
    }

    private static List<(long From, long To)> Spans(UsageRequest request)
    {
        var moments = Boundaries(request).Take(MaxPoints + 2).Select(moment => moment.ToUnixTimeMilliseconds()).ToList();
        return moments.Count <= MaxPoints + 1
            ? [.. moments.Zip(moments.Skip(1))]
            : throw new ArgumentException($"The time series has more than {MaxPoints} points.");
    }

    /// <summary>The moments at which spans begin, and the end of the last: cut at the ends of what is asked for.</summary>
    private static IEnumerable<DateTimeOffset> Boundaries(UsageRequest request)
    {
        var (from, to) = (request.From ?? throw new ArgumentException("A time series needs 'from'."), request.To ?? throw new ArgumentException("A time series needs 'to'."));
        var moment = from;
        while (moment < to)
        {
            yield return moment;
            moment = EndOf(moment, request.Interval!.Value, request.TimeZone);
        }
        yield return to;
    }

    private UsageReport Run(UsageRequest request, List<(long From, long To)>? spans, CancellationToken cancellationToken)
    {
        using var session = database.Connect();
        // One reading transaction: what is deleted meanwhile is seen in all spans or in none.
        session.Execute("BEGIN");
        var report = spans is null ? Total(session, request, request.Top ?? request.Limit, cancellationToken) : Series(session, request, spans, cancellationToken);
        return report with { AttemptsKeptSince = Retained.Read(session, Retained.Attempts), HoursKeptSince = Retained.Read(session, Retained.Hours) };
    }

    private static UsageReport Total(SqliteSession session, UsageRequest request, int limit, CancellationToken cancellationToken)
    {
        using var source = new Source(session, request);
        var rows = Read(source, request, request.From?.ToUnixTimeMilliseconds() ?? 0, request.To?.ToUnixTimeMilliseconds() ?? long.MaxValue / 2, limit + 1, cancellationToken);
        return rows.Count > limit ? new UsageReport(rows[..limit], Truncated: request.Top is null) : new UsageReport(rows, Truncated: false);
    }

    private static UsageReport Series(SqliteSession session, UsageRequest request, List<(long From, long To)> spans, CancellationToken cancellationToken)
    {
        var largest = request.Top is { } top ? Total(session, request, top, cancellationToken).Rows.Select(row => Signature(row.Group)).ToHashSet(StringComparer.Ordinal) : null;
        var groups = request.FillZero ? Total(session, request, Math.Min(request.Top ?? MaxRows, MaxRows), cancellationToken).Rows.Select(row => row.Group).ToList() : [];
        using var source = new Source(session, request);
        var rows = new List<UsageRow>();
        foreach (var (from, to) in spans)
        {
            var start = DateTimeOffset.FromUnixTimeMilliseconds(from);
            var found = Read(source, request, from, to, MaxRows + 1, cancellationToken).Where(row => largest is null || largest.Contains(Signature(row.Group))).ToList();
            if (request.FillZero)
            {
                var seen = found.Select(row => Signature(row.Group)).ToHashSet(StringComparer.Ordinal);
                found.AddRange(groups.Where(group => !seen.Contains(Signature(group))).Select(group => new UsageRow { Group = group }));
            }
            else if (request.GroupBy.Count == 0)
            {
                found.RemoveAll(row => row.Calls == 0);
            }
            foreach (var row in found)
            {
                if (rows.Count == request.Limit)
                {
                    return new UsageReport(rows, Truncated: true);
                }
                rows.Add(row with { Start = start });
            }
        }
        return new UsageReport(rows, Truncated: false);
    }

    private static string Signature(IReadOnlyList<string?> group) => string.Join('\u001f', group.Select(value => value ?? "\u001e"));

    private static List<UsageRow> Read(Source source, UsageRequest request, long from, long to, int limit, CancellationToken cancellationToken)
    {
        var statement = source.Statement;
        // The hours that lie in the span as a whole, and what is left of it at both ends. An hour whose attempts are gone counts where it begins.
        var (first, last) = (Ceiling(from), to <= source.KeptSince ? Ceiling(to) : to / Hour);
        var (headEnd, tailStart) = first <= last ? (first * Hour, last * Hour) : (to, to);
        if (from < source.KeptSince)
        {
            headEnd = from;
        }
        statement.Reset();
        statement.Add(first).Add(last).Add(from).Add(headEnd).Add(tailStart).Add(to).Add(limit);
        foreach (var filter in Filters(request).Select(filter => filter.Value))
        {
            if (filter is long number)
            {
                statement.Add(number);
            }
            else
            {
                statement.Add((string)filter);
            }
        }
        var rows = new List<UsageRow>();
        while (statement.Read())
        {
            cancellationToken.ThrowIfCancellationRequested();
            rows.Add(RowOf(statement, request.GroupBy));
        }
        return rows;
    }

    private static long Ceiling(long moment) => (moment / Hour) + (moment % Hour == 0 ? 0 : 1);

    private static UsageRow RowOf(SqliteStatement statement, IReadOnlyList<UsageDimension> groupBy)
    {
        var sums = groupBy.Count;
        var (calls, unsettled) = (statement.Int64(sums), statement.Int64(sums + 8));
        return new UsageRow
        {
            Group = [.. groupBy.Select((dimension, column) => ValueOf(statement, dimension, column))],
            Calls = calls,
            Failed = statement.Int64(sums + 1),
            InputTokens = statement.Int64(sums + 2),
            CachedTokens = statement.Int64(sums + 3),
            OutputTokens = statement.Int64(sums + 4),
            Cost = LedgerSums.Money(statement.Int64(sums + 5), statement.Int64(sums + 6)),
            UnknownCostCalls = statement.Int64(sums + 7),
            UnsettledCalls = unsettled,
            Reserved = LedgerSums.Money(statement.Int64(sums + 9), statement.Int64(sums + 10)),
            MeanDuration = calls > unsettled ? TimeSpan.FromMicroseconds(statement.Int64(sums + 11) / (calls - unsettled)) : null,
            LongestDuration = calls > unsettled ? TimeSpan.FromMicroseconds(statement.Int64(sums + 12)) : null,
            Images = statement.Int64(sums + 13) / 1000m,
            AudioSeconds = statement.Int64(sums + 14) / 1000m,
            Characters = statement.Int64(sums + 15) / 1000m,
            Searches = statement.Int64(sums + 16) / 1000m,
        };
    }

    private static string? ValueOf(SqliteStatement statement, UsageDimension dimension, int column) => dimension switch
    {
        UsageDimension.Day => DateTimeOffset.UnixEpoch.AddDays(statement.Int64(column)).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
        UsageDimension.Outcome => ((CallOutcome)statement.Int64(column)).ToString().ToLowerInvariant(),
        UsageDimension.Operation => ((CallKind)statement.Int64(column)).ToString().ToLowerInvariant(),
        _ => statement.TextOrNull(column),
    };

    // ?1 and ?2: whole hours. ?3 to ?4 and ?5 to ?6: the ends. ?7: the most rows. Then the filters.
    private static SqliteStatement Prepare(SqliteSession session, UsageRequest request)
    {
        var where = string.Concat(Filters(request).Select((filter, index) => string.Create(CultureInfo.InvariantCulture, $" AND {filter.Condition} = ?{index + 8}")));
        var groups = string.Concat(request.GroupBy.Select(dimension => Expression(dimension) + ", "));
        var numbers = string.Join(", ", Enumerable.Range(1, request.GroupBy.Count));
        var order = request is { OrderBy: UsageOrder.Group, Top: null } ? numbers : string.Join(", ", (string[])[OrderOf(request.OrderBy) + " DESC", .. numbers.Length == 0 ? Array.Empty<string>() : [numbers]]);
        return session.Prepare($"""
            SELECT {groups}{Sums} FROM (
                SELECT {HourColumns} FROM usage_hours WHERE hour >= ?1 AND hour < ?2{where}
                UNION ALL
                SELECT {AttemptColumns} FROM attempts WHERE started_at >= ?3 AND started_at < ?4 AND settled{where}
                UNION ALL
                SELECT {AttemptColumns} FROM attempts WHERE started_at >= ?5 AND started_at < ?6 AND settled{where}
                UNION ALL
                SELECT {AttemptColumns} FROM attempts INDEXED BY attempts_unsettled WHERE started_at >= ?3 AND started_at < ?6 AND NOT settled{where}
            )
            {(numbers.Length == 0 ? "" : $"GROUP BY {numbers} ORDER BY {order} ")}LIMIT ?7
            """);
    }

    /// <summary>The statement, and the moment since which attempts are kept, in milliseconds.</summary>
    private sealed class Source(SqliteSession session, UsageRequest request) : IDisposable
    {
        public SqliteStatement Statement { get; } = Prepare(session, request);

        public long KeptSince { get; } = Retained.Read(session, Retained.Attempts)?.ToUnixTimeMilliseconds() ?? 0;

        public void Dispose() => Statement.Dispose();
    }

    private static List<(string Condition, object Value)> Filters(UsageRequest request)
    {
        var filters = new List<(string, object)>();
        void Add(string condition, object? value)
        {
            if (value is not null)
            {
                filters.Add((condition, value));
            }
        }
        Add("key_id", request.Key);
        Add(Expression(UsageDimension.Model), request.Model);
        Add(Expression(UsageDimension.Tool), request.Tool);
        Add(Expression(UsageDimension.Provider), request.Provider);
        Add(Expression(UsageDimension.Server), request.Server);
        Add("user_id", request.User);
        Add("team_id", request.Team);
        Add("customer_id", request.Customer);
        Add("outcome", request.Outcome is { } outcome ? (long)outcome : null);
        Add("kind", request.Operation is { } kind ? (long)kind : null);
        return filters;
    }

    private static string OrderOf(UsageOrder order) => order switch
    {
        UsageOrder.Calls => "sum(calls)",
        UsageOrder.Failed => "sum(CASE WHEN outcome IN (2, 3) THEN calls ELSE 0 END)",
        UsageOrder.Tokens => "sum(input) + sum(output)",
        UsageOrder.Duration => "sum(duration_us) / max(1, sum(calls) - sum(unsettled))",
        _ => "total(cost_nano)",
    };

    private static string Expression(UsageDimension dimension) => dimension switch
    {
        UsageDimension.Key => "key_id",
        UsageDimension.Model => "CASE kind WHEN 0 THEN upstream || '/' || name END",
        UsageDimension.Tool => "CASE kind WHEN 1 THEN upstream || '/' || name END",
        UsageDimension.Day => "hour / 24",
        UsageDimension.Provider => "CASE kind WHEN 0 THEN upstream END",
        UsageDimension.Server => "CASE kind WHEN 1 THEN upstream END",
        UsageDimension.User => "nullif(user_id, '')",
        UsageDimension.Team => "nullif(team_id, '')",
        UsageDimension.Customer => "nullif(customer_id, '')",
        UsageDimension.Outcome => "outcome",
        _ => "kind",
    };
}
