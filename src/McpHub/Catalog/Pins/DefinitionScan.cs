using System.Collections.Immutable;
using System.Text.Json;
using System.Text.RegularExpressions;
using Shared.Tools;

namespace McpHub.Catalog.Pins;

/// <summary>A word in an instruction that would be another server's tool, if there is one of that name.</summary>
/// <param name="Word">The word in lower case; of a server's id, <c>@</c> and the id.</param>
/// <param name="Place">Where it stands.</param>
/// <param name="Excerpt">What stands around it.</param>
internal readonly record struct Mention(string Word, string Place, string Excerpt);

/// <summary>
/// Looks through a tool's definition for what people do not see and models obey. Every name and text in it counts, whatever member it stands in. Time and findings are bounded: each text is passed over a
/// fixed number of times.
/// </summary>
internal sealed class DefinitionScan
{
    /// <summary>The most findings of one tool.</summary>
    public const int MaxFindings = 50;

    private const int MaxTexts = 20_000;
    private const int MaxMentions = 200;
    private const int MaxDepth = 128;
    private const int LongText = 10_000;
    private const int MaxPhraseText = 64 * 1024;
    private const int Window = 4_000;
    private const int Overlap = 500;

    private readonly List<ScanFinding> findings = [];
    private readonly List<Mention> mentions = [];
    private readonly HashSet<(string Rule, string Place)> told = [];
    private readonly List<string> path = [];
    private int texts;
    private int phraseText;

    private DefinitionScan()
    {
    }

    /// <summary>Scans a definition.</summary>
    /// <param name="definition">A JSON object.</param>
    /// <returns>What is suspicious, and which words would be if they named another server's tools.</returns>
    public static (ImmutableArray<ScanFinding> Findings, ImmutableArray<Mention> Mentions) Of(ReadOnlyMemory<byte> definition)
    {
        var scan = new DefinitionScan();
        try
        {
            var reader = new Utf8JsonReader(definition.Span, new JsonReaderOptions { MaxDepth = MaxDepth });
            reader.Read();
            scan.Walk(ref reader, isName: false);
            scan.CompareAnnotations(definition.Span);
        }
        catch (JsonException)
        {
            scan.path.Clear();
            scan.Add("scan-incomplete", "It is no JSON, or nested too deep.");
        }
        return ([.. scan.findings.OrderByDescending(finding => finding.Rule.Severity)], [.. scan.mentions]);
    }

    private string Place => path.Count == 0 ? "" : "/" + string.Join('/', path);

    private bool IsDone => findings.Count >= MaxFindings || texts > MaxTexts;

    private void Walk(ref Utf8JsonReader reader, bool isName)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                WalkObject(ref reader);
                break;
            case JsonTokenType.StartArray:
                for (var i = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; i++)
                {
                    path.Add(i.ToString(System.Globalization.CultureInfo.InvariantCulture));
                    Walk(ref reader, isName: false);
                    path.RemoveAt(path.Count - 1);
                }
                break;
            case JsonTokenType.String when TextOf(ref reader) is { } text:
                Look(text, isName);
                break;
            default:
                break;
        }
    }

    private void WalkObject(ref Utf8JsonReader reader)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var isProperties = path.Count > 0 && path[^1] == "properties";
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = TextOf(ref reader);
            path.Add(name is null ? "?" : VisibleText.Of(name, 80).Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal));
            if (name is not null)
            {
                if (!names.Add(name))
                {
                    Add("duplicate-member", name);
                }
                Look(name, isName: isProperties);
                if (isProperties && PhraseRules.IsContextParameter(name))
                {
                    Add("context-parameter", name);
                }
            }
            reader.Read();
            Walk(ref reader, isName: path is ["name"]);
            path.RemoveAt(path.Count - 1);
        }
    }

    private string? TextOf(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString();
        }
        catch (InvalidOperationException)
        {
            Add("malformed-text", "A surrogate without its other half, or bytes that are no UTF-8.");
            return null;
        }
    }

    private void Look(string text, bool isName)
    {
        if (texts++ == MaxTexts)
        {
            Add("scan-incomplete", $"It holds more than {MaxTexts} texts.");
        }
        if (text.Length == 0 || IsDone)
        {
            return;
        }
        if (text.Length > LongText)
        {
            Add("long-text", $"{text.Length} characters: {text[..100]}");
        }
        foreach (var (rule, excerpt) in CharacterRules.Check(text, isName))
        {
            Add(rule, excerpt);
        }
        if (text.StartsWith("data:image/", StringComparison.OrdinalIgnoreCase))
        {
            return;
        }
        if (CharacterRules.FindBlob(text) is { } blob)
        {
            Add("encoded-blob", blob);
        }
        try
        {
            LookForPhrases(FoldedText.Of(text));
        }
        catch (RegexMatchTimeoutException)
        {
            Add("scan-incomplete", $"It took too long to look for phrases in {text.Length} characters.");
        }
    }

    /// <summary>Looks in one piece of a long text after the other, each so long that no phrase is missed: what a pattern costs at worst is bounded by that.</summary>
    private void LookForPhrases(string folded)
    {
        for (var start = 0; start < folded.Length && !IsDone; start += Window - Overlap)
        {
            if (phraseText >= MaxPhraseText)
            {
                Add("scan-incomplete", $"More than {MaxPhraseText} characters of text.");
                return;
            }
            var piece = folded.Substring(start, Math.Min(Window, folded.Length - start));
            phraseText += piece.Length;
            foreach (var (rule, excerpt) in PhraseRules.Check(piece))
            {
                Add(rule, excerpt);
            }
            if (mentions.Count < MaxMentions)
            {
                mentions.AddRange(PhraseRules.Mentions(piece).Take(MaxMentions - mentions.Count).Select(mention => new Mention(mention.Word, Place, VisibleText.Of(mention.Excerpt, 160))));
            }
            if (start + Window >= folded.Length)
            {
                return;
            }
        }
    }

    private void CompareAnnotations(ReadOnlySpan<byte> definition)
    {
        var annotations = Upstreams.JsonMembers.FindRaw(definition, "annotations"u8);
        if (!annotations.IsEmpty && Upstreams.JsonMembers.IsTrue(annotations, "readOnlyHint"u8) && Upstreams.JsonMembers.FindString(definition, "name"u8) is { } name && PhraseRules.IsDestructiveName(name))
        {
            path.AddRange(["annotations", "readOnlyHint"]);
            Add("contradicting-annotation", name);
        }
    }

    private void Add(string rule, string excerpt)
    {
        if (findings.Count < MaxFindings && told.Add((rule, Place)))
        {
            findings.Add(new ScanFinding(ScanRules.Find(rule)!, Place, VisibleText.Of(excerpt, 160)));
        }
    }
}
