using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Collections.Immutable;
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

    private readonly FrozenDictionary<string, RouteEntry>.AlternateLookup<ReadOnlySpan<char>> known;
    private readonly ConcurrentDictionary<string, RouteEntry> remembered = new();
    private readonly ConcurrentDictionary<string, RouteEntry>.AlternateLookup<ReadOnlySpan<char>> rememberedByText;
    private readonly FrozenDictionary<string, Provider>.AlternateLookup<ReadOnlySpan<char>> providers;
    private readonly Func<Provider, string, RouteEntry> plan;

    public RouteTable(IReadOnlyDictionary<string, RouteEntry> entries, FrozenDictionary<string, Provider> providers, Func<Provider, string, RouteEntry> plan)
    {
        Entries = [.. entries.Values.OrderBy(entry => entry.Name, StringComparer.Ordinal)];
        known = entries.ToFrozenDictionary(StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();
        rememberedByText = remembered.GetAlternateLookup<ReadOnlySpan<char>>();
        this.providers = providers.ToFrozenDictionary(StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();
        this.plan = plan;
    }

    /// <summary>All configured routes and known models, ordered by name.</summary>
    public ImmutableArray<RouteEntry> Entries { get; }

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
}
