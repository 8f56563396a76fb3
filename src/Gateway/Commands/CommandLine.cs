using System.CommandLine;
using Gateway.Bridging;
using Gateway.Connecting;
using Gateway.Hosting;
using Shared.Configuration;

namespace Gateway.Commands;

/// <summary>The command line: serving is what it does when nothing else is asked for.</summary>
internal static class CommandLine
{
    /// <summary>Parses and runs a command.</summary>
    /// <returns>The exit code: 0 done, 1 failed, 2 the command line is wrong.</returns>
    public static async Task<int> RunAsync(string[] args, TextWriter output, TextWriter error, CancellationToken cancellationToken = default)
    {
        if (ServeArguments.TryParse(args, out var options))
        {
            return await Server.RunAsync(options, output, error, cancellationToken);
        }
        if (BridgeCommand.TryParse(args, out var bridge))
        {
            return await Bridge.RunAsync(bridge, error);
        }
        var result = Root(output, error).Parse(args);
        if (result.Errors.Count > 0)
        {
            foreach (var mistake in result.Errors)
            {
                await error.WriteLineAsync($"gateway: {mistake.Message}");
            }
            var command = result.CommandResult.Command;
            foreach (var word in result.UnmatchedTokens)
            {
                string[] known = [.. command.Subcommands.Select(subcommand => subcommand.Name), .. OptionsOf(result.CommandResult).Select(option => option.Name)];
                if (Nearest.Find(word, known) is { } meant)
                {
                    await error.WriteLineAsync($"gateway: did you mean '{meant}'?");
                }
            }
            await error.WriteLineAsync($"gateway: see '{PathOf(result.CommandResult)} --help'.");
            return Server.WrongUsage;
        }
        // The host handles signals itself, and drains.
        return await result.InvokeAsync(new InvocationConfiguration { Output = output, Error = error, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, cancellationToken);
    }

    private static string PathOf(System.CommandLine.Parsing.CommandResult command) =>
        command.Parent is System.CommandLine.Parsing.CommandResult parent ? $"{PathOf(parent)} {command.Command.Name}" : "gateway";

    // Those of the commands above hold for this one too, where they say so.
    private static IEnumerable<Option> OptionsOf(System.CommandLine.Parsing.CommandResult command) =>
        [.. command.Command.Options, .. command.Parent is System.CommandLine.Parsing.CommandResult parent ? OptionsOf(parent).Where(option => option.Recursive) : []];

    private static RootCommand Root(TextWriter output, TextWriter error)
    {
        var data = new Option<string>(ServeArguments.Data) { Description = "Folder of the database; made where it does not exist.", HelpName = "dir", DefaultValueFactory = _ => ServeOptions.DefaultDataFolder };
        var config = new Option<string?>(ServeArguments.Config) { Description = "Configuration file [default: ./gateway.yaml, if it exists].", HelpName = "file" };
        var manifests = new Option<string?>(ServeArguments.Manifests) { Description = "Folder of tool manifests [default: ./tool-manifests, if it exists].", HelpName = "dir" };
        var urls = new Option<string?>(ServeArguments.Urls) { Description = "Addresses to listen on, separated by semicolons [default: server.urls of the configuration, ASPNETCORE_URLS, or http://127.0.0.1:8080].", HelpName = "urls" };
        var behindProxy = new Option<bool>(ServeArguments.BehindProxy) { Description = "A proxy that speaks TLS stands in front, so addresses that other machines reach may be listened on without TLS; the same as 'server.behindProxy: true'." };
        config.Validators.Add(result => MustExist(result.GetValueOrDefault<string?>(), File.Exists, result.AddError, "configuration file"));
        manifests.Validators.Add(result => MustExist(result.GetValueOrDefault<string?>(), Directory.Exists, result.AddError, "folder of tool manifests"));
        var root = new RootCommand("One key, one budget and one trace for models and tools: an OpenAI-compatible proxy and an MCP hub in one process.") { data, config, manifests, urls, behindProxy };
        root.Subcommands.Add(KeysCommand.Create(output, error));
        root.Subcommands.Add(Configuration.ConfigCommand.Create(output, error));
        root.Subcommands.Add(Manifests.ManifestsCommand.Create(output, error));
        root.AddDataCommands(output, error);
        root.Subcommands.Add(AdminKeysCommand.Create(output, error));
        root.Subcommands.Add(SecretsCommand.CreateProviders(output, error));
        root.Subcommands.Add(SecretsCommand.Create(output, error));
        root.Subcommands.Add(HistoryCommands.CreateAudit(output, error));
        root.Subcommands.Add(HistoryCommands.CreateRevisions(output, error));
        root.Subcommands.Add(PricesCommand.Create(output, error));
        root.Subcommands.Add(ConnectCommand.Create(output, error));
        root.Subcommands.Add(BridgeCommand.Create(error));
        root.SetAction((result, cancellationToken) => Server.RunAsync(
            new ServeOptions
            {
                DataFolder = result.GetValue(data)!,
                ConfigurationFile = result.GetValue(config),
                ManifestFolder = result.GetValue(manifests) ?? ServeOptions.DefaultManifestFolder,
                Urls = result.GetValue(urls),
                BehindProxy = result.GetValue(behindProxy),
            },
            output, error, cancellationToken));
        return root;
    }

    private static void MustExist(string? path, Func<string, bool> exists, Action<string> refuse, string what)
    {
        if (path is not null && !exists(path))
        {
            refuse($"There is no {what} '{path}'.");
        }
    }
}
