using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;
using Shared.Configuration;

namespace Shared.Pricing;

/// <summary>Turns prices as they are written (dollars per million tokens) into those that calls are charged at.</summary>
internal static class PriceFile
{
    /// <summary>Compiles the prices of one file; reports models that stand in it twice for the same time, and tiers out of order.</summary>
    public static IEnumerable<ModelPrice> Compile(IReadOnlyList<PriceDeclaration> prices, ICollection<ConfigError> errors)
    {
        Dictionary<(string, string, DateTimeOffset?), PriceDeclaration> seen = [];
        List<ModelPrice> compiled = [];
        foreach (var price in prices)
        {
            var key = (price.Provider, price.Model, price.EffectiveFrom);
            if (!seen.TryAdd(key, price))
            {
                errors.Add(price.Error("model", $"the price of {price.Provider}/{price.Model} stands already in line {seen[key].Node?.Line}"));
            }
            for (var i = 1; i < price.ContextTiers.Count; i++)
            {
                if (price.ContextTiers[i].AboveInputTokens <= price.ContextTiers[i - 1].AboveInputTokens)
                {
                    errors.Add(price.ContextTiers[i].Error("aboveInputTokens", "tiers must ascend by size"));
                }
            }
            compiled.Add(Compile(price, price.Provider, price.Model, "overlay:" + Fingerprint(price)));
        }
        // What takes effect on a day follows what held before it, wherever the two stand in the file.
        return compiled.OrderBy(price => price.EffectiveFrom ?? DateTimeOffset.MinValue);
    }

    /// <summary>The price that models without one are charged at.</summary>
    public static ModelPrice CompileDefault(RatesDeclaration rates) => new()
    {
        Provider = "*",
        Model = "*",
        Version = "default:" + Fingerprint(rates),
        Rates = RatesOf(rates),
        Source = "pricing.default",
    };

    /// <summary>Compiles one entry.</summary>
    public static ModelPrice Compile(ListedPrice price, string provider, string model, string version) => new()
    {
        Provider = provider,
        Model = model,
        Version = version,
        Rates = RatesOf(price),
        ContextTiers = [.. price.ContextTiers.Select(tier => new ContextTier(tier.AboveInputTokens, RatesOf(tier)))],
        ServiceTiers = price.ServiceTiers.ToImmutableDictionary(tier => tier.Key, tier => RatesOf(tier.Value)),
        PerRequest = Money.FromDollars(price.PerRequest),
        MaxInputTokens = price.MaxInputTokens,
        MaxOutputTokens = price.MaxOutputTokens,
        MaxImageTokens = price.MaxImageTokens,
        EffectiveFrom = price.EffectiveFrom,
        Unbilled = [.. price.Unbilled],
        Bounded = price.Bounded,
        Source = price.Source,
    };

    private static TokenRates RatesOf(RatesDeclaration rates) => new()
    {
        Input = NanoPerMillion(rates.Input),
        Output = NanoPerMillion(rates.Output),
        CacheRead = NanoPerMillion(rates.CacheRead),
        CacheWrite = NanoPerMillion(rates.CacheWrite),
        CacheWrite1h = NanoPerMillion(rates.CacheWrite1h),
        Reasoning = NanoPerMillion(rates.Reasoning),
        AudioInput = NanoPerMillion(rates.AudioInput),
        AudioOutput = NanoPerMillion(rates.AudioOutput),
        ImageInput = NanoPerMillion(rates.ImageInput),
        ImageOutput = NanoPerMillion(rates.ImageOutput),
    };

    private static long NanoPerMillion(decimal dollarsPerMillion) => Money.FromDollars(dollarsPerMillion).Nano;

    private static long? NanoPerMillion(decimal? dollarsPerMillion) => dollarsPerMillion is { } dollars ? NanoPerMillion(dollars) : null;

    private static string Fingerprint(Declaration declaration)
    {
        using var text = new MemoryStream();
        using (var writer = new Utf8JsonWriter(text))
        {
            ConfigWriter.Write(writer, declaration);
        }
        return Convert.ToHexStringLower(SHA256.HashData(text.ToArray()))[..8];
    }
}
