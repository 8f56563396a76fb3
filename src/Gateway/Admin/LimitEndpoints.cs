using System.Text.Json;
using Shared.Admission;
using Shared.Budgets;
using Shared.Configuration;
using Shared.VirtualKeys;

namespace Gateway.Admin;

/// <summary><c>/admin/v1/budgets</c> and <c>/admin/v1/limits</c>: every budget and limit with its owner and where it stands.</summary>
internal static class LimitEndpoints
{
    public static Task BudgetsAsync(HttpContext context) => AnswerAsync(context, "budgets",
        (statuses, owner) => statuses.Budgets.Select(status => new Row(status.Budget.Id, json => WriteBudget(json, owner, status, context.Service<TimeProvider>()))));

    public static Task LimitsAsync(HttpContext context) => AnswerAsync(context, "limits", (statuses, owner) =>
        statuses.Rates.Select(use => new Row(use.Limit.Id, json => WriteRate(json, owner, use, context.Service<TimeProvider>())))
            .Concat(statuses.Concurrency.Select(use => new Row(use.Limit.Id, json => WriteConcurrency(json, owner, use)))));

    /// <summary>The budgets that hang on some links, with where they stand.</summary>
    public static void WriteBudgets(Utf8JsonWriter json, HttpContext context, params ReadOnlySpan<Owner> owners)
    {
        json.WriteStartArray("budgets");
        foreach (var owner in owners)
        {
            if (owner.Budgets.IsEmpty)
            {
                continue;
            }
            foreach (var status in StatusOf(context, owner).Budgets)
            {
                WriteBudget(json, owner, status, context.Service<TimeProvider>());
            }
        }
        json.WriteEndArray();
    }

    private static async Task AnswerAsync(HttpContext context, string name, Func<LimitStatuses, Owner, IEnumerable<Row>> rows)
    {
        var snapshot = context.Snapshot();
        var kind = context.Text("owner") switch
        {
            null => (OwnerKind?)null,
            "key" => OwnerKind.Key,
            "user" => OwnerKind.User,
            "team" => OwnerKind.Team,
            "customer" => OwnerKind.Customer,
            var other => throw AdminProblem.BadParameter("owner", $"'owner' must be key, user, team or customer, not '{other}'."),
        };
        var id = context.Text("id");
        // Limits of keys that hold no more limit nothing.
        var owners = snapshot.Owners.Concat(snapshot.Keys.Values.Where(key => key.RevokedAt is null))
            .Where(owner => (kind is null || owner.Kind == kind) && (id is null || owner.Id == id));
        var page = context.Page(owners.SelectMany(owner => rows(StatusOf(context, owner), owner)), row => row.Id);
        await AdminJson.WritePageAsync(context, name, page, (json, row) => row.Write(json));
    }

    private static LimitStatuses StatusOf(HttpContext context, Owner owner) => context.Service<AdmissionController>().LimitsOf(context.Snapshot(), owner);

    private static void WriteBudget(Utf8JsonWriter json, Owner owner, BudgetStatus status, TimeProvider clock)
    {
        var budget = status.Budget;
        WriteHead(json, budget.Id, owner);
        json.WriteNumber("dollars", budget.Limit.Dollars);
        json.WriteNumber("spentDollars", status.Spent.Dollars);
        json.WriteNumber("reservedDollars", status.Reserved.Dollars);
        json.WriteNumber("remainingDollars", Math.Max(0, budget.Limit.Dollars - status.Spent.Dollars - status.Reserved.Dollars));
        json.WriteBoolean("hard", budget.Hard);
        WriteWindow(json, budget.Window, status.Reset, clock);
        WriteScope(json, budget.Scope);
        json.WriteEndObject();
    }

    private static void WriteRate(Utf8JsonWriter json, Owner owner, RateUse use, TimeProvider clock)
    {
        WriteHead(json, use.Limit.Id, owner);
        json.WriteString("counts", use.Limit.Unit == RateUnit.Tokens ? "tokens" : "requests");
        WriteUse(json, use.Limit.Limit, use.Used);
        WriteWindow(json, use.Limit.Window, use.Reset, clock);
        WriteScope(json, use.Limit.Scope);
        json.WriteEndObject();
    }

    private static void WriteConcurrency(Utf8JsonWriter json, Owner owner, ConcurrencyUse use)
    {
        WriteHead(json, use.Limit.Id, owner);
        json.WriteString("counts", "callsInFlight");
        WriteUse(json, use.Limit.Limit, use.InFlight);
        WriteScope(json, use.Limit.Scope);
        json.WriteEndObject();
    }

    private static void WriteHead(Utf8JsonWriter json, string id, Owner owner)
    {
        json.WriteStartObject();
        json.WriteString("id", id);
        json.WriteStartObject("owner");
        json.WriteString("kind", owner.Kind.ToString().ToLowerInvariant());
        json.WriteString("id", owner.Id);
        json.WriteEndObject();
    }

    private static void WriteUse(Utf8JsonWriter json, long limit, long used)
    {
        json.WriteNumber("limit", limit);
        json.WriteNumber("used", used);
        json.WriteNumber("remaining", Math.Max(0, limit - used));
    }

    private static void WriteWindow(Utf8JsonWriter json, Window window, TimeSpan reset, TimeProvider clock)
    {
        json.WriteString("per", new Per(window.Calendar, window.Calendar is null ? window.Length : default).ToString());
        json.WriteNumber("windowSeconds", window.Length.TotalSeconds);
        json.WriteString("alignedTo", window.Calendar?.ToString().ToLowerInvariant());
        json.WriteString("timeZone", window.Calendar is null ? null : window.Zone.Id);
        AdminJson.WriteMoment(json, "resetsAt", reset == TimeSpan.Zero ? null : clock.GetUtcNow() + reset);
    }

    private static void WriteScope(Utf8JsonWriter json, LimitScope? scope)
    {
        if (scope is null)
        {
            json.WriteNull("scope");
            return;
        }
        json.WriteStartObject("scope");
        AdminJson.WriteTexts(json, "providers", scope.Providers);
        AdminJson.WriteTexts(json, "models", scope.Models);
        AdminJson.WriteTexts(json, "tools", scope.Tools);
        json.WriteEndObject();
    }

    private sealed record Row(string Id, Action<Utf8JsonWriter> Write);
}
