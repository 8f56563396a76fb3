using McpHub.Upstreams;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Catalog;

/// <summary>Whether a part of the hub is there for a caller.</summary>
internal sealed class ToolScopes(IToolViews views, ToolServers? servers = null)
{
    /// <summary>
    /// Whether an endpoint of one server or one toolset is there: it is declared, and the key may use something of it. What a server that is not connected has is not known, so that
    /// for it the key's grants alone decide. A part of which a key may use nothing looks like one that is not there.
    /// </summary>
    /// <param name="snapshot">The snapshot.</param>
    /// <param name="key">The caller's key.</param>
    /// <param name="scope">The part.</param>
    public bool Exists(Snapshot snapshot, VirtualKey key, ToolScope scope)
    {
        if (scope.IsAll)
        {
            return true;
        }
        var toolset = scope.Toolset is null ? null : snapshot.Toolsets.GetValueOrDefault(scope.Toolset);
        if (scope.Toolset is not null && toolset is null)
        {
            return false;
        }
        var reached = snapshot.Manifests.Where(manifest => manifest.Enabled && (scope.Server is null || manifest.Id == scope.Server)
            && toolset?.MayReachServer(manifest.Id) != false && key.MayReachServer(manifest.Id)).ToList();
        return reached.Count > 0 && (views.ViewOf(snapshot, key, scope).Tools.Count > 0 || reached.Any(manifest => !IsKnown(manifest) || GrantsMoreThanTools(key, toolset, manifest)));
    }

    private bool IsKnown(ToolManifest manifest) => servers is null || servers.Find(manifest.Id)?.Current.State == UpstreamStatus.Ready;

    private static bool GrantsMoreThanTools(VirtualKey key, Toolset? toolset, ToolManifest manifest) =>
        (manifest.Prompts.Enabled || manifest.Resources.Enabled) && toolset?.MayReachFeatures(manifest.Id) != false && key.MayReachFeatures(manifest.Id);
}
