using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Shared.Snapshots;

/// <summary>A provider that is known by name: where it is, which formats it speaks, and how it differs from others. Set by the reader of the catalog alone: generated readers would make members that are not given null.</summary>
internal sealed record KnownProvider
{
    /// <summary>Its id.</summary>
    public required string Id { get; set; }

    /// <summary>The format in which its models are called when a request has to be translated.</summary>
    public required string Dialect { get; set; }

    /// <summary>Its address, version segment included; may hold the names of <see cref="Variables"/> in braces.</summary>
    public required string BaseUrl { get; set; }

    /// <summary>How it wants its credential: see <see cref="ProviderAuth"/>.</summary>
    public string Auth { get; set; } = ProviderAuth.Bearer;

    /// <summary>The environment variables that usually hold its key, the first that is set counts.</summary>
    public IReadOnlyList<string> Keys { get; set; } = [];

    /// <summary>The environment variables that replace its address.</summary>
    public IReadOnlyList<string> Addresses { get; set; } = [];

    /// <summary>What such a variable's address lacks at its end.</summary>
    public string AddressSuffix { get; set; } = "";

    /// <summary>The parts of its address, and the environment variables that usually hold them.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<string>> Variables { get; set; } = new Dictionary<string, IReadOnlyList<string>>();

    /// <summary>The endpoints that it has.</summary>
    public required IReadOnlyList<string> Endpoints { get; set; }

    /// <summary>Paths and addresses of endpoints that are not where their format has them.</summary>
    public IReadOnlyDictionary<string, string> Paths { get; set; } = new Dictionary<string, string>();

    /// <summary>Paths of endpoints at an older version of the service, in use where a version is configured; <c>{apiVersion}</c> stands for it.</summary>
    public IReadOnlyDictionary<string, string> VersionedPaths { get; set; } = new Dictionary<string, string>();

    /// <summary>Endpoints that want the key by another scheme than <see cref="Auth"/>, with that scheme.</summary>
    public IReadOnlyDictionary<string, string> EndpointAuth { get; set; } = new Dictionary<string, string>();

    /// <summary>The scheme where the environment says where it is, but holds no key; null: it is called without any.</summary>
    public string? KeylessAuth { get; set; }

    /// <summary>Whether it also serves without a key.</summary>
    public bool KeyIsOptional { get; set; }

    /// <summary>The member by which it takes an output limit.</summary>
    public string OutputLimitMember { get; set; } = "max_tokens";

    /// <summary>Whether it takes <c>stream_options.include_usage</c>; those that do not send usage in any case.</summary>
    public bool StreamUsage { get; set; } = true;

    /// <summary>What it makes of members that not all of its format have: names of <see cref="ProviderQuirks"/>.</summary>
    public IReadOnlyList<ProviderQuirks> Quirks { get; set; } = [];

    /// <summary>Domains at which its <see cref="Quirks"/> hold, whatever a provider there is called.</summary>
    public IReadOnlyList<string> Hosts { get; set; } = [];

    /// <summary>Models it is known to have.</summary>
    public IReadOnlyList<string> Models { get; set; } = [];

    /// <summary>The known provider whose prices it has; null: its own.</summary>
    public string? PricedAs { get; set; }

    /// <summary>Where its endpoints are described.</summary>
    public required string Documentation { get; set; }

    /// <summary>The first of <see cref="Keys"/>; null: it takes none.</summary>
    public string? KeyVariable => Keys.Count > 0 ? Keys[0] : null;

    /// <summary>The first of <see cref="Addresses"/>.</summary>
    public string? AddressVariable => Addresses.Count > 0 ? Addresses[0] : null;
}

/// <summary>How members are taken that stand beside a format's common ones. Requests that were written in the provider's own format keep all their members, whatever it makes of them.</summary>
[Flags]
[JsonConverter(typeof(JsonStringEnumConverter<ProviderQuirks>))]
public enum ProviderQuirks
{
    /// <summary>It takes what it knows, and leaves the rest alone.</summary>
    None = 0,

    /// <summary>It refuses members that it does not know.</summary>
    [JsonStringEnumMemberName("strict")]
    Strict = 1,

    /// <summary>It takes what OpenAI alone has: <c>store</c>, <c>metadata</c>, <c>service_tier</c>, <c>verbosity</c>, <c>prompt_cache_key</c>.</summary>
    [JsonStringEnumMemberName("openai-members")]
    OpenAiMembers = 2,

    /// <summary>It takes OpenRouter's: <c>cache_control</c>, <c>reasoning_details</c>, and URLs of files.</summary>
    [JsonStringEnumMemberName("openrouter-members")]
    OpenRouterMembers = 4,

    /// <summary>It takes marks of the prompt cache on parts and tools (<c>cache_control</c>).</summary>
    [JsonStringEnumMemberName("cache-marks")]
    CacheMarks = 8,

    /// <summary>It keeps no responses (<c>/responses</c>): none can be gone on from by <c>previous_response_id</c>, or asked for again.</summary>
    [JsonStringEnumMemberName("stateless-responses")]
    StatelessResponses = 16,
}

/// <summary>Quirks of services that are no known provider: of software that many run, and of addresses.</summary>
internal sealed record KnownQuirks
{
    /// <summary>Ids that such a provider usually has.</summary>
    public IReadOnlyList<string> Ids { get; set; } = [];

    /// <summary>Domains.</summary>
    public IReadOnlyList<string> Hosts { get; set; } = [];

    /// <summary>What holds there.</summary>
    public required IReadOnlyList<ProviderQuirks> Quirks { get; set; }
}

/// <summary>The file in which the known providers stand, as data.</summary>
internal sealed partial class ProviderCatalog
{
    private static readonly Lazy<ProviderCatalog> Embedded = new(Read);

    /// <summary>The catalog that is built in.</summary>
    public static ProviderCatalog Instance => Embedded.Value;

    /// <summary>The usual path of each endpoint below a provider's address; behind a bar, that of its streams where it is another one.</summary>
    public required IReadOnlyDictionary<string, string> Paths { get; init; }

    /// <summary>The providers.</summary>
    public required IReadOnlyList<KnownProvider> Providers { get; init; }

    /// <summary>Quirks of others.</summary>
    public IReadOnlyList<KnownQuirks> Others { get; init; } = [];

    /// <summary>What is known of a provider by its id and of the service at its address.</summary>
    /// <param name="id">The provider's id.</param>
    /// <param name="host">The host of its address; "": none.</param>
    public ProviderQuirks QuirksOf(string id, string host)
    {
        var (byName, byDomain) = quirks.Value;
        var found = byName.GetValueOrDefault(id);
        var domains = byDomain.GetAlternateLookup<ReadOnlySpan<char>>();
        for (var rest = host.AsSpan(); !rest.IsEmpty; rest = rest.IndexOf('.') is >= 0 and var dot ? rest[(dot + 1)..] : default)
        {
            found |= domains.TryGetValue(rest, out var there) ? there : 0;
        }
        return found;
    }

    /// <summary>The known provider of an id, or null.</summary>
    public KnownProvider? Find(string id) => byId.Value.GetValueOrDefault(id);

    private readonly Lazy<FrozenDictionary<string, KnownProvider>> byId;

    private readonly Lazy<(FrozenDictionary<string, ProviderQuirks> ByName, FrozenDictionary<string, ProviderQuirks> ByDomain)> quirks;

    /// <summary>For the reader of the file.</summary>
    public ProviderCatalog()
    {
        byId = new(() => Providers!.ToFrozenDictionary(provider => provider.Id, StringComparer.Ordinal));
        quirks = new(() =>
        {
            var all = Providers!.Select(provider => new KnownQuirks { Ids = [provider.Id], Hosts = provider.Hosts, Quirks = provider.Quirks }).Concat(Others).ToList();
            FrozenDictionary<string, ProviderQuirks> By(Func<KnownQuirks, IEnumerable<string>> names, StringComparer comparer) =>
                all.SelectMany(known => names(known).Select(name => (name, known.Quirks.Aggregate(ProviderQuirks.None, (sum, quirk) => sum | quirk)))).ToFrozenDictionary(pair => pair.name, pair => pair.Item2, comparer);
            return (By(known => known.Ids, StringComparer.Ordinal), By(known => known.Hosts, StringComparer.OrdinalIgnoreCase));
        });
    }

    private static ProviderCatalog Read()
    {
        using var stream = typeof(ProviderCatalog).Assembly.GetManifestResourceStream("Shared.Snapshots.providers.json")!;
        return JsonSerializer.Deserialize(stream, CatalogJson.Default.ProviderCatalog)!;
    }

    [JsonSerializable(typeof(ProviderCatalog))]
    [JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
    private sealed partial class CatalogJson : JsonSerializerContext;
}
