using System.Globalization;
using System.Text.Json;
using Shared.Configuration;

namespace PriceImport;

/// <summary>
/// Reads LiteLLM's <c>model_prices_and_context_window.json</c>: one object, a member for each model. Amounts are US dollars for one token; they are taken from
/// the text of the number, so that no digit is lost.
/// </summary>
internal static class LiteLlmList
{
    public const string Name = "LiteLLM";

    private const decimal Million = 1_000_000;

    private static readonly string[] Modes = ["chat", "completion", "responses", "embedding", "moderation", "rerank"];

    // Members with "cost" in their names that Rates, Read or ContextTiers turn into a price.
    private static readonly HashSet<string> Billed =
    [
        "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost", "cache_creation_input_token_cost", "cache_creation_input_token_cost_above_1hr",
        "output_cost_per_reasoning_token", "input_cost_per_audio_token", "output_cost_per_audio_token", "input_cost_per_image_token", "output_cost_per_image_token",
        "input_cost_per_request",
    ];

    public static IEnumerable<Candidate> Read(string file, DateOnly date)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(file), new JsonDocumentOptions { AllowDuplicateProperties = true });
        foreach (var entry in document.RootElement.EnumerateObject())
        {
            if (entry.Name == "sample_spec" || entry.Value.ValueKind != JsonValueKind.Object || Text(entry.Value, "litellm_provider") is not { } theirs || !Providers.LiteLlm.TryGetValue(theirs, out var ours))
            {
                continue;
            }
            // Keys carry the provider where the model's name alone does not tell it.
            var prefix = theirs.Split('-')[0] + "/";
            var model = entry.Name.StartsWith(prefix, StringComparison.Ordinal) ? entry.Name[prefix.Length..] : entry.Name;
            yield return ReadModel(entry.Value, new Candidate { Provider = ours, Model = model, List = Name, Day = date, Age = date });
        }
    }

    private static Candidate ReadModel(JsonElement entry, Candidate blank)
    {
        if (blank.Model.Contains(' '))
        {
            return blank.Without("its name has a space");
        }
        if (Text(entry, "mode") is { } mode && !Modes.Contains(mode))
        {
            return blank.Without($"mode '{mode}' is not priced by the token");
        }
        if (PerToken(entry, "input_cost_per_token", "") is not { } input || (PerToken(entry, "output_cost_per_token", "") ?? (Text(entry, "mode") is "embedding" or "rerank" or "moderation" ? 0 : null)) is not { } output)
        {
            return blank.Without("no price of input or of output");
        }
        if (PerToken(entry, "output_cost_per_image_token", "") is { } image && image != output)
        {
            return blank.Without("images in the output have a price of their own, which no usage report counts apart", isVeto: true);
        }
        string[] tiers = ["flex", "priority", "batches"];
        string[] unbilled = [.. Unbilled(entry)];
        var price = Rates<ListedPrice>(entry, "", input, output) with
        {
            PerRequest = Number(entry, "input_cost_per_request") ?? 0,
            MaxInputTokens = Limit(entry, "max_input_tokens"),
            MaxOutputTokens = Limit(entry, "max_output_tokens") is { } most && most < (Limit(entry, "max_input_tokens") ?? long.MaxValue) ? most : null,
            Unbilled = unbilled,
            // A web search has to be asked for; what else is not billed may come with any call.
            Bounded = unbilled.All(name => name == "webSearch"),
            ContextTiers = [.. Sizes(entry).Select(size => Rates<ContextTierDeclaration>(entry, $"_above_{size / 1000}k_tokens", input, output))],
            ServiceTiers = tiers.Where(tier => PerToken(entry, "input_cost_per_token", "_" + tier) is not null)
                .ToDictionary(tier => tier == "batches" ? "batch" : tier, tier => Rates<RatesDeclaration>(entry, "_" + tier, input, output)),
        };
        return blank with { Prices = [price] };
    }

    private static IEnumerable<string> Unbilled(JsonElement entry)
    {
        if (entry.TryGetProperty("search_context_cost_per_query", out _))
        {
            yield return "webSearch";
        }
        foreach (var member in entry.EnumerateObject())
        {
            if (member.Name.Contains("cost", StringComparison.Ordinal) && member.Value.ValueKind == JsonValueKind.Number && member.Value.GetDouble() != 0 && !Billed.Contains(StandardName(member.Name)))
            {
                yield return member.Name;
            }
        }
    }

    // A member without what it says of the tier.
    private static string StandardName(string name)
    {
        var above = name.IndexOf("_above_", StringComparison.Ordinal);
        if (above > 0 && name.EndsWith("k_tokens", StringComparison.Ordinal))
        {
            return name[..above];
        }
        foreach (var tier in new[] { "_flex", "_priority", "_batches" })
        {
            if (name.EndsWith(tier, StringComparison.Ordinal))
            {
                return name[..^tier.Length];
            }
        }
        return name;
    }

    private static IEnumerable<long> Sizes(JsonElement entry) => entry.EnumerateObject()
        .Select(member => member.Name).Where(name => name.StartsWith("input_cost_per_token_above_", StringComparison.Ordinal) && name.EndsWith("k_tokens", StringComparison.Ordinal))
        .Select(name => long.Parse(name["input_cost_per_token_above_".Length..^"k_tokens".Length], CultureInfo.InvariantCulture) * 1000).Order();

    private static T Rates<T>(JsonElement entry, string tier, decimal input, decimal output) where T : RatesDeclaration
    {
        var above = tier.StartsWith("_above_", StringComparison.Ordinal);
        RatesDeclaration blank = above
            ? new ContextTierDeclaration { Input = input, Output = output, AboveInputTokens = long.Parse(tier["_above_".Length..^"k_tokens".Length], CultureInfo.InvariantCulture) * 1000 }
            : typeof(T) == typeof(ListedPrice) ? new ListedPrice { Input = input, Output = output } : new RatesDeclaration { Input = input, Output = output };
        return (T)(blank with
        {
            Input = Tiered("input_cost_per_token") ?? input,
            Output = Tiered("output_cost_per_token") ?? output,
            CacheRead = Tiered("cache_read_input_token_cost"),
            CacheWrite = Tiered("cache_creation_input_token_cost"),
            CacheWrite1h = Tiered("cache_creation_input_token_cost_above_1hr"),
            Reasoning = Tiered("output_cost_per_reasoning_token"),
            AudioInput = Tiered("input_cost_per_audio_token"),
            AudioOutput = Tiered("output_cost_per_audio_token"),
            ImageInput = Tiered("input_cost_per_image_token"),
        });

        // What a tier does not name costs what it costs otherwise.
        decimal? Tiered(string name) => PerToken(entry, name, tier) ?? PerToken(entry, name, "");
    }

    private static decimal? PerToken(JsonElement entry, string name, string tier) => Number(entry, name + tier) * Million;

    private static decimal? Number(JsonElement entry, string name) => entry.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number
        ? decimal.Parse(value.GetRawText(), NumberStyles.Float, CultureInfo.InvariantCulture) : null;

    private static long? Limit(JsonElement entry, string name) => Number(entry, name) is > 0 and var limit ? (long)limit : null;

    private static string? Text(JsonElement entry, string name) => entry.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
