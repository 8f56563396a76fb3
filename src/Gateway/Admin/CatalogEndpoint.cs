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
        var prices = context.Snapshot().Prices;
        var names = prices.Names().Where(name => (provider is null || name.Provider == provider) && (search is null || IdOf(name).Contains(search, StringComparison.OrdinalIgnoreCase)));
        // Only those of the page are looked up: the catalog has thousands.
        return AdminJson.WritePageAsync(context, "prices", context.Page(names, IdOf), (json, name) => Write(json, name, prices.Find(name.Provider, name.Model)!));
    }

    private static string IdOf((string Provider, string Model) name) => $"{name.Provider}/{name.Model}";

    private static void Write(Utf8JsonWriter json, (string Provider, string Model) name, ModelPrice price)
    {
        json.WriteStartObject();
        json.WriteString("id", IdOf(name));
        json.WriteString("provider", name.Provider);
        json.WriteString("model", name.Model);
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
        foreach (var (tierName, rates) in price.ServiceTiers.OrderBy(tier => tier.Key, StringComparer.Ordinal))
        {
            json.WriteStartObject(tierName);
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
