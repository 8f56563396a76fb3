namespace Gateway.Tests.Docs;

/// <summary>A block that is not run, and why.</summary>
internal sealed record SkippedBlock(string Page, int Line, string Reason);

/// <summary>Checks one page: its directives, its links, and each of its blocks by its language.</summary>
internal static class DocRunner
{
    private static readonly string[] Shell = ["sh", "bash", "shell"];
    private static readonly string[] Data = ["yaml", "yml", "json", "jsonc", "toml"];
    private static readonly string[] Prose = ["mermaid", "text", "console", "http", "diff"];

    /// <summary>The pages of the repository, relative to its root.</summary>
    public static IEnumerable<string> Pages(string root) =>
        new[] { "README.md" }.Concat(
            new[] { "docs", "packaging" }.SelectMany(folder => Directory.EnumerateFiles(Path.Combine(root, folder), "*.md", SearchOption.AllDirectories))
                .Select(file => Path.GetRelativePath(root, file).Replace('\\', '/')).Order(StringComparer.Ordinal));

    /// <summary>The blocks of a page that are not run.</summary>
    public static IEnumerable<SkippedBlock> Skipped(DocPage page, string name) =>
        page.Blocks.Where(block => block.Find("skip") is not null).Select(block => new SkippedBlock(name, block.Line, block.Find("skip")!));

    /// <summary>Everything that is wrong with a page, each with its line.</summary>
    public static async Task<IReadOnlyList<string>> CheckAsync(DocPage page, string root, CancellationToken cancellationToken)
    {
        List<string> problems = [.. page.Mistakes, .. DocLinks.Check(page, root)];
        DocShell? shell = null;
        try
        {
            foreach (var block in page.Blocks.Where(block => block.Find("skip") is null))
            {
                if (block.Find("file") is { } file)
                {
                    shell ??= await DocShell.StartAsync(cancellationToken);
                    shell.Write(file, block.Text);
                }
                string? problem;
                if (Shell.Contains(block.Language))
                {
                    shell ??= await DocShell.StartAsync(cancellationToken);
                    problem = await shell.RunAsync(block, cancellationToken);
                }
                else if (block.Find("output") is not null)
                {
                    problem = shell is null ? "no shell block stands before this output" : shell.Compare(block.Text);
                }
                else if (DocCode.Knows(block.Language))
                {
                    shell ??= await DocShell.StartAsync(cancellationToken);
                    problem = await DocCode.RunAsync(block, shell, cancellationToken);
                }
                else
                {
                    problem = Data.Contains(block.Language) ? DocSnippets.Check(block)
                        : Prose.Contains(block.Language) || block.Find("file") is not null ? null
                        : block.Language.Length == 0 ? "the block says no language"
                        : $"nothing here checks '{block.Language}'; mark the block with <!-- test: skip reason -->";
                }
                if (problem is not null)
                {
                    problems.Add($"{block.Line}: {(block.Language.Length == 0 ? "block" : block.Language)}: {problem}");
                }
            }
        }
        finally
        {
            if (shell is not null)
            {
                await shell.DisposeAsync();
            }
        }
        return problems;
    }
}
