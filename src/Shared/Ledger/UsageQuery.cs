using System.Globalization;
using Shared.Pricing;
using Shared.Storage;

namespace Shared.Ledger;

/// <summary>What usage can be grouped by.</summary>
public enum UsageDimension
{
    /// <summary>Virtual key, by id.</summary>
    Key,

    /// <summary><c>provider/model</c>; nothing on calls of tools.</summary>
    Model,

    /// <summary><c>server/tool</c>, the upstream's own names; nothing on calls of models.</summary>
    Tool,

    /// <summary>Day in UTC on which the calls began, as <c>yyyy-MM-dd</c>.</summary>
    Day,

    /// <summary>Provider; nothing on calls of tools.</summary>
    Provider,

    /// <summary>User, by id.</summary>
    User,

    /// <summary>Team, by id.</summary>
    Team,

    /// <summary>Customer, by id.</summary>
    Customer,
}

/// <summary>Which usage is asked for.</summary>
public sealed record UsageRequest
{
    /// <summary>Calls that began at or after this moment; null: from the first.</summary>
    public DateTimeOffset? From { get; init; }

    /// <summary>Calls that began before this moment; null: to the last.</summary>
    public DateTimeOffset? To { get; init; }

    /// <summary>What the rows are apart by, each at most once; none: one row of everything.</summary>
    public IReadOnlyList<UsageDimension> GroupBy { get; init; } = [];

    /// <summary>Only this key's calls, by its id.</summary>
    public string? Key { get; init; }

    /// <summary>Only this model's calls, as <c>provider/model</c>.</summary>
    public string? Model { get; init; }

    /// <summary>Only this tool's calls, as <c>server/tool</c>.</summary>
    public string? Tool { get; init; }

    /// <summary>The most rows returned; 1 to <see cref="UsageQuery.MaxRows"/>.</summary>
    public int Limit { get; init; } = UsageQuery.MaxRows;
}

/// <summary>Sums over the attempts of one group.</summary>
public sealed record UsageRow
{
    /// <summary>The group: a value for each dimension asked for, in that order; null where a call has none.</summary>
    public required IReadOnlyList<string?> Group { get; init; }

    /// <summary>Attempts, unsettled ones included.</summary>
    public required long Calls { get; init; }

    /// <summary>Attempts that failed or broke; those whose client left are not among them.</summary>
    public required long Failed { get; init; }

    /// <summary>Input tokens, cached and audio ones included.</summary>
    public required long InputTokens { get; init; }

    /// <summary>Input tokens that were read from a prompt cache.</summary>
    public required long CachedTokens { get; init; }

    /// <summary>Output tokens, reasoning and audio included.</summary>
    public required long OutputTokens { get; init; }

    /// <summary>What the settled attempts cost, as far as known.</summary>
    public required Money Cost { get; init; }

    /// <summary>Settled attempts whose cost is unknown.</summary>
    public required long UnknownCostCalls { get; init; }

    /// <summary>Attempts that have not been settled: under way, or cut off by the death of a process.</summary>
    public required long UnsettledCalls { get; init; }

    /// <summary>What the unsettled attempts have reserved; budgets count it as spent.</summary>
    public required Money Reserved { get; init; }
}

/// <summary>An answer of <see cref="UsageQuery"/>.</summary>
/// <param name="Rows">The groups, ordered by their values.</param>
/// <param name="Truncated">Whether there are more groups than were asked for.</param>
public sealed record UsageReport(IReadOnlyList<UsageRow> Rows, bool Truncated);

/// <summary>Answers what was used, from the ledger.</summary>
public sealed class UsageQuery(GatewayDatabase database, EmbeddedLedger ledger)
{
    /// <summary>The most rows of one answer.</summary>
    public const int MaxRows = 10_000;

    private const int Groups = 10;

    /// <summary>Sums the ledger up. Everything recorded before the call is included. Runs on a connection of its own, so a long one delays no call.</summary>
    /// <exception cref="ArgumentException">A dimension is given twice, or the limit or the span is out of range.</exception>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public async Task<UsageReport> RunAsync(UsageRequest request, CancellationToken cancellationToken = default)
    {
        Validate(request);
        await ledger.FlushAsync(cancellationToken);
        return await Task.Run(() => Run(request, cancellationToken), cancellationToken);
    }

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
        if (request.From >= request.To)
        {
            throw new ArgumentException("'from' must be earlier than 'to'.");
        }
    }

    private UsageReport Run(UsageRequest request, CancellationToken cancellationToken)
    {
        using var session = database.Connect();
        using var statement = session.Prepare(Sql(request));
        statement
            .Add(request.From?.ToUnixTimeMilliseconds() ?? long.MinValue).Add(request.To?.ToUnixTimeMilliseconds() ?? long.MaxValue);
        foreach (var filter in new[] { request.Key, request.Model, request.Tool })
        {
            if (filter is not null)
            {
                statement.Add(filter);
            }
        }
        statement.Add(request.Limit + 1);
        var rows = new List<UsageRow>();
        while (statement.Read())
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (rows.Count == request.Limit)
            {
                return new UsageReport(rows, Truncated: true);
            }
            rows.Add(RowOf(statement, request.GroupBy));
        }
        return new UsageReport(rows, Truncated: false);
    }

    private static UsageRow RowOf(SqliteStatement statement, IReadOnlyList<UsageDimension> groupBy)
    {
        var sums = groupBy.Count;
        return new UsageRow
        {
            Group = [.. groupBy.Select((dimension, column) => ValueOf(statement, dimension, column))],
            Calls = statement.Int64(sums),
            Failed = statement.Int64(sums + 1),
            InputTokens = statement.Int64(sums + 2),
            CachedTokens = statement.Int64(sums + 3),
            OutputTokens = statement.Int64(sums + 4),
            Cost = LedgerSums.Money(statement.Int64(sums + 5), statement.Int64(sums + 6)),
            UnknownCostCalls = statement.Int64(sums + 7),
            UnsettledCalls = statement.Int64(sums + 8),
            Reserved = LedgerSums.Money(statement.Int64(sums + 9), statement.Int64(sums + Groups)),
        };
    }

    private static string? ValueOf(SqliteStatement statement, UsageDimension dimension, int column) => dimension == UsageDimension.Day
        ? DateTimeOffset.UnixEpoch.AddDays(statement.Int64(column)).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)
        : statement.TextOrNull(column);

    private static string Sql(UsageRequest request)
    {
        var groups = string.Concat(request.GroupBy.Select(dimension => Expression(dimension) + ", "));
        var numbers = string.Join(", ", Enumerable.Range(1, request.GroupBy.Count));
        return $"""
            SELECT {groups}count(*), coalesce(sum(outcome IN (2, 3)), 0),
                coalesce(sum(input + cache_read + cache_write + audio_input), 0), coalesce(sum(cache_read), 0), coalesce(sum(output + reasoning + audio_output), 0),
                {LedgerSums.Dollars("coalesce(cost_nano, 0)")}, {LedgerSums.Nanos("coalesce(cost_nano, 0)")},
                coalesce(sum(settled AND cost_nano IS NULL), 0), coalesce(sum(NOT settled), 0),
                {LedgerSums.Dollars(Unsettled)}, {LedgerSums.Nanos(Unsettled)}
            FROM attempts
            WHERE started_at >= ? AND started_at < ?{Where(request.Key, "key_id = ?")}{Where(request.Model, Expression(UsageDimension.Model) + " = ?")}{Where(request.Tool, Expression(UsageDimension.Tool) + " = ?")}
            {(numbers.Length == 0 ? "" : $"GROUP BY {numbers} ORDER BY {numbers} ")}LIMIT ?
            """;
    }

    private const string Unsettled = "CASE WHEN settled THEN 0 ELSE reserved_nano END";

    private static string Where(string? filter, string condition) => filter is null ? "" : " AND " + condition;

    private static string Expression(UsageDimension dimension) => dimension switch
    {
        UsageDimension.Key => "key_id",
        UsageDimension.Model => "CASE kind WHEN 0 THEN upstream || '/' || name END",
        UsageDimension.Tool => "CASE kind WHEN 1 THEN upstream || '/' || name END",
        UsageDimension.Day => "started_at / 86400000",
        UsageDimension.Provider => "CASE kind WHEN 0 THEN upstream END",
        UsageDimension.User => "user_id",
        UsageDimension.Team => "team_id",
        _ => "customer_id",
    };
}
