using System.Collections.Immutable;
using McpHub.Features;
using McpHub.Catalog.Rules;
using Shared.Ledger;
using Shared.Snapshots;
using Shared.Tools;

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
    /// <param name="unapproved">What the review of definitions holds back, by server and tool, with the reason; null: nothing.</param>
    public static ToolCatalog Build(Snapshot snapshot, IReadOnlyDictionary<string, IReadOnlyList<ReadOnlyMemory<byte>>> listed, ImmutableDictionary<(string Server, string Tool), ToolHold>? holds = null,
        IReadOnlyDictionary<(string Server, string Tool), string>? unapproved = null)
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
                if (unapproved is not null && unapproved.TryGetValue((manifest.Id, definition.Name), out var reason))
                {
                    bad.Add(new QuarantinedTool(definition.Name, reason));
                    continue;
                }
                if (Curate(manifest, definition, curation, snapshot.Settings.MaxToolNameLength, out var wrong) is not { } tool)
                {
                    bad.Add(new QuarantinedTool(definition.Name, wrong!));
                    continue;
                }
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

    private static CatalogTool? Curate(ToolManifest manifest, ToolDefinition definition, Curation curation, int maxLength, out string? wrong)
    {
        byte[]? schema = null;
        CallRules? rules = null;
        if (curation.HasRules)
        {
            wrong = CallRules.Compile(definition, curation, out rules, out schema);
            if (wrong is not null)
            {
                return null;
            }
        }
        wrong = null;
        var isContested = Curation.IsContested(manifest, definition.Name, curation.Name);
        var name = ToolNames.Expose(manifest.Id, definition.Name, manifest.Prefix, curation.Name, isContested, maxLength);
        var local = isContested ? name : curation.Name ?? definition.Name;
        // A result that was cut has no structured content.
        var keepsOutputSchema = curation.Result?.OnExcess != ResultExcess.Cut;
        var clientHeaders = definition.Headers;
        if (clientHeaders is not null && schema is not null && (wrong = ParameterHeaders.Read(schema, out clientHeaders)) is not null)
        {
            return null;
        }
        return new CatalogTool
        {
            Server = manifest,
            UpstreamName = definition.Name,
            ExposedName = name,
            Definition = ResourceAddresses.InTool(definition.Write(name, curation.Description, curation.Annotations, curation.Title, schema, keepsOutputSchema), manifest),
            LocalName = local,
            LocalDefinition = new Lazy<ReadOnlyMemory<byte>>(() => definition.Write(local, curation.Description, curation.Annotations, curation.Title, schema, keepsOutputSchema)),
            Annotations = definition.Annotations.SetItems(curation.Annotations),
            Cost = curation.Cost,
            Rules = rules,
            UpstreamHeaders = definition.Headers,
            ClientHeaders = clientHeaders,
            Start = new AttemptStart { Kind = CallKind.Tool, Upstream = manifest.Id, Name = definition.Name, RequestedName = name, PriceVersion = "manifest", Rate = curation.Rate },
        };
    }
}
