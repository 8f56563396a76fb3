using System.Text.Json;
using Shared.Pricing;

namespace Gateway.Admin;

/// <summary><c>GET /admin/v1/catalog</c>: the prices that calls are charged at, wherever they come from.</summary>
internal static class CatalogEndpoint
{
    private const decimal NanoPerDollar = 1_000_000_000m;

    public static Task ListAsync(HttpContext context)
    {
        var (provider, search) = (context.Text("provider"), context.Text("search"));
        var prices = context.Snapshot().Prices.Entries.Where(price =>
            (provider is null || price.Provider == provider) && (search is null || IdOf(price).Contains(search, StringComparison.OrdinalIgnoreCase)));
        return AdminJson.WritePageAsync(context, "prices", context.Page(prices.DistinctBy(IdOf), IdOf), Write);
    }

    private static string IdOf(ModelPrice price) => $"{price.Provider}/{price.Model}";

    private static void Write(Utf8JsonWriter json, ModelPrice price)
    {
        json.WriteStartObject();
        json.WriteString("id", IdOf(price));
        json.WriteString("provider", price.Provider);
        json.WriteString("model", price.Model);
        json.WriteString("version", price.Version);
        json.WriteString("source", price.Source);
        WriteRates(json, price.Rates);
        json.WriteStartArray("contextTiers");
        foreach (var tier in price.ContextTiers)
        {
            json.WriteStartObject();
            json.WriteNumber("aboveInputTokens", tier.AboveInputTokens);
            WriteRates(json, tier.Rates);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartObject("serviceTiers");
        foreach (var (name, rates) in price.ServiceTiers.OrderBy(tier => tier.Key, StringComparer.Ordinal))
        {
            json.WriteStartObject(name);
            WriteRates(json, rates);
            json.WriteEndObject();
        }
        json.WriteEndObject();
        if (price.MaxOutputTokens is { } most)
        {
            json.WriteNumber("maxOutputTokens", most);
        }
        else
        {
            json.WriteNull("maxOutputTokens");
        }
        json.WriteEndObject();
    }

    // Dollars per million tokens, as prices are declared.
    private static void WriteRates(Utf8JsonWriter json, TokenRates rates)
    {
        Write("input", rates.Input);
        Write("output", rates.Output);
        Write("cacheRead", rates.CacheRead);
        Write("cacheWrite", rates.CacheWrite);
        Write("reasoning", rates.Reasoning);
        Write("audioInput", rates.AudioInput);
        Write("audioOutput", rates.AudioOutput);

        void Write(string name, long? nano)
        {
            if (nano is { } known)
            {
                json.WriteNumber(name, known / NanoPerDollar);
            }
        }
    }
}
