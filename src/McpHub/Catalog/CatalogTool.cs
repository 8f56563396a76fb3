using System.Collections.Frozen;
using System.Collections.Immutable;
using McpHub.Catalog.Rules;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Catalog;

/// <summary>One tool of one upstream, curated, under the name that clients see. Immutable.</summary>
internal sealed record CatalogTool
{
    /// <summary>The manifest of its server.</summary>
    public required ToolManifest Server { get; init; }

    /// <summary>The upstream's own name.</summary>
    public required string UpstreamName { get; init; }

    /// <summary>The name that clients see.</summary>
    public required string ExposedName { get; init; }

    /// <summary>The definition as clients see it: the upstream's raw JSON object on one line, with the name, and what the manifest overrides, spliced in.</summary>
    public required ReadOnlyMemory<byte> Definition { get; init; }

    /// <summary>The name under which an endpoint that serves this one server shows it: the server's own, or what the manifest gives it, without a prefix.</summary>
    public required string LocalName { get; init; }

    /// <summary>The definition under that name.</summary>
    public required Lazy<ReadOnlyMemory<byte>> LocalDefinition { get; init; }

    /// <summary>Its boolean annotations after the manifest's overrides, for grants by annotation.</summary>
    public required ImmutableDictionary<string, bool> Annotations { get; init; }

    /// <summary>Price of one call.</summary>
    public Money Cost { get; init; }

    /// <summary>What its manifest wants of each call; null: nothing, so that calls go through as they are.</summary>
    public CallRules? Rules { get; init; }

    /// <summary>The arguments, by their names upstream, that requests to the server repeat in headers; null: none.</summary>
    public ParameterHeaders? UpstreamHeaders { get; init; }

    /// <summary>The arguments, by the names that clients see, that their requests repeat in headers; null: none.</summary>
    public ParameterHeaders? ClientHeaders { get; init; }

    /// <summary>The longest that a call may take, the time for a person's answer included.</summary>
    public TimeSpan LongestCall => Rules?.Approval is { } approval ? Server.CallTimeout + approval.Timeout : Server.CallTimeout;

    /// <summary>What an attempt of it is recorded as.</summary>
    public required AttemptStart Start { get; init; }
}

/// <summary>What one caller may see and call: manifest AND key AND its owners. Immutable; computed once for each catalog version and grant.</summary>
internal sealed class ToolView(ReadOnlyMemory<byte> toolsJson, FrozenDictionary<string, CatalogTool> tools, string fingerprint)
{
    /// <summary>The JSON array of definitions, ready to be sent, ordered by exposed name.</summary>
    public ReadOnlyMemory<byte> ToolsJson { get; } = toolsJson;

    /// <summary>The tools by exposed name.</summary>
    public FrozenDictionary<string, CatalogTool> Tools { get; } = tools;

    /// <summary>Hash of <see cref="ToolsJson"/>: two views of the same fingerprint look the same, so no <c>list_changed</c> is due between them.</summary>
    public string Fingerprint { get; } = fingerprint;
}

/// <summary>Finds a caller's view. Implemented by the catalog, used by whatever serves clients.</summary>
internal interface IToolViews
{
    /// <summary>Raised when views may have changed (upstream, manifest or grant); compare fingerprints to learn whose did. Never raised under a lock.</summary>
    event Action? Changed;

    /// <summary>The caller's view under a snapshot of the part of the hub that an endpoint serves. Cached; one dictionary look-up in the common case.</summary>
    ToolView ViewOf(Snapshot snapshot, VirtualKey key, ToolScope scope = default);
}
