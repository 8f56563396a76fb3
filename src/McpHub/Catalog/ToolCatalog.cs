using System.Collections.Immutable;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Catalog;

/// <summary>A tool that is not served, and why.</summary>
/// <param name="Tool">Its server's name of it, or its place in the list where it has none.</param>
/// <param name="Reason">Why, in one sentence.</param>
/// <param name="Hold">The admin's hold on it; null: it is unusable.</param>
public sealed record QuarantinedTool(string Tool, string Reason, ToolHold? Hold = null);

/// <summary>All tools of all servers under one snapshot, curated. Immutable.</summary>
/// <param name="Tools">The tools, ordered by exposed name.</param>
/// <param name="Quarantined">What is not served, by server id.</param>
internal sealed record ToolCatalog(ImmutableArray<CatalogTool> Tools, ImmutableDictionary<string, ImmutableArray<QuarantinedTool>> Quarantined)
{
    public static ToolCatalog Empty { get; } = new([], ImmutableDictionary<string, ImmutableArray<QuarantinedTool>>.Empty);

    /// <summary>Builds the catalog.</summary>
    /// <param name="snapshot">Manifests and settings.</param>
    /// <param name="listed">What each server listed, by its id.</param>
    /// <param name="holds">What admins hold back, by server and tool; null: nothing.</param>
    public static ToolCatalog Build(Snapshot snapshot, IReadOnlyDictionary<string, IReadOnlyList<ReadOnlyMemory<byte>>> listed, ImmutableDictionary<(string Server, string Tool), ToolHold>? holds = null)
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
            foreach (var definition in Usable(definitions, bad))
            {
                if (Curation.Of(manifest, definition.Name) is not { IsEnabled: true } curation)
                {
                    continue;
                }
                if (holds?.GetValueOrDefault((manifest.Id, definition.Name)) is { } hold)
                {
                    bad.Add(new QuarantinedTool(definition.Name, $"Held back by {hold.By}: {hold.Reason}", hold));
                    continue;
                }
                var tool = Curate(manifest, definition, curation, snapshot.Settings.MaxToolNameLength);
                if (!tools.TryAdd(tool.ExposedName, tool))
                {
                    bad.Add(new QuarantinedTool(definition.Name, $"Its name here, '{tool.ExposedName}', is taken by '{tools[tool.ExposedName].Server.Id}/{tools[tool.ExposedName].UpstreamName}'."));
                }
            }
            if (bad.Count > 0)
            {
                quarantined[manifest.Id] = bad.ToImmutable();
            }
        }
        return new ToolCatalog([.. tools.Values], quarantined.ToImmutable());
    }

    /// <summary>The definitions that can be served, ordered by name, so that their order in the list decides nothing.</summary>
    private static List<ToolDefinition> Usable(IReadOnlyList<ReadOnlyMemory<byte>> definitions, ImmutableArray<QuarantinedTool>.Builder bad)
    {
        var usable = new List<ToolDefinition>(definitions.Count);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < definitions.Count; i++)
        {
            var wrong = ToolDefinition.Read(definitions[i], out var definition);
            if (wrong is null && !seen.Add(definition.Name))
            {
                wrong = "Its server lists this name twice.";
            }
            if (wrong is null)
            {
                usable.Add(definition);
            }
            else
            {
                bad.Add(new QuarantinedTool(definition.Name.Length > 0 ? definition.Name : $"#{i}", wrong));
            }
        }
        usable.Sort(static (one, other) => string.CompareOrdinal(one.Name, other.Name));
        return usable;
    }

    private static CatalogTool Curate(ToolManifest manifest, ToolDefinition definition, Curation curation, int maxLength)
    {
        var name = ToolNames.Expose(manifest.Id, definition.Name, manifest.Prefix, curation.Name, Curation.IsContested(manifest, definition.Name, curation.Name), maxLength);
        return new CatalogTool
        {
            Server = manifest,
            UpstreamName = definition.Name,
            ExposedName = name,
            Definition = definition.Write(name, curation.Description, curation.Annotations),
            Annotations = definition.Annotations.SetItems(curation.Annotations),
            Cost = curation.Cost,
            Start = new AttemptStart { Kind = CallKind.Tool, Upstream = manifest.Id, Name = definition.Name, RequestedName = name, PriceVersion = "manifest" },
        };
    }
}

/// <summary>What a manifest's rules make of one tool.</summary>
/// <param name="IsEnabled">Whether it is shown.</param>
/// <param name="Name">Its name in place of its own; null: its own.</param>
/// <param name="Description">Its description in place of its own; null: its own.</param>
/// <param name="Annotations">Annotations set or replaced.</param>
/// <param name="Cost">The price of one call.</param>
internal sealed record Curation(bool IsEnabled, string? Name, string? Description, ImmutableDictionary<string, bool> Annotations, Money Cost)
{
    /// <summary>Applies all rules that match, in order; of two that say something of the same thing, the later one counts.</summary>
    public static Curation Of(ToolManifest manifest, string tool)
    {
        var curation = new Curation(manifest.ExposeByDefault, null, null, ImmutableDictionary<string, bool>.Empty, Money.Zero);
        foreach (var rule in manifest.Tools)
        {
            if (Glob.IsMatch(rule.Match, tool))
            {
                curation = new Curation(rule.Enabled ?? curation.IsEnabled, rule.As ?? curation.Name, rule.Description ?? curation.Description,
                    curation.Annotations.SetItems(rule.Annotations), rule.Cost ?? curation.Cost);
            }
        }
        return curation;
    }

    /// <summary>Whether the manifest gives a tool's name to another of its tools. That it says so counts, not whether the server has the other one today.</summary>
    public static bool IsContested(ToolManifest manifest, string tool, string? wanted)
    {
        foreach (var rule in manifest.Tools)
        {
            if (rule.As == (wanted ?? tool) && rule.Match != tool)
            {
                return true;
            }
        }
        return false;
    }
}
