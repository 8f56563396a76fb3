using System.Text.Json;
using LlmProxy.ChatCompletions;
using Shared.Pricing;

namespace LlmProxy.Usage;

/// <summary>Reads OpenAI's <c>usage</c> object, whose parts overlap, into <see cref="TokenUsage"/>, where each part counts once.</summary>
internal static class UsageReader
{
    /// <summary>Reads the object that the reader stands on. False, with the value skipped: it is no object, or holds no token counts.</summary>
    /// <param name="reader">Stands on the value.</param>
    /// <param name="hasOutput">Whether there is output; otherwise all tokens are input, and a total alone says how many.</param>
    /// <param name="usage">What was used.</param>
    public static bool TryRead(ref Utf8JsonReader reader, bool hasOutput, out TokenUsage usage)
    {
        usage = default;
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return false;
        }
        var figures = new Figures();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "prompt_tokens"u8))
            {
                figures.HasCounts |= TokenCount.TryRead(ref reader, ref figures.Prompt);
            }
            else if (MemberNames.Is(ref reader, "completion_tokens"u8))
            {
                figures.HasCounts |= TokenCount.TryRead(ref reader, ref figures.Completion);
            }
            else if (MemberNames.Is(ref reader, "total_tokens"u8))
            {
                figures.HasCounts |= TokenCount.TryRead(ref reader, ref figures.Total) && !hasOutput;
            }
            else if (MemberNames.Is(ref reader, "prompt_tokens_details"u8))
            {
                ReadDetails(ref reader, ref figures.Cached, ref figures.CacheWrite, ref figures.AudioInput, ref figures.ImageInput);
            }
            else if (MemberNames.Is(ref reader, "completion_tokens_details"u8))
            {
                long unused = 0;
                ReadDetails(ref reader, ref figures.Reasoning, ref unused, ref figures.AudioOutput, ref figures.ImageOutput);
            }
            else if (MemberNames.Is(ref reader, "server_tool_use"u8))
            {
                ReadServerTools(ref reader, ref figures.Searches);
            }
            else if (MemberNames.Is(ref reader, "num_search_queries"u8))
            {
                TakeLarger(ref reader, ref figures.Searches); // Perplexity's
            }
            else if (IsCacheRead(ref reader))
            {
                TakeLarger(ref reader, ref figures.Cached);
            }
            else if (MemberNames.Is(ref reader, "cache_creation_input_tokens"u8))
            {
                TakeLarger(ref reader, ref figures.CacheWrite);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
        if (!hasOutput)
        {
            (figures.Prompt, figures.Completion, figures.Total, figures.Reasoning) = (Math.Max(figures.Prompt, figures.Total), 0, 0, 0);
        }
        usage = figures.Disjoint();
        return figures.HasCounts;
    }

    /// <summary>
    /// Reads the usage in Groq's <c>x_groq</c>, where its streams have it in their last chunk with a choice, asked for or not (console.groq.com/docs/api-reference#chat-create).
    /// False, with the value skipped: it is not there.
    /// </summary>
    /// <param name="reader">Stands on the value of <c>x_groq</c>.</param>
    /// <param name="usage">What was used.</param>
    public static bool TryReadNested(ref Utf8JsonReader reader, out TokenUsage usage)
    {
        (usage, var found) = (default, false);
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return false;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isUsage = MemberNames.Is(ref reader, "usage"u8);
            reader.Read();
            if (!isUsage)
            {
                reader.Skip();
            }
            else if (TryRead(ref reader, hasOutput: true, out var inner))
            {
                (usage, found) = (inner, true);
            }
        }
        return found;
    }

    /// <summary>Tokens read from a cache, beside the details: DeepSeek's name, Moonshot's, and that of proxies before Anthropic's models.</summary>
    private static bool IsCacheRead(ref Utf8JsonReader reader) =>
        MemberNames.Is(ref reader, "prompt_cache_hit_tokens"u8) || MemberNames.Is(ref reader, "cached_tokens"u8) || MemberNames.Is(ref reader, "cache_read_input_tokens"u8);

    /// <summary>Takes a figure that may say again what another one said.</summary>
    private static void TakeLarger(ref Utf8JsonReader reader, ref long count)
    {
        long figure = 0;
        TokenCount.TryRead(ref reader, ref figure);
        count = Math.Max(count, figure);
    }

    /// <summary>What a provider's own tools did, as proxies before Anthropic's models tell it.</summary>
    private static void ReadServerTools(ref Utf8JsonReader reader, ref long searches)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "web_search_requests"u8))
            {
                TakeLarger(ref reader, ref searches);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static void ReadDetails(ref Utf8JsonReader reader, ref long first, ref long second, ref long audio, ref long image)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "cached_tokens"u8) || MemberNames.Is(ref reader, "reasoning_tokens"u8))
            {
                TakeLarger(ref reader, ref first);
            }
            else if (MemberNames.Is(ref reader, "cache_write_tokens"u8) || MemberNames.Is(ref reader, "cache_creation_tokens"u8))
            {
                TakeLarger(ref reader, ref second);
            }
            else if (MemberNames.Is(ref reader, "audio_tokens"u8))
            {
                TokenCount.TryRead(ref reader, ref audio);
            }
            else if (MemberNames.Is(ref reader, "image_tokens"u8))
            {
                TokenCount.TryRead(ref reader, ref image);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private struct Figures
    {
        public bool HasCounts;
        public long Prompt, Completion, Total, Cached, CacheWrite, AudioInput, ImageInput, Reasoning, AudioOutput, ImageOutput, Searches;

        public readonly TokenUsage Disjoint()
        {
            // Some providers leave reasoning out of completion_tokens, and only the total shows it.
            var beyond = Math.Max(0, Total - Prompt - Completion);
            var within = beyond > 0 ? 0 : Math.Min(Reasoning, Completion);
            var audioInput = Math.Min(AudioInput, Prompt);
            var cached = Math.Min(Cached, Prompt - audioInput);
            var written = Math.Min(CacheWrite, Prompt - audioInput - cached);
            var imageInput = Math.Min(ImageInput, Prompt - audioInput - cached - written);
            var audioOutput = Math.Min(AudioOutput, Completion - within);
            var imageOutput = Math.Min(ImageOutput, Completion - within - audioOutput);
            return new TokenUsage
            {
                Input = Prompt - audioInput - cached - written - imageInput,
                CacheRead = cached,
                CacheWrite = written,
                AudioInput = audioInput,
                ImageInput = imageInput,
                Output = Completion - within - audioOutput - imageOutput,
                Reasoning = within + beyond,
                AudioOutput = audioOutput,
                ImageOutput = imageOutput,
                Units = Searches > 0 ? UnitUsage.Of(UnitKind.Search, Searches) : default,
            };
        }
    }
}
