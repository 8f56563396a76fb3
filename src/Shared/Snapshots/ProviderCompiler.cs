using Shared.Configuration;

namespace Shared.Snapshots;

/// <summary>Compiles providers: the built-in one, those that a file declares, and those that the environment has keys for.</summary>
internal sealed class ProviderCompiler(Func<string, string?> environment, ICollection<ConfigError> errors)
{
    private const string OpenAiChat = "openai-chat";
    private const string SimulatorDialect = "simulator";
    private static readonly string[] Dialects = [OpenAiChat, "openai-responses", "anthropic", "gemini", "bedrock", "anthropic-bedrock", "anthropic-vertex", SimulatorDialect];
    private static readonly string[] Endpoints = [.. ProviderAddresses.All];
    private static readonly string[] PassthroughRoots = ["openai", "anthropic", "genai", "bedrock"];
    private static readonly string[] OutputLimitMembers = ["max_completion_tokens", "max_tokens"];

    private readonly ProviderAuthCompiler auths = new(errors);

    /// <summary>What the environment declares, by id.</summary>
    public IReadOnlyDictionary<string, ProviderDeclaration> Detected { get; } = KnownProviders.Detect(environment, errors);

    /// <summary>All providers by id; a file's declaration replaces a detected one.</summary>
    public Dictionary<string, Provider> Compile(IReadOnlyDictionary<string, ProviderDeclaration> declared, string origin)
    {
        Dictionary<string, Provider> providers = new()
        {
            [KnownProviders.SimulatorId] = new Provider
            {
                Id = KnownProviders.SimulatorId,
                Dialect = SimulatorDialect,
                Models = ["echo", "tools", "embed", "moderation"],
                Origin = "built-in",
            },
        };
        foreach (var (id, declaration) in Detected)
        {
            providers[id] = Compile(id, declaration, KnownProviders.Find(id), "environment");
        }
        foreach (var (id, declaration) in declared)
        {
            if (id == KnownProviders.SimulatorId)
            {
                errors.Add(declaration.Error("", "this provider is built in; choose another id"));
            }
            else if (Names.Check(id, declaration, errors))
            {
                providers[id] = Declared(id, declaration, declaration.Node?.File ?? origin) with { FromAdminApi = declaration.FromAdminApi };
            }
        }
        foreach (var (id, declaration) in declared.Where(pair => pair.Value.Passthrough is not null))
        {
            // The first of two in the order of their ids is the one that has it; the other is told.
            if (declared.Where(other => other.Value.Passthrough == declaration.Passthrough).Min(other => other.Key) is { } first && string.CompareOrdinal(first, id) < 0)
            {
                errors.Add(declaration.Error("passthrough", $"the root '{declaration.Passthrough}' already stands for the provider '{first}'; remove it from one of the two"));
            }
        }
        return providers;
    }

    private Provider Declared(string id, ProviderDeclaration declaration, string origin)
    {
        var known = KnownProviders.Find(id);
        if (declaration.Dialect is { } dialect && !Dialects.Contains(dialect))
        {
            errors.Add(declaration.Error("dialect", $"unknown dialect '{dialect}'; {Nearest.Hint(dialect, Dialects)}"));
        }
        if (declaration.OutputLimitMember is { } member && !OutputLimitMembers.Contains(member))
        {
            errors.Add(declaration.Error("outputLimitMember", $"expected one of {string.Join(", ", OutputLimitMembers)}, found '{member}'"));
        }
        if (declaration.Endpoints is { Count: 0 })
        {
            errors.Add(declaration.Error("endpoints", $"expected at least one of {string.Join(", ", Endpoints)}; leave it out for those of its dialect"));
        }
        foreach (var endpoint in (declaration.Endpoints ?? []).Where(endpoint => !Endpoints.Contains(endpoint)))
        {
            errors.Add(declaration.Error("endpoints", $"unknown endpoint '{endpoint}'; {Nearest.Hint(endpoint, Endpoints)}"));
        }
        foreach (var endpoint in declaration.Paths.Keys.Where(endpoint => !Endpoints.Contains(endpoint)))
        {
            errors.Add(declaration.Error("paths", $"unknown endpoint '{endpoint}'; {Nearest.Hint(endpoint, Endpoints)}"));
        }
        if (declaration.Passthrough is { } root && !PassthroughRoots.Contains(root))
        {
            errors.Add(declaration.Error("passthrough", $"unknown root '{root}'; {Nearest.Hint(root, PassthroughRoots)}"));
        }
        if (declaration.BaseUrl is null && known is null && declaration.Dialect != SimulatorDialect)
        {
            var hint = Nearest.Find(id, KnownProviders.All.Select(provider => provider.Id)) is { } nearest ? $"; did you mean '{nearest}'?" : "";
            errors.Add(declaration.Error("baseUrl", $"is required, since '{id}' is none of the providers whose address is known{hint}"));
        }
        // The usual variables serve a declaration that keeps to the usual address; a key is never sent to an address that it was not made for.
        var usual = ProviderAuthCompiler.UsualFor(declaration, Detected.GetValueOrDefault(id), known);
        return Compile(id, declaration with
        {
            ApiKey = declaration.ApiKey ?? (declaration.Credentials is null ? usual?.ApiKey : null),
            Auth = declaration.Auth ?? (declaration.ApiKey is null ? usual?.Auth : null),
            Credentials = declaration.Credentials ?? (declaration.ApiKey is null ? usual?.Credentials : null),
            ApiVersion = declaration.ApiVersion ?? usual?.ApiVersion,
            BaseUrl = declaration.BaseUrl ?? usual?.BaseUrl,
            Region = declaration.Region ?? usual?.Region,
            Project = declaration.Project ?? usual?.Project,
            Location = declaration.Location ?? usual?.Location,
            Resource = declaration.Resource ?? usual?.Resource,
        }, known, origin);
    }

    private Provider Compile(string id, ProviderDeclaration declaration, KnownProvider? known, string origin)
    {
        if (!Names.CanBeSent(declaration.ApiKey))
        {
            errors.Add(declaration.Error("apiKey", $"the key of '{id}' holds a line break or another character that a header cannot carry"));
        }
        auths.CheckParts(declaration);
        var dialect = declaration.Dialect ?? known?.Dialect ?? OpenAiChat;
        var address = declaration.BaseUrl ?? AddressOf(id, declaration, known);
        // What is known of a provider counts for the formats that it is known for.
        var knownPaths = known is not null && (dialect == known.Dialect || known.Endpoints.Contains(ProviderAddresses.UsualOf(dialect)[0])) ? known : null;
        var auth = auths.Scheme(declaration, knownPaths);
        var endpoints = declaration.Endpoints ?? (knownPaths is not null ? [.. knownPaths.Endpoints, .. declaration.Paths.Keys.Except(knownPaths.Endpoints)] : [.. ProviderAddresses.UsualOf(dialect).Union(declaration.Paths.Keys)]);
        return new Provider
        {
            Id = id,
            Dialect = dialect,
            Auth = auth,
            Credentials = auths.Credentials(declaration, auth?.Scheme),
            Passthrough = declaration.Passthrough,
            Region = declaration.Region,
            EndpointAddresses = address is null ? System.Collections.Immutable.ImmutableDictionary<string, EndpointAddress>.Empty
                : ProviderAddresses.Of(
                    address.AbsoluteUri.TrimEnd('/'),
                    endpoints,
                    declaration.Auth is null ? knownPaths?.EndpointAuth ?? None : None,
                    declaration.BaseUrl is null || declaration.BaseUrl == Detected.GetValueOrDefault(id)?.BaseUrl ? knownPaths?.Paths ?? None : Relative(knownPaths?.Paths),
                    Versioned(declaration, knownPaths),
                    declaration.Paths),
            BaseAddress = address,
            ApiKey = declaration.ApiKey?.Reveal(),
            Headers = Names.Headers(declaration.Headers, declaration, errors),
            Models = declaration.Models.Count > 0 ? [.. declaration.Models] : [.. known?.Models ?? []],
            Endpoints = [.. endpoints],
            OutputLimitMember = declaration.OutputLimitMember ?? known?.OutputLimitMember ?? "max_tokens",
            StreamUsage = declaration.StreamUsage ?? known?.StreamUsage ?? true,
            StoresResponses = declaration.StoresResponses ?? (ProviderCatalog.Instance.QuirksOf(id, address?.Host ?? "") & ProviderQuirks.StatelessResponses) == 0,
            HeaderTimeout = declaration.HeaderTimeout,
            StallTimeout = declaration.StallTimeout,
            MaxRetries = declaration.MaxRetries,
            BatchReservation = declaration.BatchReservation,
            Origin = origin,
        };
    }

    /// <summary>Where a dated version of a service has its endpoints.</summary>
    private IReadOnlyDictionary<string, string> Versioned(ProviderDeclaration declaration, KnownProvider? known)
    {
        if (declaration.ApiVersion is not { } version)
        {
            return None;
        }
        if (known is not { VersionedPaths.Count: > 0 })
        {
            errors.Add(declaration.Error("apiVersion", "no dated versions of this provider are known; give the addresses of its endpoints as 'paths'"));
            return None;
        }
        return known.VersionedPaths.ToDictionary(path => path.Key, path => path.Value.Replace("{apiVersion}", version, StringComparison.Ordinal));
    }

    private static readonly IReadOnlyDictionary<string, string> None = new Dictionary<string, string>();

    /// <summary>The paths that hold below another address, too: whole addresses are the vendor's own.</summary>
    private static IReadOnlyDictionary<string, string> Relative(IReadOnlyDictionary<string, string>? paths) =>
        paths?.Where(path => !path.Value.Contains("://", StringComparison.Ordinal)).ToDictionary() ?? None;

    /// <summary>A known provider's address with its parts in place.</summary>
    private Uri? AddressOf(string id, ProviderDeclaration declaration, KnownProvider? known)
    {
        if (known is null)
        {
            return null;
        }
        var url = known.BaseUrl;
        foreach (var (name, variables) in known.Variables)
        {
            var value = name switch { "region" => declaration.Region, "project" => declaration.Project, "location" => declaration.Location, _ => declaration.Resource };
            if (value is null)
            {
                errors.Add(declaration.Error(name, $"'{id}' needs it for its address; give it, or set {string.Join(" or ", variables)}, or give 'baseUrl'"));
                value = "missing";
            }
            // Vertex AI's global endpoint has no location in its host.
            url = name == "location" && value == "global" ? url.Replace("{location}-", "", StringComparison.Ordinal).Replace("{location}", value, StringComparison.Ordinal) : url.Replace($"{{{name}}}", value, StringComparison.Ordinal);
        }
        return Uri.TryCreate(url, UriKind.Absolute, out var address) ? address : null; // a part that cannot stand in an address is an error already
    }
}
