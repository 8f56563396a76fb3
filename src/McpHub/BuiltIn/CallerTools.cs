using System.Text.Json;
using McpHub.Catalog;
using Shared.Admission;
using Shared.Http;
using Shared.VirtualKeys;

namespace McpHub.BuiltIn;

/// <summary><c>whoami</c>: the caller's key and its owners.</summary>
internal sealed class WhoAmITool : BuiltInTool
{
    public override string Name => "whoami";

    public override ReadOnlyMemory<byte> Definition { get; } = """
        {"name":"whoami","title":"Who am I","description":"Tells which virtual key this connection uses: its id, name, owners, and when it expires.","inputSchema":{"type":"object","properties":{},"additionalProperties":false},"outputSchema":{"type":"object","properties":{"key":{"type":"string"},"name":{"type":"string"},"user":{"type":"string"},"team":{"type":"string"},"customer":{"type":"string"},"expiresAt":{"type":"string","format":"date-time"}},"required":["key","name"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}
        """u8.ToArray();

    public override string? Run(GatewayRequest caller, JsonElement arguments, Utf8JsonWriter answer)
    {
        var key = caller.Key!;
        answer.WriteStartObject();
        answer.WriteString("key", key.Id);
        answer.WriteString("name", key.Name);
        foreach (var (name, kind) in ((string, OwnerKind)[])[("user", OwnerKind.User), ("team", OwnerKind.Team), ("customer", OwnerKind.Customer)])
        {
            if (key.IdOf(kind) is { } id)
            {
                answer.WriteString(name, id);
            }
        }
        if (key.ExpiresAt is { } expiry)
        {
            answer.WriteString("expiresAt", expiry);
        }
        answer.WriteEndObject();
        return null;
    }
}

/// <summary><c>list_allowed</c>: the models and tools that the caller may use.</summary>
internal sealed class ListAllowedTool(Func<IToolViews> views) : BuiltInTool
{
    public override string Name => "list_allowed";

    public override ReadOnlyMemory<byte> Definition { get; } = """
        {"name":"list_allowed","title":"What may I use","description":"Lists the models and the tools that this key may use. Models of a provider that are not listed may still be allowed by one of the patterns.","inputSchema":{"type":"object","properties":{},"additionalProperties":false},"outputSchema":{"type":"object","properties":{"models":{"type":"array","items":{"type":"string"}},"modelPatterns":{"type":"array","items":{"type":"string"}},"tools":{"type":"array","items":{"type":"string"}}},"required":["models","modelPatterns","tools"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}
        """u8.ToArray();

    public override string? Run(GatewayRequest caller, JsonElement arguments, Utf8JsonWriter answer)
    {
        var (key, snapshot) = (caller.Key!, caller.Snapshot);
        var known = snapshot.Routes.Keys.Concat(snapshot.Providers.Values.SelectMany(provider => provider.Models.Select(model => $"{provider.Id}/{model}")));
        answer.WriteStartObject();
        WriteList(answer, "models", known.Where(name => IsGranted(key, name)).Order(StringComparer.Ordinal));
        WriteList(answer, "modelPatterns", key.Grants?.Models ?? []);
        WriteList(answer, "tools", views().ViewOf(snapshot, key).Tools.Keys.Order(StringComparer.Ordinal));
        answer.WriteEndObject();
        return null;
    }

    private static bool IsGranted(VirtualKey key, string model)
    {
        for (Owner? owner = key; owner is not null; owner = owner.Parent)
        {
            if ((owner.Grants ?? (owner == key ? Grants.None : null)) is { } grants && !grants.AllowsModel(model))
            {
                return false;
            }
        }
        return true;
    }

    private static void WriteList(Utf8JsonWriter answer, string name, IEnumerable<string> values)
    {
        answer.WriteStartArray(name);
        foreach (var value in values)
        {
            answer.WriteStringValue(value);
        }
        answer.WriteEndArray();
    }
}

/// <summary><c>spend</c>: where the caller's budgets stand.</summary>
internal sealed class SpendTool(AdmissionController admission) : BuiltInTool
{
    public override string Name => "spend";

    public override ReadOnlyMemory<byte> Definition { get; } = """
        {"name":"spend","title":"What have I spent","description":"Tells for each budget that this key's calls count against: its limit, what is spent and what calls in flight hold, in US dollars, and in how many seconds its window is empty again.","inputSchema":{"type":"object","properties":{},"additionalProperties":false},"outputSchema":{"type":"object","properties":{"budgets":{"type":"array","items":{"type":"object","properties":{"id":{"type":"string"},"limit":{"type":"number"},"spent":{"type":"number"},"reserved":{"type":"number"},"left":{"type":"number"},"hard":{"type":"boolean"},"resetSeconds":{"type":"number"}},"required":["id","limit","spent","reserved","left","hard","resetSeconds"]}}},"required":["budgets"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}
        """u8.ToArray();

    public override string? Run(GatewayRequest caller, JsonElement arguments, Utf8JsonWriter answer)
    {
        answer.WriteStartObject();
        answer.WriteStartArray("budgets");
        foreach (var status in admission.BudgetsOf(caller))
        {
            answer.WriteStartObject();
            answer.WriteString("id", status.Budget.Id);
            answer.WriteNumber("limit", status.Budget.Limit.Dollars);
            answer.WriteNumber("spent", status.Spent.Dollars);
            answer.WriteNumber("reserved", status.Reserved.Dollars);
            answer.WriteNumber("left", Math.Max(0, (status.Budget.Limit - status.Spent - status.Reserved).Dollars));
            answer.WriteBoolean("hard", status.Budget.Hard);
            answer.WriteNumber("resetSeconds", Math.Ceiling(status.Reset.TotalSeconds));
            answer.WriteEndObject();
        }
        answer.WriteEndArray();
        answer.WriteEndObject();
        return null;
    }
}

/// <summary><c>current_time</c>: the time, in UTC and in a time zone.</summary>
internal sealed class CurrentTimeTool(TimeProvider clock) : BuiltInTool
{
    public override string Name => "current_time";

    public override ReadOnlyMemory<byte> Definition { get; } = """
        {"name":"current_time","title":"Current time","description":"Tells the current date and time in UTC, and in a time zone where one is given.","inputSchema":{"type":"object","properties":{"timeZone":{"type":"string","description":"IANA time zone, e.g. Europe/Berlin"}},"additionalProperties":false},"outputSchema":{"type":"object","properties":{"utc":{"type":"string","format":"date-time"},"local":{"type":"string","format":"date-time"},"timeZone":{"type":"string"}},"required":["utc"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}
        """u8.ToArray();

    public override string? Run(GatewayRequest caller, JsonElement arguments, Utf8JsonWriter answer)
    {
        var now = clock.GetUtcNow();
        TimeZoneInfo? zone = null;
        if (arguments.ValueKind == JsonValueKind.Object && arguments.TryGetProperty("timeZone", out var wanted))
        {
            if (wanted.ValueKind != JsonValueKind.String || !TimeZoneInfo.TryFindSystemTimeZoneById(wanted.GetString()!, out zone))
            {
                return "'timeZone' is not a time zone known here. Give an IANA name such as 'Europe/Berlin', or leave it out for UTC.";
            }
        }
        answer.WriteStartObject();
        answer.WriteString("utc", now);
        if (zone is not null)
        {
            answer.WriteString("local", TimeZoneInfo.ConvertTime(now, zone));
            answer.WriteString("timeZone", zone.Id);
        }
        answer.WriteEndObject();
        return null;
    }
}
