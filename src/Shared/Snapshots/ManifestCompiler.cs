using System.Collections.Immutable;
using Shared.Configuration;

namespace Shared.Snapshots;

/// <summary>Compiles tool manifests and checks that no two of them take the same id or prefix.</summary>
internal sealed class ManifestCompiler(Func<string, string?> environment, ICollection<ConfigError> errors, bool allowProcessesFromApi = false)
{
    /// <summary>Id and prefix of the gateway's own tools.</summary>
    public const string BuiltInId = "gateway";

    private const string ApiVersion = "hub/v1";
    private const string Kind = "ToolManifest";
    private const int LongestPrefix = 24;
    private static readonly string[] Transports = ["stdio", "streamable-http"];
    private static readonly string[] Annotations = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];

    /// <summary>All manifests ordered by id, the built-in one included.</summary>
    public ImmutableArray<ToolManifest> Compile(IReadOnlyList<ManifestDeclaration> declarations)
    {
        List<ToolManifest> manifests = [BuiltIn];
        foreach (var declaration in declarations)
        {
            var manifest = Compile(declaration);
            if (manifests.Find(other => other.Id == manifest.Id) is { } sameId)
            {
                errors.Add(declaration.Metadata.Error("id", $"'{manifest.Id}' is the id of another manifest as well: {sameId.Origin}"));
            }
            else if (manifests.Find(other => other.Prefix == manifest.Prefix) is { } samePrefix)
            {
                errors.Add(declaration.Expose.Node is null
                    ? declaration.Error("expose", $"the prefix '{manifest.Prefix}' is taken by '{samePrefix.Id}' ({samePrefix.Origin}); give another one under expose.prefix")
                    : declaration.Expose.Error("prefix", $"'{manifest.Prefix}' is taken by '{samePrefix.Id}' ({samePrefix.Origin})"));
            }
            manifests.Add(manifest);
        }
        return [.. manifests.OrderBy(manifest => manifest.Id, StringComparer.Ordinal)];
    }

    private static ToolManifest BuiltIn { get; } = new()
    {
        Id = BuiltInId,
        Title = "Gateway",
        Description = "The gateway's own tools: who the caller is, what it may use and what it has spent.",
        Transport = UpstreamTransport.BuiltIn,
        Prefix = BuiltInId,
        Origin = "built-in",
    };

    private ToolManifest Compile(ManifestDeclaration declaration)
    {
        CheckHead(declaration);
        if (declaration.FromAdminApi && declaration.Upstream.Command is not null && !allowProcessesFromApi)
        {
            errors.Add(declaration.Upstream.Error("command", "the admin API may not start processes on this machine; declare the server in a file, or set 'allowProcessesFromApi: true' in gateway.yaml"));
        }
        var upstream = declaration.Upstream;
        var id = declaration.Metadata.Id;
        var prefix = declaration.Expose.Prefix ?? new string([.. id.Select(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' ? c : '_').Take(LongestPrefix)]);
        if (prefix.Length > LongestPrefix || !prefix.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-'))
        {
            errors.Add(declaration.Expose.Error("prefix", $"expected up to {LongestPrefix} letters, digits, '_' or '-', found '{prefix}'"));
        }
        return new ToolManifest
        {
            Id = id,
            Title = declaration.Metadata.Title,
            Description = declaration.Metadata.Description,
            Enabled = declaration.Enabled && (declaration.EnabledWhen is null || IsOnPath(declaration.EnabledWhen.Command)),
            Transport = TransportOf(upstream),
            Url = upstream.Url,
            Headers = Names.Headers(upstream.Headers, upstream, errors),
            Command = upstream.Command,
            Arguments = [.. upstream.Args.Select(argument => argument.Reveal())],
            WorkingDirectory = upstream.Cwd,
            Environment = upstream.Env.ToImmutableDictionary(variable => variable.Key, variable => variable.Value.Reveal()),
            Prefix = prefix,
            ExposeByDefault = declaration.Expose.Default == ExposeDefault.Allow,
            Tools = [.. declaration.Expose.Tools.Select(Rule)],
            ConnectTimeout = upstream.Limits.ConnectTimeout,
            CallTimeout = upstream.Limits.CallTimeout,
            MaxMessageBytes = (int)upstream.Limits.MaxMessageBytes.Bytes,
            MaxConcurrentCalls = upstream.Limits.MaxConcurrentCalls,
            Origin = declaration.Node?.File ?? "",
            FromAdminApi = declaration.FromAdminApi,
        };
    }

    private void CheckHead(ManifestDeclaration declaration)
    {
        if (declaration.ApiVersion != ApiVersion && IsWritten(declaration, "apiVersion"))
        {
            errors.Add(declaration.Error("apiVersion", $"expected {ApiVersion}, found '{declaration.ApiVersion}'"));
        }
        if (declaration.Kind != Kind && IsWritten(declaration, "kind"))
        {
            errors.Add(declaration.Error("kind", $"expected {Kind}, found '{declaration.Kind}'"));
        }
        if (IsWritten(declaration.Metadata, "id"))
        {
            Names.Check(declaration.Metadata.Id, declaration.Metadata, errors, "id");
        }
    }

    // What is missing was reported.
    private static bool IsWritten(Declaration declaration, string member) => declaration.Node is ConfigMapping mapping && mapping.Find(member) is { Value: not ConfigScalar { Style: ScalarStyle.Null } };

    private UpstreamTransport TransportOf(ManifestUpstream upstream)
    {
        var transport = upstream.Transport ?? (upstream.Command is not null ? Transports[0] : upstream.Url is not null ? Transports[1] : "");
        switch (transport)
        {
            case "stdio":
                Require(upstream, "command", upstream.Command is not null, transport);
                Forbid(upstream, transport, "url", "headers");
                return UpstreamTransport.Stdio;
            case "streamable-http":
                Require(upstream, "url", upstream.Url is not null || upstream.Node is ConfigMapping mapping && mapping.Find("url") is not null, transport);
                Forbid(upstream, transport, "command", "args", "cwd", "env");
                return UpstreamTransport.StreamableHttp;
            case "":
                // Without a node the whole of it is missing, which was reported.
                if (upstream.Node is ConfigMapping written && written.Find("url") is null)
                {
                    errors.Add(upstream.Error("", "expected a command (for stdio) or a url (for streamable-http)"));
                }
                return UpstreamTransport.Stdio;
            default:
                errors.Add(upstream.Error("transport", $"unknown transport '{transport}'; {Nearest.Hint(transport, Transports)}"));
                return UpstreamTransport.Stdio;
        }
    }

    private void Require(ManifestUpstream upstream, string member, bool given, string transport)
    {
        if (!given)
        {
            errors.Add(upstream.Error(member, $"is required for the transport {transport}"));
        }
    }

    private void Forbid(ManifestUpstream upstream, string transport, params string[] members)
    {
        foreach (var member in members)
        {
            if ((upstream.Node as ConfigMapping)?.Find(member) is not null)
            {
                errors.Add(upstream.Error(member, $"has no meaning for the transport {transport}"));
            }
        }
    }

    private ToolRule Rule(ManifestTool tool)
    {
        var match = tool.Match ?? tool.Name ?? "";
        var isGlob = match.Contains('*', StringComparison.Ordinal) || match.Contains('?', StringComparison.Ordinal);
        if (tool.Match is null == tool.Name is null)
        {
            errors.Add(tool.Error("", "a rule says either name (of one tool) or match (a glob)"));
        }
        if (tool.Name is not null && isGlob)
        {
            errors.Add(tool.Error("name", "holds a wildcard; use match for a glob"));
        }
        if (tool.As is not null && (isGlob || tool.As.Length == 0 || !tool.As.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-')))
        {
            errors.Add(tool.Error("as", isGlob ? "needs a rule for one tool; this one's match holds a wildcard" : $"expected letters, digits, '_' or '-', found '{tool.As}'"));
        }
        foreach (var annotation in tool.Annotations.Keys.Except(Annotations))
        {
            errors.Add(tool.Error("annotations", $"unknown annotation '{annotation}'; {Nearest.Hint(annotation, Annotations)}"));
        }
        return new ToolRule
        {
            Match = match,
            Enabled = tool.Enabled,
            As = tool.As,
            Description = tool.Description,
            Annotations = tool.Annotations.ToImmutableDictionary(),
            Cost = tool.Cost,
        };
    }

    private bool IsOnPath(string command)
    {
        string[] suffixes = OperatingSystem.IsWindows() ? [".exe", ".cmd", ".bat", ""] : [""];
        return (environment("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Any(folder => suffixes.Any(suffix => File.Exists(Path.Combine(folder, command + suffix))));
    }
}
