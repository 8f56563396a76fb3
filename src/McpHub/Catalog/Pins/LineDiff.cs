using Shared.Tools;

namespace McpHub.Catalog.Pins;

/// <summary>Two texts line by line: the longest common part stays, the rest is gone or new.</summary>
internal static class LineDiff
{
    /// <summary>The most lines that are told.</summary>
    public const int MaxLines = 400;

    private const int MaxLine = 500;
    private const int MaxCells = 250_000;

    public static IReadOnlyList<DiffLine> Between(string before, string after)
    {
        var (old, present) = (LinesOf(before), LinesOf(after));
        var (start, end) = (0, 0);
        while (start < old.Length && start < present.Length && old[start] == present[start])
        {
            start++;
        }
        while (end < old.Length - start && end < present.Length - start && old[^(end + 1)] == present[^(end + 1)])
        {
            end++;
        }
        var lines = new List<DiffLine>();
        lines.AddRange(old[..start].Select(line => Line(' ', line)));
        AddMiddle(old[start..^end], present[start..^end], lines);
        lines.AddRange(old[^end..].Select(line => Line(' ', line)));
        return lines.Count <= MaxLines ? lines : [.. lines.Where(line => line.Kind != ' ').Take(MaxLines)];
    }

    private static string[] LinesOf(string text) => text.Length == 0 ? [] : text.Split('\n');

    private static DiffLine Line(char kind, string text) => new(kind, VisibleText.Of(text.TrimEnd('\r'), MaxLine));

    private static void AddMiddle(string[] old, string[] present, List<DiffLine> lines)
    {
        // Where the table would be too large, all is gone and all is new: true, if not short.
        var common = (long)old.Length * present.Length <= MaxCells ? Common(old, present) : null;
        var (i, j) = (0, 0);
        while (i < old.Length || j < present.Length)
        {
            if (common is not null && i < old.Length && j < present.Length && old[i] == present[j])
            {
                lines.Add(Line(' ', old[i]));
                (i, j) = (i + 1, j + 1);
            }
            else if (i < old.Length && (common is null || j == present.Length || common[i + 1, j] >= common[i, j + 1]))
            {
                lines.Add(Line('-', old[i++]));
            }
            else
            {
                lines.Add(Line('+', present[j++]));
            }
        }
    }

    /// <summary>The length of the longest common subsequence of what follows each pair of places.</summary>
    private static int[,] Common(string[] old, string[] present)
    {
        var lengths = new int[old.Length + 1, present.Length + 1];
        for (var i = old.Length - 1; i >= 0; i--)
        {
            for (var j = present.Length - 1; j >= 0; j--)
            {
                lengths[i, j] = old[i] == present[j] ? lengths[i + 1, j + 1] + 1 : Math.Max(lengths[i + 1, j], lengths[i, j + 1]);
            }
        }
        return lengths;
    }
}
