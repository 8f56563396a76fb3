using System.Collections.Immutable;
using McpHub.Catalog;
using McpHub.Upstreams;
using Shared.Snapshots;

namespace McpHub.Features;

/// <summary>A prompt, a resource or a template of one server, as clients see it. Immutable.</summary>
/// <param name="Server">The manifest of its server.</param>
/// <param name="OwnName">The server's own name, address or template.</param>
/// <param name="ExposedName">What clients see in its place.</param>
/// <param name="LocalName">What clients of an endpoint that serves this one server see: the server's own, or what the manifest gives it.</param>
/// <param name="Definition">The server's raw definition with that in it, on one line.</param>
/// <param name="LocalDefinition">The same for an endpoint that serves this one server, under that name.</param>
internal sealed record CatalogItem(ToolManifest Server, string OwnName, string ExposedName, string LocalName, ReadOnlyMemory<byte> Definition, ReadOnlyMemory<byte> LocalDefinition);

/// <summary>What all servers offer beside tools. Immutable.</summary>
/// <param name="Prompts">Prompts, ordered by the name that clients see.</param>
/// <param name="Resources">Resources, in the order of their servers' ids and lists.</param>
/// <param name="Templates">Templates, in the same order.</param>
/// <param name="Offers">What each server declared of itself, by its id.</param>
internal sealed record FeatureCatalog(ImmutableArray<CatalogItem> Prompts, ImmutableArray<CatalogItem> Resources, ImmutableArray<CatalogItem> Templates, ImmutableDictionary<string, UpstreamOffers> Offers)
{
    private const int LongestName = 1024;
    private const int LongestAddress = 8192;

    public static FeatureCatalog Empty { get; } = new([], [], [], ImmutableDictionary<string, UpstreamOffers>.Empty);

    /// <summary>Builds the catalog. An item without a usable name or address, or with one that stands in the list before, is left out alone.</summary>
    public static FeatureCatalog Build(Snapshot snapshot, IReadOnlyDictionary<string, UpstreamOffers> offers)
    {
        var prompts = new SortedDictionary<string, CatalogItem>(StringComparer.Ordinal);
        var resources = new List<CatalogItem>();
        var templates = new List<CatalogItem>();
        foreach (var manifest in snapshot.Manifests)
        {
            if (!manifest.Enabled || !offers.TryGetValue(manifest.Id, out var offer))
            {
                continue;
            }
            var prefix = ResourceAddresses.PrefixOf(manifest);
            foreach (var definition in offer.Prompts)
            {
                if (Prompt(manifest, definition, snapshot.Settings.MaxToolNameLength) is { } prompt)
                {
                    prompts.TryAdd(prompt.ExposedName, prompt);
                }
            }
            resources.AddRange(Addressed(manifest, offer.Resources, "uri"u8, prefix));
            templates.AddRange(Addressed(manifest, offer.Templates, "uriTemplate"u8, prefix));
        }
        return new FeatureCatalog([.. prompts.Values], [.. resources], [.. templates], offers.ToImmutableDictionary());
    }

    private static CatalogItem? Prompt(ToolManifest manifest, ReadOnlyMemory<byte> definition, int maxLength)
    {
        if (ResourceAddresses.InDefinition(definition.Span, "name"u8, "", out var name) is not { } local || name.Length > LongestName || !manifest.ExposesPrompt(name))
        {
            return null;
        }
        var shown = manifest.PromptNameOf(name);
        var isContested = manifest.PromptNames.Any(pair => pair.Value == shown && pair.Key != name);
        var exposed = ToolNames.Expose(manifest.Id, name, manifest.Prefix, shown == name ? null : shown, isContested, maxLength);
        var localName = isContested ? exposed : shown;
        return new CatalogItem(manifest, name, exposed, localName, JsonEdits.WithString(definition.Span, "name"u8, exposed), localName == name ? local : JsonEdits.WithString(definition.Span, "name"u8, localName));
    }

    private static List<CatalogItem> Addressed(ToolManifest manifest, IReadOnlyList<ReadOnlyMemory<byte>> definitions, ReadOnlySpan<byte> member, string prefix)
    {
        var items = new List<CatalogItem>(definitions.Count);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var definition in definitions)
        {
            if (ResourceAddresses.InDefinition(definition.Span, member, "", out var address) is { } local && address.Length <= LongestAddress && manifest.ExposesResource(address) && seen.Add(address))
            {
                items.Add(new CatalogItem(manifest, address, prefix + address, address, prefix.Length == 0 ? local : JsonEdits.WithString(local, member, prefix + address), local));
            }
        }
        return items;
    }
}
