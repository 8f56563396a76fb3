using System.Collections.Frozen;
using System.Collections.Immutable;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace McpHub.Tests.Upstreams;

/// <summary>Snapshots of what a test says.</summary>
internal static class Snapshots
{
    private static int revision;

    public static Snapshot New(params ToolManifest[] manifests) => New([], manifests);

    public static Snapshot New(VirtualKey[] keys, ToolManifest[] manifests, GatewaySettings? settings = null, Toolset[]? toolsets = null) => new()
    {
        Revision = $"r{Interlocked.Increment(ref revision)}",
        Keys = keys.ToFrozenDictionary(key => key.Id),
        Providers = FrozenDictionary<string, Provider>.Empty,
        Routes = FrozenDictionary<string, Route>.Empty,
        Manifests = [.. manifests.OrderBy(manifest => manifest.Id, StringComparer.Ordinal)],
        Toolsets = (toolsets ?? []).ToImmutableDictionary(toolset => toolset.Id),
        Prices = PriceBook.Empty,
        Settings = settings ?? new GatewaySettings(),
    };
}
