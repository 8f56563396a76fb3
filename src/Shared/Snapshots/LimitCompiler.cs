using System.Collections.Immutable;
using Shared.Budgets;
using Shared.Configuration;
using Shared.VirtualKeys;

namespace Shared.Snapshots;

/// <summary>Compiles the limits of one owner; their ids are <c>owner-kind:owner-id/name</c>.</summary>
internal sealed class LimitCompiler(OwnerKind kind, string ownerId, ICollection<ConfigError> errors)
{
    public ImmutableArray<Budget> Budgets(IReadOnlyList<BudgetDeclaration> budgets)
    {
        HashSet<string> ids = [];
        return [.. budgets.Select(budget => new Budget
        {
            Id = IdOf(budget, budget.Per.ToString(), ids),
            Limit = budget.Limit,
            Window = WindowOf(budget, budget.Per, budget.TimeZone),
            Hard = budget.Hard,
            Scope = ScopeOf(budget),
        })];
    }

    public ImmutableArray<RateLimit> RateLimits(IReadOnlyList<RateLimitDeclaration> limits)
    {
        HashSet<string> ids = [];
        var compiled = ImmutableArray.CreateBuilder<RateLimit>();
        foreach (var limit in limits)
        {
            if (limit.Requests is null == limit.Tokens is null)
            {
                errors.Add(limit.Error("", "a rate limit counts either requests or tokens: give one of the two"));
                continue;
            }
            var unit = limit.Requests is null ? RateUnit.Tokens : RateUnit.Requests;
            compiled.Add(new RateLimit
            {
                Id = IdOf(limit, $"{Scalars.CamelCase(unit.ToString())}-{limit.Per}", ids),
                Unit = unit,
                Limit = limit.Requests ?? limit.Tokens ?? 0,
                Window = WindowOf(limit, limit.Per, null),
                Scope = ScopeOf(limit),
            });
        }
        return compiled.ToImmutable();
    }

    public ImmutableArray<ConcurrencyLimit> Concurrency(IReadOnlyList<ConcurrencyDeclaration> limits)
    {
        HashSet<string> ids = [];
        return [.. limits.Select(limit => new ConcurrencyLimit { Id = IdOf(limit, "calls", ids), Limit = limit.Limit, Scope = ScopeOf(limit) })];
    }

    private string IdOf(LimitDeclaration limit, string defaultName, HashSet<string> ids)
    {
        var name = limit.Name ?? defaultName;
        if (limit.Name is not null)
        {
            Names.Check(name, limit, errors, "name");
        }
        var id = $"{Scalars.CamelCase(kind.ToString())}:{ownerId}/{name}";
        if (!ids.Add(id))
        {
            errors.Add(limit.Error("name", $"{Scalars.CamelCase(kind.ToString())} '{ownerId}' has two of these named '{name}'; give them different names"));
        }
        return id;
    }

    private Window WindowOf(LimitDeclaration limit, Per per, string? timeZone)
    {
        TimeZoneInfo? zone = null;
        if (timeZone is not null && per.Calendar is null)
        {
            errors.Add(limit.Error("timeZone", "goes with per: day, week or month; a rolling window has no time zone"));
        }
        else if (timeZone is not null && !TimeZoneInfo.TryFindSystemTimeZoneById(timeZone, out zone))
        {
            errors.Add(limit.Error("timeZone", $"unknown time zone '{timeZone}'; expected a name such as Europe/Berlin"));
        }
        // A window that is missing or wrong was reported already; an hour stands in for it so that the other checks can go on.
        return per.Calendar is { } unit ? Window.Aligned(unit, zone) : Window.Rolling(per.Length == default ? TimeSpan.FromHours(1) : per.Length);
    }

    private static LimitScope? ScopeOf(LimitDeclaration limit) =>
        limit.Providers.Count + limit.Models.Count + limit.Tools.Count == 0 ? null : new LimitScope([.. limit.Providers], [.. limit.Models], [.. limit.Tools]);
}
