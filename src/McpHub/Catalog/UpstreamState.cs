using McpHub.Upstreams;
using Shared.Snapshots;

namespace McpHub.Catalog;

/// <summary>How a tool server is, for admins. Holds no address, command or header; <see cref="LastWords"/> may hold anything.</summary>
/// <param name="Id">The manifest's id.</param>
/// <param name="Status">Where its connection stands.</param>
/// <param name="Since">Since when; null: it is switched off.</param>
/// <param name="ProtocolVersion">The revision agreed on; null while it is not connected.</param>
/// <param name="Tools">How many of its tools are in the catalog.</param>
/// <param name="Quarantined">Tools that are held back alone, and why.</param>
/// <param name="LastError">Why it is not connected, as a short code; null while it is.</param>
/// <param name="LastWords">The end of what a child process wrote to its error stream, at most 4,096 characters, with the values that its manifest gave it masked. For admins only, and never for logs above debug level.</param>
public sealed record UpstreamState(string Id, UpstreamStatus Status, DateTimeOffset? Since, string? ProtocolVersion, int Tools, IReadOnlyList<QuarantinedTool> Quarantined, string? LastError, string LastWords)
{
    /// <summary>What should be looked at although it is connected; null: nothing.</summary>
    public string? Warning { get; init; }

    internal static UpstreamState Of(ToolManifest manifest, Upstream.Status? status, ToolCatalog catalog) => new(
        manifest.Id,
        status?.State ?? UpstreamStatus.Disabled,
        status?.Since,
        status?.Server?.ProtocolVersion,
        catalog.Tools.Count(tool => tool.Server.Id == manifest.Id),
        [.. catalog.Quarantined.GetValueOrDefault(manifest.Id, []), .. status?.Server?.Unusable ?? []],
        status?.Reason,
        WordsOf(manifest, status))
    {
        Warning = status?.Server?.Warning,
    };

    private static string WordsOf(ToolManifest manifest, Upstream.Status? status)
    {
        var words = status?.Server?.LastWords is { Length: > 0 } now ? now : status?.LastWords ?? "";
        return MaskedWords.Of(words, isCut: words.Length >= ErrorTail.Kept, manifest);
    }
}
