using System.CommandLine;
using System.Text.Json.Nodes;

namespace Gateway.Commands;

/// <summary><c>gateway secrets</c> and <c>gateway providers</c>: credentials of a running gateway, which go in and never come out.</summary>
internal static class SecretsCommand
{
    public static Command Create(TextWriter output, TextWriter error)
    {
        var api = new ApiCommand(output, error);
        var secrets = api.Group("secrets", "List, set and delete secrets of the running gateway's encrypted store.");
        var list = new Command("list", "List the names of the secrets.");
        api.SetList(list, _ => "secrets", "secrets",
        [
            ("NAME", 36, secret => ApiCommand.Text(secret, "name")), ("CHANGED BY", 18, secret => ApiCommand.Text(secret, "changedBy")), ("CHANGED AT", 24, secret => ApiCommand.Text(secret, "changedAt")),
            ("USED BY", 0, secret => string.Join(", ", secret.GetProperty("usedBy").EnumerateArray().Select(user => user.GetString()))),
        ]);
        secrets.Subcommands.Add(list);

        var name = new Argument<string>("name") { Description = "The secret's name; declarations refer to it as ${secret:name}." };
        var file = File();
        var set = new Command("set", "Set a secret, read from standard input or a file.") { name, file };
        api.SetAction(set, result => (HttpMethod.Put, PathOf(result.GetValue(name)!), new JsonObject { ["value"] = ApiCommand.ReadSecret(result.GetValue(file)) }.ToJsonString()), (result, _) => $"Secret {result.GetValue(name)} is set.");
        secrets.Subcommands.Add(set);

        var delete = new Command("delete", "Delete a secret that nothing uses.") { name };
        api.SetAction(delete, result => (HttpMethod.Delete, PathOf(result.GetValue(name)!), null), (result, _) => $"Secret {result.GetValue(name)} is deleted.");
        secrets.Subcommands.Add(delete);
        return secrets;
    }

    public static Command CreateProviders(TextWriter output, TextWriter error)
    {
        var api = new ApiCommand(output, error);
        var providers = api.Group("providers", "List the providers of the running gateway, and set their keys.");
        var list = new Command("list", "List the providers.");
        api.SetList(list, _ => "providers", "providers",
        [
            ("ID", 20, provider => ApiCommand.Text(provider, "id")), ("DECLARED", 28, provider => ApiCommand.Text(provider, "declaredIn") is { Length: > 0 } file ? file : ApiCommand.Text(provider, "origin")),
            ("ADDRESS", 40, provider => ApiCommand.Text(provider.GetProperty("declaration"), "baseUrl")),
            ("CREDENTIALS", 0, provider => string.Join(", ", provider.GetProperty("credentials").EnumerateArray().Select(credential => ApiCommand.Text(credential, "member")))),
        ]);
        providers.Subcommands.Add(list);

        var id = new Argument<string>("id") { Description = "The provider's id, as listed." };
        var file = File();
        var setKey = new Command("set-key", "Set the key that is sent to a provider, read from standard input or a file.") { id, file };
        api.SetAction(setKey, result => (HttpMethod.Put, $"providers/{Uri.EscapeDataString(result.GetValue(id)!)}/credentials", new JsonObject { ["apiKey"] = ApiCommand.ReadSecret(result.GetValue(file)) }.ToJsonString()),
            (result, _) => $"Provider {result.GetValue(id)} has another key.");
        providers.Subcommands.Add(setKey);
        return providers;
    }

    private static Option<string?> File() => new("--file") { Description = "File that holds the secret [default: standard input].", HelpName = "file" };

    private static string PathOf(string name) => "secrets/" + string.Join('/', name.Split('/').Select(Uri.EscapeDataString));
}
