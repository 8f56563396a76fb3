using System.Collections.Immutable;
using Shared.Configuration;
using Shared.Tools;

namespace Shared.Snapshots;

/// <summary>Compiles tool manifests and checks that no two of them take the same id or prefix.</summary>
internal sealed class ManifestCompiler(Func<string, string?> environment, ICollection<ConfigError> errors, bool allowProcessesFromApi = false, DefinitionPolicy? defaults = null)
{
    /// <summary>Id and prefix of the gateway's own tools.</summary>
    public const string BuiltInId = "gateway";

    private const string ApiVersion = "hub/v1";
    private const string Kind = "ToolManifest";
    private const int LongestPrefix = 24;
    private readonly ToolRuleCompiler rules = new(errors);

    private static readonly string[] Transports = ["stdio", "streamable-http", "sse", "openapi"];
    private static readonly string[] Protocols = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
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
        Definitions = DefinitionPolicy.None,
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
        var transport = TransportOf(upstream);
        return new ToolManifest
        {
            Id = id,
            Title = declaration.Metadata.Title,
            Description = declaration.Metadata.Description,
            Enabled = declaration.Enabled && (declaration.EnabledWhen is null || IsOnPath(declaration.EnabledWhen.Command)),
            Transport = transport,
            Url = upstream.Url,
            OpenApi = new OpenApiCompiler(errors).Compile(declaration),
            Headers = Names.Headers(upstream.Headers, upstream, errors),
            Command = upstream.Command,
            Arguments = [.. upstream.Args.Select(argument => argument.Reveal())],
            WorkingDirectory = upstream.Cwd,
            Environment = upstream.Env.ToImmutableDictionary(variable => variable.Key, variable => variable.Value.Reveal()),
            Prefix = prefix,
            ExposeByDefault = declaration.Expose.Default == ExposeDefault.Allow,
            Tools = [.. declaration.Expose.Tools.Select(tool => RuleOf(tool, upstream.Limits.CallTimeout))],
            Tags = rules.TagsOf(declaration.Metadata, declaration.Metadata.Tags),
            Prompts = Exposed(declaration.Expose, declaration.Expose.Prompts.Enabled, declaration.Expose.Prompts.Allow, declaration.Expose.Prompts.Deny),
            PromptNames = rules.PromptNamesOf(declaration.Expose.Prompts),
            Resources = Exposed(declaration.Expose, declaration.Expose.Resources.Enabled, declaration.Expose.Resources.Allow, declaration.Expose.Resources.Deny),
            ConnectTimeout = upstream.Limits.ConnectTimeout,
            CallTimeout = upstream.Limits.CallTimeout,
            MaxMessageBytes = (int)upstream.Limits.MaxMessageBytes.Bytes,
            MaxConcurrentCalls = upstream.Limits.MaxConcurrentCalls,
            MaxConnections = upstream.Limits.MaxConnections,
            Health = HealthOf(declaration.Health),
            Protocol = ProtocolOf(upstream),
            Session = transport == UpstreamTransport.OpenApi ? SessionMode.Shared : SessionOf(upstream),
            Auth = new UpstreamAuthCompiler(errors).Compile(declaration),
            Definitions = PolicyOf(declaration.Pinning, declaration.Scan, defaults ?? DefinitionPolicy.Default, errors),
            Origin = declaration.Node?.File ?? "",
            FromAdminApi = declaration.FromAdminApi,
        };
    }

    /// <summary>How far definitions are trusted: what is declared, and for the rest what holds otherwise.</summary>
    public static DefinitionPolicy PolicyOf(PinningDeclaration pinning, ScanDeclaration scan, DefinitionPolicy otherwise, ICollection<ConfigError> errors)
    {
        for (var i = 0; i < (scan.Ignore?.Count ?? 0); i++)
        {
            if (ScanRules.Find(scan.Ignore![i]) is null)
            {
                errors.Add(scan.Error("ignore", i, $"there is no rule '{scan.Ignore[i]}'; {Nearest.Hint(scan.Ignore[i], [.. ScanRules.All.Select(rule => rule.Id)])}"));
            }
        }
        return new DefinitionPolicy(pinning.Mode ?? otherwise.Pinning, pinning.FirstSeen ?? otherwise.FirstSeen, scan.Mode ?? otherwise.Scan, scan.Ignore is { } ignored ? [.. ignored] : otherwise.IgnoredRules);
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
        var transport = upstream.Transport ?? (upstream.Command is not null ? Transports[0] : upstream.Url is not null ? Transports[1] : upstream.Document is not null ? OpenApiCompiler.Transport : "");
        switch (transport)
        {
            case "stdio":
                Require(upstream, "command", upstream.Command is not null, transport);
                Forbid(upstream, transport, ["url", "headers", "auth", .. OpenApiCompiler.Members]);
                return UpstreamTransport.Stdio;
            case "streamable-http" or "sse":
                Require(upstream, "url", upstream.Url is not null || upstream.Node is ConfigMapping mapping && mapping.Find("url") is not null, transport);
                Forbid(upstream, transport, ["command", "args", "cwd", "env", .. OpenApiCompiler.Members]);
                return transport == "sse" ? UpstreamTransport.Sse : UpstreamTransport.StreamableHttp;
            case OpenApiCompiler.Transport:
                Require(upstream, "document", upstream.Document is not null || upstream.Node is ConfigMapping described && described.Find("document") is not null, transport);
                Forbid(upstream, transport, "url", "command", "args", "cwd", "env", "protocol", "session");
                if (upstream.Auth.Node is not null && upstream.BaseUrl is null)
                {
                    errors.Add(upstream.Error("baseUrl", "is required with 'auth': tokens go to an address that the manifest names, not to one that a document does"));
                }
                return UpstreamTransport.OpenApi;
            case "":
                // Without a node the whole of it is missing, which was reported.
                if (upstream.Node is ConfigMapping written && written.Find("url") is null && written.Find("document") is null)
                {
                    errors.Add(upstream.Error("", "expected a command (for stdio), a url (for streamable-http) or a document (for openapi)"));
                }
                return UpstreamTransport.Stdio;
            default:
                errors.Add(upstream.Error("transport", $"unknown transport '{transport}'; {Nearest.Hint(transport, Transports)}"));
                return UpstreamTransport.Stdio;
        }
    }

    private static HealthRules HealthOf(ManifestHealth health) => new()
    {
        Interval = health.Interval,
        Breaker = new BreakerRules
        {
            Enabled = health.Breaker.Enabled,
            Failures = health.Breaker.Failures,
            FailurePercent = health.Breaker.FailurePercent,
            MinimumCalls = health.Breaker.MinimumCalls,
            Window = health.Breaker.Window,
            OpenFor = health.Breaker.OpenFor,
            Trials = health.Breaker.Trials,
        },
    };

    private string? ProtocolOf(ManifestUpstream upstream)
    {
        if (upstream.Protocol is not "auto" && !Protocols.Contains(upstream.Protocol))
        {
            errors.Add(upstream.Error("protocol", $"unknown revision '{upstream.Protocol}'; {Nearest.Hint(upstream.Protocol, [.. Protocols, "auto"])}"));
        }
        return upstream.Protocol is "auto" ? null : upstream.Protocol;
    }

    // A server may bind a session to whoever opened it, so callers with tokens of their own do not share one.
    private static SessionMode SessionOf(ManifestUpstream upstream) => upstream.Session == SessionMode.Shared
        ? (upstream.Auth.Per ?? (upstream.Auth.Mode == UpstreamAuthMode.TokenExchange ? UpstreamSubject.User : UpstreamSubject.Shared)) switch
        {
            UpstreamSubject.User => SessionMode.PerUser,
            UpstreamSubject.Key => SessionMode.PerKey,
            _ => SessionMode.Shared,
        }
        : upstream is { Session: SessionMode.PerUser, Auth.Per: UpstreamSubject.Key } ? SessionMode.PerKey : upstream.Session;

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

    private static Exposure Exposed(ManifestExpose expose, bool? enabled, IReadOnlyList<string>? allow, IReadOnlyList<string> deny) =>
        new(enabled ?? expose.Default == ExposeDefault.Allow, allow is null ? ["*"] : [.. allow], [.. deny]);

    private ToolRule RuleOf(ManifestTool tool, TimeSpan callTimeout)
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
        if (tool.Pin is not null && (isGlob || !IsHash(tool.Pin)))
        {
            errors.Add(tool.Error("pin", isGlob ? "needs a rule for one tool; this one's match holds a wildcard"
                : $"expected sha256- and 64 hex digits in lower case, as 'gateway manifests pin' prints them, found '{tool.Pin}'"));
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
            Pin = tool.Pin,
            Title = tool.Title,
            Tags = rules.TagsOf(tool, tool.Tags),
            Set = rules.SetOf(tool),
            HiddenArguments = [.. tool.HideArgs],
            Arguments = rules.ArgumentsOf(tool),
            Timeout = rules.TimeoutOf(tool, callTimeout),
            Result = tool.Result is null ? null : new ResultLimit((int)tool.Result.MaxBytes.Bytes, tool.Result.OnExcess),
            MaxConcurrentCalls = tool.MaxConcurrentCalls,
            Rate = rules.RateOf(tool),
            Approval = tool.Approval is { } approval ? new Approval(approval.Mode, approval.Timeout, approval.Remember) : null,
        };
    }

    private static bool IsHash(string text) =>
        text.Length == "sha256-".Length + 64 && text.StartsWith("sha256-", StringComparison.Ordinal) && text.AsSpan("sha256-".Length).IndexOfAnyExcept("0123456789abcdef") < 0;

    private bool IsOnPath(string command)
    {
        string[] suffixes = OperatingSystem.IsWindows() ? [".exe", ".cmd", ".bat", ""] : [""];
        return (environment("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Any(folder => suffixes.Any(suffix => File.Exists(Path.Combine(folder, command + suffix))));
    }
}
