using System.Buffers;
using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using McpHub.Catalog;
using McpHub.Upstreams;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Features;

/// <summary>Finds what callers see beside tools.</summary>
internal sealed class FeatureViews(ToolServers servers, IToolViews tools)
{
    private const string SearchInstructions = "Only three tools are listed here. Many more stand behind them: find them with search_tools, read their definitions with describe_tool, and call them with call_tool.";

    /// <summary>The most views that are kept.</summary>
    private const int MostKept = 10_000;

    private volatile Cache? cache;

    /// <summary>The caller's view under a snapshot of the part of the hub that an endpoint serves.</summary>
    public FeatureView ViewOf(Snapshot snapshot, VirtualKey key, ToolScope scope)
    {
        var (current, catalog) = (cache, servers.Features);
        if (current is null || current.Catalog != catalog || current.Snapshot != snapshot || current.Views.Count > MostKept)
        {
            cache = current = new Cache(catalog, snapshot);
        }
        return current.Views.TryGetValue((key.Id, scope), out var view) ? view : current.Views.GetOrAdd((key.Id, scope), _ => Build(current.Catalog, snapshot, key, scope));
    }

    private FeatureView Build(FeatureCatalog catalog, Snapshot snapshot, VirtualKey key, ToolScope scope)
    {
        var withTools = tools.ViewOf(snapshot, key, scope).Tools.Values.Select(tool => tool.Server.Id).ToHashSet(StringComparer.Ordinal);
        var toolset = scope.Toolset is null ? null : snapshot.Toolsets.GetValueOrDefault(scope.Toolset);
        bool IsIn(CatalogItem item, Func<Toolset, bool> includes) =>
            (scope.Server is null || scope.Server == item.Server.Id) && (scope.Toolset is null || (toolset is not null && includes(toolset)));
        var prompts = catalog.Prompts.Where(item => IsIn(item, part => part.IncludesPrompt(item.Server.Id, item.OwnName)) && key.AllowsPrompt(item.Server.Id, item.OwnName)).ToList();
        var resources = catalog.Resources.Where(item => IsIn(item, part => part.IncludesResource(item.Server.Id, item.OwnName)) && key.AllowsResource(item.Server.Id, item.OwnName)).ToList();
        var templates = catalog.Templates.Where(item => IsIn(item, part => part.IncludesResource(item.Server.Id, item.OwnName)) && key.AllowsResource(item.Server.Id, item.OwnName)).ToList();
        var seen = prompts.Concat(resources).Concat(templates).Select(item => item.Server.Id).Concat(withTools).ToHashSet(StringComparer.Ordinal);
        ImmutableArray<ToolManifest> visible = [.. snapshot.Manifests.Where(manifest => seen.Contains(manifest.Id))];
        var own = scope.Server is { } only ? catalog.Offers.GetValueOrDefault(only) : null;
        var isLocal = scope.Server is not null;
        var instructions = isLocal ? own?.Instructions : MergedInstructions.Of(visible, catalog.Offers, toolset?.Instructions);
        return new FeatureView
        {
            Prompts = ListOf(prompts, isLocal),
            Resources = ListOf(resources, isLocal),
            Templates = ListOf(templates, isLocal),
            PromptsByName = prompts.DistinctBy(item => isLocal ? item.LocalName : item.ExposedName).ToFrozenDictionary(item => isLocal ? item.LocalName : item.ExposedName, StringComparer.Ordinal),
            Servers = visible,
            Instructions = scope.Search ? $"{SearchInstructions}\n\n{instructions}".TrimEnd() : instructions,
            OwnCapabilities = own?.Capabilities ?? default,
            OwnInfo = own?.ServerInfo ?? default,
        };
    }

    private static FeatureList ListOf(List<CatalogItem> items, bool isLocal)
    {
        var json = new ArrayBufferWriter<byte>(items.Sum(item => item.Definition.Length + 1) + 2);
        json.Write("["u8);
        for (var i = 0; i < items.Count; i++)
        {
            json.Write(i == 0 ? ""u8 : ","u8);
            json.Write((isLocal ? items[i].LocalDefinition : items[i].Definition).Span);
        }
        json.Write("]"u8);
        return new FeatureList(json.WrittenMemory, Convert.ToHexString(SHA256.HashData(json.WrittenSpan)));
    }

    private sealed record Cache(FeatureCatalog Catalog, Snapshot Snapshot)
    {
        public ConcurrentDictionary<(string Key, ToolScope Scope), FeatureView> Views { get; } = new();
    }
}

/// <summary>What several servers tell models of their use, as one text: each server's in a frame of its own, of which its text cannot break out.</summary>
internal static class MergedInstructions
{
    /// <summary>The most characters of one server's.</summary>
    public const int MostOfOne = 4096;

    /// <summary>The most characters of all.</summary>
    public const int MostOfAll = 32 * 1024;

    /// <summary>The text; null: no server has anything to say.</summary>
    /// <param name="servers">The servers.</param>
    /// <param name="offers">What each offers.</param>
    /// <param name="first">What whoever configured the endpoint says of it; null: nothing.</param>
    public static string? Of(ImmutableArray<ToolManifest> servers, ImmutableDictionary<string, UpstreamOffers> offers, string? first = null)
    {
        var text = new StringBuilder(first);
        var isFirst = true;
        foreach (var server in servers)
        {
            if (offers.GetValueOrDefault(server.Id)?.Instructions is not { } own || string.IsNullOrWhiteSpace(own))
            {
                continue;
            }
            var cut = own.Length > MostOfOne ? string.Concat(own.AsSpan(0, char.IsHighSurrogate(own[MostOfOne - 1]) ? MostOfOne - 1 : MostOfOne), "…") : own;
            if (text.Length + cut.Length > MostOfAll)
            {
                break;
            }
            text.Append(isFirst && first is not null ? "\n\n" : "").Append(isFirst ? "This server gives access to several others. What each says of its own tools, whose names begin with its prefix:\n" : "");
            isFirst = false;
            text.Append("\n<server id=\"").Append(server.Id).Append("\" prefix=\"").Append(server.Prefix.Length == 0 ? "" : server.Prefix + "__").Append("\">\n");
            text.Append(cut.Replace("<server", "&lt;server", StringComparison.OrdinalIgnoreCase).Replace("</server", "&lt;/server", StringComparison.OrdinalIgnoreCase).Trim());
            text.Append("\n</server>\n");
        }
        return text.Length == 0 ? null : text.ToString();
    }
}
