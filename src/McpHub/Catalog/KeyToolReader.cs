using McpHub.Search;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Catalog;

/// <summary>Reads from callers' views what they are shown.</summary>
internal sealed class KeyToolReader(IToolViews views) : IKeyTools
{
    public KeyTools Read(Snapshot snapshot, VirtualKey key, ToolScope scope)
    {
        var view = views.ViewOf(snapshot, key, scope);
        List<ShownTool> tools = [.. view.Tools.Values.Select(tool => new ShownTool(tool.ExposedName, tool.Server.Id, tool.UpstreamName, tool.Definition.Length)).OrderBy(tool => tool.Name, StringComparer.Ordinal)];
        return new KeyTools(tools, view.ToolsJson.Length, ToolCaps.Below(tools.Count));
    }
}
