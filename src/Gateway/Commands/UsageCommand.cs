using System.CommandLine;
using System.Text.Json;

namespace Gateway.Commands;

/// <summary><c>gateway usage</c>: sums of what was used.</summary>
internal static class UsageCommand
{
    // As the options are named, and as the admin API names them.
    private static readonly (string Option, string Parameter, string Help)[] Filters =
    [
        ("--from", "from", "Calls that began at or after this date or moment."),
        ("--to", "to", "Calls that began before this date or moment."),
        ("--key", "key", "Only this key's calls, by its id."),
        ("--model", "model", "Only this model's calls, as provider/model."),
        ("--tool", "tool", "Only this tool's calls, as server/tool."),
        ("--provider", "provider", "Only calls of this provider."),
        ("--server", "server", "Only calls of this tool server."),
        ("--user", "user", "Only this user's calls."),
        ("--team", "team", "Only this team's calls."),
        ("--customer", "customer", "Only this customer's calls."),
        ("--outcome", "outcome", "Only calls that ended so: started, succeeded, failed, broken, cancelled, refused."),
        ("--operation", "operation", "Only calls of models, or of tools: model, tool."),
        ("--interval", "interval", "Make a time series: minute, hour, day, week, month."),
        ("--time-zone", "timeZone", "Time zone in which days, weeks and months begin, as Europe/Berlin."),
        ("--order-by", "orderBy", "Order of the rows: group, cost, calls, failed, tokens, duration."),
        ("--top", "top", "Only so many groups, the largest ones."),
    ];

    public static Command Create(TextWriter output, TextWriter error)
    {
        var access = new GatewayAccess(error);
        var groupBy = new Option<string?>("--group-by") { Description = "What the rows are apart by, separated by commas: key, model, tool, day, provider, server, user, team, customer, outcome, operation.", HelpName = "list" };
        var csv = new Option<bool>("--csv") { Description = "Print CSV." };
        var command = new Command("usage", "Show what was used, from the ledger of the running gateway.") { groupBy, csv };
        var filters = Filters.Select(filter => (filter.Parameter, Option: new Option<string?>(filter.Option) { Description = filter.Help, HelpName = "value" })).ToList();
        filters.ForEach(filter => command.Options.Add(filter.Option));
        access.AddTo(command);
        command.SetAction((result, cancellationToken) => access.RunAsync(result, async client =>
        {
            var query = Table.Query([("groupBy", result.GetValue(groupBy)), .. filters.Select(filter => (filter.Parameter, result.GetValue(filter.Option))), ("format", result.GetValue(csv) ? "csv" : null)]);
            if (result.GetValue(csv))
            {
                await client.DownloadAsync(HttpMethod.Get, "admin/v1/usage" + query, body => Table.CopyAsync(body, output, cancellationToken), cancellationToken);
                return;
            }
            using var answer = await client.SendAsync(HttpMethod.Get, "admin/v1/usage" + query, null, cancellationToken);
            var root = answer!.RootElement;
            if (result.GetValue(access.Json))
            {
                await output.WriteLineAsync(root.GetRawText());
                return;
            }
            await WriteAsync(output, root);
        }));
        return command;
    }

    private static async Task WriteAsync(TextWriter output, JsonElement root)
    {
        string[] columns = [.. root.TryGetProperty("interval", out _) ? ["start"] : Array.Empty<string>(), .. root.GetProperty("groupBy").EnumerateArray().Select(name => name.GetString()!),
            "calls", "failed", "inputTokens", "outputTokens", "costDollars", "meanDurationMs"];
        var rows = root.GetProperty("rows").EnumerateArray().Select(row => (IReadOnlyList<string>)[.. columns.Select(column => Table.Text(row, column))]).ToList();
        await Table.WriteAsync(output, [.. columns.Select(column => column.ToUpperInvariant())], rows);
        if (root.GetProperty("truncated").GetBoolean())
        {
            await output.WriteLineAsync("There are more rows than the gateway sends at once; narrow the span, or use --top.");
        }
    }
}
