using Shared.Pricing;
using Shared.Snapshots;

namespace Shared.Ledger;

/// <summary>What kind of call it was.</summary>
public enum CallKind : byte
{
    /// <summary>A call of a model.</summary>
    Model,

    /// <summary>A call of a tool.</summary>
    Tool,
}

/// <summary>How a call ended.</summary>
public enum CallOutcome : byte
{
    /// <summary>It has not ended; after a crash: nobody knows how it did.</summary>
    Started,

    /// <summary>It answered.</summary>
    Succeeded,

    /// <summary>It answered that it failed: an error status, or a tool result with <c>isError</c>.</summary>
    Failed,

    /// <summary>The connection broke, or a deadline passed.</summary>
    Broken,

    /// <summary>The client left before the end.</summary>
    Cancelled,

    /// <summary>The gateway did not make the call: a manifest's rule, or the person who was asked, was against it.</summary>
    Refused,
}

/// <summary>Where the figures of a row come from.</summary>
public enum UsageSource : byte
{
    /// <summary>Nothing was used.</summary>
    None,

    /// <summary>The upstream reported them.</summary>
    Reported,

    /// <summary>Counted from what went through, as an upper bound.</summary>
    Observed,

    /// <summary>Nobody knows: the full reservation is charged.</summary>
    Reserved,

    /// <summary>A price per call.</summary>
    PerCall,
}

/// <summary>What an attempt calls. Built once for each target of a route, or each tool, and shared by its attempts.</summary>
public sealed record AttemptStart
{
    /// <summary>Model or tool.</summary>
    public required CallKind Kind { get; init; }

    /// <summary>Provider id, or tool server id.</summary>
    public required string Upstream { get; init; }

    /// <summary>The provider's model id, or the upstream's own tool name.</summary>
    public required string Name { get; init; }

    /// <summary>What the client asked for: route, <c>provider/model</c>, or exposed tool name.</summary>
    public required string RequestedName { get; init; }

    /// <summary>How often all keys, and each of them, may call it in any minute; null: no limit but those of its caller.</summary>
    public ToolRate? Rate { get; init; }

    /// <summary>Names the price that the attempt is charged at; null: the price is unknown.</summary>
    public string? PriceVersion { get; init; }
}

/// <summary>How an attempt ended and what it used.</summary>
public readonly record struct AttemptResult
{
    /// <summary>How it ended.</summary>
    public required CallOutcome Outcome { get; init; }

    /// <summary>Where the figures come from.</summary>
    public required UsageSource Source { get; init; }

    /// <summary>What it cost; null: unknown (no price). With <see cref="UsageSource.Reserved"/> it is ignored and the reservation charged.</summary>
    public Money? Cost { get; init; }

    /// <summary>What it used.</summary>
    public TokenUsage Usage { get; init; }

    /// <summary>The upstream's status code; 0: none was received.</summary>
    public int Status { get; init; }

    /// <summary>A short code of what went wrong (<c>timeout</c>, <c>reset</c>, <c>invalid_response</c>, …); null when nothing did.</summary>
    public string? Error { get; init; }

    /// <summary>The model that the provider says it served, where it differs.</summary>
    public string? ServedModel { get; init; }
}
