using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json;
using Gateway.Hosting;

namespace Gateway.Commands;

/// <summary><c>gateway keys</c>: makes, lists and revokes virtual keys on a running gateway, over its admin API.</summary>
internal static class KeysCommand
{
    public static Command Create(TextWriter output, TextWriter error)
    {
        var url = new Option<string>("--url") { Description = "The running gateway.", HelpName = "url", Recursive = true, DefaultValueFactory = _ => ListenAddresses.Default };
        var adminKey = new Option<string?>("--admin-key") { Description = "Admin key [default: GATEWAY_ADMIN_KEY].", HelpName = "key", Recursive = true };
        var json = new Option<bool>("--json") { Description = "Print the gateway's answer as JSON.", Recursive = true };
        var keys = new Command("keys", "Make, list and revoke virtual keys of the running gateway.") { url, adminKey, json };

        Task<int> RunAsync(ParseResult result, Func<AdminClient, Task> work) =>
            AdminClient.RunAsync(result.GetValue(url)!, result.GetValue(adminKey) ?? Environment.GetEnvironmentVariable("GATEWAY_ADMIN_KEY"), error, work);

        keys.Subcommands.Add(CreateCommand(output, json, RunAsync));
        keys.Subcommands.Add(ListCommand(output, json, RunAsync));
        keys.Subcommands.Add(RevokeCommand(output, RunAsync));
        return keys;
    }

    private static Command CreateCommand(TextWriter output, Option<bool> json, Func<ParseResult, Func<AdminClient, Task>, Task<int>> run)
    {
        var name = new Option<string>("--name") { Description = "What people call the key.", Required = true };
        var models = new Option<string[]>("--models") { Description = "Glob over 'provider/model' and route names that the key may use; repeatable. Without one it may use none.", HelpName = "glob" };
        var tools = new Option<string[]>("--tools") { Description = "Glob over 'server/tool' that the key may use ('!glob' takes away); repeatable. Without one it sees none.", HelpName = "glob" };
        var budget = new Option<Budget?>("--budget") { Description = "Dollars that the key may spend in an hour, day, week, month or duration: 5/day, 0.50/90m.", HelpName = "amount/window", CustomParser = ParseBudget };
        var expires = new Option<TimeSpan?>("--expires") { Description = "Time until the key expires: 12h, 30d, 8w.", HelpName = "time", CustomParser = ParseLifetime };
        var command = new Command("create", "Make a key; its token is printed once.") { name, models, tools, budget, expires };
        command.SetAction((result, cancellationToken) => run(result, async client =>
        {
            var declaration = KeyDeclaration.Write(result.GetValue(name)!, result.GetValue(models) ?? [], result.GetValue(tools) ?? [], result.GetValue(budget), TimeProvider.System.GetUtcNow() + result.GetValue(expires));
            using var answer = await client.SendAsync(HttpMethod.Post, "admin/v1/keys", declaration, cancellationToken);
            var root = answer!.RootElement;
            await output.WriteLineAsync(result.GetValue(json) ? root.GetRawText() : $"{root.GetProperty("token").GetString()}\nKey {root.GetProperty("id").GetString()} is ready. The token is shown this once.");
        }));
        return command;
    }

    private static Command ListCommand(TextWriter output, Option<bool> json, Func<ParseResult, Func<AdminClient, Task>, Task<int>> run)
    {
        var command = new Command("list", "List the keys.");
        command.SetAction((result, cancellationToken) => run(result, async client =>
        {
            using var answer = await client.SendAsync(HttpMethod.Get, "admin/v1/keys", null, cancellationToken);
            if (result.GetValue(json))
            {
                await output.WriteLineAsync(answer!.RootElement.GetRawText());
                return;
            }
            await output.WriteLineAsync($"{"ID",-12} {"NAME",-24} {"STATE",-28} {"MODELS",-24} TOOLS");
            foreach (var key in answer!.RootElement.GetProperty("keys").EnumerateArray())
            {
                await output.WriteLineAsync($"{Text(key, "id"),-12} {Text(key, "name"),-24} {StateOf(key),-28} {Globs(key, "models"),-24} {Globs(key, "tools")}");
            }
        }));
        return command;
    }

    private static Command RevokeCommand(TextWriter output, Func<ParseResult, Func<AdminClient, Task>, Task<int>> run)
    {
        var id = new Argument<string>("id") { Description = "The key's id, as listed." };
        var command = new Command("revoke", "Revoke a key for good.") { id };
        command.SetAction((result, cancellationToken) => run(result, async client =>
        {
            using var answer = await client.SendAsync(HttpMethod.Delete, $"admin/v1/keys/{Uri.EscapeDataString(result.GetValue(id)!)}", null, cancellationToken);
            await output.WriteLineAsync($"Key {result.GetValue(id)} is revoked.");
        }));
        return command;
    }

    private static Budget? ParseBudget(ArgumentResult argument)
    {
        if (argument.Tokens[0].Value.Split('/') is [var amount, { Length: > 0 } per] && decimal.TryParse(amount, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var dollars))
        {
            return new Budget(dollars, per);
        }
        argument.AddError($"'{argument.Tokens[0].Value}' is not a budget; give dollars and a window, as in 5/day.");
        return null;
    }

    private static TimeSpan? ParseLifetime(ArgumentResult argument)
    {
        var text = argument.Tokens[0].Value;
        var unit = text.Length < 2 ? null : text[^1] switch
        {
            'h' => TimeSpan.FromHours(1),
            'd' => TimeSpan.FromDays(1),
            'w' => TimeSpan.FromDays(7),
            _ => (TimeSpan?)null,
        };
        if (unit is { } length && int.TryParse(text.AsSpan(0, text.Length - 1), out var count) && count is > 0 and <= 10_000)
        {
            return length * count;
        }
        argument.AddError($"'{text}' is not a time; give one like 12h, 30d or 8w.");
        return null;
    }

    private static string StateOf(JsonElement key) =>
        Text(key, "revokedAt") is { Length: > 0 } revoked ? $"revoked {revoked[..10]}"
        : Text(key, "expiresAt") is { Length: > 0 } expires ? $"expires {expires[..10]}"
        : "active";

    private static string Text(JsonElement key, string member) => key.GetProperty(member).GetString() ?? "";

    private static string Globs(JsonElement key, string member) => string.Join(' ', key.GetProperty(member).EnumerateArray().Select(glob => glob.GetString()));
}
