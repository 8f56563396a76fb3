using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Gateway.Hosting;
using Shared.Storage;
using Shared.Stored;
using Shared.VirtualKeys;

namespace Gateway.Commands;

/// <summary><c>gateway admin-keys</c>: the keys that open the admin API; and a new one for who has lost the last.</summary>
internal static class AdminKeysCommand
{
    public static Command Create(TextWriter output, TextWriter error)
    {
        var api = new ApiCommand(output, error);
        var keys = api.Group("admin-keys", "Make, list, rotate and revoke admin keys of the running gateway; recover from a lost one.");
        keys.Subcommands.Add(ListCommand(api));
        keys.Subcommands.Add(CreateCommand(api));
        keys.Subcommands.Add(RotateCommand(api));
        keys.Subcommands.Add(RevokeCommand(api));
        keys.Subcommands.Add(RecoverCommand(output, error));
        return keys;
    }

    private static Command ListCommand(ApiCommand api)
    {
        var command = new Command("list", "List the admin keys.");
        api.SetList(command, _ => "adminkeys", "adminKeys",
        [
            ("ID", 12, key => ApiCommand.Text(key, "id")), ("NAME", 24, key => ApiCommand.Text(key, "name")), ("STATE", 10, key => ApiCommand.Text(key, "state")),
            ("MAY", 10, key => key.GetProperty("readOnly").GetBoolean() ? "read" : "change"), ("EXPIRES", 22, key => ApiCommand.Text(key, "expiresAt")), ("CREATED BY", 0, key => ApiCommand.Text(key, "createdBy")),
        ]);
        return command;
    }

    private static Command CreateCommand(ApiCommand api)
    {
        var name = new Option<string>("--name") { Description = "What people call the key.", Required = true };
        var readOnly = new Option<bool>("--read-only") { Description = "The key may only read." };
        var expires = new Option<TimeSpan?>("--expires") { Description = "Time until the key expires: 12h, 30d, 8w.", HelpName = "time", CustomParser = ApiCommand.ParseTime };
        var command = new Command("create", "Make an admin key; its token is printed once.") { name, readOnly, expires };
        api.SetAction(command,
            result =>
            {
                var body = new JsonObject { ["name"] = result.GetValue(name), ["readOnly"] = result.GetValue(readOnly) };
                if (result.GetValue(expires) is { } time)
                {
                    body["expiresAt"] = (TimeProvider.System.GetUtcNow() + time).UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
                }
                return (HttpMethod.Post, "adminkeys", body.ToJsonString());
            },
            (_, answer) => $"{answer!.Value.GetProperty("token").GetString()}\nAdmin key {answer.Value.GetProperty("id").GetString()} is ready. The token is shown this once.");
        return command;
    }

    private static Command RotateCommand(ApiCommand api)
    {
        var id = KeysCommand.Id();
        var overlap = KeysCommand.Overlap();
        var command = new Command("rotate", "Make an admin key that takes another one's place; its token is printed once.") { id, overlap };
        api.SetAction(command, result => (HttpMethod.Post, $"adminkeys/{Uri.EscapeDataString(result.GetValue(id)!)}/rotate", KeysCommand.Rotation(result.GetValue(overlap))),
            (result, answer) => $"{answer!.Value.GetProperty("token").GetString()}\nAdmin key {answer.Value.GetProperty("id").GetString()} takes the place of {result.GetValue(id)}. The token is shown this once.");
        return command;
    }

    private static Command RevokeCommand(ApiCommand api)
    {
        var id = KeysCommand.Id();
        var command = new Command("revoke", "Revoke an admin key for good.") { id };
        api.SetAction(command, result => (HttpMethod.Delete, $"adminkeys/{Uri.EscapeDataString(result.GetValue(id)!)}", null), (result, _) => $"Admin key {result.GetValue(id)} is revoked.");
        return command;
    }

    private static Command RecoverCommand(TextWriter output, TextWriter error)
    {
        var data = new Option<string>(ServeArguments.Data) { Description = "Folder of the database of the gateway, which must not run.", HelpName = "dir", DefaultValueFactory = _ => ServeOptions.DefaultDataFolder };
        data.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is { } folder && !Directory.Exists(folder))
            {
                result.AddError($"There is no data folder '{folder}'.");
            }
        });
        var command = new Command("recover", "Make an admin key while the gateway is stopped, for who has lost theirs; it is printed once.") { data };
        command.SetAction(async (result, _) =>
        {
            try
            {
                using var database = GatewayDatabase.Open(new StorageOptions { Folder = result.GetValue(data)! }, TimeProvider.System);
                var keys = new AdminKeys(database, new KeyStore(database, TimeProvider.System), TimeProvider.System);
                var issued = keys.Create("recovered", readOnly: false, expiresAt: null, new ChangedBy("recover"));
                await output.WriteLineAsync($"{issued.Token}\nAdmin key {issued.Id} is ready. The token is shown this once; revoke the lost one with 'gateway admin-keys revoke'.");
                return 0;
            }
            catch (StorageException exception)
            {
                await error.WriteLineAsync($"gateway: {exception.Message}");
                return Server.Failed;
            }
        });
        return command;
    }
}
