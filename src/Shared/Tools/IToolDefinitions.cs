using Shared.Stored;

namespace Shared.Tools;

/// <summary>How the present definition of a tool stands to what is known of it.</summary>
public enum DefinitionState
{
    /// <summary>Nothing is remembered of it, as pinning is switched off.</summary>
    Unpinned,

    /// <summary>It is the one that the manifest pins.</summary>
    Pinned,

    /// <summary>It is the first one seen, and trusted for that.</summary>
    FirstUse,

    /// <summary>An admin approved it.</summary>
    Approved,

    /// <summary>The tool was never seen before.</summary>
    New,

    /// <summary>It is not the approved one.</summary>
    Changed,

    /// <summary>The tool bears a new name; by its description and schemas it is one that has gone.</summary>
    Renamed,

    /// <summary>An admin rejected it.</summary>
    Rejected,

    /// <summary>It is not the one that the manifest pins.</summary>
    PinMismatch,

    /// <summary>It has no canonical form, so nobody can say whether it changed.</summary>
    Unhashable,

    /// <summary>It could not be remembered: the database refused, or too much is remembered of its server already.</summary>
    Unrecorded,
}

/// <summary>What is known of the present definition of a tool.</summary>
public sealed record ReviewedTool
{
    /// <summary>The manifest's id.</summary>
    public required string Server { get; init; }

    /// <summary>The upstream's own name of the tool.</summary>
    public required string Tool { get; init; }

    /// <summary>Its present definition; null: it has no canonical form.</summary>
    public required string? Hash { get; init; }

    /// <summary>How it stands.</summary>
    public required DefinitionState State { get; init; }

    /// <summary>Whether somebody should look at it: it is changed, new and held, or suspicious, and nobody has decided.</summary>
    public required bool IsPending { get; init; }

    /// <summary>Why it is not served; null: nothing of its definition holds it back.</summary>
    public string? HeldBecause { get; init; }

    /// <summary>The definition that is approved, or pinned by the manifest; null: none is.</summary>
    public string? Expected { get; init; }

    /// <summary>The name under which it was known before; null: it is not renamed.</summary>
    public string? RenamedFrom { get; init; }

    /// <summary>Since when this process has seen it so.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>What is suspicious about it.</summary>
    public IReadOnlyList<ScanFinding> Findings { get; init; } = [];
}

/// <summary>One line of a text, before and after.</summary>
/// <param name="Kind"><c>' '</c> the same, <c>'-'</c> gone, <c>'+'</c> new.</param>
/// <param name="Text">The line, invisible characters made visible.</param>
public readonly record struct DiffLine(char Kind, string Text);

/// <summary>One difference between two definitions.</summary>
/// <param name="Place">Where: a JSON pointer into the definition.</param>
/// <param name="Subject">What it is about: <c>name</c>, <c>title</c>, <c>description</c>, <c>parameter</c>, <c>annotation</c>, <c>schema</c> or <c>member</c>.</param>
/// <param name="Kind"><c>added</c>, <c>removed</c> or <c>changed</c>.</param>
/// <param name="Before">The value before as JSON, its odd characters escaped, at most 2,000 characters; null: there was none.</param>
/// <param name="After">The value after likewise.</param>
/// <param name="Risk">Why it deserves attention; null: no particular reason.</param>
/// <param name="Lines">Of a text, its lines; empty: it is none, or one line only.</param>
public sealed record DefinitionChange(string Place, string Subject, string Kind, string? Before, string? After, string? Risk, IReadOnlyList<DiffLine> Lines);

/// <summary>Everything that an admin decides a definition by.</summary>
public sealed record DefinitionDetail
{
    /// <summary>The present definition, and how it stands.</summary>
    public required ReviewedTool Present { get; init; }

    /// <summary>The present definition as JSON, everything but printable ASCII escaped.</summary>
    public required string Definition { get; init; }

    /// <summary>What is remembered of the tool; null: nothing.</summary>
    public KnownDefinition? Known { get; init; }

    /// <summary>The approved definition as JSON, everything but printable ASCII escaped; null: there is none, or it was too long to be kept.</summary>
    public string? Approved { get; init; }

    /// <summary>What differs from the approved one; null: there is nothing to compare with.</summary>
    public IReadOnlyList<DefinitionChange>? Changes { get; init; }
}

/// <summary>Why a decision was not taken.</summary>
public enum DecisionRefusal
{
    /// <summary>The server has no such tool now.</summary>
    UnknownTool,

    /// <summary>The definition is another one by now than was decided on.</summary>
    DefinitionChanged,

    /// <summary>The manifest pins the tool to another definition, which counts for more.</summary>
    PinnedInManifest,
}

/// <summary>What became of a decision.</summary>
/// <param name="Refusal">Why nothing was changed; null: it was.</param>
/// <param name="Tool">The tool that stood in the way.</param>
/// <param name="Present">Its definition now.</param>
public readonly record struct DecisionOutcome(DecisionRefusal? Refusal, string? Tool = null, string? Present = null);

/// <summary>What admins see of tools' definitions, and decide. A decision takes effect at once; clients whose tools change by it are told.</summary>
public interface IToolDefinitions
{
    /// <summary>The tools of all servers that manifests show, ordered by server and tool.</summary>
    IReadOnlyList<ReviewedTool> ReadAll();

    /// <summary>One tool; null: its server has none of that name now.</summary>
    /// <exception cref="Storage.StorageException">The database cannot be read.</exception>
    DefinitionDetail? Find(string server, string tool);

    /// <summary>Approves or rejects the present definitions of tools, all or none of them.</summary>
    /// <param name="server">The manifest's id.</param>
    /// <param name="expected">The definitions that were decided on, by the upstream's own tool names: where a tool has another one by now, nothing is changed.</param>
    /// <param name="approve">Whether they may be served.</param>
    /// <param name="reason">Why; null: nobody asks.</param>
    /// <param name="by">Who decided.</param>
    /// <exception cref="Storage.StorageException">The database cannot be written; nothing has changed.</exception>
    DecisionOutcome Decide(string server, IReadOnlyDictionary<string, string> expected, bool approve, string? reason, ChangedBy by);

    /// <summary>Forgets a tool, so that it is new when it is next seen. False: nothing was known of it.</summary>
    /// <exception cref="Storage.StorageException">The database cannot be written; nothing has changed.</exception>
    bool Forget(string server, string tool, ChangedBy by);
}
