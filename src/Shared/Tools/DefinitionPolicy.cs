using System.Collections.Immutable;

namespace Shared.Tools;

/// <summary>What becomes of a tool whose definition is not the approved one.</summary>
public enum PinningMode
{
    /// <summary>Nothing: no definition is remembered.</summary>
    Off,

    /// <summary>It is served; logs, metrics and the admin API say so.</summary>
    Warn,

    /// <summary>It is held back until an admin approves the difference.</summary>
    Enforce,
}

/// <summary>What becomes of a tool that was never seen before.</summary>
public enum FirstSeen
{
    /// <summary>What it looks like now counts as approved: trust on first use.</summary>
    Approve,

    /// <summary>It is held back until an admin approves it.</summary>
    Hold,
}

/// <summary>What becomes of a tool in whose definition something suspicious is found.</summary>
public enum ScanMode
{
    /// <summary>Nothing is looked for.</summary>
    Off,

    /// <summary>It is served; logs, metrics and the admin API say so.</summary>
    Warn,

    /// <summary>With a finding of medium or high severity it is held back until an admin approves this very definition.</summary>
    Review,
}

/// <summary>How far the definitions of one server's tools are trusted.</summary>
/// <param name="Pinning">What becomes of changed ones.</param>
/// <param name="FirstSeen">What becomes of new ones; without a meaning where nothing is pinned.</param>
/// <param name="Scan">What becomes of suspicious ones.</param>
/// <param name="IgnoredRules">Rules whose findings do not count.</param>
public sealed record DefinitionPolicy(PinningMode Pinning, FirstSeen FirstSeen, ScanMode Scan, ImmutableArray<string> IgnoredRules)
{
    /// <summary>Where nothing is declared.</summary>
    public static DefinitionPolicy Default { get; } = new(PinningMode.Warn, FirstSeen.Approve, ScanMode.Warn, []);

    /// <summary>Nothing is remembered and nothing looked for: the gateway's own tools.</summary>
    public static DefinitionPolicy None { get; } = new(PinningMode.Off, FirstSeen.Approve, ScanMode.Off, []);
}
