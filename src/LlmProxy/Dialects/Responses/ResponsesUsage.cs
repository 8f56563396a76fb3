using System.Buffers;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Neutral;
using LlmProxy.Usage;
using Shared.Pricing;

namespace LlmProxy.Dialects.Responses;

/// <summary>Usage as Responses count it: cached tokens within the input, reasoning within the output.</summary>
internal static class ResponsesUsage
{
    /// <summary>Reads the object that the reader stands on. False, with the value skipped: it is none, or holds no counts.</summary>
    public static bool TryRead(ref Utf8JsonReader reader, out TokenUsage usage)
    {
        usage = default;
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return false;
        }
        long input = 0, output = 0, cached = 0, written = 0, audioIn = 0, imageIn = 0, reasoning = 0, audioOut = 0, imageOut = 0, unused = 0;
        var hasCounts = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "input_tokens"u8))
            {
                hasCounts |= TokenCount.TryRead(ref reader, ref input);
            }
            else if (MemberNames.Is(ref reader, "output_tokens"u8))
            {
                hasCounts |= TokenCount.TryRead(ref reader, ref output);
            }
            else if (MemberNames.Is(ref reader, "input_tokens_details"u8))
            {
                ReadDetails(ref reader, ref cached, ref written, ref audioIn, ref imageIn);
            }
            else if (MemberNames.Is(ref reader, "output_tokens_details"u8))
            {
                ReadDetails(ref reader, ref reasoning, ref unused, ref audioOut, ref imageOut);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
        audioIn = Math.Min(audioIn, input);
        cached = Math.Min(cached, input - audioIn);
        written = Math.Min(written, input - audioIn - cached);
        imageIn = Math.Min(imageIn, input - audioIn - cached - written);
        reasoning = Math.Min(reasoning, output);
        audioOut = Math.Min(audioOut, output - reasoning);
        imageOut = Math.Min(imageOut, output - reasoning - audioOut);
        usage = new TokenUsage
        {
            Input = input - audioIn - cached - written - imageIn,
            CacheRead = cached,
            CacheWrite = written,
            AudioInput = audioIn,
            ImageInput = imageIn,
            Output = output - reasoning - audioOut - imageOut,
            Reasoning = reasoning,
            AudioOutput = audioOut,
            ImageOutput = imageOut,
        };
        return hasCounts;
    }

    /// <summary>Writes the object.</summary>
    public static void Write(IBufferWriter<byte> output, in TokenUsage tokens)
    {
        var json = new JsonObjectWriter(output);
        json.Number("input_tokens"u8, tokens.TotalInput);
        json.Name("input_tokens_details"u8);
        var input = new JsonObjectWriter(output);
        input.Number("cached_tokens"u8, tokens.CacheRead);
        input.Number("cache_write_tokens"u8, tokens.CacheWrite + tokens.CacheWrite1h);
        input.Number("audio_tokens"u8, tokens.AudioInput > 0 ? tokens.AudioInput : null);
        input.Number("image_tokens"u8, tokens.ImageInput > 0 ? tokens.ImageInput : null);
        input.End();
        json.Number("output_tokens"u8, tokens.TotalOutput);
        json.Name("output_tokens_details"u8);
        var details = new JsonObjectWriter(output);
        details.Number("reasoning_tokens"u8, tokens.Reasoning);
        details.Number("audio_tokens"u8, tokens.AudioOutput > 0 ? tokens.AudioOutput : null);
        details.Number("image_tokens"u8, tokens.ImageOutput > 0 ? tokens.ImageOutput : null);
        details.End();
        json.Number("total_tokens"u8, tokens.Total);
        json.End();
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
                TokenCount.TryRead(ref reader, ref first);
            }
            else if (MemberNames.Is(ref reader, "cache_write_tokens"u8))
            {
                TokenCount.TryRead(ref reader, ref second);
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
}
