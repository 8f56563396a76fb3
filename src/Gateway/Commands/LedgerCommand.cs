using System.CommandLine;
using System.Text.Json;

namespace Gateway.Commands;

/// <summary><c>gateway ledger</c>: the attempts themselves, the newest first.</summary>
internal static class LedgerCommand
{
    private static readonly (string Option, string Parameter, string Help)[] Filters =
    [
        ("--from", "from", "Calls that began at or after this date or moment."),
        ("--to", "to", "Calls that began before this date or moment."),
        ("--key", "key", "Only this key's calls, by its id."),
        ("--user", "user", "Only this user's calls."),
        ("--team", "team", "Only this team's calls."),
        ("--customer", "customer", "Only this customer's calls."),
        ("--provider", "provider", "Only calls of this provider."),
        ("--model", "model", "Only calls of this model, as provider/model."),
        ("--server", "server", "Only calls of this tool server."),
        ("--tool", "tool", "Only calls of this tool, as server/tool."),
        ("--outcome", "outcome", "Only calls that ended so: started, succeeded, failed, broken, cancelled, refused."),
        ("--status", "status", "Only calls that the upstream answered with this HTTP status."),
        ("--error", "error", "Only calls with this short code of an error."),
        ("--min-cost", "minCost", "Only calls that cost at least so many dollars."),
        ("--request", "requestId", "Only the attempts of this request, by its x-request-id."),
        ("--trace", "traceId", "Only the attempts in this trace, 32 hex digits."),
        ("--cursor", "cursor", "Where the page before ended."),
    ];

    public static Command Create(TextWriter output, TextWriter error)
    {
        var access = new GatewayAccess(error);
        var id = new Argument<string?>("id") { Description = "Show one attempt, with all attempts of its request.", Arity = ArgumentArity.ZeroOrOne };
        var limit = new Option<int?>("--limit") { Description = "The most attempts [default: 100; with --csv: 1,000,000].", HelpName = "number" };
        var csv = new Option<bool>("--csv") { Description = "Print CSV." };
        var command = new Command("ledger", "Search the ledger of the running gateway, the newest attempts first.") { id, limit, csv };
        var filters = Filters.Select(filter => (filter.Parameter, Option: new Option<string?>(filter.Option) { Description = filter.Help, HelpName = "value" })).ToList();
        filters.ForEach(filter => command.Options.Add(filter.Option));
        access.AddTo(command);
        command.SetAction((result, cancellationToken) => access.RunAsync(result, async client =>
        {
            if (result.GetValue(id) is { } one)
            {
                using var found = await client.SendAsync(HttpMethod.Get, $"admin/v1/ledger/{Uri.EscapeDataString(one)}", null, cancellationToken);
                await output.WriteLineAsync(JsonText.Indented(found!.RootElement));
                return;
            }
            var query = Table.Query([.. filters.Select(filter => (filter.Parameter, result.GetValue(filter.Option))), ("limit", Table.Text(result.GetValue(limit))), ("format", result.GetValue(csv) ? "csv" : null)]);
            if (result.GetValue(csv))
            {
                await client.DownloadAsync(HttpMethod.Get, "admin/v1/ledger" + query, body => Table.CopyAsync(body, output, cancellationToken), cancellationToken);
                return;
            }
            using var answer = await client.SendAsync(HttpMethod.Get, "admin/v1/ledger" + query, null, cancellationToken);
            await WriteAsync(output, answer!.RootElement, result.GetValue(access.Json));
        }));
        return command;
    }

    private static async Task WriteAsync(TextWriter output, JsonElement root, bool json)
    {
        if (json)
        {
            await output.WriteLineAsync(root.GetRawText());
            return;
        }
        var rows = root.GetProperty("attempts").EnumerateArray().Select(entry => (IReadOnlyList<string>)
        [
            Table.Text(entry, "startedAt"), Table.Text(entry, "key"), Table.Text(entry, "operation") == "tool" ? $"{Table.Text(entry, "server")}/{Table.Text(entry, "tool")}" : $"{Table.Text(entry, "provider")}/{Table.Text(entry, "model")}",
            Table.Text(entry, "outcome"), Table.Text(entry, "error"), Table.Text(entry, "costDollars"), Table.Text(entry, "durationMs"), Table.Text(entry, "id"),
        ]).ToList();
        await Table.WriteAsync(output, ["STARTED", "KEY", "CALLED", "OUTCOME", "ERROR", "DOLLARS", "MS", "ID"], rows);
        if (root.GetProperty("nextCursor").GetString() is { } next)
        {
            await output.WriteLineAsync($"There may be more: --cursor {next}");
        }
    }
}

/// <summary>JSON for people.</summary>
internal static class JsonText
{
    private static readonly JsonSerializerOptions Options = new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Indented(JsonElement element) => JsonSerializer.Serialize(element, Options);
}
