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
            foreach (var (variant, _) in price.ImageVariants.Where(variant => variant.Value is < 0 or > 1000))
            {
                errors.Add(price.Error($"imageVariants.{variant}", "expected dollars from 0 to 1000"));
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
        UnitRates = [.. UnitRatesOf(price)],
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

    private static IEnumerable<UnitRate> UnitRatesOf(ListedPrice price)
    {
        if (price.PerImage is { } image)
        {
            yield return new UnitRate(UnitKind.Image, null, NanoPerMillion(image * Million));
        }
        foreach (var (variant, dollars) in price.ImageVariants.OrderBy(variant => variant.Key, StringComparer.Ordinal))
        {
            yield return new UnitRate(UnitKind.Image, variant, NanoPerMillion(dollars * Million));
        }
        if (price.PerAudioMinute is { } minute)
        {
            yield return new UnitRate(UnitKind.AudioSecond, null, NanoPerMillion(minute * Million / 60));
        }
        if (price.PerMillionCharacters is { } characters)
        {
            yield return new UnitRate(UnitKind.Character, null, NanoPerMillion(characters));
        }
        if (price.PerSearch is { } search)
        {
            yield return new UnitRate(UnitKind.Search, null, NanoPerMillion(search * Million));
        }
    }

    private const decimal Million = 1_000_000;

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
