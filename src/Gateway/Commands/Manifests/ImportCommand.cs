using System.CommandLine;
using System.Text;
using System.Text.Json;
using Gateway.Commands.Configuration;
using Gateway.Hosting;

namespace Gateway.Commands.Manifests;

/// <summary><c>gateway manifests import</c>: makes manifests from other programs' files, all of them or none. Runs nothing.</summary>
internal static class ImportCommand
{
    private const string SchemaFile = "schema.json";

    public static Command Create(TextWriter output, TextWriter error)
    {
        var file = new Argument<string>("file") { Description = "The file, or - for standard input." };
        var format = new Option<string>("--format") { Description = "What it is.", DefaultValueFactory = _ => "auto" };
        format.AcceptOnlyFromAmong(ManifestImport.Formats);
        var folder = new Option<string>("--out") { Description = "Folder of the manifests; made where it does not exist.", HelpName = "dir", DefaultValueFactory = _ => ServeOptions.DefaultManifestFolder };
        var dryRun = new Option<bool>("--dry-run") { Description = "Print the manifests instead of writing them." };
        var force = new Option<bool>("--force") { Description = "Replace files that exist." };
        var enable = new Option<bool>("--enable") { Description = "Write servers switched on that lack nothing; a running gateway then starts them." };
        var prefer = new Option<string>("--prefer") { Description = "For a server.json with both: package or remote.", DefaultValueFactory = _ => "package" };
        prefer.AcceptOnlyFromAmong("package", "remote");
        var secretsFile = new Option<string?>("--secrets-file") { Description = "Write 'export NAME=…' lines for the secrets that stood in the file, readable by you only; - prints them.", HelpName = "file" };
        var store = new Option<bool>("--store-secrets") { Description = "Put those secrets into the encrypted store of the running gateway." };
        var url = new Option<string>("--url") { Description = "The running gateway.", HelpName = "url", DefaultValueFactory = _ => ListenAddresses.Default };
        var adminKey = new Option<string?>("--admin-key") { Description = "Admin key [default: GATEWAY_ADMIN_KEY].", HelpName = "key" };
        var command = new Command("import", "Make manifests from an MCP client's list of servers, a registry's server.json, a Docker catalog or an OpenAPI document. Runs nothing.")
        {
            file, format, folder, dryRun, force, enable, prefer, secretsFile, store, url, adminKey,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(store) && result.GetValue(secretsFile) is not null)
            {
                result.AddError("--store-secrets and --secrets-file exclude each other: a secret has one place.");
            }
        });
        command.SetAction(async (result, cancellationToken) =>
        {
            var run = new ImportRun(output, error)
            {
                Folder = result.GetValue(folder)!,
                DryRun = result.GetValue(dryRun),
                Force = result.GetValue(force),
                Enable = result.GetValue(enable),
                SecretsFile = result.GetValue(secretsFile),
            };
            try
            {
                var name = result.GetValue(file)!;
                var context = new ImportContext(name == "-" ? "standard input" : Path.GetFileName(name), result.GetValue(store)) { DocumentPath = name == "-" ? null : PathFrom(run.Folder, name) };
                ManifestImport.Read(await ManifestImport.ReadBytesAsync(name, cancellationToken), result.GetValue(format)!, result.GetValue(prefer) == "remote", context);
                if (!await run.PlanAsync(context))
                {
                    return Server.Failed;
                }
                if (result.GetValue(store) && context.Secrets.Count > 0 && !run.DryRun)
                {
                    var code = await AdminClient.RunAsync(result.GetValue(url)!, result.GetValue(adminKey) ?? Environment.GetEnvironmentVariable("GATEWAY_ADMIN_KEY"), error, client => StoreAsync(client, context, cancellationToken));
                    if (code != 0)
                    {
                        return code;
                    }
                }
                await run.WriteAsync(context);
                return 0;
            }
            catch (CommandException exception)
            {
                await error.WriteLineAsync($"gateway: {exception.Message}");
                return Server.Failed;
            }
        });
        return command;
    }

    private static string PathFrom(string folder, string file)
    {
        var path = Path.GetRelativePath(Path.GetFullPath(folder), Path.GetFullPath(file)).Replace('\\', '/');
        return path.StartsWith('.') || Path.IsPathRooted(path) ? path : "./" + path;
    }

    private static async Task StoreAsync(AdminClient client, ImportContext context, CancellationToken cancellationToken)
    {
        foreach (var secret in context.Secrets.Where(secret => secret.Stored))
        {
            var body = JsonSerializer.Serialize(new Dictionary<string, string> { ["value"] = secret.Value });
            using var _ = await client.SendAsync(HttpMethod.Put, $"admin/v1/secrets/{Uri.EscapeDataString(secret.Name)}", body, cancellationToken);
        }
    }

    /// <summary>One import: what it will write, and the writing.</summary>
    private sealed class ImportRun(TextWriter output, TextWriter error)
    {
        private readonly List<(ImportedServer Server, string Path, string Text, bool Enabled)> files = [];

        public required string Folder { get; init; }

        public required bool DryRun { get; init; }

        public required bool Force { get; init; }

        public required bool Enable { get; init; }

        public required string? SecretsFile { get; init; }

        /// <summary>Makes the files' texts and checks them; false: something is wrong, was told, and nothing must be written.</summary>
        public async Task<bool> PlanAsync(ImportContext context)
        {
            var problems = context.Errors.Select(problem => problem.ToString()).ToList();
            var folder = Path.GetFullPath(Folder);
            var schema = File.Exists(Path.Combine(folder, SchemaFile)) ? SchemaFile : null;
            foreach (var server in problems.Count > 0 ? [] : context.Servers)
            {
                var path = Path.Combine(folder, server.Id + ".yaml");
                if (Path.GetDirectoryName(path) != Path.TrimEndingDirectorySeparator(folder))
                {
                    throw new InvalidOperationException($"The id '{server.Id}' leads out of the folder.");
                }
                var enabled = Enable && server.OffBecause is null && server.Checklist.Count == 0 && !NeedsSecrets(server, context);
                files.Add((server, path, ManifestText.Write(server, context.Source, enabled, schema), enabled));
                if (!Force && !DryRun && new FileInfo(path) is { Exists: true } or { LinkTarget: not null })
                {
                    problems.Add($"{Path.Combine(Folder, server.Id + ".yaml")}: exists already; --force replaces it");
                }
            }
            if (SecretsFile is not (null or "-") && !DryRun && !Force && context.Secrets.Count > 0 && File.Exists(SecretsFile))
            {
                problems.Add($"{SecretsFile}: exists already; --force replaces it");
            }
            var findings = new ManifestLint(Environment.GetEnvironmentVariable).Check(files.Select(file => (Path.Combine(Folder, file.Server.Id + ".yaml"), file.Text)));
            problems.AddRange(findings.Where(finding => finding.Severity == Severity.Error).Select(finding => finding.At.ToString()));
            if (problems.Count > 0)
            {
                foreach (var problem in problems)
                {
                    await error.WriteLineAsync(ErrorReport.Plain(problem));
                }
                await error.WriteLineAsync("gateway: Nothing was imported.");
                return false;
            }
            await ManifestsCommand.WriteAsync(output, error, findings.Where(finding => finding.Severity == Severity.Warning));
            return true;
        }

        public async Task WriteAsync(ImportContext context)
        {
            foreach (var (server, path, text, enabled) in files)
            {
                if (DryRun)
                {
                    await output.WriteLineAsync($"--- {Path.GetFileName(path)}");
                    await output.WriteAsync(text);
                }
                else
                {
                    Write(path, text, secret: false);
                    await output.WriteLineAsync($"{Path.Combine(Folder, Path.GetFileName(path))}: written, switched {(enabled ? "on" : "off")}{(server.Name == server.Id ? "" : $"; the source calls it {ImportContext.Show(server.Name)}")}");
                }
                foreach (var item in server.Checklist)
                {
                    await output.WriteLineAsync($"  to do: {ErrorReport.Plain(item)}");
                }
                foreach (var item in server.NotCarriedOver)
                {
                    await output.WriteLineAsync($"  not carried over: {ErrorReport.Plain(item)}");
                }
            }
            await WriteSecretsAsync(context);
        }

        // A manifest whose variables are set nowhere would keep the gateway from starting.
        private static bool NeedsSecrets(ImportedServer server, ImportContext context) =>
            context.Secrets.Any(secret => !secret.Stored && server.Environment.Values.Concat(server.Headers.Values).Concat(server.Arguments).Append(server.Url ?? "").Append(server.WorkingDirectory ?? "")
                .Any(text => text.Contains($"${{env:{secret.Name}}}", StringComparison.Ordinal) && Environment.GetEnvironmentVariable(secret.Name) is null or ""));

        private async Task WriteSecretsAsync(ImportContext context)
        {
            if (context.Secrets.Count == 0)
            {
                return;
            }
            var lines = new StringBuilder();
            foreach (var secret in context.Secrets)
            {
                lines.Append($"export {secret.Name}='{secret.Value.Replace("'", @"'\''", StringComparison.Ordinal)}'\n");
            }
            foreach (var secret in context.Secrets)
            {
                var fate = secret.Stored ? $"put into the encrypted store as {secret.Name}"
                    : SecretsFile is null ? $"replaced by ${{env:{secret.Name}}}; set that variable for the gateway"
                    : $"replaced by ${{env:{secret.Name}}}, its value is {(SecretsFile == "-" ? "below" : $"in {SecretsFile}")}";
                await output.WriteLineAsync($"secret of {ErrorReport.Plain(secret.Where)}: {(DryRun ? "would be " : "")}{fate}");
            }
            if (SecretsFile is null || DryRun)
            {
                return;
            }
            if (SecretsFile == "-")
            {
                await output.WriteAsync(lines.ToString());
                return;
            }
            Write(Path.GetFullPath(SecretsFile), lines.ToString(), secret: true);
            await output.WriteLineAsync($"{SecretsFile}: written; load it with '. {(Path.GetFileName(SecretsFile) == SecretsFile ? "./" : "")}{SecretsFile}' before the gateway starts");
        }

        // Written beside its place and moved there, so that a link in its place is replaced and not followed, and nobody reads half a file.
        private static void Write(string path, string text, bool secret)
        {
            var part = $"{path}.{Guid.NewGuid():N}.part";
            try
            {
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
                if (secret && !OperatingSystem.IsWindows())
                {
                    options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
                }
                using (var stream = new FileStream(part, options))
                {
                    stream.Write(Encoding.UTF8.GetBytes(text));
                }
                File.Move(part, path, overwrite: true);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                File.Delete(part);
                throw new CommandException($"'{path}' cannot be written: {exception.Message}");
            }
        }
    }
}
