using System.CommandLine;
using System.Text.Json;

namespace Gateway.Commands.Manifests;

/// <summary><c>gateway manifests pin</c>: prints rules that pin a server's tools to what they are now, to be pasted into its manifest.</summary>
internal static class PinCommand
{
    public static Command Create(TextWriter output, TextWriter error)
    {
        var access = new GatewayAccess(error);
        var id = new Argument<string>("id") { Description = "The tool server's id." };
        var command = new Command("pin", "Print rules that pin a running server's tools to their present definitions, to be pasted into its manifest.") { id };
        access.AddTo(command);
        command.SetAction((result, cancellationToken) => access.RunAsync(result, async client =>
        {
            var server = result.GetValue(id)!;
            var definitions = await DefinitionCommands.ReadAsync(client, "&server=" + Uri.EscapeDataString(server), cancellationToken);
            if (definitions.Count == 0)
            {
                throw new CommandException($"The gateway knows no tools of '{server}'; is it connected, and does its manifest show any? 'gateway toolservers list' says so.");
            }
            if (result.GetValue(access.Json))
            {
                var pins = definitions.Where(item => item.GetProperty("hash").ValueKind == JsonValueKind.String).ToDictionary(item => Table.Text(item, "tool"), item => Table.Text(item, "hash"), StringComparer.Ordinal);
                await output.WriteLineAsync(JsonSerializer.Serialize(pins));
                return;
            }
            await output.WriteLineAsync("expose:");
            await output.WriteLineAsync("  tools:");
            foreach (var definition in definitions)
            {
                if (Remark(definition) is { } remark)
                {
                    await output.WriteLineAsync($"    # {remark}");
                }
                if (definition.GetProperty("hash").GetString() is { } hash)
                {
                    // A JSON text is a YAML one, whatever the name holds.
                    await output.WriteLineAsync($"    - {{name: {JsonSerializer.Serialize(Table.Text(definition, "tool"))}, pin: {hash}}}");
                }
            }
        }));
        return command;
    }

    private static string? Remark(JsonElement definition)
    {
        var name = JsonSerializer.Serialize(Table.Text(definition, "tool"));
        var findings = string.Join(", ", definition.GetProperty("findings").EnumerateArray().Select(finding => Table.Text(finding, "rule")).Distinct());
        return definition.GetProperty("hash").ValueKind == JsonValueKind.Null ? $"{name} has no canonical form and cannot be pinned"
            : findings.Length > 0 ? $"{name} is suspicious: {findings}; look at it first"
            : definition.GetProperty("pending").GetBoolean() ? $"{name} is {Table.Text(definition, "state")}; look at it first"
            : null;
    }
}
