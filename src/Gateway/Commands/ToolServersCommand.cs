using System.CommandLine;
using System.Text.Json;

namespace Gateway.Commands;

/// <summary><c>gateway toolservers</c>: how the upstream tool servers are.</summary>
internal static class ToolServersCommand
{
    public static Command Create(TextWriter output, TextWriter error)
    {
        var access = new GatewayAccess(error);
        var command = new Command("toolservers", "List, show, reconnect and hold back tool servers of the running gateway.");
        access.AddTo(command);
        command.Subcommands.Add(List(output, access));
        command.Subcommands.Add(One("show", "Show everything of a tool server: its tools, what is held back and why, what its process wrote last.", output, access, HttpMethod.Get, ""));
        command.Subcommands.Add(One("reconnect", "Drop a tool server's connection and connect anew.", output, access, HttpMethod.Post, "/reconnect"));
        command.Subcommands.Add(Hold("disable", "Disconnect a tool server and serve none of its tools until it is enabled.", output, access, HttpMethod.Post, (id, _) => $"{id}/disable", hasTool: false));
        command.Subcommands.Add(One("enable", "Serve a disabled tool server again.", output, access, HttpMethod.Post, "/enable"));
        command.Subcommands.Add(Hold("quarantine", "Hold one tool back, at once and until it is released.", output, access, HttpMethod.Put, (id, tool) => $"{id}/tools/{tool}/quarantine", hasTool: true));
        command.Subcommands.Add(Hold("release", "Serve a tool again that was held back.", output, access, HttpMethod.Delete, (id, tool) => $"{id}/tools/{tool}/quarantine", hasTool: true, hasReason: false));
        foreach (var definitions in DefinitionCommands.Create(output, access))
        {
            command.Subcommands.Add(definitions);
        }
        return command;
    }

    private static Command List(TextWriter output, GatewayAccess access)
    {
        var command = new Command("list", "List the tool servers.");
        command.SetAction((result, cancellationToken) => access.RunAsync(result, async client =>
        {
            using var answer = await client.SendAsync(HttpMethod.Get, "admin/v1/toolservers", null, cancellationToken);
            if (result.GetValue(access.Json))
            {
                await output.WriteLineAsync(answer!.RootElement.GetRawText());
                return;
            }
            var rows = answer!.RootElement.GetProperty("servers").EnumerateArray().Select(server => (IReadOnlyList<string>)
            [
                Table.Text(server, "id"), Table.Text(server, "transport"), Table.Text(server, "state"), Table.Text(server, "tools"), $"{server.GetProperty("quarantined").GetArrayLength()}",
                $"{Table.Text(server.GetProperty("calls"), "calls")}/{Table.Text(server.GetProperty("calls"), "failed")}", Table.Text(server, "problem"),
            ]).ToList();
            await Table.WriteAsync(output, ["ID", "TRANSPORT", "STATE", "TOOLS", "HELD", "CALLS/FAILED 24H", "PROBLEM"], rows);
        }));
        return command;
    }

    private static Command One(string name, string description, TextWriter output, GatewayAccess access, HttpMethod method, string path)
    {
        var id = new Argument<string>("id") { Description = "The tool server's id." };
        var command = new Command(name, description) { id };
        command.SetAction((result, cancellationToken) => access.RunAsync(result, async client =>
        {
            using var answer = await client.SendAsync(method, $"admin/v1/toolservers/{Uri.EscapeDataString(result.GetValue(id)!)}{path}", null, cancellationToken);
            await WriteAsync(output, answer!.RootElement, result.GetValue(access.Json), whole: method == HttpMethod.Get);
        }));
        return command;
    }

    private static Command Hold(string name, string description, TextWriter output, GatewayAccess access, HttpMethod method, Func<string, string, string> path, bool hasTool, bool hasReason = true)
    {
        var id = new Argument<string>("id") { Description = "The tool server's id." };
        var tool = new Argument<string>("tool") { Description = "The tool, as its server names it." };
        var reason = new Option<string>("--reason") { Description = "Why; shown wherever the tool is missed.", Required = true };
        var command = new Command(name, description) { id };
        if (hasTool)
        {
            command.Arguments.Add(tool);
        }
        if (hasReason)
        {
            command.Options.Add(reason);
        }
        command.SetAction((result, cancellationToken) => access.RunAsync(result, async client =>
        {
            var place = path(Uri.EscapeDataString(result.GetValue(id)!), hasTool ? Uri.EscapeDataString(result.GetValue(tool)!) : "");
            var body = hasReason ? JsonSerializer.Serialize(new Dictionary<string, string> { ["reason"] = result.GetValue(reason)! }) : null;
            using var answer = await client.SendAsync(method, $"admin/v1/toolservers/{place}", body, cancellationToken);
            await WriteAsync(output, answer!.RootElement, result.GetValue(access.Json), whole: false);
        }));
        return command;
    }

    private static async Task WriteAsync(TextWriter output, JsonElement server, bool json, bool whole)
    {
        if (json)
        {
            await output.WriteLineAsync(server.GetRawText());
            return;
        }
        await output.WriteLineAsync($"{Table.Text(server, "id")}: {Table.Text(server, "transport")}, {Table.Text(server, "state")}, {Table.Text(server, "tools")} tools{(Table.Text(server, "problem") is "-" ? "" : $": {Table.Text(server, "problem")}")}");
        if (!whole)
        {
            return;
        }
        await output.WriteLineAsync($"since {Table.Text(server, "since")}, protocol {Table.Text(server, "protocolVersion")}, server {Table.Text(server, "serverInfo")}");
        foreach (var tool in server.GetProperty("toolList").EnumerateArray())
        {
            var calls = tool.GetProperty("calls");
            await output.WriteLineAsync($"  {Table.Text(tool, "name")} -> {Table.Text(tool, "exposedName")}, {Table.Text(calls, "calls")} calls, {Table.Text(calls, "failed")} failed in 24 h");
        }
        foreach (var tool in server.GetProperty("withheld").EnumerateArray())
        {
            await output.WriteLineAsync($"  {Table.Text(tool, "name")} is held back: {Table.Text(tool, "reason")}");
        }
        if (server.GetProperty("lastWords").GetString() is { } words)
        {
            await output.WriteLineAsync("its process wrote last:");
            await output.WriteLineAsync(words.TrimEnd());
        }
    }
}
