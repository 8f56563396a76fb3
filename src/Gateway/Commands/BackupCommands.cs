using System.CommandLine;
using Gateway.Hosting;
using Shared.Ledger;
using Shared.Storage;

namespace Gateway.Commands;

/// <summary><c>gateway backup</c> and <c>gateway restore</c>.</summary>
internal static class BackupCommands
{
    public static Command Backup(TextWriter output, TextWriter error)
    {
        var access = new GatewayAccess(error);
        var file = new Argument<string>("file") { Description = "The archive to make." };
        var data = new Option<string?>("--data") { Description = "Back up this data folder of a gateway that does not run; without it, the running one is asked.", HelpName = "dir" };
        var key = new Option<bool>("--include-secrets-key") { Description = "Pack the key of the stored secrets as well. Whoever has the archive can then read them." };
        var overwrite = new Option<bool>("--overwrite") { Description = "Replace the file if it exists." };
        var command = new Command("backup", "Back up the data of a gateway, while it runs or not: keys, configuration of the admin API, ledger, audit.") { file, data, key, overwrite };
        access.AddTo(command);
        command.SetAction((result, cancellationToken) =>
        {
            var (target, includeKey) = (result.GetValue(file)!, result.GetValue(key));
            if (File.Exists(target) && !result.GetValue(overwrite))
            {
                return FailAsync(error, $"'{target}' exists. Choose another name, or give --overwrite.");
            }
            if (result.GetValue(data) is { } folder)
            {
                return GuardAsync(error, async () =>
                {
                    await OfflineAsync(folder, target, includeKey, cancellationToken);
                    await output.WriteLineAsync($"Backed up '{folder}' to '{target}', {Size(target)}.");
                });
            }
            return access.RunAsync(result, client => GuardedAsync(async () =>
            {
                await WriteAsync(target, stream => client.DownloadAsync(HttpMethod.Post, $"admin/v1/backup?includeSecretsKey={(includeKey ? "true" : "false")}", body => body.CopyToAsync(stream, cancellationToken), cancellationToken));
                await output.WriteLineAsync($"Backed up the gateway to '{target}', {Size(target)}.");
            }));
        });
        return command;
    }

    public static Command Restore(TextWriter output, TextWriter error)
    {
        var file = new Argument<string>("file") { Description = "The archive." };
        var data = new Option<string>("--data") { Description = "The data folder to restore into; made where it does not exist.", HelpName = "dir", Required = true };
        var force = new Option<bool>("--force") { Description = "Restore into a folder that is not empty; what is there is moved aside." };
        var command = new Command("restore", "Put a backup into a data folder. The gateway of that folder must not run.") { file, data, force };
        command.SetAction(result => GuardAsync(error, async () =>
        {
            var restored = Shared.Storage.Restore.Run(result.GetValue(file)!, result.GetValue(data)!, result.GetValue(force), TimeProvider.System);
            await output.WriteLineAsync($"Restored the backup of {restored.CreatedAt} into '{result.GetValue(data)}': {restored.Attempts} attempts in its ledger.");
            if (restored.Replaced is { } aside)
            {
                await output.WriteLineAsync($"What was there before is in '{aside}'.");
            }
            if (restored is { Secrets: > 0, HasSecretsKey: false })
            {
                await output.WriteLineAsync($"Its {restored.Secrets} stored secrets need their key, which was not in the backup: copy 'secrets.key' into the folder, or set GATEWAY_SECRETS_KEY.");
            }
        }));
        return command;
    }

    private static async Task OfflineAsync(string folder, string target, bool includeKey, CancellationToken cancellationToken)
    {
        if (!File.Exists(Path.Combine(folder, "gateway.db")))
        {
            throw new CommandException($"There is no gateway's data in '{folder}'.");
        }
        var services = new ServiceCollection().AddLogging(logging => logging.SetMinimumLevel(LogLevel.None));
        services.AddStorage(new StorageOptions { Folder = folder });
        await using var provider = services.BuildServiceProvider();
        // Opening the ledger takes up what a process that died left in its journal.
        provider.GetRequiredService<EmbeddedLedger>();
        using var copy = await provider.GetRequiredService<Backup>().CopyAsync(includeKey, cancellationToken);
        await WriteAsync(target, stream => copy.WriteAsync(stream, cancellationToken));
    }

    /// <summary>Writes the archive under another name first, and looks through it: under its own name it is whole, or not there.</summary>
    private static async Task WriteAsync(string target, Func<Stream, Task> write)
    {
        var unfinished = target + ".unfinished";
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, Options = FileOptions.Asynchronous };
            if (!OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }
            await using (var stream = new FileStream(unfinished, options))
            {
                await write(stream);
                stream.Flush(flushToDisk: true);
            }
            Shared.Storage.Restore.Check(unfinished);
            File.Move(unfinished, target, overwrite: true);
        }
        finally
        {
            File.Delete(unfinished);
        }
    }

    private static async Task<int> GuardAsync(TextWriter error, Func<Task> work)
    {
        try
        {
            await GuardedAsync(work);
            return 0;
        }
        catch (CommandException exception)
        {
            return await FailAsync(error, exception.Message);
        }
    }

    private static async Task GuardedAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (Exception exception) when (exception is StorageException or IOException or UnauthorizedAccessException)
        {
            throw new CommandException(exception.Message);
        }
    }

    private static async Task<int> FailAsync(TextWriter error, string message)
    {
        await error.WriteLineAsync($"gateway: {message}");
        return Server.Failed;
    }

    private static string Size(string path) => $"{(new FileInfo(path).Length + 1023) / 1024} KiB";
}
