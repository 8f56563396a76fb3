using Shared.Snapshots;

namespace McpHub.OpenApi;

/// <summary>What a manifest puts on each request by itself; no argument may set it.</summary>
/// <param name="Names">Names of headers.</param>
/// <param name="SignsIn">Whether a token that a sign-in gives is among it.</param>
internal readonly record struct OwnHeaders(IReadOnlyCollection<string> Names, bool SignsIn)
{
    /// <summary>Nothing.</summary>
    public static OwnHeaders None { get; } = new([], SignsIn: false);

    /// <summary>Those of a manifest.</summary>
    public static OwnHeaders Of(ToolManifest manifest)
    {
        var signsIn = manifest.Auth is { Mode: not UpstreamAuthMode.None };
        return new([.. manifest.Headers.Keys, .. manifest.Auth?.PassHeaders.Select(header => header.As) ?? [], .. signsIn ? ["Authorization"] : Array.Empty<string>()], signsIn);
    }
}
