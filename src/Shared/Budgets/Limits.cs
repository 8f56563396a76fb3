using System.Collections.Immutable;
using Shared.Pricing;
using Shared.VirtualKeys;

namespace Shared.Budgets;

/// <summary>A span of time over which a budget or rate limit counts. Windows are computed from the clock; nothing resets them.</summary>
public sealed record Window
{
    private Window(TimeSpan length, CalendarUnit? calendar, TimeZoneInfo zone) => (Length, Calendar, Zone) = (length, calendar, zone);

    /// <summary>Length of a rolling window; for a calendar window its nominal length.</summary>
    public TimeSpan Length { get; }

    /// <summary>The calendar unit that the window is aligned to; null for a rolling window.</summary>
    public CalendarUnit? Calendar { get; }

    /// <summary>The time zone whose midnight a calendar window begins at.</summary>
    public TimeZoneInfo Zone { get; }

    /// <summary>A window that always covers the last <paramref name="length"/>, between one second and 366 days.</summary>
    public static Window Rolling(TimeSpan length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, TimeSpan.FromSeconds(1));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, TimeSpan.FromDays(366));
        return new Window(length, null, TimeZoneInfo.Utc);
    }

    /// <summary>A window that begins with each calendar unit in a time zone (weeks begin on Monday).</summary>
    public static Window Aligned(CalendarUnit unit, TimeZoneInfo? zone = null) => new(unit switch
    {
        CalendarUnit.Hour => TimeSpan.FromHours(1),
        CalendarUnit.Day => TimeSpan.FromDays(1),
        CalendarUnit.Week => TimeSpan.FromDays(7),
        _ => TimeSpan.FromDays(31),
    }, unit, zone ?? TimeZoneInfo.Utc);

    /// <summary>Start and end of the calendar window that holds a moment. Days of 23 and 25 hours are as long as they are.</summary>
    /// <exception cref="InvalidOperationException">The window is a rolling one.</exception>
    public (DateTimeOffset Start, DateTimeOffset End) BoundsAt(DateTimeOffset moment)
    {
        var unit = Calendar ?? throw new InvalidOperationException("A rolling window has no fixed bounds.");
        var local = TimeZoneInfo.ConvertTime(moment, Zone).DateTime;
        if (unit == CalendarUnit.Hour)
        {
            var start = moment.ToUniversalTime();
            start = start.AddTicks(-(start.Ticks % TimeSpan.TicksPerHour));
            return (start, start.AddHours(1));
        }
        var first = unit switch
        {
            CalendarUnit.Day => local.Date,
            CalendarUnit.Week => local.Date.AddDays(-(((int)local.DayOfWeek + 6) % 7)),
            _ => new DateTime(local.Year, local.Month, 1, 0, 0, 0, DateTimeKind.Unspecified),
        };
        var next = unit switch
        {
            CalendarUnit.Day => first.AddDays(1),
            CalendarUnit.Week => first.AddDays(7),
            _ => first.AddMonths(1),
        };
        return (ToUtc(first), ToUtc(next));
    }

    private DateTimeOffset ToUtc(DateTime local)
    {
        // Where midnight does not exist (clocks go forward at midnight), the day begins at the first moment that does.
        while (Zone.IsInvalidTime(local))
        {
            local = local.AddMinutes(15);
        }
        return new DateTimeOffset(local, Zone.IsAmbiguousTime(local) ? Zone.GetAmbiguousTimeOffsets(local).Max() : Zone.GetUtcOffset(local)).ToUniversalTime();
    }
}

/// <summary>A calendar unit that a window can be aligned to.</summary>
public enum CalendarUnit
{
    /// <summary>From the full hour, UTC.</summary>
    Hour,

    /// <summary>From midnight.</summary>
    Day,

    /// <summary>From Monday's midnight.</summary>
    Week,

    /// <summary>From the first of the month.</summary>
    Month,
}

/// <summary>Narrows a limit to some calls: those whose provider, model or tool matches. A limit with a scope is taken for each attempt, one without for each request.</summary>
/// <param name="Providers">Globs over provider ids; empty: any.</param>
/// <param name="Models">Globs over <c>provider/model</c>; empty: any.</param>
/// <param name="Tools">Globs over <c>server/tool</c>, the upstream's own names; empty: any.</param>
public sealed record LimitScope(ImmutableArray<string> Providers, ImmutableArray<string> Models, ImmutableArray<string> Tools)
{
    /// <summary>Whether the scope covers a model call.</summary>
    public bool CoversModel(string provider, string model) =>
        (Providers.IsEmpty || Matches(Providers, provider)) && (Models.IsEmpty || MatchesModel(provider, model)) && (Tools.IsEmpty || !Models.IsEmpty || !Providers.IsEmpty);

    /// <summary>Whether the scope covers a tool call.</summary>
    public bool CoversTool(string server, string tool) =>
        !Tools.IsEmpty && Matches(Tools, $"{server}/{tool}");

    private bool MatchesModel(string provider, string model) => Matches(Models, $"{provider}/{model}");

    private static bool Matches(ImmutableArray<string> globs, string text)
    {
        foreach (var glob in globs)
        {
            if (Glob.IsMatch(glob, text))
            {
                return true;
            }
        }
        return false;
    }
}

/// <summary>Money that an owner may spend in a window.</summary>
public sealed record Budget
{
    /// <summary>Stable id, unique among budgets: counters and the ledger's sums hang on it. By convention <c>owner-kind:owner-id/name</c>.</summary>
    public required string Id { get; init; }

    /// <summary>The most that may be spent in one window.</summary>
    public required Money Limit { get; init; }

    /// <summary>The window.</summary>
    public required Window Window { get; init; }

    /// <summary>
    /// Hard (the default): a call is admitted only with its highest possible price reserved, so the limit is never passed.
    /// Soft: a call is admitted while less than the limit is spent; the last calls may pass it.
    /// </summary>
    public bool Hard { get; init; } = true;

    /// <summary>The calls that the budget covers; null: all of its owner's.</summary>
    public LimitScope? Scope { get; init; }
}

/// <summary>What a rate limit counts.</summary>
public enum RateUnit
{
    /// <summary>Requests.</summary>
    Requests,

    /// <summary>Tokens, input and output together: an estimate while the call runs, the reported figure afterwards.</summary>
    Tokens,
}

/// <summary>Requests or tokens that an owner may use in a window.</summary>
public sealed record RateLimit
{
    /// <summary>Stable id, unique among rate limits.</summary>
    public required string Id { get; init; }

    /// <summary>What is counted.</summary>
    public required RateUnit Unit { get; init; }

    /// <summary>The most of it in one window.</summary>
    public required long Limit { get; init; }

    /// <summary>The window.</summary>
    public required Window Window { get; init; }

    /// <summary>The calls that the limit covers; null: all of its owner's.</summary>
    public LimitScope? Scope { get; init; }
}

/// <summary>Calls that an owner may have in flight at once.</summary>
public sealed record ConcurrencyLimit
{
    /// <summary>Stable id, unique among concurrency limits.</summary>
    public required string Id { get; init; }

    /// <summary>The most calls in flight.</summary>
    public required int Limit { get; init; }

    /// <summary>The calls that the limit covers; null: all of its owner's.</summary>
    public LimitScope? Scope { get; init; }
}
