using Shared.Configuration;

namespace Shared.Snapshots;

/// <summary>Compiles providers: the built-in one, those that a file declares, and those that the environment has keys for.</summary>
internal sealed class ProviderCompiler(Func<string, string?> environment, ICollection<ConfigError> errors)
{
    private const string OpenAiChat = "openai-chat";
    private const string SimulatorDialect = "simulator";
    private static readonly string[] Dialects = [OpenAiChat, SimulatorDialect];
    private static readonly string[] Endpoints = ["chat", "completions", "embeddings", "moderations"];
    private static readonly string[] OutputLimitMembers = ["max_completion_tokens", "max_tokens"];

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
        return providers;
    }

    private Provider Declared(string id, ProviderDeclaration declaration, string origin)
    {
        var known = KnownProviders.Find(id);
        if (!Dialects.Contains(declaration.Dialect))
        {
            errors.Add(declaration.Error("dialect", $"unknown dialect '{declaration.Dialect}'; {Nearest.Hint(declaration.Dialect, Dialects)}"));
        }
        if (declaration.OutputLimitMember is { } member && !OutputLimitMembers.Contains(member))
        {
            errors.Add(declaration.Error("outputLimitMember", $"expected one of {string.Join(", ", OutputLimitMembers)}, found '{member}'"));
        }
        if (declaration.Endpoints is { Count: 0 })
        {
            errors.Add(declaration.Error("endpoints", $"expected at least one of {string.Join(", ", Endpoints)}; leave it out for all of them"));
        }
        foreach (var endpoint in (declaration.Endpoints ?? []).Where(endpoint => !Endpoints.Contains(endpoint)))
        {
            errors.Add(declaration.Error("endpoints", $"unknown endpoint '{endpoint}'; {Nearest.Hint(endpoint, Endpoints)}"));
        }
        if (declaration.BaseUrl is null && known is null && declaration.Dialect != SimulatorDialect)
        {
            var hint = Nearest.Find(id, KnownProviders.All.Select(provider => provider.Id)) is { } nearest ? $"; did you mean '{nearest}'?" : "";
            errors.Add(declaration.Error("baseUrl", $"is required, since '{id}' is none of the providers whose address is known{hint}"));
        }
        // The usual variables serve a declaration that keeps to the usual address; a key is never sent to an address that it was not made for.
        var usual = declaration.BaseUrl is null ? Detected.GetValueOrDefault(id) : null;
        return Compile(id, declaration with { ApiKey = declaration.ApiKey ?? usual?.ApiKey, BaseUrl = declaration.BaseUrl ?? usual?.BaseUrl }, known, origin);
    }

    private Provider Compile(string id, ProviderDeclaration declaration, KnownProvider? known, string origin)
    {
        if (!Names.CanBeSent(declaration.ApiKey))
        {
            errors.Add(declaration.Error("apiKey", $"the key of '{id}' holds a line break or another character that a header cannot carry"));
        }
        var address = declaration.BaseUrl ?? (known is null ? null : new Uri(known.BaseUrl));
        return new Provider
        {
            Id = id,
            Dialect = declaration.Dialect,
            BaseAddress = address,
            ApiKey = declaration.ApiKey?.Reveal(),
            Headers = Names.Headers(declaration.Headers, declaration, errors),
            Models = declaration.Models.Count > 0 ? [.. declaration.Models] : [.. known?.Models ?? []],
            Endpoints = (declaration.Endpoints ?? known?.Endpoints) is { } endpoints ? [.. endpoints] : null,
            OutputLimitMember = declaration.OutputLimitMember ?? known?.OutputLimitMember ?? "max_tokens",
            StreamUsage = declaration.StreamUsage ?? known?.StreamUsage ?? true,
            HeaderTimeout = declaration.HeaderTimeout,
            StallTimeout = declaration.StallTimeout,
            MaxRetries = declaration.MaxRetries,
            Origin = origin,
        };
    }
}
