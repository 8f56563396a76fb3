using System.Collections.Immutable;
using Shared.Ledger;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace McpHub.Catalog;

/// <summary>A tool that is not served, and why.</summary>
/// <param name="Tool">Its server's name of it, or its place in the list where it has none.</param>
/// <param name="Reason">Why, in one sentence.</param>
public sealed record QuarantinedTool(string Tool, string Reason);

/// <summary>All tools of all servers under one snapshot, curated. Immutable.</summary>
/// <param name="Tools">The tools, ordered by exposed name.</param>
/// <param name="Quarantined">What is not served, by server id.</param>
internal sealed record ToolCatalog(ImmutableArray<CatalogTool> Tools, ImmutableDictionary<string, ImmutableArray<QuarantinedTool>> Quarantined)
{
    public static ToolCatalog Empty { get; } = new([], ImmutableDictionary<string, ImmutableArray<QuarantinedTool>>.Empty);

    /// <summary>Builds the catalog.</summary>
    /// <param name="snapshot">Manifests and settings.</param>
    /// <param name="listed">What each server listed, by its id.</param>
    public static ToolCatalog Build(Snapshot snapshot, IReadOnlyDictionary<string, IReadOnlyList<ReadOnlyMemory<byte>>> listed)
    {
        var tools = new SortedDictionary<string, CatalogTool>(StringComparer.Ordinal);
        var quarantined = ImmutableDictionary.CreateBuilder<string, ImmutableArray<QuarantinedTool>>();
        foreach (var manifest in snapshot.Manifests)
        {
            if (!manifest.Enabled || !listed.TryGetValue(manifest.Id, out var definitions))
            {
                continue;
            }
            var bad = ImmutableArray.CreateBuilder<QuarantinedTool>();
            var seen = new HashSet<string>(StringComparer.Ordinal);
            for (var i = 0; i < definitions.Count; i++)
            {
                var wrong = ToolDefinition.Read(definitions[i], out var definition);
                if (wrong is null && !seen.Add(definition.Name))
                {
                    wrong = "Its server lists this name twice.";
                }
                if (wrong is not null)
                {
                    bad.Add(new QuarantinedTool(definition.Name.Length > 0 ? definition.Name : $"#{i}", wrong));
                    continue;
                }
                if (Curate(manifest, definition, snapshot.Settings.MaxToolNameLength, tools) is { } tool)
                {
                    tools.Add(tool.ExposedName, tool);
                }
            }
            if (bad.Count > 0)
            {
                quarantined[manifest.Id] = bad.ToImmutable();
            }
        }
        return new ToolCatalog([.. tools.Values], quarantined.ToImmutable());
    }

    private static CatalogTool? Curate(ToolManifest manifest, ToolDefinition definition, int maxLength, SortedDictionary<string, CatalogTool> taken)
    {
        var enabled = manifest.ExposeByDefault;
        string? wanted = null, description = null;
        var cost = default(Shared.Pricing.Money);
        var overrides = ImmutableDictionary<string, bool>.Empty;
        foreach (var rule in manifest.Tools)
        {
            if (!Glob.IsMatch(rule.Match, definition.Name))
            {
                continue;
            }
            enabled = rule.Enabled ?? enabled;
            wanted = rule.As ?? wanted;
            description = rule.Description ?? description;
            cost = rule.Cost ?? cost;
            overrides = overrides.SetItems(rule.Annotations);
        }
        if (!enabled)
        {
            return null;
        }
        var name = ToolNames.Expose(manifest.Id, definition.Name, manifest.Prefix, wanted, maxLength);
        if (taken.ContainsKey(name))
        {
            name = ToolNames.WithHash(name, manifest.Id, definition.Name, maxLength);
        }
        return taken.ContainsKey(name) ? null : new CatalogTool
        {
            Server = manifest,
            UpstreamName = definition.Name,
            ExposedName = name,
            Definition = definition.Write(name, description, overrides),
            Annotations = definition.Annotations.SetItems(overrides),
            Cost = cost,
            Start = new AttemptStart { Kind = CallKind.Tool, Upstream = manifest.Id, Name = definition.Name, RequestedName = name, PriceVersion = "manifest" },
        };
    }
}
