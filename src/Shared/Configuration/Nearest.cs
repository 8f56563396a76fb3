namespace Shared.Configuration;

/// <summary>Finds the name that a mistyped one was probably meant to be.</summary>
internal static class Nearest
{
    /// <summary>The known name with the fewest edits to the given one, or null where none is near enough to be meant.</summary>
    public static string? Find(string name, IEnumerable<string> known)
    {
        string? best = null;
        var fewest = Math.Max(1, name.Length / 3) + 1;
        foreach (var candidate in known)
        {
            var edits = Distance(name.ToUpperInvariant(), candidate.ToUpperInvariant());
            if (edits < fewest)
            {
                (best, fewest) = (candidate, edits);
            }
        }
        return best;
    }

    /// <summary>A sentence for an unknown name: the nearest one, or all there are.</summary>
    public static string Hint(string name, IReadOnlyCollection<string> known) =>
        Find(name, known) is { } nearest ? $"did you mean '{nearest}'?"
            : known.Count == 0 ? "there are none" : $"known are {string.Join(", ", known)}";

    // Edits are insertions, deletions, replacements and swaps of neighbours, each counted as one.
    private static int Distance(string left, string right)
    {
        var table = new int[left.Length + 1, right.Length + 1];
        for (var i = 0; i <= left.Length; i++)
        {
            table[i, 0] = i;
        }
        for (var j = 0; j <= right.Length; j++)
        {
            table[0, j] = j;
        }
        for (var i = 1; i <= left.Length; i++)
        {
            for (var j = 1; j <= right.Length; j++)
            {
                var replace = table[i - 1, j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1);
                table[i, j] = Math.Min(replace, Math.Min(table[i - 1, j], table[i, j - 1]) + 1);
                if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
                {
                    table[i, j] = Math.Min(table[i, j], table[i - 2, j - 2] + 1);
                }
            }
        }
        return table[left.Length, right.Length];
    }
}
