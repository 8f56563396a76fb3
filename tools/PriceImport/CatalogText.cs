using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Shared.Configuration;

namespace PriceImport;

/// <summary>Writes the text that the gateway carries its prices in.</summary>
internal static class CatalogText
{
    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The text.</summary>
    /// <param name="entries">What it shall hold; each model once.</param>
    /// <param name="day">The newest list's day.</param>
    public static string Write(IReadOnlyList<Entry> entries, DateOnly day)
    {
        var lines = new List<(string Key, string Line)>();
        foreach (var entry in entries)
        {
            var key = $"{entry.Provider}/{entry.Model}";
            // Two names of one entry of a list are one model; the entry's own name stands for it.
            var twin = entry.SharedEntry is { } shared && shared != entry.Model ? entries.FirstOrDefault(other => other.Provider == entry.Provider && other.Model == shared && other.SharedEntry == shared) : null;
            if (twin is not null && twin.Prices.Select(Json).SequenceEqual(entry.Prices.Select(Json)))
            {
                lines.Add((key, $"{key} ={twin.Model}"));
                continue;
            }
            lines.AddRange(entry.Prices.Select(price => (key, $"{key} {Json(price)}")));
        }
        // Stable, so that a model's prices stay in the order of their dates; by bytes, as they are searched.
        var body = string.Concat(lines.OrderBy(line => Encoding.UTF8.GetBytes(line.Key), Comparer<byte[]>.Create((left, right) => left.AsSpan().SequenceCompareTo(right))).Select(line => line.Line + "\n"));
        var changes = entries.SelectMany(entry => entry.Prices).Select(price => price.EffectiveFrom).OfType<DateTimeOffset>().Distinct().Order().Select(change => change.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(body)))[..6];
        return $"""
            # Prices of models in US dollars per million tokens, made by tools/PriceImport: see docs/prices.md. Do not edit; an entry under `prices` replaces one of these.
            # version {day:yyyy-MM-dd}.{hash}
            # changes {string.Join(' ', changes)}

            """.ReplaceLineEndings("\n") + body;
    }

    private static string Json(ListedPrice price)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Plain))
        {
            writer.WriteStartObject();
            if (price.EffectiveFrom is { } from)
            {
                writer.WriteString("effectiveFrom", from.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
            }
            WriteRates(writer, price);
            if (price.ContextTiers.Count > 0)
            {
                writer.WriteStartArray("contextTiers");
                foreach (var tier in price.ContextTiers)
                {
                    writer.WriteStartObject();
                    writer.WriteNumber("aboveInputTokens", tier.AboveInputTokens);
                    WriteRates(writer, tier);
                    writer.WriteEndObject();
                }
                writer.WriteEndArray();
            }
            if (price.ServiceTiers.Count > 0)
            {
                writer.WriteStartObject("serviceTiers");
                foreach (var (name, rates) in price.ServiceTiers.OrderBy(tier => tier.Key, StringComparer.Ordinal))
                {
                    writer.WriteStartObject(name);
                    WriteRates(writer, rates);
                    writer.WriteEndObject();
                }
                writer.WriteEndObject();
            }
            WriteAmount(writer, "perRequest", price.PerRequest == 0 ? null : price.PerRequest);
            WriteAmount(writer, "perImage", price.PerImage);
            WriteAmount(writer, "perAudioMinute", price.PerAudioMinute);
            WriteAmount(writer, "perMillionCharacters", price.PerMillionCharacters);
            WriteAmount(writer, "perSearch", price.PerSearch);
            WriteAmount(writer, "maxInputTokens", price.MaxInputTokens);
            WriteAmount(writer, "maxOutputTokens", price.MaxOutputTokens);
            if (price.Unbilled.Count > 0)
            {
                writer.WriteStartArray("unbilled");
                foreach (var name in price.Unbilled.Order(StringComparer.Ordinal))
                {
                    writer.WriteStringValue(name);
                }
                writer.WriteEndArray();
            }
            if (!price.Bounded)
            {
                writer.WriteBoolean("bounded", false);
            }
            writer.WriteString("source", price.Source);
            writer.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void WriteRates(Utf8JsonWriter writer, RatesDeclaration rates)
    {
        WriteAmount(writer, "input", rates.Input);
        WriteAmount(writer, "output", rates.Output);
        WriteAmount(writer, "cacheRead", rates.CacheRead);
        WriteAmount(writer, "cacheWrite", rates.CacheWrite);
        WriteAmount(writer, "cacheWrite1h", rates.CacheWrite1h);
        WriteAmount(writer, "reasoning", rates.Reasoning);
        WriteAmount(writer, "audioInput", rates.AudioInput);
        WriteAmount(writer, "audioOutput", rates.AudioOutput);
        WriteAmount(writer, "imageInput", rates.ImageInput);
        WriteAmount(writer, "imageOutput", rates.ImageOutput);
    }

    // Without the zeros that a decimal keeps from how it was written.
    private static void WriteAmount(Utf8JsonWriter writer, string name, decimal? amount)
    {
        if (amount is { } value)
        {
            writer.WritePropertyName(name);
            writer.WriteRawValue(value.ToString("0.############################", CultureInfo.InvariantCulture));
        }
    }
}
