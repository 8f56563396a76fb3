using Shared.Pricing;

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

    /// <summary>How the calls ended, as <see cref="CallOutcome"/> in lower case.</summary>
    Outcome,

    /// <summary><c>model</c> or <c>tool</c>.</summary>
    Operation,

    /// <summary>Tool server; nothing on calls of models.</summary>
    Server,
}

/// <summary>The length of the spans of a time series.</summary>
public enum UsageInterval
{
    /// <summary>Minutes; only as far back as attempts are kept.</summary>
    Minute,

    /// <summary>Hours, UTC.</summary>
    Hour,

    /// <summary>Days of a time zone.</summary>
    Day,

    /// <summary>Weeks of a time zone, from Monday.</summary>
    Week,

    /// <summary>Months of a time zone.</summary>
    Month,
}

/// <summary>What rows can be ordered by, the largest first.</summary>
public enum UsageOrder
{
    /// <summary>The values of the group, in ascending order.</summary>
    Group,

    /// <summary>The cost.</summary>
    Cost,

    /// <summary>The number of calls.</summary>
    Calls,

    /// <summary>The number of failed calls.</summary>
    Failed,

    /// <summary>Input and output tokens together.</summary>
    Tokens,

    /// <summary>The mean duration.</summary>
    Duration,
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

    /// <summary>Only calls of this provider's models.</summary>
    public string? Provider { get; init; }

    /// <summary>Only calls of this tool server's tools.</summary>
    public string? Server { get; init; }

    /// <summary>Only this user's calls.</summary>
    public string? User { get; init; }

    /// <summary>Only this team's calls.</summary>
    public string? Team { get; init; }

    /// <summary>Only this customer's calls.</summary>
    public string? Customer { get; init; }

    /// <summary>Only calls that ended so; <see cref="CallOutcome.Started"/>: those that are not settled.</summary>
    public CallOutcome? Outcome { get; init; }

    /// <summary>Only calls of models, or of tools.</summary>
    public CallKind? Operation { get; init; }

    /// <summary>Makes a time series of it; null: sums over the whole span. It wants <see cref="From"/> and <see cref="To"/>.</summary>
    public UsageInterval? Interval { get; init; }

    /// <summary>The time zone in which days, weeks and months begin.</summary>
    public TimeZoneInfo TimeZone { get; init; } = TimeZoneInfo.Utc;

    /// <summary>Whether a time series has a row of nothing where a group has no calls.</summary>
    public bool FillZero { get; init; }

    /// <summary>The order of the rows; in a time series, within each span.</summary>
    public UsageOrder OrderBy { get; init; }

    /// <summary>Only so many groups: the largest ones over the whole span, by <see cref="OrderBy"/>, or by cost where that is <see cref="UsageOrder.Group"/>. Null: all.</summary>
    public int? Top { get; init; }

    /// <summary>The most rows returned; 1 to <see cref="UsageQuery.MaxRows"/>.</summary>
    public int Limit { get; init; } = UsageQuery.MaxRows;
}

/// <summary>Sums over the attempts of one group.</summary>
public sealed record UsageRow
{
    /// <summary>The beginning of the span in a time series; null: there is none.</summary>
    public DateTimeOffset? Start { get; init; }

    /// <summary>The group: a value for each dimension asked for, in that order; null where a call has none.</summary>
    public required IReadOnlyList<string?> Group { get; init; }

    /// <summary>Attempts, unsettled ones included.</summary>
    public long Calls { get; init; }

    /// <summary>Attempts that failed or broke; those whose client left are not among them.</summary>
    public long Failed { get; init; }

    /// <summary>Input tokens, cached and audio ones included.</summary>
    public long InputTokens { get; init; }

    /// <summary>Input tokens that were read from a prompt cache.</summary>
    public long CachedTokens { get; init; }

    /// <summary>Output tokens, reasoning and audio included.</summary>
    public long OutputTokens { get; init; }

    /// <summary>Pictures that were made, as far as they are counted by themselves.</summary>
    public decimal Images { get; init; }

    /// <summary>Seconds of audio that were heard, as far as they are reported.</summary>
    public decimal AudioSeconds { get; init; }

    /// <summary>Characters that were spoken.</summary>
    public decimal Characters { get; init; }

    /// <summary>Searches: of rankings, and those that a provider ran for a model.</summary>
    public decimal Searches { get; init; }

    /// <summary>What the settled attempts cost, as far as known.</summary>
    public Money Cost { get; init; }

    /// <summary>Settled attempts whose cost is unknown.</summary>
    public long UnknownCostCalls { get; init; }

    /// <summary>Attempts that have not been settled: under way, or cut off by the death of a process.</summary>
    public long UnsettledCalls { get; init; }

    /// <summary>What the unsettled attempts have reserved; budgets count it as spent.</summary>
    public Money Reserved { get; init; }

    /// <summary>Mean duration of the settled attempts; null: there are none.</summary>
    public TimeSpan? MeanDuration { get; init; }

    /// <summary>The longest duration of a settled attempt; null: there are none.</summary>
    public TimeSpan? LongestDuration { get; init; }
}

/// <summary>An answer of <see cref="UsageQuery"/>.</summary>
/// <param name="Rows">The groups, in the order asked for; of a time series, span by span.</param>
/// <param name="Truncated">Whether there are more rows than were asked for.</param>
public sealed record UsageReport(IReadOnlyList<UsageRow> Rows, bool Truncated)
{
    /// <summary>Before this moment only sums are kept: calls count at the beginning of their hour (UTC), and minutes cannot be told apart. Null: all attempts are kept.</summary>
    public DateTimeOffset? AttemptsKeptSince { get; init; }

    /// <summary>Before this moment calls count at the beginning of their day (UTC). Null: hours are kept.</summary>
    public DateTimeOffset? HoursKeptSince { get; init; }
}
