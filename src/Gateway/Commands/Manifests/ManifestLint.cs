using System.Text.RegularExpressions;
using McpHub.OpenApi;
using Shared.Configuration;
using Shared.Snapshots;

namespace Gateway.Commands.Manifests;

/// <summary>How much a finding matters.</summary>
internal enum Severity
{
    /// <summary>The gateway would refuse the manifest.</summary>
    Error,

    /// <summary>It loads, and something is probably not as it should be.</summary>
    Warning,

    /// <summary>Depends on the machine that it runs on.</summary>
    Note,
}

/// <summary>Something that was found in a manifest.</summary>
internal sealed record Finding(Severity Severity, ConfigError At);

/// <summary>
/// Looks at manifests: what the gateway would refuse, and what it takes but people should look at. References are not resolved, so that the outcome is the
/// same on a machine that has none of the secrets.
/// </summary>
internal sealed partial class ManifestLint(Func<string, string?> environment)
{
    private const int LongPrefix = 16;
    private const int MostOperations = 20;
    private readonly List<Finding> findings = [];

    /// <summary>What is found in some files, ordered by place.</summary>
    public IReadOnlyList<Finding> Check(IEnumerable<string> files)
    {
        List<ConfigError> errors = [];
        List<ManifestDeclaration> declarations = [];
        var reader = new SourceFiles(null);
        foreach (var file in files)
        {
            if (!reader.TryRead(file, out var text, out _, out var reason))
            {
                errors.Add(new ConfigError(file, 0, 0, "", reason));
            }
            else
            {
                Read(file, text, errors, declarations);
            }
        }
        return Finish(errors, declarations);
    }

    /// <summary>What is found in texts that are no files yet.</summary>
    public IReadOnlyList<Finding> Check(IEnumerable<(string File, string Text)> texts)
    {
        List<ConfigError> errors = [];
        List<ManifestDeclaration> declarations = [];
        foreach (var (file, text) in texts)
        {
            Read(file, text, errors, declarations);
        }
        return Finish(errors, declarations);
    }

    private void Read(string file, string text, List<ConfigError> errors, List<ManifestDeclaration> declarations)
    {
        // An OpenAPI document may lie among the manifests; those that use it are looked at with it.
        if (!SourceFiles.IsOpenApiDocument(text) && YamlNodes.Read(file, text, errors) is { } node && new ConfigBinder(errors, References).Bind<ManifestDeclaration>(node) is { } declaration)
        {
            declarations.Add(declaration);
            Warn(declaration);
        }
    }

    private IReadOnlyList<Finding> Finish(List<ConfigError> errors, List<ManifestDeclaration> declarations)
    {
        var manifests = new ManifestCompiler(environment, errors).Compile(declarations);
        foreach (var declaration in declarations.Where(declaration => declaration.Upstream.Document is not null))
        {
            CheckDocument(declaration, manifests.FirstOrDefault(manifest => manifest.Id == declaration.Metadata.Id), errors);
        }
        return
        [
            .. errors.Select(error => new Finding(Severity.Error, error)).Concat(findings)
                .OrderBy(finding => finding.At.File, StringComparer.Ordinal).ThenBy(finding => finding.At.Line).ThenBy(finding => finding.At.Column).ThenBy(finding => finding.Severity),
        ];
    }

    private void CheckDocument(ManifestDeclaration declaration, ToolManifest? manifest, List<ConfigError> errors)
    {
        if (manifest?.OpenApi is not { } source || ImportContext.HasReference((declaration.Upstream.Node?.At("document") as ConfigScalar)?.Text ?? ""))
        {
            return;
        }
        if (source.DocumentUrl is not null)
        {
            findings.Add(new Finding(Severity.Note, declaration.Upstream.Error("document", "is at an address; what it holds was not looked at")));
            return;
        }
        // An address that a variable holds is not known here.
        var known = source.BaseUrl is null && (declaration.Upstream.Node as ConfigMapping)?.Find("baseUrl") is not null ? source with { BaseUrl = new Uri("https://api.invalid") } : source;
        var (api, problem) = OpenApiInspection.Read(manifest with { OpenApi = known });
        if (api is null)
        {
            errors.Add(declaration.Upstream.Error("document", problem ?? ""));
            return;
        }
        foreach (var operation in api.Unusable.Take(MostOperations))
        {
            Warning(declaration.Upstream.Error("document", $"the operation {operation.Tool} cannot be a tool: {operation.Reason}"));
        }
        foreach (var warning in api.Warnings)
        {
            Warning(declaration.Upstream.Error("document", warning));
        }
        findings.Add(new Finding(Severity.Note, declaration.Upstream.Error("document", $"makes {api.Operations.Count} tool{(api.Operations.Count == 1 ? "" : "s")}")));
    }

    private static SecretReferences References { get; } = new SecretReferences(_ => null, _ => null, _ => null).AsLenient();

    private void Warn(ManifestDeclaration manifest)
    {
        if (string.IsNullOrWhiteSpace(manifest.Metadata.Description))
        {
            Warning(manifest.Metadata.Error("description", "is missing: say what the server is for"));
        }
        WarnOfPrefix(manifest);
        WarnOfCommand(manifest);
        WarnOfAddress(manifest);
        WarnOfRules(manifest);
        WarnOfSecrets(manifest.Upstream);
        HashSet<string> told = [];
        NoteReferences(manifest.Upstream.Node, told);
        foreach (var tool in manifest.Expose.Tools)
        {
            WarnOfFixedSecrets(tool);
            NoteReferences(tool.Node?.At("setSecret"), told);
        }
    }

    private void WarnOfPrefix(ManifestDeclaration manifest)
    {
        var prefix = manifest.Expose.Prefix ?? manifest.Metadata.Id;
        if (prefix.Length > LongPrefix)
        {
            Warning(manifest.Expose.Prefix is null
                ? manifest.Metadata.Error("id", $"is the prefix of the tools' names too, and with {prefix.Length} characters leaves them little room; give a shorter one under expose.prefix")
                : manifest.Expose.Error("prefix", $"with {prefix.Length} characters it leaves little room to the tools' names, which are cut at limits.maxToolNameLength"));
        }
    }

    private void WarnOfCommand(ManifestDeclaration manifest)
    {
        var upstream = manifest.Upstream;
        if (upstream.Command is not { Length: > 0 } command)
        {
            return;
        }
        var path = upstream.Env.GetValueOrDefault("PATH")?.Reveal() is { Length: > 0 } own ? own : environment("PATH");
        if (McpHub.Upstreams.CommandPath.Find(command, path, OperatingSystem.IsWindows() ? environment("PATHEXT") ?? ".COM;.EXE;.BAT;.CMD" : null, upstream.Cwd ?? ".") is null)
        {
            var conditional = !manifest.Enabled || manifest.EnabledWhen is not null;
            findings.Add(new Finding(conditional ? Severity.Note : Severity.Warning, upstream.Error("command", $"there is no program '{command}' on the PATH of this machine")));
        }
        var written = (upstream.Node?.At("args") as ConfigSequence)?.Items.Select(item => (item as ConfigScalar)?.Text ?? "").ToList() ?? [];
        if (UnpinnedPackage(Path.GetFileNameWithoutExtension(command), written) is { } package)
        {
            Warning(upstream.Error("args", package.Index, $"'{package.Name}' names no version: whatever the registry holds at the next start is run; pin one, such as {package.Example}"));
        }
    }

    private static (int Index, string Name, string Example)? UnpinnedPackage(string command, List<string> arguments)
    {
        var fetches = command switch
        {
            "npx" or "bunx" or "uvx" or "dnx" => 0,
            "pnpm" or "yarn" when arguments.FirstOrDefault() == "dlx" => 1,
            "pipx" when arguments.FirstOrDefault() == "run" => 1,
            _ => -1,
        };
        var index = fetches < 0 ? -1 : arguments.FindIndex(fetches, argument => !argument.StartsWith('-'));
        if (index > 0 && arguments[index - 1] is "--from" or "--with" or "--python" && command == "uvx")
        {
            index = arguments.FindIndex(index + 1, argument => !argument.StartsWith('-')) is var next && arguments[index - 1] == "--from" ? index : next;
        }
        if (index < 0 || ImportContext.HasReference(arguments[index]))
        {
            return null;
        }
        var package = arguments[index];
        var isLocal = package.StartsWith('.') || package.StartsWith('/') || package.Contains("://", StringComparison.Ordinal);
        var at = package.LastIndexOf('@');
        var pinned = isLocal || package.Contains("==", StringComparison.Ordinal) || (at > 0 && at + 1 < package.Length && package[(at + 1)..] is not ("latest" or "next"));
        var bare = at > 0 ? package[..at] : package;
        return pinned ? null : (index, package, command is "uvx" or "pipx" ? $"{bare}==1.2.3" : $"{bare}@1.2.3");
    }

    private void WarnOfAddress(ManifestDeclaration manifest)
    {
        if (manifest.Upstream.Url is { } url && url.Scheme == Uri.UriSchemeHttp && !url.IsLoopback)
        {
            Warning(manifest.Upstream.Error("url", $"http:// sends headers and results unencrypted to {url.Host}; use https://"));
        }
    }

    private void WarnOfRules(ManifestDeclaration manifest)
    {
        Dictionary<string, int> seen = new(StringComparer.Ordinal);
        foreach (var tool in manifest.Expose.Tools)
        {
            var target = tool.Name ?? tool.Match ?? "";
            if (!seen.TryAdd(target, tool.Node?.Line ?? 0))
            {
                Warning(tool.Error("", $"a rule for '{target}' stands already in line {seen[target]}; the last one wins where they differ"));
            }
        }
    }

    private void WarnOfSecrets(ManifestUpstream upstream)
    {
        foreach (var member in new[] { "env", "headers" })
        {
            foreach (var entry in (upstream.Node?.At(member) as ConfigMapping)?.Members ?? [])
            {
                if (entry.Value is ConfigScalar { Style: not ScalarStyle.Null } scalar)
                {
                    WarnOfSecret(entry.Key, scalar);
                }
            }
        }
        foreach (var credential in ((upstream.Node as ConfigMapping)?.Find("credentials")?.Value as ConfigMapping)?.Members ?? [])
        {
            foreach (var part in credential.Value is ConfigMapping parts ? parts.Members.Where(part => part.Key != "username").Select(part => part.Value) : [credential.Value])
            {
                if (part is ConfigScalar { Style: not ScalarStyle.Null } secret && !ImportContext.HasReference(secret.Text))
                {
                    Warning(secret.Error("is a secret; keep it out of the file: ${env:NAME}, ${file:/path} or ${secret:name}"));
                }
            }
        }
        var option = "";
        foreach (var argument in (upstream.Node?.At("args") as ConfigSequence)?.Items.OfType<ConfigScalar>() ?? [])
        {
            var equals = argument.Text.StartsWith('-') ? argument.Text.IndexOf('=', StringComparison.Ordinal) : -1;
            WarnOfSecret(equals > 0 ? argument.Text[..equals].TrimStart('-') : option, argument, equals + 1);
            option = argument.Text.StartsWith('-') && equals < 0 ? argument.Text.TrimStart('-') : "";
        }
        foreach (var holder in new[] { upstream.Node?.At("auth"), upstream.Node?.At("auth").At("identityProvider") }.OfType<ConfigMapping>().Distinct())
        {
            foreach (var entry in holder.Members.Where(entry => entry.Key is "clientSecret" or "privateKey"))
            {
                if (entry.Value is ConfigScalar { Style: not ScalarStyle.Null } scalar)
                {
                    WarnOfSecret(entry.Key, scalar);
                }
            }
        }
        if (upstream.Node?.At("url") is ConfigScalar url)
        {
            foreach (Match query in Queries().Matches(url.Text))
            {
                WarnOfSecret(query.Groups["key"].Value, url, query.Groups["value"].Index, query.Groups["value"].Length);
            }
        }
    }

    /// <summary>What is fixed as a secret is one, whatever it looks like; what is fixed otherwise may be.</summary>
    private void WarnOfFixedSecrets(ManifestTool tool)
    {
        foreach (var entry in (tool.Node?.At("setSecret") as ConfigMapping)?.Members ?? [])
        {
            if (entry.Value is ConfigScalar { Style: not ScalarStyle.Null } scalar && tool.SetSecret.ContainsKey(entry.Key) && !ImportContext.HasReference(scalar.Text))
            {
                Warning(scalar.Error("is a secret in plain text; keep it out of the file: ${env:NAME}, ${file:/path} or ${secret:name}"));
            }
        }
        foreach (var entry in (tool.Node?.At("set") as ConfigMapping)?.Members ?? [])
        {
            if (entry.Value is ConfigScalar { Style: not ScalarStyle.Null } scalar && tool.Set.ContainsKey(entry.Key))
            {
                WarnOfSecret(entry.Key, scalar);
            }
        }
    }

    // What was found is not told: it may be the secret.
    private void WarnOfSecret(string name, ConfigScalar scalar, int from = 0, int? length = null)
    {
        var text = scalar.Text.Substring(from, length ?? scalar.Text.Length - from);
        var rest = text[SecretShapes.SchemeOf(text).Length..];
        if (!ImportContext.HasReference(text) && !SecretShapes.IsPlaceholder(rest) && (SecretShapes.IsNamedSecret(name, rest) || SecretShapes.LooksLikeToken(rest)))
        {
            Warning(scalar.Error("looks like a secret; keep it out of the file: ${env:NAME}, ${file:/path} or ${secret:name}"));
        }
    }

    private void NoteReferences(ConfigNode? node, HashSet<string> told)
    {
        switch (node)
        {
            case ConfigMapping mapping:
                foreach (var member in mapping.Members)
                {
                    NoteReferences(member.Value, told);
                }
                break;
            case ConfigSequence sequence:
                foreach (var item in sequence.Items)
                {
                    NoteReferences(item, told);
                }
                break;
            case ConfigScalar scalar:
                foreach (Match reference in EnvironmentReferences().Matches(scalar.Text))
                {
                    var name = reference.Groups["name"].Value;
                    if (environment(name) is null or "" && told.Add(name))
                    {
                        findings.Add(new Finding(Severity.Note, scalar.Error($"the variable {name} is not set on this machine")));
                    }
                }
                break;
        }
    }

    private void Warning(ConfigError error) => findings.Add(new Finding(Severity.Warning, error));

    [GeneratedRegex(@"(?<!\$)\$\{env:(?<name>[^}]+)\}")]
    private static partial Regex EnvironmentReferences();

    [GeneratedRegex("[?&](?<key>[^=&#]+)=(?<value>[^&#]+)")]
    private static partial Regex Queries();
}
