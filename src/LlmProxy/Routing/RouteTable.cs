using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Collections.Immutable;
using LlmProxy.Dialects;
using Shared.Snapshots;

namespace LlmProxy.Routing;

/// <summary>
/// A snapshot's public model names. Beside the configured routes and the providers' known models, <c>provider/model</c> is found for any model of
/// a known provider: its plan is made when it is first asked for.
/// </summary>
internal sealed class RouteTable
{
    /// <summary>How many unlisted models are remembered; more are planned anew for each request, so that made-up names cannot fill the memory.</summary>
    private const int MaxRemembered = 1024;

    // OpenAI's format is everybody's: a provider that speaks it is not its home.
    private static readonly (string Dialect, string Vendor)[] Vendors =
    [
        (DialectIds.OpenAiChat, "openai"), (DialectIds.OpenAiResponses, "openai"), (DialectIds.Anthropic, "anthropic"), (DialectIds.Gemini, "gemini"), (DialectIds.Bedrock, "bedrock"),
        (DialectIds.AnthropicBedrock, "anthropic-bedrock"), (DialectIds.AnthropicVertex, "anthropic-vertex"),
    ];

    private readonly FrozenDictionary<string, RouteEntry>.AlternateLookup<ReadOnlySpan<char>> known;
    private readonly ConcurrentDictionary<string, RouteEntry> remembered = new();
    private readonly ConcurrentDictionary<string, RouteEntry>.AlternateLookup<ReadOnlySpan<char>> rememberedByText;
    private readonly FrozenDictionary<string, Provider>.AlternateLookup<ReadOnlySpan<char>> providers;
    private readonly Func<Provider, string, RouteEntry> plan;
    private readonly FrozenDictionary<string, Provider> homes;

    public RouteTable(IReadOnlyDictionary<string, RouteEntry> entries, FrozenDictionary<string, Provider> providers, Func<Provider, string, RouteEntry> plan)
    {
        Entries = [.. entries.Values.OrderBy(entry => entry.Name, StringComparer.Ordinal)];
        known = entries.ToFrozenDictionary(StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();
        rememberedByText = remembered.GetAlternateLookup<ReadOnlySpan<char>>();
        homes = Homes(providers);
        this.providers = providers.ToFrozenDictionary(StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();
        this.plan = plan;
    }

    /// <summary>All configured routes and known models, ordered by name.</summary>
    public ImmutableArray<RouteEntry> Entries { get; }

    /// <summary>
    /// The entry of a name as clients of an endpoint write it: a name that is not known is one of the vendor's own whose format they speak, so that its SDK
    /// works with the names that it documents.
    /// </summary>
    public RouteEntry? Find(ReadOnlySpan<char> name, EndpointFamily family)
    {
        if (Find(name) is { } entry)
        {
            return entry;
        }
        return name.IsEmpty || !(homes.TryGetValue(family.HomeDialect, out var home) || (family.Dialect is { } dialect && homes.TryGetValue(dialect.Id, out home))) ? null : Find($"{home.Id}/{name}");
    }

    /// <summary>The entry of a name, or null.</summary>
    public RouteEntry? Find(ReadOnlySpan<char> name)
    {
        if (known.TryGetValue(name, out var entry) || rememberedByText.TryGetValue(name, out entry))
        {
            return entry;
        }
        var slash = name.IndexOf('/');
        if (slash <= 0 || slash == name.Length - 1 || !providers.TryGetValue(name[..slash], out var provider))
        {
            return null;
        }
        entry = plan(provider, name[(slash + 1)..].ToString());
        if (remembered.Count < MaxRemembered)
        {
            remembered[entry.Name] = entry;
        }
        return entry;
    }

    /// <summary>The provider to which a dialect's bare model names belong: the vendor's own, else the only one that speaks it.</summary>
    private static FrozenDictionary<string, Provider> Homes(FrozenDictionary<string, Provider> providers)
    {
        var homes = new Dictionary<string, Provider>(StringComparer.Ordinal);
        foreach (var (dialect, vendor) in Vendors)
        {
            var speakers = providers.Values.Where(provider => provider.Dialect == dialect).Take(2).ToList();
            if (providers.GetValueOrDefault(vendor) is { } home)
            {
                homes[dialect] = home;
            }
            else if (speakers.Count == 1 && dialect != DialectIds.OpenAiChat)
            {
                homes[dialect] = speakers[0];
            }
        }
        return homes.ToFrozenDictionary(StringComparer.Ordinal);
    }
}
