using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;

namespace Gateway.Admin;

/// <summary><c>/admin/v1/ledger</c>: the attempts themselves.</summary>
internal static class LedgerEndpoints
{
    /// <summary>The most rows of a CSV answer that gives no limit.</summary>
    private const int MaxCsvRows = 1_000_000;

    private const string CursorMark = "l1.";

    private static readonly string[] Parameters =
    [
        "key", "user", "team", "customer", "provider", "model", "server", "tool", "outcome", "status", "error", "from", "to", "minCost", "requestId", "traceId", "cursor", "limit", "format",
    ];

    public static async Task SearchAsync(HttpContext context)
    {
        var query = new QueryReader(context.Request.Query, Parameters);
        var isCsv = CsvAnswer.IsWanted(context, query) == true;
        var limit = query.Number("limit", 1, isCsv ? MaxCsvRows : LedgerQuery.MaxRows);
        var request = Parse(query);
        if (query.Error is not null)
        {
            await ProblemFormat.Instance.WriteAsync(context, query.Error);
            return;
        }
        if (isCsv)
        {
            await WriteCsvAsync(context, request, limit ?? MaxCsvRows);
            return;
        }
        var page = await Query(context).SearchAsync(request with { Limit = limit ?? request.Limit }, context.RequestAborted);
        await AdminJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteStartArray("attempts");
            foreach (var entry in page.Entries)
            {
                Write(json, entry);
            }
            json.WriteEndArray();
            json.WriteString("nextCursor", CursorOf(page.Next));
            json.WriteEndObject();
        });
    }

    public static async Task FindAsync(HttpContext context)
    {
        var text = DataJson.Route(context, "id");
        var entries = Guid.TryParseExact(text, "D", out var id) ? await Query(context).FindAsync(id, context.RequestAborted) : [];
        if (entries.FirstOrDefault(entry => entry.Id == id) is not { } found)
        {
            await ProblemFormat.Instance.WriteAsync(context, new GatewayError(StatusCodes.Status404NotFound, "unknown_attempt",
                $"There is no attempt '{text}' in the ledger. It may be older than the ledger is kept ('retention.ledger').") { Field = "id" });
            return;
        }
        await AdminJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WritePropertyName("attempt");
            Write(json, found);
            json.WriteStartArray("request");
            foreach (var entry in entries)
            {
                Write(json, entry);
            }
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    private static LedgerRequest Parse(QueryReader query)
    {
        var (from, to) = (query.Moment("from"), query.Moment("to"));
        if (to <= from)
        {
            query.Fail("to", "'to' must be later than 'from'.");
        }
        return new LedgerRequest
        {
            Key = query.Text("key"),
            User = query.Text("user"),
            Team = query.Text("team"),
            Customer = query.Text("customer"),
            Provider = query.Text("provider"),
            Model = Full(query, "model", "provider/model"),
            Server = query.Text("server"),
            Tool = Full(query, "tool", "server/tool"),
            Outcome = query.Choice<CallOutcome>("outcome"),
            Status = query.Number("status", 0, 999),
            Error = query.Text("error"),
            From = from,
            To = to,
            MinCost = CostOf(query),
            RequestId = query.Text("requestId"),
            TraceId = TraceOf(query),
            Before = PlaceOf(query),
        };
    }

    private static string? Full(QueryReader query, string name, string form)
    {
        if (query.Text(name) is { } text && !text.Contains('/', StringComparison.Ordinal))
        {
            query.Fail(name, $"'{name}' must have the form {form}.");
        }
        return query.Text(name);
    }

    private static Money? CostOf(QueryReader query)
    {
        if (query.Text("minCost") is not { } text)
        {
            return null;
        }
        if (decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var dollars) && dollars <= Money.MaxValue.Dollars)
        {
            return Money.FromDollars(dollars);
        }
        query.Fail("minCost", "'minCost' must be an amount of US dollars such as 0.25.");
        return null;
    }

    private static byte[]? TraceOf(QueryReader query)
    {
        if (query.Text("traceId") is not { } text)
        {
            return null;
        }
        if (text.Length == 32 && text.All(char.IsAsciiHexDigit))
        {
            return Convert.FromHexString(text);
        }
        query.Fail("traceId", "'traceId' must be 32 hex digits, as in the second part of a traceparent header.");
        return null;
    }

    private static string? CursorOf(long? place) => place is { } known ? Base64Url.EncodeToString(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{CursorMark}{known}"))) : null;

    private static long? PlaceOf(QueryReader query)
    {
        if (query.Text("cursor") is not { } cursor)
        {
            return null;
        }
        Span<byte> bytes = stackalloc byte[64];
        if (cursor.Length <= 64 && Base64Url.TryDecodeFromChars(cursor, bytes, out var length) && Encoding.ASCII.GetString(bytes[..length]) is var text
            && text.StartsWith(CursorMark, StringComparison.Ordinal) && long.TryParse(text.AsSpan(CursorMark.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var place))
        {
            return place;
        }
        query.Fail("cursor", "'cursor' must be the 'nextCursor' of an answer, unchanged.");
        return null;
    }

    private static void Write(Utf8JsonWriter json, LedgerEntry entry)
    {
        json.WriteStartObject();
        json.WriteString("id", entry.Id);
        json.WriteString("startedAt", entry.StartedAt.UtcDateTime);
        json.WriteString("operation", QueryReader.NameOf(entry.Kind));
        json.WriteString("requestId", entry.RequestId);
        json.WriteString("traceId", entry.TraceId);
        json.WriteNumber("attempt", entry.Index);
        json.WriteString("key", entry.Key);
        json.WriteString("user", entry.User);
        json.WriteString("team", entry.Team);
        json.WriteString("customer", entry.Customer);
        json.WriteString("requestedName", entry.RequestedName);
        json.WriteString(entry.Kind == CallKind.Tool ? "server" : "provider", entry.Upstream);
        json.WriteString(entry.Kind == CallKind.Tool ? "tool" : "model", entry.Name);
        json.WriteString("servedModel", entry.ServedModel);
        json.WriteBoolean("settled", entry.Settled);
        json.WriteString("outcome", QueryReader.NameOf(entry.Outcome));
        json.WriteNumber("status", entry.Status);
        json.WriteString("error", entry.Error);
        json.WriteString("usageSource", QueryReader.NameOf(entry.Source));
        json.WriteStartObject("tokens");
        json.WriteNumber("input", entry.Usage.Input);
        json.WriteNumber("cacheRead", entry.Usage.CacheRead);
        json.WriteNumber("cacheWrite", entry.Usage.CacheWrite);
        json.WriteNumber("cacheWrite1h", entry.Usage.CacheWrite1h);
        json.WriteNumber("audioInput", entry.Usage.AudioInput);
        json.WriteNumber("imageInput", entry.Usage.ImageInput);
        json.WriteNumber("output", entry.Usage.Output);
        json.WriteNumber("reasoning", entry.Usage.Reasoning);
        json.WriteNumber("audioOutput", entry.Usage.AudioOutput);
        json.WriteNumber("imageOutput", entry.Usage.ImageOutput);
        json.WriteEndObject();
        WriteUnits(json, entry.Usage.Units);
        if (entry.Cost is { } cost)
        {
            json.WriteNumber("costDollars", cost.Dollars);
        }
        else
        {
            json.WriteNull("costDollars");
        }
        json.WriteNumber("reservedDollars", entry.Reserved.Dollars);
        json.WriteNumber("reservedTokens", entry.ReservedTokens);
        DataJson.WriteMilliseconds(json, "durationMs", entry.Duration);
        json.WriteString("priceVersion", entry.PriceVersion);
        json.WriteString("revision", entry.Revision);
        json.WriteEndObject();
    }

    private static void WriteUnits(Utf8JsonWriter json, in UnitUsage units)
    {
        if (units.Kind == UnitKind.None)
        {
            json.WriteNull("units");
            return;
        }
        json.WriteStartObject("units");
        json.WriteString("kind", NameOf(units.Kind));
        json.WriteNumber("count", CountOf(units));
        json.WriteString("variant", units.Variant);
        json.WriteEndObject();
    }

    private static string NameOf(UnitKind kind) => JsonNamingPolicy.CamelCase.ConvertName(kind.ToString());

    // Without zeros at the end: 3, and not 3.000.
    private static decimal CountOf(in UnitUsage units) => units.Thousandths / 1000m / 1.000m;

    // Page by page, so that a slow client holds no transaction open and no more than a page in memory.
    private static async Task WriteCsvAsync(HttpContext context, LedgerRequest request, int limit)
    {
        var page = await Query(context).SearchAsync(request with { Limit = Math.Min(limit, LedgerQuery.MaxRows) }, context.RequestAborted);
        await using var csv = CsvAnswer.Begin(context, "ledger.csv");
        string[] columns =
        [
            "id", "startedAt", "operation", "requestId", "traceId", "attempt", "key", "user", "team", "customer", "requestedName", "upstream", "name", "servedModel", "settled", "outcome", "status", "error",
            "usageSource", "input", "cacheRead", "cacheWrite", "audioInput", "output", "reasoning", "audioOutput", "costDollars", "reservedDollars", "reservedTokens", "durationMs", "priceVersion", "revision",
            "cacheWrite1h", "imageInput", "imageOutput", "unit", "units", "unitVariant",
        ];
        foreach (var column in columns)
        {
            csv.Add(column);
        }
        await csv.EndRowAsync();
        while (true)
        {
            foreach (var entry in page.Entries)
            {
                var isCounted = entry.Usage.Units.Kind != UnitKind.None;
                csv.Add(entry.Id.ToString()).Add(entry.StartedAt).Add(QueryReader.NameOf(entry.Kind)).Add(entry.RequestId).Add(entry.TraceId).Add(entry.Index).Add(entry.Key).Add(entry.User).Add(entry.Team)
                    .Add(entry.Customer).Add(entry.RequestedName).Add(entry.Upstream).Add(entry.Name).Add(entry.ServedModel).Add(entry.Settled ? "true" : "false").Add(QueryReader.NameOf(entry.Outcome))
                    .Add(entry.Status).Add(entry.Error).Add(QueryReader.NameOf(entry.Source)).Add(entry.Usage.Input).Add(entry.Usage.CacheRead).Add(entry.Usage.CacheWrite).Add(entry.Usage.AudioInput)
                    .Add(entry.Usage.Output).Add(entry.Usage.Reasoning).Add(entry.Usage.AudioOutput).Add(entry.Cost?.Dollars).Add(entry.Reserved.Dollars).Add(entry.ReservedTokens)
                    .Add(DataJson.Milliseconds(entry.Duration)).Add(entry.PriceVersion).Add(entry.Revision)
                    .Add(entry.Usage.CacheWrite1h).Add(entry.Usage.ImageInput).Add(entry.Usage.ImageOutput)
                    .Add(isCounted ? NameOf(entry.Usage.Units.Kind) : null).Add(isCounted ? CountOf(entry.Usage.Units) : (decimal?)null).Add(entry.Usage.Units.Variant);
                await csv.EndRowAsync();
            }
            limit -= page.Entries.Count;
            if (page.Next is not { } next || limit <= 0)
            {
                return;
            }
            page = await Query(context).SearchAsync(request with { Before = next, Limit = Math.Min(limit, LedgerQuery.MaxRows) }, context.RequestAborted);
        }
    }

    private static LedgerQuery Query(HttpContext context) => context.RequestServices.GetRequiredService<LedgerQuery>();
}
