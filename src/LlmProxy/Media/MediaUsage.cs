using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Usage;
using Shared.Pricing;

namespace LlmProxy.Media;

/// <summary>What an answer, or an event of a stream, says of itself.</summary>
internal struct MediaFacts
{
    /// <summary>What was used; null: not said.</summary>
    public TokenUsage? Usage;

    /// <summary>The model's name where it differs from the expected one.</summary>
    public string? Model;

    /// <summary>Whether it is an error, although the status says otherwise.</summary>
    public bool IsError;

    /// <summary>How many items it holds (pictures).</summary>
    public int Items;

    /// <summary>The event's type; "": it has none.</summary>
    public string Type;

    /// <summary>The quality and size that were served; null: not said.</summary>
    public string? Quality, Size;
}

/// <summary>
/// Reads usage as these endpoints report it: OpenAI's tokens by modality, seconds of audio, Cohere's billed units, and the totals of servers that follow them.
/// </summary>
internal static class MediaUsage
{
    /// <summary>Reads one JSON object. False: it is garbage, or only half there.</summary>
    public static bool TryRead(ReadOnlySpan<byte> json, MediaEndpoint endpoint, string expectedModel, out MediaFacts facts)
    {
        facts = new MediaFacts { Type = "" };
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 256 });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            var (hasError, hasAnswer, figures) = (false, false, new Figures());
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                ReadMember(ref reader, endpoint, expectedModel, ref facts, ref figures, ref hasError, ref hasAnswer);
            }
            facts.IsError = hasError && !hasAnswer;
            facts.Usage = figures.HasCounts ? figures.Disjoint(MediaFields.VariantOf(facts.Quality, facts.Size)) : null;
            return !reader.Read();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Reads the <c>usage</c> object that the reader stands on. Null, with the value skipped: it says nothing.</summary>
    public static TokenUsage? ReadUsage(ref Utf8JsonReader reader)
    {
        var figures = new Figures();
        ReadFigures(ref reader, ref figures);
        return figures.HasCounts ? figures.Disjoint(null) : null;
    }

    private static void ReadMember(ref Utf8JsonReader reader, MediaEndpoint endpoint, string expectedModel, ref MediaFacts facts, ref Figures figures, ref bool hasError, ref bool hasAnswer)
    {
        if (MemberNames.Is(ref reader, "usage"u8))
        {
            reader.Read();
            ReadFigures(ref reader, ref figures);
        }
        else if (MemberNames.Is(ref reader, "meta"u8) && endpoint.Unit == UnitKind.Search)
        {
            reader.Read();
            ReadMeta(ref reader, ref figures);
        }
        else if (MemberNames.Is(ref reader, "duration"u8) && endpoint.Unit == UnitKind.AudioSecond)
        {
            reader.Read();
            figures.HasCounts |= TrySeconds(ref reader, ref figures);
        }
        else if (MemberNames.Is(ref reader, "model"u8))
        {
            reader.Read();
            facts.Model = CompletionReader.ModelOf(ref reader, expectedModel);
        }
        else if (MemberNames.Is(ref reader, "type"u8))
        {
            reader.Read();
            facts.Type = TextOf(ref reader) ?? "";
        }
        else if (MemberNames.Is(ref reader, "quality"u8))
        {
            reader.Read();
            facts.Quality = TextOf(ref reader);
        }
        else if (MemberNames.Is(ref reader, "size"u8))
        {
            reader.Read();
            facts.Size = TextOf(ref reader);
        }
        else
        {
            var (isError, isAnswer) = (MemberNames.Is(ref reader, "error"u8), MemberNames.Is(ref reader, endpoint.Member));
            reader.Read();
            hasError |= isError && reader.TokenType != JsonTokenType.Null;
            hasAnswer |= isAnswer;
            if (isAnswer && reader.TokenType == JsonTokenType.StartArray)
            {
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    facts.Items++;
                    reader.Skip();
                }
                return;
            }
            reader.Skip();
        }
    }

    private static void ReadFigures(ref Utf8JsonReader reader, ref Figures figures)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "input_tokens"u8) || MemberNames.Is(ref reader, "prompt_tokens"u8))
            {
                figures.HasCounts |= TryCount(ref reader, ref figures.Input);
            }
            else if (MemberNames.Is(ref reader, "output_tokens"u8) || MemberNames.Is(ref reader, "completion_tokens"u8))
            {
                figures.HasCounts |= TryCount(ref reader, ref figures.Output);
            }
            else if (MemberNames.Is(ref reader, "total_tokens"u8))
            {
                figures.HasCounts |= TryCount(ref reader, ref figures.Total);
            }
            else if (MemberNames.Is(ref reader, "seconds"u8))
            {
                reader.Read();
                figures.HasCounts |= TrySeconds(ref reader, ref figures);
            }
            else if (MemberNames.Is(ref reader, "search_units"u8))
            {
                figures.HasCounts |= TrySearches(ref reader, ref figures);
            }
            // OpenAI writes it both ways, and with both numbers.
            else if (MemberNames.Is(ref reader, "input_tokens_details"u8) || MemberNames.Is(ref reader, "input_token_details"u8) || MemberNames.Is(ref reader, "prompt_tokens_details"u8))
            {
                ReadDetails(ref reader, ref figures.AudioInput, ref figures.ImageInput, ref figures.Cached, ref figures.CachedText, ref figures.HasCachedText);
            }
            else if (MemberNames.Is(ref reader, "output_tokens_details"u8) || MemberNames.Is(ref reader, "output_token_details"u8) || MemberNames.Is(ref reader, "completion_tokens_details"u8))
            {
                var (cached, cachedText, hasCachedText) = (0L, 0L, false);
                ReadDetails(ref reader, ref figures.AudioOutput, ref figures.ImageOutput, ref cached, ref cachedText, ref hasCachedText);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static void ReadDetails(ref Utf8JsonReader reader, ref long audio, ref long image, ref long cached, ref long cachedText, ref bool hasCachedText)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "audio_tokens"u8))
            {
                TryCount(ref reader, ref audio);
            }
            else if (MemberNames.Is(ref reader, "image_tokens"u8))
            {
                TryCount(ref reader, ref image);
            }
            else if (MemberNames.Is(ref reader, "cached_tokens"u8))
            {
                TryCount(ref reader, ref cached);
            }
            else if (MemberNames.Is(ref reader, "cached_tokens_details"u8))
            {
                var (unusedAudio, unusedImage, unused, unusedText, unusedHas) = (0L, 0L, 0L, 0L, false);
                var before = reader;
                ReadDetails(ref reader, ref unusedAudio, ref unusedImage, ref unused, ref unusedText, ref unusedHas);
                hasCachedText = TryFindText(before, out cachedText);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static bool TryFindText(Utf8JsonReader details, out long tokens)
    {
        tokens = 0;
        details.Read();
        if (details.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }
        while (details.Read() && details.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref details, "text_tokens"u8))
            {
                return TryCount(ref details, ref tokens);
            }
            details.Read();
            details.Skip();
        }
        return false;
    }

    private static void ReadMeta(ref Utf8JsonReader reader, ref Figures figures)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            // What is billed; beside it, 'tokens' says what was counted.
            var isBilled = MemberNames.Is(ref reader, "billed_units"u8);
            reader.Read();
            if (isBilled)
            {
                ReadFigures(ref reader, ref figures);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private static bool TryCount(ref Utf8JsonReader reader, ref long count)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Number && reader.TryGetDouble(out var number) && number >= 0)
        {
            count = (long)Math.Ceiling(Math.Min(number, TokenCount.Most));
            return true;
        }
        reader.Skip();
        return false;
    }

    private static bool TrySeconds(ref Utf8JsonReader reader, ref Figures figures)
    {
        double seconds;
        if (reader.TokenType == JsonTokenType.Number && reader.TryGetDouble(out seconds))
        {
        }
        else if (!(reader.TokenType == JsonTokenType.String && double.TryParse(reader.GetString(), System.Globalization.CultureInfo.InvariantCulture, out seconds)))
        {
            reader.Skip();
            return false;
        }
        if (!(seconds >= 0))
        {
            return false;
        }
        // 'usage' says what is billed, and 'duration' what was heard; the larger of the two is never too little.
        var units = new UnitUsage(UnitKind.AudioSecond, (long)Math.Ceiling(Math.Min(seconds * 1000, UnitUsage.MaxThousandths)));
        figures.Units = figures.Units.Thousandths > units.Thousandths ? figures.Units : units;
        return true;
    }

    private static bool TrySearches(ref Utf8JsonReader reader, ref Figures figures)
    {
        long searches = 0;
        if (!TryCount(ref reader, ref searches))
        {
            return false;
        }
        figures.Units = UnitUsage.Of(UnitKind.Search, searches);
        return true;
    }

    private static string? TextOf(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.String && reader.ValueSpan.Length <= 64)
        {
            return reader.GetString();
        }
        reader.Skip();
        return null;
    }

    private struct Figures
    {
        public bool HasCounts, HasCachedText;
        public long Input, Output, Total, Cached, CachedText, AudioInput, ImageInput, AudioOutput, ImageOutput;
        public UnitUsage Units;

        public readonly TokenUsage Disjoint(string? variant)
        {
            // A total alone is all input: that is what rankings report.
            var input = Math.Max(Input, Total - Output);
            var audioInput = Math.Min(AudioInput, input);
            var imageInput = Math.Min(ImageInput, input - audioInput);
            // Cached audio and pictures stay what they are, which is never too little.
            var cached = Math.Min(HasCachedText ? CachedText : Cached, input - audioInput - imageInput);
            var audioOutput = Math.Min(AudioOutput, Output);
            var imageOutput = Math.Min(ImageOutput, Output - audioOutput);
            return new TokenUsage
            {
                Input = input - audioInput - imageInput - cached,
                CacheRead = cached,
                AudioInput = audioInput,
                ImageInput = imageInput,
                Output = Output - audioOutput - imageOutput,
                AudioOutput = audioOutput,
                ImageOutput = imageOutput,
                Units = Units.Kind == UnitKind.Image ? Units with { Variant = variant } : Units,
            };
        }
    }
}
