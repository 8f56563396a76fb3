using System.Text.RegularExpressions;
using Markdig;
using Markdig.Syntax;
using Markdig.Syntax.Inlines;

namespace Gateway.Tests.Docs;

/// <summary>A fenced block of a page, with what the comments right before it say of how it is tested.</summary>
/// <param name="Line">Line of the fence, from 1.</param>
/// <param name="Language">Its tag; empty: none.</param>
/// <param name="Text">What stands in it.</param>
/// <param name="Directives">In their order.</param>
internal sealed record DocBlock(int Line, string Language, string Text, IReadOnlyList<DocDirective> Directives)
{
    /// <summary>What a directive of that name says; null: there is none.</summary>
    public string? Find(string name) => Directives.FirstOrDefault(directive => directive.Name == name)?.Value;

    /// <summary>What all directives of that name say.</summary>
    public IEnumerable<string> All(string name) => Directives.Where(directive => directive.Name == name).Select(directive => directive.Value);
}

/// <summary>A link of a page.</summary>
internal sealed record DocLink(int Line, string Target);

/// <summary>A page taken apart.</summary>
internal sealed partial class DocPage
{
    private DocPage(string path) => Path = path;

    /// <summary>Its file.</summary>
    public string Path { get; }

    /// <summary>Its blocks, in their order.</summary>
    public List<DocBlock> Blocks { get; } = [];

    /// <summary>Its links.</summary>
    public List<DocLink> Links { get; } = [];

    /// <summary>What a link to it may have after <c>#</c>.</summary>
    public HashSet<string> Anchors { get; } = new(StringComparer.Ordinal);

    /// <summary>Directives that cannot be understood.</summary>
    public List<string> Mistakes { get; } = [];

    /// <summary>Reads a page.</summary>
    /// <param name="path">Its file, for messages.</param>
    /// <param name="text">Its text.</param>
    public static DocPage Parse(string path, string text)
    {
        var page = new DocPage(path);
        var document = Markdown.Parse(text, new MarkdownPipelineBuilder().UsePipeTables().UsePreciseSourceLocation().Build());
        page.TakeBlocks(document);
        foreach (var link in document.Descendants<LinkInline>())
        {
            page.Links.Add(new DocLink(link.Line + 1, link.Url ?? ""));
        }
        foreach (var heading in document.Descendants<HeadingBlock>())
        {
            page.AddAnchor(Plain(heading.Inline));
        }
        foreach (Match id in ExplicitIds().Matches(text))
        {
            page.Anchors.Add(id.Groups[1].Value);
        }
        return page;
    }

    private static string Plain(ContainerInline? inline) => inline is null ? "" : string.Concat(inline.Descendants().Select(part => part switch
    {
        LiteralInline literal => literal.Content.ToString(),
        CodeInline code => code.Content,
        _ => "",
    }));

    private void TakeBlocks(ContainerBlock container)
    {
        List<DocDirective> pending = [];
        var pendingLine = 0;
        foreach (var block in container)
        {
            if (block is HtmlBlock html && DocDirective.TryParse(html.Lines.ToString(), out var directive, out var mistake))
            {
                if (mistake is not null)
                {
                    Mistakes.Add($"{html.Line + 1}: {mistake}");
                }
                (pending, pendingLine) = ([.. pending, directive], html.Line + 1);
                continue;
            }
            if (block is FencedCodeBlock fence)
            {
                Blocks.Add(new DocBlock(fence.Line + 1, (fence.Info ?? "").Trim().ToLowerInvariant(), fence.Lines.ToString(), pending));
            }
            else
            {
                if (pending.Count > 0)
                {
                    Mistakes.Add($"{pendingLine}: no fenced block follows this comment");
                }
                if (block is ContainerBlock inner)
                {
                    TakeBlocks(inner);
                }
            }
            pending = [];
        }
        if (pending.Count > 0)
        {
            Mistakes.Add($"{pendingLine}: no fenced block follows this comment");
        }
    }

    // As GitHub makes them: lower case, without punctuation, spaces as hyphens, repeated ones numbered.
    private void AddAnchor(string heading)
    {
        var anchor = NotInAnchors().Replace(heading.Trim().ToLowerInvariant(), "").Replace(' ', '-');
        var numbered = anchor;
        for (var i = 1; !Anchors.Add(numbered); i++)
        {
            numbered = $"{anchor}-{i}";
        }
    }

    [GeneratedRegex(@"[^\p{L}\p{N}\p{M} _-]")]
    private static partial Regex NotInAnchors();

    [GeneratedRegex("<a (?:id|name)=\"([^\"]+)\"")]
    private static partial Regex ExplicitIds();
}
