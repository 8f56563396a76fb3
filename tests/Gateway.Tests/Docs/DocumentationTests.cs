using Gateway.Tests.Interop;

namespace Gateway.Tests.Docs;

/// <summary>Every page is a test: what it says to type is typed, what it shows as configuration is loaded, its links are followed.</summary>
[Collection(InteropCollection.Name)]
public sealed class DocumentationTests
{
    /// <summary>Blocks that are not run. A page that needs one more says why in its comment, and the number here is raised knowingly.</summary>
    private const int SkippedBlocks = 14;

    public static TheoryData<string> Pages => [.. DocRunner.Pages(InteropFolder.Root)];

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task Page_DoneAsItSays_Works(string page)
    {
        var path = Path.Combine(InteropFolder.Root, page);
        var parsed = DocPage.Parse(path, await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken));
        Assert.SkipWhen(!InteropFolder.IsInstalled && parsed.Blocks.Any(NeedsNode), InteropFolder.Missing);

        var problems = await DocRunner.CheckAsync(parsed, InteropFolder.Root, TestContext.Current.CancellationToken);

        Assert.True(problems.Count == 0, string.Join(Environment.NewLine + Environment.NewLine, problems.Select(problem => $"{page}:{problem}")));
    }

    [Fact]
    public void SkippedBlocks_AreAsManyAsKnown()
    {
        SkippedBlock[] skipped = [.. DocRunner.Pages(InteropFolder.Root).SelectMany(page =>
            DocRunner.Skipped(DocPage.Parse(page, File.ReadAllText(Path.Combine(InteropFolder.Root, page))), page))];
        foreach (var block in skipped)
        {
            TestContext.Current.TestOutputHelper!.WriteLine($"{block.Page}:{block.Line}: not run: {block.Reason}");
        }

        Assert.True(skipped.Length == SkippedBlocks, $"{skipped.Length} blocks are skipped, {SkippedBlocks} were known:{Environment.NewLine}"
            + string.Join(Environment.NewLine, skipped.Select(block => $"{block.Page}:{block.Line}: {block.Reason}")));
    }

    private static bool NeedsNode(DocBlock block) =>
        block.Find("skip") is null && (block.Language is "js" or "javascript" or "ts" or "typescript" || block.Text.Contains("npx", StringComparison.Ordinal));
}
