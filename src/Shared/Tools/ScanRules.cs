using System.Collections.Immutable;

namespace Shared.Tools;

/// <summary>How bad a finding is.</summary>
public enum ScanSeverity
{
    /// <summary>Worth knowing; holds nothing back.</summary>
    Low,

    /// <summary>Seldom innocent.</summary>
    Medium,

    /// <summary>Hardly ever innocent.</summary>
    High,
}

/// <summary>A rule of the scan of definitions.</summary>
/// <param name="Id">Its name in findings and in <c>scan.ignore</c>.</param>
/// <param name="Severity">How bad what it finds is.</param>
/// <param name="Finds">What it finds, for people.</param>
public sealed record ScanRule(string Id, ScanSeverity Severity, string Finds);

/// <summary>The rules of the scan of definitions.</summary>
public static class ScanRules
{
    /// <summary>All of them, ordered by id.</summary>
    public static ImmutableArray<ScanRule> All { get; } =
    [
        new("ansi-escape", ScanSeverity.High, "escape sequences that steer a terminal"),
        new("bidi-control", ScanSeverity.High, "characters that reverse the direction of text, so that it reads otherwise than it is"),
        new("call-order", ScanSeverity.Medium, "a claim to be called before any other tool"),
        new("concealment", ScanSeverity.High, "words that tell the model to keep something from the user"),
        new("confusable-name", ScanSeverity.Medium, "a tool's or parameter's name that mixes letters of several scripts"),
        new("context-parameter", ScanSeverity.Low, "a parameter that asks the model for the conversation or its system prompt"),
        new("contradicting-annotation", ScanSeverity.Low, "a tool called read-only whose name says that it deletes or sends something"),
        new("control-character", ScanSeverity.Medium, "control characters other than tabs and line breaks"),
        new("duplicate-member", ScanSeverity.High, "a member that stands twice, so that clients disagree which one counts"),
        new("encoded-blob", ScanSeverity.Medium, "a long run of what looks like base64"),
        new("exfiltration", ScanSeverity.High, "words that tell the model to send data to an address, or an address that carries data away"),
        new("hidden-markup", ScanSeverity.Medium, "comments or elements that a page would not show"),
        new("instruction-override", ScanSeverity.High, "words that tell the model to drop its instructions"),
        new("invisible-tags", ScanSeverity.High, "tag characters (U+E0000 to U+E007F): a text that models read and people do not see"),
        new("long-text", ScanSeverity.Low, "a text of more than 10,000 characters"),
        new("malformed-text", ScanSeverity.High, "text that is no valid Unicode"),
        new("other-tool", ScanSeverity.Medium, "instructions that name a tool of another server"),
        new("padding", ScanSeverity.Medium, "so many blanks or empty lines that what follows is out of sight"),
        new("private-use", ScanSeverity.Medium, "characters without a public meaning"),
        new("prompt-markup", ScanSeverity.High, "marks that pretend to come from the system or the user, such as <IMPORTANT> or [INST]"),
        new("scan-incomplete", ScanSeverity.Medium, "a definition of which not everything could be looked at"),
        new("secret-path", ScanSeverity.High, "words that tell the model to read files that hold secrets, such as ~/.ssh/id_rsa"),
        new("secret-request", ScanSeverity.High, "words that tell the model to hand over its system prompt, the conversation or keys"),
        new("variation-selectors", ScanSeverity.High, "a run of variation selectors: invisible characters that can carry a text"),
        new("zero-width", ScanSeverity.Medium, "characters without a width where no script needs them"),
    ];

    /// <summary>A rule; null: there is none of that name.</summary>
    public static ScanRule? Find(string id) => All.FirstOrDefault(rule => rule.Id == id);
}

/// <summary>Something suspicious in a definition.</summary>
/// <param name="Rule">What found it.</param>
/// <param name="Place">Where: a JSON pointer into the definition, its own odd characters made visible.</param>
/// <param name="Excerpt">What was found, at most 160 characters, invisible and control characters made visible as <c>\u{200B}</c>.</param>
public sealed record ScanFinding(ScanRule Rule, string Place, string Excerpt);
