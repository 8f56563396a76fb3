using McpHub.Catalog;

namespace McpHub.Search;

/// <summary>
/// Finds tools by words: BM25F over names, titles, descriptions and parameters, of which a word in a name counts most. A word that no tool has stands for those that begin with it or are
/// spelled much like it. Immutable; the same question always finds the same tools in the same order.
/// </summary>
internal sealed class ToolIndex
{
    private const double K1 = 1.2;
    private const double B = 0.6;
    private const double Alike = 0.5;
    private const int MostAlike = 8;

    private static readonly (double Weight, Func<CatalogTool, (string Title, string Description, string Parameters), string> Text)[] Fields =
    [
        (4, static (tool, _) => tool.ExposedName),
        (2.5, static (_, fields) => fields.Title),
        (1, static (_, fields) => fields.Description),
        (0.6, static (_, fields) => fields.Parameters),
    ];

    private readonly CatalogTool[] tools;
    private readonly double[] lengths;
    private readonly double averageLength;
    private readonly Dictionary<string, List<(int Tool, double Weight)>> postings = new(StringComparer.Ordinal);
    private readonly Lazy<Dictionary<string, List<string>>> trigrams;

    /// <param name="tools">The tools of one view.</param>
    public ToolIndex(IEnumerable<CatalogTool> tools)
    {
        this.tools = [.. tools.OrderBy(tool => tool.ExposedName, StringComparer.Ordinal)];
        lengths = new double[this.tools.Length];
        for (var i = 0; i < this.tools.Length; i++)
        {
            Add(i);
        }
        averageLength = lengths.Length == 0 ? 1 : Math.Max(1, lengths.Average());
        trigrams = new Lazy<Dictionary<string, List<string>>>(BuildTrigrams);
    }

    /// <summary>How many tools there are.</summary>
    public int Count => tools.Length;

    /// <summary>The tools that fit best, the best first.</summary>
    /// <param name="question">Words, in any order.</param>
    /// <param name="limit">The most tools.</param>
    /// <param name="server">The server whose tools are wanted; null: any.</param>
    public IReadOnlyList<CatalogTool> Find(string question, int limit, string? server = null)
    {
        var scores = new Dictionary<int, double>();
        foreach (var word in ToolText.Words(question).Distinct(StringComparer.Ordinal).Take(64))
        {
            if (postings.ContainsKey(word))
            {
                Score(word, 1, scores);
            }
            else
            {
                foreach (var (like, likeness) in WordsLike(word))
                {
                    Score(like, Alike * likeness, scores);
                }
            }
        }
        return [.. scores.Where(score => server is null || tools[score.Key].Server.Id == server).OrderByDescending(score => Math.Round(score.Value, 9)).ThenBy(score => score.Key).Take(limit).Select(score => tools[score.Key])];
    }

    /// <summary>The names that are spelled most like one, the likest first.</summary>
    public IReadOnlyList<string> NamesLike(string name, int limit)
    {
        var wanted = TrigramsOf(name.ToLowerInvariant());
        return [.. tools.Select(tool => (tool.ExposedName, Likeness: Dice(wanted, TrigramsOf(tool.ExposedName.ToLowerInvariant())))).Where(pair => pair.Likeness > 0.35)
            .OrderByDescending(pair => pair.Likeness).ThenBy(pair => pair.ExposedName, StringComparer.Ordinal).Take(limit).Select(pair => pair.ExposedName)];
    }

    private void Add(int index)
    {
        var counts = new Dictionary<string, double>(StringComparer.Ordinal);
        var fields = ToolText.FieldsOf(tools[index].Definition);
        foreach (var (weight, text) in Fields)
        {
            foreach (var word in ToolText.Words(text(tools[index], fields)))
            {
                counts[word] = counts.GetValueOrDefault(word) + weight;
                lengths[index] += weight;
            }
        }
        foreach (var (word, weight) in counts)
        {
            (postings.TryGetValue(word, out var list) ? list : postings[word] = []).Add((index, weight));
        }
    }

    private void Score(string word, double share, Dictionary<int, double> scores)
    {
        var list = postings[word];
        var rarity = Math.Log(1 + ((tools.Length - list.Count + 0.5) / (list.Count + 0.5)));
        foreach (var (tool, weight) in list)
        {
            var saturation = weight * (K1 + 1) / (weight + (K1 * (1 - B + (B * lengths[tool] / averageLength))));
            scores[tool] = scores.GetValueOrDefault(tool) + (share * rarity * saturation);
        }
    }

    private IEnumerable<(string Word, double Likeness)> WordsLike(string word)
    {
        var wanted = TrigramsOf(word);
        return wanted.SelectMany(trigram => trigrams.Value.GetValueOrDefault(trigram, [])).Distinct(StringComparer.Ordinal)
            .Select(known => (known, Likeness: word.Length >= 3 && known.StartsWith(word, StringComparison.Ordinal) ? 1 : Dice(wanted, TrigramsOf(known))))
            .Where(pair => pair.Likeness >= 0.5).OrderByDescending(pair => pair.Likeness).ThenBy(pair => pair.known, StringComparer.Ordinal).Take(MostAlike);
    }

    private Dictionary<string, List<string>> BuildTrigrams()
    {
        var all = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        foreach (var word in postings.Keys)
        {
            foreach (var trigram in TrigramsOf(word))
            {
                (all.TryGetValue(trigram, out var words) ? words : all[trigram] = []).Add(word);
            }
        }
        return all;
    }

    private static HashSet<string> TrigramsOf(string word)
    {
        var padded = $"^{word}$";
        return [.. Enumerable.Range(0, Math.Max(0, padded.Length - 2)).Select(i => padded.Substring(i, 3))];
    }

    private static double Dice(HashSet<string> one, HashSet<string> other) => one.Count + other.Count == 0 ? 0 : 2.0 * one.Count(other.Contains) / (one.Count + other.Count);
}
