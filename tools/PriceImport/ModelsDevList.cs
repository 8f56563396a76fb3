using System.Globalization;
using Shared.Configuration;
using Tomlyn;
using Tomlyn.Model;

namespace PriceImport;

/// <summary>
/// Reads the folder of models.dev: <c>providers/&lt;provider&gt;/models/**/&lt;model&gt;.toml</c>, with what they inherit from <c>models/**</c>. Amounts are US dollars
/// per million tokens.
/// </summary>
internal static class ModelsDevList
{
    public const string Name = "models.dev";

    public static IEnumerable<Candidate> Read(string folder, DateOnly date)
    {
        foreach (var (theirs, ours) in Providers.ModelsDev.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            var root = Path.Combine(folder, "providers", theirs, "models");
            string[] files = Directory.Exists(root) ? Directory.GetFiles(root, "*.toml", SearchOption.AllDirectories) : [];
            foreach (var file in files.Order(StringComparer.Ordinal))
            {
                var model = Path.GetRelativePath(root, file).Replace(Path.DirectorySeparatorChar, '/')[..^".toml".Length];
                // Vertex names the default version of a model as the model.
                var blank = new Candidate { Provider = ours, Model = model.EndsWith("@default", StringComparison.Ordinal) ? model[..^"@default".Length] : model, List = Name, Day = date, Age = date };
                // A link to nowhere exists as a file does.
                yield return (File.ResolveLinkTarget(file, returnFinalTarget: true)?.Exists ?? true) ? ReadModel(folder, Parse(file), blank) : blank.Without("the file is a link to nowhere");
            }
        }
    }

    private static Candidate ReadModel(string folder, TomlTable table, Candidate blank)
    {
        if (table.TryGetValue("cost", out var cost) is false || cost is not TomlTable rates)
        {
            return blank.Without("no price");
        }
        var inherited = table.TryGetValue("base_model", out var name) ? Parse(Path.Combine(folder, "models", (string)name + ".toml")) : [];
        var omitted = table.TryGetValue("base_model_omit", out var omit) ? ((TomlArray)omit).Cast<string>().ToHashSet() : [];
        object? Member(string section, string member) =>
            Section(table, section)?.GetValueOrDefault(member) ?? (omitted.Contains($"{section}.{member}") ? null : Section(inherited, section)?.GetValueOrDefault(member));

        string[] puts = Member("modalities", "output") is TomlArray modalities ? [.. modalities.Cast<string>()] : ["text"];
        if (Unpriceable(rates, puts) is { } problem)
        {
            return blank.Without(problem, isVeto: true);
        }
        if (rates.ContainsKey("image"))
        {
            return blank.Without("images have a price of their own", isVeto: true);
        }
        if (Decimal(rates, "input") is not { } input || Decimal(rates, "output") is not { } output)
        {
            return blank.Without("no price of input or of output");
        }
        var context = Member("limit", "context") as long?;
        var most = Member("limit", "output") as long?;
        var price = new ListedPrice
        {
            Input = input,
            Output = output,
            CacheRead = Decimal(rates, "cache_read"),
            CacheWrite = Decimal(rates, "cache_write"),
            Reasoning = Decimal(rates, "reasoning"),
            AudioInput = Decimal(rates, "input_audio"),
            AudioOutput = Decimal(rates, "output_audio"),
            PerRequest = (Decimal(rates, "request") ?? 0) / 1000,
            Unbilled = rates.ContainsKey("citation") ? ["citationOutput"] : [],
            Bounded = !rates.ContainsKey("citation"),
            ContextTiers = [.. Tiers(rates)],
            ServiceTiers = ServiceTiers(table),
            MaxInputTokens = (Member("limit", "input") as long? ?? context) is > 0 and var limit ? limit : null,
            // Where the two are the same figure, the output's own limit is not known; an embedding's is its number of dimensions.
            MaxOutputTokens = most > 0 && output > 0 && (context is null || most < context) ? most : null,
        };
        return blank with { Prices = [price] };
    }

    private static TomlTable Parse(string file) => TomlSerializer.Deserialize<TomlTable>(File.ReadAllText(file)) ?? throw new InvalidDataException($"{file} holds nothing.");

    // Text and images, say, cost differently but are counted as one.
    private static string? Unpriceable(TomlTable rates, string[] puts) => puts switch
    {
        [_] => puts[0] == "video" ? "video is not priced by the token" : null,
        _ when puts.Contains("image") || puts.Contains("video") => "images in the output have a price of their own",
        _ when puts.Contains("audio") && !rates.ContainsKey("output_audio") => "audio in the output has a price of its own, which the list lacks",
        _ => null,
    };

    private static IEnumerable<ContextTierDeclaration> Tiers(TomlTable rates)
    {
        if (!rates.TryGetValue("tiers", out var tiers))
        {
            return [];
        }
        return ((TomlTableArray)tiers).OrderBy(tier => (long)((TomlTable)tier["tier"])["size"]).Select(tier => new ContextTierDeclaration
        {
            AboveInputTokens = (long)((TomlTable)tier["tier"])["size"],
            Input = Decimal(tier, "input") ?? Decimal(rates, "input")!.Value,
            Output = Decimal(tier, "output") ?? Decimal(rates, "output")!.Value,
            CacheRead = Decimal(tier, "cache_read") ?? Decimal(rates, "cache_read"),
            CacheWrite = Decimal(tier, "cache_write") ?? Decimal(rates, "cache_write"),
            Reasoning = Decimal(tier, "reasoning") ?? Decimal(rates, "reasoning"),
            AudioInput = Decimal(tier, "input_audio") ?? Decimal(rates, "input_audio"),
            AudioOutput = Decimal(tier, "output_audio") ?? Decimal(rates, "output_audio"),
        });
    }

    // A mode with a price of its own that is asked for as OpenAI's service tiers are.
    private static Dictionary<string, RatesDeclaration> ServiceTiers(TomlTable table)
    {
        Dictionary<string, RatesDeclaration> tiers = [];
        foreach (var mode in Section(Section(table, "experimental"), "modes")?.Values.OfType<TomlTable>() ?? [])
        {
            if (Section(Section(mode, "provider"), "body")?.GetValueOrDefault("service_tier") is string tier && Section(mode, "cost") is { } rates)
            {
                tiers[tier] = new RatesDeclaration { Input = Decimal(rates, "input")!.Value, Output = Decimal(rates, "output")!.Value, CacheRead = Decimal(rates, "cache_read"), CacheWrite = Decimal(rates, "cache_write") };
            }
        }
        return tiers;
    }

    private static TomlTable? Section(TomlTable? table, string name) => table?.GetValueOrDefault(name) as TomlTable;

    private static object? GetValueOrDefault(this TomlTable table, string name) => table.TryGetValue(name, out var value) ? value : null;

    // A double becomes a decimal of 15 digits, which mends what arithmetic in the list's own tools left (0.049999999999999996).
    private static decimal? Decimal(TomlTable table, string name) =>
        table.TryGetValue(name, out var value) ? Convert.ToDecimal(value, CultureInfo.InvariantCulture) : null;
}
