using System.Globalization;
using System.Text.RegularExpressions;
using Shared.Configuration;
using YamlDotNet.RepresentationModel;

namespace PriceImport;

/// <summary>
/// Reads the folder <c>prices/providers</c> of genai-prices: one YAML file for each provider, with rules for the ids that an entry covers, dated prices and, for
/// most entries, the day on which somebody checked them. Amounts are US dollars per million tokens.
/// </summary>
internal static class GenaiPricesList
{
    public const string Name = "genai-prices";

    // The list does not say when these were looked at, so that any other list counts as newer.
    private static readonly DateOnly Unknown = new(2025, 1, 1);

    /// <summary>Reads the list.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="date">The day of the list: no price of it was checked later.</param>
    /// <param name="known">Ids by provider that other lists name, for which the rules of this one are asked as well.</param>
    public static IEnumerable<Candidate> Read(string folder, DateOnly date, ILookup<string, string> known)
    {
        foreach (var file in Directory.EnumerateFiles(folder, "*.yml").Where(file => !Path.GetFileName(file).StartsWith('.')).Order(StringComparer.Ordinal))
        {
            var yaml = new YamlStream();
            using (var reader = File.OpenText(file))
            {
                yaml.Load(reader);
            }
            var root = (YamlMappingNode)yaml.Documents[0].RootNode;
            var id = Text(root, "id")!;
            var suffix = "";
            if (!Providers.GenaiPrices.TryGetValue(id, out var provider))
            {
                if (!id.StartsWith(Providers.HuggingFacePrefix, StringComparison.Ordinal))
                {
                    continue;
                }
                (provider, suffix) = ("huggingface", ":" + id[Providers.HuggingFacePrefix.Length..]);
            }
            List<(YamlMappingNode Model, YamlMappingNode Match)> models = [.. ((YamlSequenceNode)root["models"]).Cast<YamlMappingNode>().Select(model => (model, (YamlMappingNode)model["match"]))];
            var named = models.SelectMany(model => Names(model.Match).Append(Text(model.Model, "id")!)).ToHashSet(StringComparer.Ordinal);
            foreach (var name in named.Union(suffix.Length == 0 ? known[provider] : []).Order(StringComparer.Ordinal))
            {
                // The list's own reader takes the first entry whose rules cover the id.
                var (model, match) = models.FirstOrDefault(model => Matches(model.Match, name));
                if (model is null || name.Contains(' ') || !char.IsLetterOrDigit(name[^1]))
                {
                    continue;
                }
                var day = Text(model, "prices_checked") is { } text && DateOnly.TryParse(text, CultureInfo.InvariantCulture, out var looked) ? (looked < date ? looked : date) : (DateOnly?)null;
                yield return ReadModel(model, new Candidate
                {
                    // The list keeps Vertex and the Gemini API as one; Claude is on the former.
                    Provider = provider == "gemini" && name.StartsWith("claude", StringComparison.Ordinal) ? "vertex" : provider,
                    Model = name + suffix,
                    List = Name,
                    Day = date,
                    Checked = day,
                    Age = day ?? Unknown,
                    SharedEntry = Text(model, "id") + suffix,
                    IsNamed = Providers.RulesAreNames.Contains(provider) || Text(model, "id") == name || Names(match).Contains(name),
                });
            }
        }
    }

    private static Candidate ReadModel(YamlMappingNode model, Candidate blank)
    {
        List<ListedPrice> prices = [];
        var context = Text(model, "context_window") is { } window ? long.Parse(window, CultureInfo.InvariantCulture) : (long?)null;
        foreach (var (rates, from) in Dated(model))
        {
            if (from is null && prices.Count > 0)
            {
                return blank.Without("the price depends on the time of day");
            }
            if (rates.Children.Keys.Any(key => ((YamlScalarNode)key).Value!.StartsWith("output_image", StringComparison.Ordinal) || ((YamlScalarNode)key).Value!.StartsWith("output_video", StringComparison.Ordinal)))
            {
                return blank.Without("images or video in the output have a price of their own, which no usage report counts apart", isVeto: true);
            }
            if (At(rates, "input_mtok", 0) is not { } input)
            {
                return blank.Without("no price of input");
            }
            if (At(rates, "output_mtok", 0) is not { } output)
            {
                if (!Kinds.HasNoOutput(blank.Model))
                {
                    return blank.Without("no price of output");
                }
                output = 0;
            }
            prices.Add(Price(rates, from, blank.Provider, input, output) with { MaxInputTokens = context });
        }
        return blank with { Prices = prices };
    }

    private static ListedPrice Price(YamlMappingNode rates, DateTimeOffset? from, string provider, decimal input, decimal output)
    {
        List<string> unbilled = [];
        void Note(string key, string name)
        {
            if (rates.Children.ContainsKey(key))
            {
                unbilled.Add(name);
            }
        }
        Note("output_citation_mtok", "citationOutput");
        Note("input_video_mtok", "videoInput");
        Note("web_searches_kcount", "webSearch");
        long[] starts = [.. rates.Children.Values.OfType<YamlMappingNode>().SelectMany(value => (YamlSequenceNode)value["tiers"]).Select(tier => long.Parse(((YamlScalarNode)tier["start"]).Value!, CultureInfo.InvariantCulture)).Distinct().Order()];
        var standard = Rates<ListedPrice>(rates, 0, input, output);
        return standard with
        {
            EffectiveFrom = from,
            PerRequest = (At(rates, "requests_kcount", 0) ?? 0) / 1000,
            Unbilled = unbilled,
            // Perplexity's models search with every call; elsewhere a request has to ask for it, in a member that a hard budget refuses by itself.
            Bounded = !(provider == "perplexity" && unbilled.Count > 0),
            ContextTiers = [.. starts.Select(start => Rates<ContextTierDeclaration>(rates, start, At(rates, "input_mtok", start)!.Value, At(rates, "output_mtok", start) ?? 0) with { AboveInputTokens = start })],
        };
    }

    private static T Rates<T>(YamlMappingNode rates, long start, decimal input, decimal output) where T : RatesDeclaration
    {
        // Cached images are reported as cached text is; the dearer rate never bills too little.
        var read = At(rates, "cache_read_mtok", start);
        RatesDeclaration blank = typeof(T) == typeof(ContextTierDeclaration) ? new ContextTierDeclaration { Input = input, Output = output, AboveInputTokens = start } : new ListedPrice { Input = input, Output = output };
        return (T)(blank with
        {
            CacheRead = read is { } text && At(rates, "cache_image_read_mtok", start) is { } image ? Math.Max(text, image) : read,
            CacheWrite = At(rates, "cache_write_mtok", start),
            CacheWrite1h = At(rates, "cache_write_1h_mtok", start),
            Reasoning = At(rates, "output_reasoning_mtok", start),
            AudioInput = At(rates, "input_audio_mtok", start),
            AudioOutput = At(rates, "output_audio_mtok", start),
            ImageInput = At(rates, "input_image_mtok", start),
        });
    }

    // A price that depends on the time of day has no date but a constraint all the same.
    private static IEnumerable<(YamlMappingNode Rates, DateTimeOffset? From)> Dated(YamlMappingNode model) => model["prices"] switch
    {
        YamlMappingNode rates => [(rates, null)],
        var list => ((YamlSequenceNode)list).Cast<YamlMappingNode>().Select(entry => ((YamlMappingNode)entry["prices"],
            entry.Children.TryGetValue("constraint", out var constraint) && Text((YamlMappingNode)constraint, "start_date") is { } day
                ? DateTimeOffset.ParseExact(day, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal) : (DateTimeOffset?)null)),
    };

    // The amount for inputs above a size, which is either one figure or has tiers of its own.
    private static decimal? At(YamlMappingNode rates, string name, long start)
    {
        if (!rates.Children.TryGetValue(name, out var value))
        {
            return null;
        }
        if (value is YamlScalarNode scalar)
        {
            return Parse(scalar);
        }
        var last = ((YamlSequenceNode)value["tiers"]).LastOrDefault(tier => long.Parse(((YamlScalarNode)tier["start"]).Value!, CultureInfo.InvariantCulture) <= start);
        return Parse((YamlScalarNode)(last is null ? value["base"] : last["price"]));
    }

    private static decimal Parse(YamlScalarNode scalar) => decimal.Parse(scalar.Value!, NumberStyles.Float, CultureInfo.InvariantCulture);

    private static string? Text(YamlMappingNode node, string name) => node.Children.TryGetValue(name, out var value) ? ((YamlScalarNode)value).Value : null;

    private static IEnumerable<string> Names(YamlMappingNode match) => match.Children.Single() switch
    {
        { Key: YamlScalarNode { Value: "equals" }, Value: YamlScalarNode value } => [value.Value!],
        { Key: YamlScalarNode { Value: "or" }, Value: YamlSequenceNode any } => any.Cast<YamlMappingNode>().SelectMany(Names),
        _ => [],
    };

    private static bool Matches(YamlMappingNode match, string name)
    {
        var (key, value) = match.Children.Single();
        var text = (value as YamlScalarNode)?.Value ?? "";
        return ((YamlScalarNode)key).Value switch
        {
            "or" => ((YamlSequenceNode)value).Cast<YamlMappingNode>().Any(rule => Matches(rule, name)),
            "and" => ((YamlSequenceNode)value).Cast<YamlMappingNode>().All(rule => Matches(rule, name)),
            "equals" => string.Equals(name, text, StringComparison.OrdinalIgnoreCase),
            "starts_with" => name.StartsWith(text, StringComparison.OrdinalIgnoreCase),
            "ends_with" => name.EndsWith(text, StringComparison.OrdinalIgnoreCase),
            "contains" => name.Contains(text, StringComparison.OrdinalIgnoreCase),
            "regex" => Regex.IsMatch(name, text, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1)),
            var other => throw new InvalidDataException($"genai-prices has a rule '{other}', which this tool does not know."),
        };
    }
}
