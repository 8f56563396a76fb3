using System.CommandLine;
using System.Text.Json;

namespace Gateway.Commands;

/// <summary>The part of <c>gateway toolservers</c> that is about tools' definitions: which are not the approved ones, what differs, and decisions.</summary>
internal static class DefinitionCommands
{
    public static IEnumerable<Command> Create(TextWriter output, GatewayAccess access) => [List(output, access), Diff(output, access), Approve(output, access), Reject(output, access), Forget(output, access)];

    /// <summary>All definitions that a query finds, page by page.</summary>
    public static async Task<List<JsonElement>> ReadAsync(AdminClient client, string query, CancellationToken cancellationToken)
    {
        var definitions = new List<JsonElement>();
        string? cursor = null;
        do
        {
            using var page = await client.SendAsync(HttpMethod.Get, $"admin/v1/tooldefinitions?limit=1000{query}{(cursor is null ? "" : "&cursor=" + Uri.EscapeDataString(cursor))}", null, cancellationToken);
            definitions.AddRange(page!.RootElement.GetProperty("definitions").EnumerateArray().Select(item => item.Clone()));
            cursor = page.RootElement.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null);
        return definitions;
    }

    private static Command List(TextWriter output, GatewayAccess access)
    {
        var id = new Argument<string?>("id") { Description = "One tool server [default: all].", Arity = ArgumentArity.ZeroOrOne };
        var all = new Option<bool>("--all") { Description = "Also those that wait for no decision." };
        var command = new Command("definitions", "List tools whose definitions are not the approved ones, or suspicious.") { id, all };
        command.SetAction((result, cancellationToken) => access.RunAsync(result, async client =>
        {
            var definitions = await ReadAsync(client, (result.GetValue(id) is { } server ? "&server=" + Uri.EscapeDataString(server) : "") + (result.GetValue(all) ? "" : "&pending=true"), cancellationToken);
            if (result.GetValue(access.Json))
            {
                await output.WriteLineAsync($"[{string.Join(',', definitions.Select(item => item.GetRawText()))}]");
                return;
            }
            await Table.WriteAsync(output, ["SERVER", "TOOL", "STATE", "SERVED", "HASH", "FINDINGS"], [.. definitions.Select(item => (IReadOnlyList<string>)
            [
                Table.Text(item, "server"), Plain(Table.Text(item, "tool")), Table.Text(item, "state"), item.GetProperty("held").GetBoolean() ? "no" : "yes", Table.Text(item, "hash"),
                string.Join(", ", item.GetProperty("findings").EnumerateArray().Select(finding => Table.Text(finding, "rule")).Distinct()),
            ])]);
        }));
        return command;
    }

    private static Command Diff(TextWriter output, GatewayAccess access)
    {
        var (id, tool) = Arguments();
        var command = new Command("diff", "Show what differs between a tool's definition and the approved one.") { id, tool };
        command.SetAction((result, cancellationToken) => access.RunAsync(result, async client =>
        {
            using var answer = await client.SendAsync(HttpMethod.Get, PathOf(result.GetValue(id)!, result.GetValue(tool)!), null, cancellationToken);
            await WriteAsync(output, answer!.RootElement, result.GetValue(access.Json));
        }));
        return command;
    }

    private static Command Approve(TextWriter output, GatewayAccess access)
    {
        var id = new Argument<string>("id") { Description = "The tool server's id." };
        var tool = new Argument<string?>("tool") { Description = "The tool, as its server names it.", Arity = ArgumentArity.ZeroOrOne };
        var hash = new Option<string?>("--hash") { Description = "The definition that you looked at; where the tool has another one by now, nothing is changed." };
        var all = new Option<bool>("--all") { Description = "All definitions of the server that wait for a decision, as they are now." };
        var command = new Command("approve", "Approve a tool's definition: it is served, and no other.") { id, tool, hash, all };
        command.SetAction((result, cancellationToken) => access.RunAsync(result, async client =>
        {
            var server = result.GetValue(id)!;
            if (result.GetValue(all) == result.GetValue(tool) is not null)
            {
                throw new CommandException("Name a tool with --hash, or give --all.");
            }
            if (result.GetValue(tool) is { } name)
            {
                var body = Body(("hash", result.GetValue(hash) ?? throw new CommandException("--hash is needed: the definition that you looked at, as 'gateway toolservers diff' shows it.")));
                using var answer = await client.SendAsync(HttpMethod.Post, PathOf(server, name) + "/approve", body, cancellationToken);
                await WriteAsync(output, answer!.RootElement, result.GetValue(access.Json));
                return;
            }
            // What cannot be approved, because the manifest pins something else, stays.
            var pending = (await ReadAsync(client, $"&server={Uri.EscapeDataString(server)}&pending=true", cancellationToken))
                .Where(item => item.GetProperty("hash").ValueKind == JsonValueKind.String && Table.Text(item, "state") != "pinMismatch").ToDictionary(item => Table.Text(item, "tool"), item => Table.Text(item, "hash"), StringComparer.Ordinal);
            if (pending.Count == 0)
            {
                await output.WriteLineAsync($"No definition of {server} waits for a decision.");
                return;
            }
            using var approved = await client.SendAsync(HttpMethod.Post, $"admin/v1/toolservers/{Uri.EscapeDataString(server)}/definitions/approve", JsonSerializer.Serialize(new Dictionary<string, object> { ["tools"] = pending }), cancellationToken);
            if (result.GetValue(access.Json))
            {
                await output.WriteLineAsync(approved!.RootElement.GetRawText());
                return;
            }
            foreach (var (approvedTool, approvedHash) in pending)
            {
                await output.WriteLineAsync($"{server}/{Plain(approvedTool)}: approved {approvedHash}");
            }
        }));
        return command;
    }

    private static Command Reject(TextWriter output, GatewayAccess access)
    {
        var (id, tool) = Arguments();
        var hash = new Option<string>("--hash") { Description = "The definition that you looked at.", Required = true };
        var reason = new Option<string?>("--reason") { Description = "Why; shown wherever the tool is missed." };
        var command = new Command("reject", "Reject a tool's definition: the tool is held back as long as it has it.") { id, tool, hash, reason };
        command.SetAction((result, cancellationToken) => access.RunAsync(result, async client =>
        {
            using var answer = await client.SendAsync(HttpMethod.Post, PathOf(result.GetValue(id)!, result.GetValue(tool)!) + "/reject", Body(("hash", result.GetValue(hash)), ("reason", result.GetValue(reason))), cancellationToken);
            await WriteAsync(output, answer!.RootElement, result.GetValue(access.Json));
        }));
        return command;
    }

    private static Command Forget(TextWriter output, GatewayAccess access)
    {
        var (id, tool) = Arguments();
        var command = new Command("forget", "Forget what is known of a tool: when it is next seen, it is new.") { id, tool };
        command.SetAction((result, cancellationToken) => access.RunAsync(result, async client =>
        {
            using var answer = await client.SendAsync(HttpMethod.Delete, PathOf(result.GetValue(id)!, result.GetValue(tool)!), null, cancellationToken);
            await output.WriteLineAsync($"{result.GetValue(id)}/{Plain(result.GetValue(tool)!)}: forgotten");
        }));
        return command;
    }

    private static (Argument<string> Id, Argument<string> Tool) Arguments() =>
        (new Argument<string>("id") { Description = "The tool server's id." }, new Argument<string>("tool") { Description = "The tool, as its server names it." });

    private static string PathOf(string server, string tool) => $"admin/v1/toolservers/{Uri.EscapeDataString(server)}/tools/{Uri.EscapeDataString(tool)}/definition";

    private static string Body(params (string Name, string? Value)[] members) => JsonSerializer.Serialize(members.Where(member => member.Value is not null).ToDictionary(member => member.Name, member => member.Value));

    private static async Task WriteAsync(TextWriter output, JsonElement definition, bool json)
    {
        if (json)
        {
            await output.WriteLineAsync(definition.GetRawText());
            return;
        }
        await output.WriteLineAsync($"{Table.Text(definition, "server")}/{Plain(Table.Text(definition, "tool"))}: {Table.Text(definition, "state")}, {(definition.GetProperty("held").GetBoolean() ? "held back" : "served")}");
        await output.WriteLineAsync($"  now       {Table.Text(definition, "hash")}");
        await output.WriteLineAsync($"  approved  {Table.Text(definition, "expected")}");
        if (definition.GetProperty("renamedFrom").GetString() is { } old)
        {
            await output.WriteLineAsync($"  renamed from {Plain(old)}");
        }
        foreach (var finding in definition.GetProperty("findings").EnumerateArray())
        {
            await output.WriteLineAsync($"  {Table.Text(finding, "severity")}: {Table.Text(finding, "rule")} at {Plain(Table.Text(finding, "place"))}: {Plain(Table.Text(finding, "excerpt"))}");
        }
        if (definition.GetProperty("diff") is { ValueKind: JsonValueKind.Object } diff)
        {
            foreach (var line in diff.GetProperty("text").GetString()!.TrimEnd().Split('\n'))
            {
                await output.WriteLineAsync(Plain(line));
            }
        }
        else
        {
            await output.WriteLineAsync(definition.GetProperty("definition").GetString());
        }
    }

    // Names of tools are strangers' texts, and this is a terminal.
    private static string Plain(string text) => Configuration.ErrorReport.Plain(text);
}
