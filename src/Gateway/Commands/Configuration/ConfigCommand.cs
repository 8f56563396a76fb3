using System.CommandLine;
using System.Text;
using Gateway.Hosting;
using Shared.Configuration.Schemas;
using Shared.Snapshots;
using Shared.Storage;

namespace Gateway.Commands.Configuration;

/// <summary><c>gateway config</c>: checks and shows the configuration without serving it, and prints the schemas of its files.</summary>
internal static class ConfigCommand
{
    public static Command Create(TextWriter output, TextWriter error) => new("config", "Check and show the configuration; print the JSON Schemas of its files.")
    {
        CheckCommand(output, error),
        ShowCommand(output, error),
        SchemaCommand(output),
    };

    private static Command CheckCommand(TextWriter output, TextWriter error)
    {
        var files = new ConfigurationFiles();
        var json = new Option<bool>("--json") { Description = "Print the result as JSON." };
        var command = new Command("check", "Report every error that a start would report. Contacts nothing and may run beside a gateway.") { files.Config, files.Manifests, files.Data, json };
        command.SetAction((result, _) => ExamineAsync(files.Read(result), error, async examination =>
        {
            if (result.GetValue(json))
            {
                await output.WriteLineAsync(ErrorReport.Json(examination.Errors, examination.Errors.Count == 0 ? examination.Snapshot.Revision : null));
            }
            else if (examination.Errors.Count == 0)
            {
                await output.WriteLineAsync(Summary(examination.Snapshot));
            }
            else
            {
                await ErrorReport.WriteAsync(error, examination.Errors);
            }
            return examination.Errors.Count == 0 ? 0 : Server.Failed;
        }));
        return command;
    }

    private static Command ShowCommand(TextWriter output, TextWriter error)
    {
        var files = new ConfigurationFiles();
        var json = new Option<bool>("--json") { Description = "Print JSON: each value with its origin." };
        var changed = new Option<bool>("--changed") { Description = "Leave out what is at its default." };
        var command = new Command("show", "Print the configuration in effect: every value with where it comes from, secrets masked.") { files.Config, files.Manifests, files.Data, changed, json };
        command.SetAction((result, _) =>
        {
            var options = files.Read(result);
            return ExamineAsync(options, error, async examination =>
            {
                if (examination.Errors.Count > 0)
                {
                    await ErrorReport.WriteAsync(error, examination.Errors);
                    return Server.Failed;
                }
                var shown = new EffectiveConfiguration(examination, options.Environment).All();
                if (result.GetValue(changed))
                {
                    shown = shown.WithoutDefaults();
                }
                await output.WriteAsync(result.GetValue(json) ? shown.ToJson() + "\n" : shown.ToText());
                return 0;
            });
        });
        return command;
    }

    private static Command SchemaCommand(TextWriter output)
    {
        var kind = new Argument<string>("file") { Description = "gateway, manifest or prices.", DefaultValueFactory = _ => "gateway" };
        kind.AcceptOnlyFromAmong([.. DocumentKind.All.Select(known => known.Name), "reference"]);
        var command = new Command("schema", "Print the JSON Schema of a kind of file, or the reference of all members as Markdown ('reference').") { kind };
        command.SetAction(async (result, _) =>
        {
            var name = result.GetValue(kind)!;
            await output.WriteAsync(name == "reference" ? ConfigurationSchemas.Reference() : ConfigurationSchemas.Schema(DocumentKind.All.Single(known => known.Name == name)));
            return 0;
        });
        return command;
    }

    private static async Task<int> ExamineAsync(ServeOptions options, TextWriter error, Func<ConfigurationExamination, Task<int>> tell)
    {
        try
        {
            return await tell(await ConfigurationCheck.RunAsync(options));
        }
        catch (Exception exception) when (exception is StorageException or ListenAddressException)
        {
            await error.WriteLineAsync($"gateway: {exception.Message}");
            return Server.Failed;
        }
    }

    private static string Summary(Snapshot snapshot)
    {
        var text = new StringBuilder("The configuration is right: ");
        text.Append($"{Count(snapshot.Keys.Count, "key")}, {Count(snapshot.Providers.Count, "provider")}, {Count(snapshot.Routes.Count, "route")}, ");
        text.Append($"{Count(snapshot.Manifests.Length, "tool server")} ({snapshot.Manifests.Count(manifest => manifest.Enabled)} on); revision {snapshot.Revision}.");
        return text.ToString();
    }

    private static string Count(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";
}
