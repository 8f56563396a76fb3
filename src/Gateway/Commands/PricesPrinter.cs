using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Shared.Pricing;

namespace Gateway.Commands;

/// <summary>Prints prices for people and for programs.</summary>
internal sealed class PricesPrinter(TextWriter output, DateTimeOffset now)
{
    private static readonly JsonWriterOptions Indented = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>A line for each model.</summary>
    public async Task WriteLinesAsync(IReadOnlyList<PricedModel> models)
    {
        var width = models.Count == 0 ? 0 : Math.Min(60, models.Max(model => model.Provider.Length + 1 + model.Model.Length));
        await output.WriteLineAsync($"{"MODEL".PadRight(width)}  {"INPUT",10}  {"OUTPUT",10}  SOURCE");
        foreach (var (provider, model, price) in models)
        {
            await output.WriteLineAsync($"{$"{provider}/{model}".PadRight(width)}  {Dollars(price.Rates.Input),10}  {Dollars(price.Rates.Output),10}  {price.Source}");
        }
        await output.WriteLineAsync($"{models.Count} prices in US dollars per million tokens, before discounts and margins.");
    }

    /// <summary>All that is known of each model's price.</summary>
    public async Task WriteDetailsAsync(IReadOnlyList<PricedModel> models)
    {
        foreach (var (provider, model, price) in models)
        {
            await output.WriteLineAsync($"{provider}/{model}");
            if (price.Provider != provider || price.Model != model)
            {
                await output.WriteLineAsync($"  priced as         {price.Provider}/{price.Model}");
            }
            await output.WriteLineAsync($"  per million       {Rates(price.Rates)}");
            foreach (var tier in price.ContextTiers)
            {
                await output.WriteLineAsync($"  above {tier.AboveInputTokens + " in",-12}{Rates(tier.Rates)}");
            }
            foreach (var (name, rates) in price.ServiceTiers.OrderBy(tier => tier.Key, StringComparer.Ordinal))
            {
                await output.WriteLineAsync($"  tier {name,-13}{Rates(rates)}");
            }
            if (price.PerRequest > Money.Zero)
            {
                await output.WriteLineAsync($"  per request       {price.PerRequest}");
            }
            if (!price.UnitRates.IsEmpty)
            {
                var variants = price.UnitRates.Where(rate => rate.Variant is not null).Select(rate => $"{rate.Variant} {PriceJson.Text(new Money(rate.Rate).Dollars / 1_000_000)}");
                await output.WriteLineAsync($"  units             {string.Join(", ", PriceJson.Units(price).Select(unit => $"{unit.Name} {PriceJson.Text(unit.Dollars)}").Concat(variants))}");
            }
            if (!price.Adjustment.IsNone)
            {
                await output.WriteLineAsync($"  adjusted by       {price.Adjustment.ToString().Trim(';').Replace(";", ", ", StringComparison.Ordinal)}");
                await output.WriteLineAsync($"  charged           input {Charged(price, price.Rates.Input)}, output {Charged(price, price.Rates.Output)}");
            }
            if (price.MaxInputTokens is not null || price.MaxOutputTokens is not null)
            {
                await output.WriteLineAsync($"  token limits      input {Limit(price.MaxInputTokens)}, output {Limit(price.MaxOutputTokens)}");
            }
            if (!price.Unbilled.IsEmpty)
            {
                await output.WriteLineAsync($"  not billed        {string.Join(", ", price.Unbilled)}{(price.Bounded ? "" : "; a hard budget refuses the model")}");
            }
            if (price.EffectiveFrom is { } from)
            {
                await output.WriteLineAsync($"  effective from    {Day(from)}");
            }
            foreach (var later in PriceReader.Upcoming(price, now))
            {
                await output.WriteLineAsync($"  from {Day(later.EffectiveFrom!.Value)}   {Rates(later.Rates)}");
            }
            await output.WriteLineAsync($"  source            {price.Source ?? "not told"}");
            await output.WriteLineAsync($"  version           {price.Version}");
        }
    }

    /// <summary>A JSON array. Rates are US dollars per million tokens as they are listed; <c>charged</c> holds those that budgets see.</summary>
    public async Task WriteJsonAsync(IReadOnlyList<PricedModel> models)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Indented))
        {
            json.WriteStartArray();
            foreach (var (provider, model, price) in models)
            {
                json.WriteStartObject();
                PriceJson.Write(json, provider, model, price);
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        await output.WriteLineAsync(Encoding.UTF8.GetString(buffer.ToArray()));
    }

    private static string Rates(TokenRates rates) => string.Join(", ", PriceJson.Named(rates).Where(rate => rate.Rate is not null).Select(rate => $"{rate.Name} {Dollars(rate.Rate!.Value)}"));

    private static string Charged(ModelPrice price, long rate) => PriceJson.Text(PriceJson.ChargedDollars(price, rate));

    private static string Dollars(long rate) => PriceJson.Text(new Money(rate).Dollars);

    private static string Limit(long? tokens) => tokens?.ToString(CultureInfo.InvariantCulture) ?? "unknown";

    private static string Day(DateTimeOffset day) => day.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
}
