using System.Text.Json;
using LlmProxy.Usage;
using Shared.Pricing;

namespace LlmProxy.Dialects.Gemini;

/// <summary>
/// Reads and writes Google's <c>usageMetadata</c>. <c>promptTokenCount</c> includes cached tokens, <c>candidatesTokenCount</c> excludes thoughts,
/// <c>toolUsePromptTokenCount</c> (what Google's own tools fed the model) is in neither (googleapis/js-genai:src/types.ts).
/// In a stream each chunk may carry some of the figures; the last word on each of them counts.
/// </summary>
internal struct GeminiUsage
{
    private long prompt, cached, toolUse, candidates, thoughts, total;
    private Modalities promptDetails, cachedDetails, toolUseDetails, candidateDetails;

    /// <summary>Whether there were any counts.</summary>
    public bool HasCounts { get; private set; }

    /// <summary>The service tier; null: the usual one, or not said.</summary>
    public string? ServiceTier { get; private set; }

    /// <summary>The counts of an answer to <c>:countTokens</c> or to an embedding request.</summary>
    public readonly TokenUsage InputAlone => new() { Input = Math.Max(prompt, total) };

    /// <summary>Takes the object that the reader stands on; anything else is skipped.</summary>
    public void Read(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (GeminiNames.Is(ref reader, "promptTokenCount"u8))
            {
                HasCounts |= TryCount(ref reader, ref prompt);
            }
            else if (GeminiNames.Is(ref reader, "candidatesTokenCount"u8) || GeminiNames.Is(ref reader, "responseTokenCount"u8))
            {
                HasCounts |= TryCount(ref reader, ref candidates);
            }
            else if (GeminiNames.Is(ref reader, "totalTokenCount"u8))
            {
                HasCounts |= TryCount(ref reader, ref total);
            }
            else if (GeminiNames.Is(ref reader, "thoughtsTokenCount"u8))
            {
                TryCount(ref reader, ref thoughts);
            }
            else if (GeminiNames.Is(ref reader, "cachedContentTokenCount"u8))
            {
                TryCount(ref reader, ref cached);
            }
            else if (GeminiNames.Is(ref reader, "toolUsePromptTokenCount"u8))
            {
                TryCount(ref reader, ref toolUse);
            }
            else if (GeminiNames.Is(ref reader, "promptTokensDetails"u8))
            {
                ReadDetails(ref reader, ref promptDetails);
            }
            else if (GeminiNames.Is(ref reader, "cacheTokensDetails"u8))
            {
                ReadDetails(ref reader, ref cachedDetails);
            }
            else if (GeminiNames.Is(ref reader, "toolUsePromptTokensDetails"u8))
            {
                ReadDetails(ref reader, ref toolUseDetails);
            }
            else if (GeminiNames.Is(ref reader, "candidatesTokensDetails"u8) || GeminiNames.Is(ref reader, "responseTokensDetails"u8))
            {
                ReadDetails(ref reader, ref candidateDetails);
            }
            else
            {
                var isTier = GeminiNames.Is(ref reader, "serviceTier"u8) || GeminiNames.Is(ref reader, "trafficType"u8);
                reader.Read();
                if (isTier && reader.TokenType == JsonTokenType.String)
                {
                    ServiceTier = TierOf(ref reader) ?? ServiceTier;
                }
                reader.Skip();
            }
        }
    }

    /// <summary>The figures, each part counted once.</summary>
    public readonly TokenUsage Disjoint()
    {
        var cachedTokens = Math.Min(cached, prompt);
        // Cached tokens of any modality are read from the cache and count as that alone.
        var audioInput = Math.Clamp(promptDetails.Audio - cachedDetails.Audio, 0, prompt - cachedTokens);
        var imageInput = Math.Clamp(promptDetails.Image - cachedDetails.Image, 0, prompt - cachedTokens - audioInput);
        var toolAudio = Math.Min(toolUseDetails.Audio, toolUse);
        var toolImage = Math.Min(toolUseDetails.Image, toolUse - toolAudio);
        var input = prompt - cachedTokens - audioInput - imageInput + toolUse - toolAudio - toolImage;
        // Some answers count thoughts among the candidates' tokens, some give them in the total alone: the total tells.
        var within = total > 0 && total == prompt + toolUse + candidates && thoughts <= candidates ? thoughts : 0;
        var beyond = Math.Max(0, total - prompt - toolUse - candidates - thoughts);
        var visible = candidates - within;
        var audioOutput = Math.Min(candidateDetails.Audio, visible);
        var imageOutput = Math.Min(candidateDetails.Image, visible - audioOutput);
        return new TokenUsage
        {
            Input = input,
            CacheRead = cachedTokens,
            AudioInput = audioInput + toolAudio,
            ImageInput = imageInput + toolImage,
            Output = visible - audioOutput - imageOutput,
            Reasoning = thoughts + beyond,
            AudioOutput = audioOutput,
            ImageOutput = imageOutput,
        };
    }

    /// <summary>Writes usage as Google reports it. Tokens written to a cache have no figure there; they stay in the prompt's.</summary>
    public static void Write(Utf8JsonWriter json, in TokenUsage usage)
    {
        json.WriteStartObject();
        json.WriteNumber("promptTokenCount"u8, usage.TotalInput);
        var visible = usage.Output + usage.AudioOutput + usage.ImageOutput;
        json.WriteNumber("candidatesTokenCount"u8, visible);
        json.WriteNumber("totalTokenCount"u8, usage.Total);
        if (usage.CacheRead > 0)
        {
            json.WriteNumber("cachedContentTokenCount"u8, usage.CacheRead);
        }
        if (usage.AudioInput > 0 || usage.ImageInput > 0)
        {
            json.WritePropertyName("promptTokensDetails"u8);
            WriteDetails(json, usage.TotalInput - usage.AudioInput - usage.ImageInput, usage.ImageInput, usage.AudioInput);
        }
        if (usage.AudioOutput > 0 || usage.ImageOutput > 0)
        {
            json.WritePropertyName("candidatesTokensDetails"u8);
            WriteDetails(json, usage.Output, usage.ImageOutput, usage.AudioOutput);
        }
        if (usage.Reasoning > 0)
        {
            json.WriteNumber("thoughtsTokenCount"u8, usage.Reasoning);
        }
        json.WriteEndObject();
    }

    /// <summary>A service tier in the gateway's words: <c>flex</c>, <c>priority</c>, <c>provisioned_throughput</c>, …; null: the usual one.</summary>
    private static string? TierOf(ref Utf8JsonReader reader)
    {
        if (reader.ValueTextEquals("ON_DEMAND_FLEX"u8) || reader.ValueTextEquals("flex"u8))
        {
            return "flex";
        }
        if (reader.ValueTextEquals("ON_DEMAND_PRIORITY"u8) || reader.ValueTextEquals("priority"u8))
        {
            return "priority";
        }
        return reader.ValueTextEquals("PROVISIONED_THROUGHPUT"u8) ? "provisioned_throughput" : null;
    }

    private static void WriteDetails(Utf8JsonWriter json, long text, long image, long audio)
    {
        json.WriteStartArray();
        WriteDetail(json, "TEXT"u8, text);
        WriteDetail(json, "IMAGE"u8, image);
        WriteDetail(json, "AUDIO"u8, audio);
        json.WriteEndArray();
    }

    private static void WriteDetail(Utf8JsonWriter json, ReadOnlySpan<byte> modality, long tokens)
    {
        if (tokens > 0)
        {
            json.WriteStartObject();
            json.WriteString("modality"u8, modality);
            json.WriteNumber("tokenCount"u8, tokens);
            json.WriteEndObject();
        }
    }

    private static void ReadDetails(ref Utf8JsonReader reader, ref Modalities details)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return;
        }
        details = default;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }
            var (isAudio, isImage, tokens) = (false, false, 0L);
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (GeminiNames.Is(ref reader, "tokenCount"u8))
                {
                    TryCount(ref reader, ref tokens);
                    continue;
                }
                var isModality = GeminiNames.Is(ref reader, "modality"u8);
                reader.Read();
                if (isModality && reader.TokenType == JsonTokenType.String)
                {
                    (isAudio, isImage) = (reader.ValueTextEquals("AUDIO"u8), reader.ValueTextEquals("IMAGE"u8));
                }
                reader.Skip();
            }
            details.Audio = Math.Min(TokenCount.Most, details.Audio + (isAudio ? tokens : 0));
            details.Image = Math.Min(TokenCount.Most, details.Image + (isImage ? tokens : 0));
        }
    }

    private static bool TryCount(ref Utf8JsonReader reader, ref long count)
    {
        reader.Read();
        if (GeminiNumbers.TryRead(ref reader, out var number) && number >= 0)
        {
            count = (long)Math.Ceiling(Math.Min(number, TokenCount.Most));
            return true;
        }
        reader.Skip();
        return false;
    }

    private struct Modalities
    {
        public long Audio, Image;
    }
}

/// <summary>Numbers in proto3's JSON mapping, which may be written as strings.</summary>
internal static class GeminiNumbers
{
    /// <summary>The number that the reader stands on.</summary>
    public static bool TryRead(ref Utf8JsonReader reader, out decimal number)
    {
        number = 0;
        return reader.TokenType switch
        {
            JsonTokenType.Number => reader.TryGetDecimal(out number),
            JsonTokenType.String when !reader.ValueIsEscaped => TryParse(reader.ValueSpan, out number),
            _ => false,
        };
    }

    /// <summary>The whole number that the reader stands on.</summary>
    public static bool TryReadWhole(ref Utf8JsonReader reader, out long number)
    {
        number = 0;
        if (!TryRead(ref reader, out var value) || value != decimal.Truncate(value) || value is < long.MinValue or > long.MaxValue)
        {
            return false;
        }
        number = (long)value;
        return true;
    }

    private static bool TryParse(ReadOnlySpan<byte> text, out decimal number) =>
        decimal.TryParse(text, System.Globalization.NumberStyles.Float & ~System.Globalization.NumberStyles.AllowLeadingWhite & ~System.Globalization.NumberStyles.AllowTrailingWhite,
            System.Globalization.CultureInfo.InvariantCulture, out number);
}
