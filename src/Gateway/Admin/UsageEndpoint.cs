using System.Text.Json;
using Shared.Http;
using Shared.Ledger;

namespace Gateway.Admin;

/// <summary><c>GET /admin/v1/usage</c>: sums of the ledger, as one table or as a time series, as JSON or CSV.</summary>
internal static class UsageEndpoint
{
    private static readonly string[] Parameters =
    [
        "groupBy", "from", "to", "key", "model", "tool", "provider", "server", "user", "team", "customer", "outcome", "operation", "interval", "timeZone", "fill", "orderBy", "top", "limit", "format",
    ];

    public static async Task AnswerAsync(HttpContext context)
    {
        var query = new QueryReader(context.Request.Query, Parameters);
        var isCsv = CsvAnswer.IsWanted(context, query);
        var request = Parse(query, context.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow());
        if (query.Error is not null)
        {
            await ProblemFormat.Instance.WriteAsync(context, query.Error);
            return;
        }
        var report = await context.RequestServices.GetRequiredService<UsageQuery>().RunAsync(request, context.RequestAborted);
        if (isCsv == true)
        {
            await WriteCsvAsync(context, request, report);
            return;
        }
        await AdminJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            AdminJson.WriteTexts(json, "groupBy", request.GroupBy.Select(QueryReader.NameOf));
            if (request.Interval is { } interval)
            {
                json.WriteString("interval", QueryReader.NameOf(interval));
                json.WriteString("timeZone", request.TimeZone.Id);
                json.WriteString("from", request.From!.Value.UtcDateTime);
                json.WriteString("to", request.To!.Value.UtcDateTime);
            }
            json.WriteStartArray("rows");
            foreach (var row in report.Rows)
            {
                Write(json, row, request.GroupBy);
            }
            json.WriteEndArray();
            json.WriteBoolean("truncated", report.Truncated);
            DataJson.WriteMoment(json, "attemptsKeptSince", report.AttemptsKeptSince);
            DataJson.WriteMoment(json, "hoursKeptSince", report.HoursKeptSince);
            json.WriteEndObject();
        });
    }

    private static UsageRequest Parse(QueryReader query, DateTimeOffset now)
    {
        var dimensions = query.List("groupBy").Select(name => query.Parse<UsageDimension>("groupBy", name) ?? default).ToList();
        if (dimensions.Distinct().Count() != dimensions.Count)
        {
            query.Fail("groupBy", "Usage cannot be grouped by the same thing twice.");
        }
        var interval = query.Choice<UsageInterval>("interval");
        var zone = ZoneOf(query);
        var (from, to) = (query.Moment("from"), query.Moment("to"));
        if (interval is { } length)
        {
            from ??= (to ?? now) - length switch
            {
                UsageInterval.Minute => TimeSpan.FromHours(1),
                UsageInterval.Hour => TimeSpan.FromDays(1),
                UsageInterval.Day => TimeSpan.FromDays(30),
                UsageInterval.Week => TimeSpan.FromDays(84),
                _ => TimeSpan.FromDays(365),
            };
            // To the end of the span under way: a call of this very millisecond began before it, too.
            to ??= UsageQuery.EndOf(now, length, zone);
        }
        if (to <= from)
        {
            query.Fail("to", "'to' must be later than 'from'.");
        }
        if (query.Text("fill") is { } fill && (fill != "zero" || interval is null))
        {
            query.Fail("fill", "'fill' can be 'zero', and only together with 'interval'.");
        }
        if (query.Text("timeZone") is not null && interval is null)
        {
            query.Fail("timeZone", "'timeZone' has a meaning only together with 'interval'.");
        }
        var request = new UsageRequest
        {
            GroupBy = dimensions,
            From = from,
            To = to,
            Key = query.Text("key"),
            Model = query.Text("model"),
            Tool = query.Text("tool"),
            Provider = query.Text("provider"),
            Server = query.Text("server"),
            User = query.Text("user"),
            Team = query.Text("team"),
            Customer = query.Text("customer"),
            Outcome = query.Choice<CallOutcome>("outcome"),
            Operation = query.Choice<CallKind>("operation"),
            Interval = interval,
            TimeZone = zone,
            FillZero = query.Text("fill") is not null,
            OrderBy = query.Choice<UsageOrder>("orderBy") ?? UsageOrder.Group,
            Top = query.Number("top", 1, UsageQuery.MaxTop),
            Limit = query.Number("limit", 1, UsageQuery.MaxRows) ?? UsageQuery.MaxRows,
        };
        if (query.Error is null && interval is not null && UsageQuery.CountPoints(request) > UsageQuery.MaxPoints)
        {
            query.Fail("interval", $"The time series would have more than {UsageQuery.MaxPoints} points; take a longer interval, or a shorter span.");
        }
        return request;
    }

    private static TimeZoneInfo ZoneOf(QueryReader query)
    {
        if (query.Text("timeZone") is not { } id)
        {
            return TimeZoneInfo.Utc;
        }
        if (!TimeZoneInfo.TryFindSystemTimeZoneById(id, out var zone))
        {
            query.Fail("timeZone", $"There is no time zone '{id}'; give one like Europe/Berlin or UTC.");
        }
        return zone ?? TimeZoneInfo.Utc;
    }

    private static void Write(Utf8JsonWriter json, UsageRow row, IReadOnlyList<UsageDimension> dimensions)
    {
        json.WriteStartObject();
        if (row.Start is { } start)
        {
            json.WriteString("start", start.UtcDateTime);
        }
        for (var i = 0; i < dimensions.Count; i++)
        {
            json.WriteString(QueryReader.NameOf(dimensions[i]), row.Group[i]);
        }
        json.WriteNumber("calls", row.Calls);
        json.WriteNumber("failed", row.Failed);
        json.WriteNumber("inputTokens", row.InputTokens);
        json.WriteNumber("cachedTokens", row.CachedTokens);
        json.WriteNumber("outputTokens", row.OutputTokens);
        json.WriteNumber("images", Plain(row.Images));
        json.WriteNumber("audioSeconds", Plain(row.AudioSeconds));
        json.WriteNumber("characters", Plain(row.Characters));
        json.WriteNumber("searches", Plain(row.Searches));
        json.WriteNumber("costDollars", row.Cost.Dollars);
        json.WriteNumber("unknownCostCalls", row.UnknownCostCalls);
        json.WriteNumber("unsettledCalls", row.UnsettledCalls);
        json.WriteNumber("reservedDollars", row.Reserved.Dollars);
        DataJson.WriteMilliseconds(json, "meanDurationMs", row.MeanDuration);
        DataJson.WriteMilliseconds(json, "longestDurationMs", row.LongestDuration);
        json.WriteEndObject();
    }

    // Without zeros at the end: 3, and not 3.000.
    private static decimal Plain(decimal units) => units / 1.000m;

    private static async Task WriteCsvAsync(HttpContext context, UsageRequest request, UsageReport report)
    {
        if (report.Truncated)
        {
            context.Response.Headers["x-truncated"] = "true";
        }
        await using var csv = CsvAnswer.Begin(context, "usage.csv");
        string[] columns =
        [
            .. request.Interval is null ? Array.Empty<string>() : ["start"], .. request.GroupBy.Select(QueryReader.NameOf), "calls", "failed", "inputTokens", "cachedTokens", "outputTokens",
            "costDollars", "unknownCostCalls", "unsettledCalls", "reservedDollars", "meanDurationMs", "longestDurationMs", "images", "audioSeconds", "characters", "searches",
        ];
        foreach (var column in columns)
        {
            csv.Add(column);
        }
        await csv.EndRowAsync();
        foreach (var row in report.Rows)
        {
            if (request.Interval is not null)
            {
                csv.Add(row.Start);
            }
            foreach (var value in row.Group)
            {
                csv.Add(value);
            }
            csv.Add(row.Calls).Add(row.Failed).Add(row.InputTokens).Add(row.CachedTokens).Add(row.OutputTokens).Add(row.Cost.Dollars).Add(row.UnknownCostCalls).Add(row.UnsettledCalls)
                .Add(row.Reserved.Dollars).Add(DataJson.Milliseconds(row.MeanDuration)).Add(DataJson.Milliseconds(row.LongestDuration))
                .Add(Plain(row.Images)).Add(Plain(row.AudioSeconds)).Add(Plain(row.Characters)).Add(Plain(row.Searches));
            await csv.EndRowAsync();
        }
    }
}
