using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Primitives;
using Shared.Http;
using Shared.Ledger;

namespace Gateway.Admin;

/// <summary><c>GET /admin/v1/usage</c>: sums of the ledger.</summary>
internal static class UsageEndpoint
{
    private static readonly string[] Parameters = ["groupBy", "from", "to", "key", "model", "tool", "limit"];

    public static async Task AnswerAsync(HttpContext context)
    {
        var (request, error) = Parse(context.Request.Query);
        if (request is null)
        {
            await ProblemFormat.Instance.WriteAsync(context, error!);
            return;
        }
        var report = await context.RequestServices.GetRequiredService<UsageQuery>().RunAsync(request, context.RequestAborted);
        await AdminJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            AdminJson.WriteTexts(json, "groupBy", request.GroupBy.Select(NameOf));
            json.WriteStartArray("rows");
            foreach (var row in report.Rows)
            {
                Write(json, row, request.GroupBy);
            }
            json.WriteEndArray();
            json.WriteBoolean("truncated", report.Truncated);
            json.WriteEndObject();
        });
    }

    private static (UsageRequest? Request, GatewayError? Error) Parse(IQueryCollection query)
    {
        if (query.Keys.FirstOrDefault(name => !Parameters.Contains(name)) is { } unknown)
        {
            return (null, Bad(unknown, $"There is no parameter '{unknown}'; known are {string.Join(", ", Parameters)}."));
        }
        var dimensions = new List<UsageDimension>();
        foreach (var name in Texts(query["groupBy"]))
        {
            if (!Enum.GetValues<UsageDimension>().Any(known => NameOf(known) == name))
            {
                return (null, Bad("groupBy", $"Usage cannot be grouped by '{name}'; possible are {string.Join(", ", Enum.GetValues<UsageDimension>().Select(NameOf))}."));
            }
            dimensions.Add(Enum.Parse<UsageDimension>(name, ignoreCase: true));
        }
        if (dimensions.Distinct().Count() != dimensions.Count)
        {
            return (null, Bad("groupBy", "Usage cannot be grouped by the same thing twice."));
        }
        if (!TryMoment(query["from"], out var from))
        {
            return (null, Bad("from", "'from' must be a date or a moment like 2026-01-31 or 2026-01-31T12:00:00Z."));
        }
        if (!TryMoment(query["to"], out var to) || to <= from)
        {
            return (null, Bad("to", "'to' must be a date or a moment like 2026-01-31 or 2026-01-31T12:00:00Z, and later than 'from'."));
        }
        var limit = UsageQuery.MaxRows;
        if (query["limit"] is { Count: > 0 } sent && (!int.TryParse(sent, NumberStyles.None, CultureInfo.InvariantCulture, out limit) || limit is < 1 or > UsageQuery.MaxRows))
        {
            return (null, Bad("limit", $"'limit' must be 1 to {UsageQuery.MaxRows}."));
        }
        return (new UsageRequest { GroupBy = dimensions, From = from, To = to, Key = One(query["key"]), Model = One(query["model"]), Tool = One(query["tool"]), Limit = limit }, null);
    }

    private static void Write(Utf8JsonWriter json, UsageRow row, IReadOnlyList<UsageDimension> dimensions)
    {
        json.WriteStartObject();
        for (var i = 0; i < dimensions.Count; i++)
        {
            json.WriteString(NameOf(dimensions[i]), row.Group[i]);
        }
        json.WriteNumber("calls", row.Calls);
        json.WriteNumber("failed", row.Failed);
        json.WriteNumber("inputTokens", row.InputTokens);
        json.WriteNumber("cachedTokens", row.CachedTokens);
        json.WriteNumber("outputTokens", row.OutputTokens);
        json.WriteNumber("costDollars", row.Cost.Dollars);
        json.WriteNumber("unknownCostCalls", row.UnknownCostCalls);
        json.WriteNumber("unsettledCalls", row.UnsettledCalls);
        json.WriteNumber("reservedDollars", row.Reserved.Dollars);
        json.WriteEndObject();
    }

    private static IEnumerable<string> Texts(StringValues values) =>
        values.SelectMany(value => (value ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));

    private static bool TryMoment(StringValues values, out DateTimeOffset? moment)
    {
        moment = null;
        if (values.Count == 0)
        {
            return true;
        }
        if (!DateTimeOffset.TryParse(values.ToString(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var parsed))
        {
            return false;
        }
        moment = parsed;
        return true;
    }

    private static string? One(StringValues values) => values.Count == 0 ? null : values.ToString();

    private static string NameOf(UsageDimension dimension) => dimension.ToString().ToLowerInvariant();

    private static GatewayError Bad(string field, string message) => new(StatusCodes.Status400BadRequest, "invalid_parameter", message) { Field = field };
}
