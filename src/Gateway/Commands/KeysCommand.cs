using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json;

namespace Gateway.Commands;

/// <summary><c>gateway keys</c>: the virtual keys of a running gateway, over its admin API.</summary>
internal static class KeysCommand
{
    public static Command Create(TextWriter output, TextWriter error)
    {
        var api = new ApiCommand(output, error);
        var keys = api.Group("keys", "Make, list, change, rotate and revoke virtual keys of the running gateway.");
        keys.Subcommands.Add(CreateCommand(api));
        keys.Subcommands.Add(ListCommand(api));
        keys.Subcommands.Add(ShowCommand(api));
        keys.Subcommands.Add(ToolsCommand(api));
        keys.Subcommands.Add(UpdateCommand(api));
        keys.Subcommands.Add(RotateCommand(api));
        keys.Subcommands.Add(RevokeCommand(api));
        return keys;
    }

    private static Command CreateCommand(ApiCommand api)
    {
        var options = new DeclarationOptions(required: true);
        var command = new Command("create", "Make a key; its token is printed once.");
        options.AddTo(command);
        api.SetAction(command, result => (HttpMethod.Post, "keys", options.Read(result, create: true)),
            (_, answer) => $"{answer!.Value.GetProperty("token").GetString()}\nKey {answer.Value.GetProperty("id").GetString()} is ready. The token is shown this once.");
        return command;
    }

    private static Command ListCommand(ApiCommand api)
    {
        var user = new Option<string?>("--user") { Description = "Only keys of this user.", HelpName = "id" };
        var team = new Option<string?>("--team") { Description = "Only keys of this team.", HelpName = "id" };
        var customer = new Option<string?>("--customer") { Description = "Only keys of this customer.", HelpName = "id" };
        var state = new Option<string?>("--state") { Description = "Only keys that are active, expired or revoked." };
        var name = new Option<string?>("--name") { Description = "Only keys with this in their name." };
        var command = new Command("list", "List the keys.") { user, team, customer, state, name };
        api.SetList(command,
            result => "keys" + ApiCommand.Query(("user", result.GetValue(user)), ("team", result.GetValue(team)), ("customer", result.GetValue(customer)), ("state", result.GetValue(state)), ("name", result.GetValue(name))),
            "keys",
            [
                ("ID", 12, key => ApiCommand.Text(key, "id")), ("NAME", 24, key => ApiCommand.Text(key, "name")), ("STATE", 28, StateOf),
                ("MODELS", 24, key => Globs(key, "models")), ("TOOLS", 0, key => Globs(key, "tools")),
            ]);
        return command;
    }

    private static Command ShowCommand(ApiCommand api)
    {
        var id = Id();
        var command = new Command("show", "Show a key: what it may do and where its budgets stand.") { id };
        api.SetAction(command, result => (HttpMethod.Get, PathOf(result.GetValue(id)!), null), (_, answer) => Describe(answer!.Value));
        return command;
    }

    private static Command ToolsCommand(ApiCommand api)
    {
        var id = Id();
        var server = new Option<string?>("--server") { Description = "At the endpoint of this tool server.", HelpName = "id" };
        var toolset = new Option<string?>("--toolset") { Description = "At the endpoint of this toolset.", HelpName = "id" };
        var command = new Command("tools", "List the tools that a key's clients are shown, and the clients for which they are too many.") { id, server, toolset };
        api.SetList(command,
            result => PathOf(result.GetValue(id)!) + "/tools" + ApiCommand.Query(("server", result.GetValue(server)), ("toolset", result.GetValue(toolset))),
            "tools",
            [("NAME", 40, tool => ApiCommand.Text(tool, "name")), ("SERVER", 20, tool => ApiCommand.Text(tool, "server")), ("TOOL", 32, tool => ApiCommand.Text(tool, "tool")), ("BYTES", 0, tool => ApiCommand.Text(tool, "bytes"))],
            closing: Summarise);
        return command;
    }

    private static string Summarise(JsonElement page)
    {
        var lines = new List<string> { $"{ApiCommand.Text(page, "count")} tools, {ApiCommand.Text(page, "definitionBytes")} bytes of definitions" };
        lines.AddRange(page.GetProperty("tooManyFor").EnumerateArray().Select(cap => $"{ApiCommand.Text(cap, "client")} takes {ApiCommand.Text(cap, "most")} at most"));
        return string.Join('\n', lines);
    }

    private static Command UpdateCommand(ApiCommand api)
    {
        var id = Id();
        var options = new DeclarationOptions(required: false);
        var command = new Command("update", "Change what a key may do; what is not given stays as it is.") { id };
        options.AddTo(command);
        api.SetAction(command, result => (HttpMethod.Patch, PathOf(result.GetValue(id)!), options.Read(result, create: false)), (result, _) => $"Key {result.GetValue(id)} is changed.");
        return command;
    }

    private static Command RotateCommand(ApiCommand api)
    {
        var id = Id();
        var overlap = Overlap();
        var command = new Command("rotate", "Give a key another secret; its new token is printed once.") { id, overlap };
        api.SetAction(command, result => (HttpMethod.Post, PathOf(result.GetValue(id)!) + "/rotate", Rotation(result.GetValue(overlap))),
            (result, answer) => $"{answer!.Value.GetProperty("token").GetString()}\nKey {result.GetValue(id)} has another secret. The token is shown this once; the old one holds until {ApiCommand.Text(answer.Value, "oldSecretValidUntil")}.");
        return command;
    }

    private static Command RevokeCommand(ApiCommand api)
    {
        var id = Id();
        var command = new Command("revoke", "Revoke a key for good.") { id };
        api.SetAction(command, result => (HttpMethod.Delete, PathOf(result.GetValue(id)!), null), (result, _) => $"Key {result.GetValue(id)} is revoked.");
        return command;
    }

    internal static Argument<string> Id() => new("id") { Description = "The key's id, as listed." };

    internal static Option<TimeSpan?> Overlap() => new("--overlap") { Description = "How long the old secret goes on holding: 1h, 7d [default: no longer].", HelpName = "time", CustomParser = ApiCommand.ParseTime };

    internal static string Rotation(TimeSpan? overlap) => $"{{\"overlap\":\"{(overlap ?? TimeSpan.Zero).TotalHours:0}h\"}}";

    private static string PathOf(string id) => "keys/" + Uri.EscapeDataString(id);

    private static string Describe(JsonElement key)
    {
        List<string> lines =
        [
            $"id        {ApiCommand.Text(key, "id")}",
            $"name      {ApiCommand.Text(key, "name")}",
            $"state     {StateOf(key)}",
            $"models    {Globs(key, "models")}",
            $"tools     {Globs(key, "tools")}",
            $"declared  {(key.GetProperty("editable").GetBoolean() ? $"by {ApiCommand.Text(key, "createdBy")}, {ApiCommand.Text(key, "createdAt")}" : $"in {ApiCommand.Text(key, "declaredIn")}")}",
        ];
        foreach (var budget in key.GetProperty("budgets").EnumerateArray())
        {
            lines.Add($"budget    {ApiCommand.Text(budget, "id")}: {ApiCommand.Text(budget, "spentDollars")} of {ApiCommand.Text(budget, "dollars")} USD per {ApiCommand.Text(budget, "per")} spent, {ApiCommand.Text(budget, "remainingDollars")} remain");
        }
        return string.Join('\n', lines);
    }

    private static string StateOf(JsonElement key) =>
        ApiCommand.Text(key, "revokedAt") is { Length: > 0 } revoked ? $"revoked {revoked[..10]}"
        : ApiCommand.Text(key, "expiresAt") is { Length: > 0 } expires ? $"{(ApiCommand.Text(key, "state") == "expired" ? "expired" : "expires")} {expires[..10]}"
        : "active";

    private static string Globs(JsonElement key, string member) => string.Join(' ', key.GetProperty(member).EnumerateArray().Select(glob => glob.GetString()));

    /// <summary>The options that say what a key may do.</summary>
    private sealed class DeclarationOptions
    {
        private readonly Option<string?> name;
        private readonly Option<string[]> models = new("--models") { Description = "Glob over 'provider/model' and route names that the key may use; repeatable. A new key without one may use none.", HelpName = "glob" };
        private readonly Option<string[]> tools = new("--tools") { Description = "Glob over 'server/tool' that the key may use ('!glob' takes away); repeatable. A new key without one sees none.", HelpName = "glob" };
        private readonly Option<Budget?> budget = new("--budget") { Description = "Dollars that the key may spend in an hour, day, week, month or duration: 5/day, 0.50/90m.", HelpName = "amount/window", CustomParser = ParseBudget };
        private readonly Option<TimeSpan?> expires = new("--expires") { Description = "Time until the key expires: 12h, 30d, 8w.", HelpName = "time", CustomParser = ApiCommand.ParseTime };
        private readonly Option<string?>[] owners =
        [
            new("--user") { Description = "The user that holds the key.", HelpName = "id" },
            new("--team") { Description = "The team that it belongs to.", HelpName = "id" },
            new("--customer") { Description = "The customer that it belongs to.", HelpName = "id" },
        ];

        public DeclarationOptions(bool required) => name = new("--name") { Description = "What people call the key.", Required = required };

        public void AddTo(Command command)
        {
            foreach (var option in new Option[] { name, models, tools, budget, expires }.Concat(owners))
            {
                command.Options.Add(option);
            }
        }

        public string Read(ParseResult result, bool create) => new KeyDeclaration
        {
            Name = result.GetValue(name),
            Models = result.GetValue(models) is { Length: > 0 } given ? given : create ? [] : null,
            Tools = result.GetValue(tools) is { Length: > 0 } seen ? seen : create ? [] : null,
            Budget = result.GetValue(budget),
            ExpiresAt = TimeProvider.System.GetUtcNow() + result.GetValue(expires),
            Owner = [.. owners.Select(option => (Kind: option.Name[2..], Id: result.GetValue(option))).Where(owner => owner.Id is not null).Select(owner => (owner.Kind, owner.Id!))],
        }.Write();

        private static Budget? ParseBudget(ArgumentResult argument)
        {
            if (argument.Tokens[0].Value.Split('/') is [var amount, { Length: > 0 } per] && decimal.TryParse(amount, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var dollars))
            {
                return new Budget(dollars, per);
            }
            argument.AddError($"'{argument.Tokens[0].Value}' is not a budget; give dollars and a window, as in 5/day.");
            return null;
        }
    }
}
