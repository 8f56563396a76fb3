using System.Collections.Immutable;
using Shared.Snapshots;

namespace McpHub.Tests.Upstreams;

/// <summary>Manifests of the fakes.</summary>
internal static class Manifests
{
    public static ToolManifest Stdio(string mode = "serve", string id = "fake") => new()
    {
        Id = id,
        Transport = UpstreamTransport.Stdio,
        Command = "dotnet",
        Arguments = [Path.Combine(AppContext.BaseDirectory, "UnrulyToolServer.dll"), mode],
        Environment = ImmutableDictionary<string, string>.Empty.Add("DOTNET_TieredPGO", "0").Add("GIVEN", "given-value"),
        Prefix = id,
        Origin = "test",
    };

    public static ToolManifest Http(Uri url, string id = "fake") => new() { Id = id, Transport = UpstreamTransport.StreamableHttp, Url = url, Prefix = id, Origin = "test" };

    public static ToolManifest BuiltIn(string id = "gateway") => new() { Id = id, Transport = UpstreamTransport.BuiltIn, Prefix = id, Origin = "test" };
}
