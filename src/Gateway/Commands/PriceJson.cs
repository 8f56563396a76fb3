using System.Globalization;
using System.Text.Json;
using Shared.Pricing;

namespace Gateway.Commands;

/// <summary>Prices as JSON, for the command line and the admin API. Rates are US dollars per million tokens as they are listed; <c>charged</c> holds those that budgets see.</summary>
internal static class PriceJson
{
    /// <summary>Writes the members of a price into an open object.</summary>
    /// <param name="json">The writer.</param>
    /// <param name="provider">The provider that was asked for.</param>
    /// <param name="model">The model that was asked for.</param>
    /// <param name="price">The price that it has, perhaps under another name.</param>
    public static void Write(Utf8JsonWriter json, string provider, string model, ModelPrice price)
    {
        json.WriteString("provider", provider);
        json.WriteString("model", model);
        json.WriteString("pricedAs", $"{price.Provider}/{price.Model}");
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
        json.WriteNumber("perRequest", price.PerRequest.Dollars);
        foreach (var (name, dollars) in Units(price))
        {
            WriteAmount(json, name, dollars);
        }
        if (price.UnitRates.Any(rate => rate is { Kind: UnitKind.Image, Variant: not null }))
        {
            json.WriteStartObject("imageVariants");
            foreach (var rate in price.UnitRates.Where(rate => rate is { Kind: UnitKind.Image, Variant: not null }))
            {
                WriteAmount(json, rate.Variant!, new Money(rate.Rate).Dollars / 1_000_000);
            }
            json.WriteEndObject();
        }
        WriteLimit(json, "maxInputTokens", price.MaxInputTokens);
        WriteLimit(json, "maxOutputTokens", price.MaxOutputTokens);
        json.WriteNumber("maxImageTokens", price.MaxImageTokens);
        json.WriteNumber("discountPercent", price.Adjustment.Discount / 100m);
        json.WriteNumber("marginPercent", price.Adjustment.Margin / 100m);
        json.WriteStartObject("charged");
        WriteAmount(json, "input", ChargedDollars(price, price.Rates.Input));
        WriteAmount(json, "output", ChargedDollars(price, price.Rates.Output));
        json.WriteEndObject();
        json.WriteStartArray("unbilled");
        foreach (var name in price.Unbilled)
        {
            json.WriteStringValue(name);
        }
        json.WriteEndArray();
        json.WriteBoolean("bounded", price.Bounded);
        if (price.EffectiveFrom is { } from)
        {
            json.WriteString("effectiveFrom", from.UtcDateTime);
        }
        else
        {
            json.WriteNull("effectiveFrom");
        }
        json.WriteString("source", price.Source);
        json.WriteString("version", price.Version);
    }

    /// <summary>A rate after discount and margin, in dollars per million tokens.</summary>
    public static decimal ChargedDollars(ModelPrice price, long rate) =>
        new Money(rate).Dollars * (PriceAdjustment.Whole - price.Adjustment.Discount) / PriceAdjustment.Whole * (PriceAdjustment.Whole + price.Adjustment.Margin) / PriceAdjustment.Whole;

    /// <summary>An amount with all its digits and no more.</summary>
    public static string Text(decimal dollars) => dollars.ToString("0.############################", CultureInfo.InvariantCulture);

    /// <summary>The rates by the names under which they are declared.</summary>
    public static IEnumerable<(string Name, long? Rate)> Named(TokenRates rates) =>
    [
        ("input", rates.Input), ("output", rates.Output), ("cacheRead", rates.CacheRead), ("cacheWrite", rates.CacheWrite), ("cacheWrite1h", rates.CacheWrite1h), ("reasoning", rates.Reasoning),
        ("audioInput", rates.AudioInput), ("audioOutput", rates.AudioOutput), ("imageInput", rates.ImageInput), ("imageOutput", rates.ImageOutput),
    ];

    /// <summary>What units cost that have no variant, in dollars, by the names under which they are declared.</summary>
    public static IEnumerable<(string Name, decimal Dollars)> Units(ModelPrice price) => price.UnitRates.Where(rate => rate.Variant is null).Select(rate => rate.Kind switch
    {
        UnitKind.Image => ("perImage", new Money(rate.Rate).Dollars / 1_000_000),
        UnitKind.AudioSecond => ("perAudioMinute", new Money(rate.Rate).Dollars * 60 / 1_000_000),
        UnitKind.Character => ("perMillionCharacters", new Money(rate.Rate).Dollars),
        _ => ("perSearch", new Money(rate.Rate).Dollars / 1_000_000),
    });

    private static void WriteRates(Utf8JsonWriter json, TokenRates rates)
    {
        foreach (var (name, rate) in Named(rates))
        {
            if (rate is { } nano)
            {
                WriteAmount(json, name, new Money(nano).Dollars);
            }
        }
    }

    private static void WriteAmount(Utf8JsonWriter json, string name, decimal amount)
    {
        json.WritePropertyName(name);
        json.WriteRawValue(Text(amount));
    }

    private static void WriteLimit(Utf8JsonWriter json, string name, long? limit)
    {
        if (limit is { } tokens)
        {
            json.WriteNumber(name, tokens);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
