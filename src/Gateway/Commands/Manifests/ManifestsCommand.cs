using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Gateway.Commands.Configuration;
using Gateway.Hosting;
using Shared.Configuration;
using Shared.Snapshots;
using Shared.Storage;

namespace Gateway.Commands.Manifests;

/// <summary><c>gateway manifests</c>: looks at tool manifests, and makes them from other programs' files.</summary>
internal static class ManifestsCommand
{
    private static readonly JsonSerializerOptions Layout = new() { WriteIndented = true, NewLine = "\n", Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static Command Create(TextWriter output, TextWriter error) => new("manifests", "Check, show, import and pin tool manifests.")
    {
        LintCommand(output, error),
        ShowCommand(output, error),
        ImportCommand.Create(output, error),
        PinCommand.Create(output, error),
    };

    private static Command LintCommand(TextWriter output, TextWriter error)
    {
        var paths = new Argument<string[]>("path") { Description = "Manifests, or folders of them [default: ./tool-manifests].", Arity = ArgumentArity.ZeroOrMore };
        var strict = new Option<bool>("--strict") { Description = "Fail on warnings too." };
        var json = new Option<bool>("--json") { Description = "Print the findings as JSON." };
        var command = new Command("lint", "Report errors, and what people should look at. Resolves no secret and contacts nothing.") { paths, strict, json };
        command.SetAction(async (result, _) =>
        {
            string[] given = result.GetValue(paths) is { Length: > 0 } named ? named : [ServeOptions.DefaultManifestFolder];
            var files = given.SelectMany(path => Directory.Exists(path) ? FilesOf(path) : [path]).Distinct(StringComparer.Ordinal).ToList();
            var findings = new ManifestLint(Environment.GetEnvironmentVariable).Check(files);
            if (result.GetValue(json))
            {
                await output.WriteLineAsync(Json(findings));
            }
            else
            {
                await WriteAsync(output, error, findings);
                await output.WriteLineAsync($"{files.Count} manifest{(files.Count == 1 ? "" : "s")}: {Count(findings, Severity.Error)}, {Count(findings, Severity.Warning)}, {Count(findings, Severity.Note)}.");
            }
            return findings.Any(finding => finding.Severity == Severity.Error || (finding.Severity == Severity.Warning && result.GetValue(strict))) ? Server.Failed : 0;
        });
        return command;
    }

    /// <summary>Errors go to the error writer, the rest to the output; each with its place.</summary>
    public static async Task WriteAsync(TextWriter output, TextWriter error, IEnumerable<Finding> findings)
    {
        foreach (var finding in findings)
        {
            await (finding.Severity == Severity.Error ? error : output).WriteLineAsync(ErrorReport.Plain(Line(finding)));
        }
    }

    private static string Line(Finding finding)
    {
        var at = finding.At;
        var place = at.Line == 0 ? at.File : $"{at.File}:{at.Line}:{at.Column}";
        return $"{place}: {Scalars.CamelCase(finding.Severity.ToString())}: {(at.Path.Length == 0 ? "" : at.Path + ": ")}{at.Message}";
    }

    private static string Json(IReadOnlyList<Finding> findings)
    {
        var items = new JsonArray();
        foreach (var finding in findings)
        {
            var item = ErrorReport.Node(finding.At);
            item.Insert(0, "severity", Scalars.CamelCase(finding.Severity.ToString()));
            items.Add(item);
        }
        return new JsonObject { ["ok"] = findings.All(finding => finding.Severity != Severity.Error), ["findings"] = items }.ToJsonString(Layout);
    }

    private static string Count(IReadOnlyList<Finding> findings, Severity severity)
    {
        var count = findings.Count(finding => finding.Severity == severity);
        return $"{count} {Scalars.CamelCase(severity.ToString())}{(count == 1 ? "" : "s")}";
    }

    private static IEnumerable<string> FilesOf(string folder) => new SourceFiles(folder).Manifests;

    private static Command ShowCommand(TextWriter output, TextWriter error)
    {
        var id = new Argument<string?>("id") { Description = "One tool server; without it, all of them on a line each.", Arity = ArgumentArity.ZeroOrOne };
        var files = new ConfigurationFiles();
        var json = new Option<bool>("--json") { Description = "Print JSON: each value with its origin." };
        var command = new Command("show", "Print tool servers as the hub sees them, secrets masked.") { id, files.Config, files.Manifests, files.Data, json };
        command.SetAction(async (result, _) =>
        {
            var options = files.Read(result);
            try
            {
                var examination = await ConfigurationCheck.RunAsync(options);
                if (examination.Errors.Count > 0)
                {
                    await ErrorReport.WriteAsync(error, examination.Errors);
                    return Server.Failed;
                }
                return await ShowAsync(examination, options, result.GetValue(id), result.GetValue(json), output, error);
            }
            catch (Exception exception) when (exception is StorageException or ListenAddressException)
            {
                await error.WriteLineAsync($"gateway: {exception.Message}");
                return Server.Failed;
            }
        });
        return command;
    }

    private static async Task<int> ShowAsync(ConfigurationExamination examination, ServeOptions options, string? id, bool json, TextWriter output, TextWriter error)
    {
        var manifests = examination.Snapshot.Manifests.Where(manifest => id is null || manifest.Id == id).ToList();
        if (manifests.Count == 0)
        {
            await error.WriteLineAsync($"gateway: There is no tool server '{id}'; {Nearest.Hint(id!, [.. examination.Snapshot.Manifests.Select(manifest => manifest.Id)])}");
            return Server.Failed;
        }
        var effective = new EffectiveConfiguration(examination, options.Environment);
        var shown = new ShownValue("") { Children = [.. manifests.Select(effective.Manifest)] };
        if (json)
        {
            await output.WriteLineAsync(shown.ToJson());
        }
        else if (id is not null)
        {
            await output.WriteAsync(shown.ToText());
        }
        else
        {
            var width = manifests.Max(manifest => manifest.Id.Length);
            foreach (var manifest in manifests)
            {
                var how = manifest.Transport switch { UpstreamTransport.Stdio => manifest.Command, UpstreamTransport.StreamableHttp or UpstreamTransport.Sse => manifest.Url?.GetLeftPart(UriPartial.Path), UpstreamTransport.OpenApi => manifest.OpenApi?.DocumentUrl?.GetLeftPart(UriPartial.Path) ?? manifest.OpenApi?.Document, _ => "built in" };
                await output.WriteLineAsync($"{manifest.Id.PadRight(width)}  {(manifest.Enabled ? "on " : "off")}  {how}  ({manifest.Origin})");
            }
        }
        return 0;
    }
}
