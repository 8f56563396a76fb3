using System.Buffers;
using System.Buffers.Text;
using System.Text.Json;
using LlmProxy.Neutral;
using LlmProxy.Usage;
using Shared.Pricing;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Bedrock's usage: <c>inputTokens</c> counts neither what was read from a cache nor what was written to one, <c>outputTokens</c> counts thoughts with the rest.</summary>
internal static class BedrockFigures
{
    /// <summary>Reads a <c>usage</c> object. False: it says neither what went in nor what came out.</summary>
    /// <exception cref="JsonException">It is no valid JSON.</exception>
    public static bool TryRead(ReadOnlySpan<byte> usage, out TokenUsage tokens)
    {
        long? input = null, output = null;
        long read = 0, written = 0, hour = 0;
        for (var members = new SpanMembers(usage); members.Next();)
        {
            if (members.Is("inputTokens"u8))
            {
                input = Count(members.Value);
            }
            else if (members.Is("outputTokens"u8))
            {
                output = Count(members.Value);
            }
            else if (members.Is("cacheReadInputTokens"u8) || members.Is("cacheReadInputTokenCount"u8))
            {
                read = Math.Max(read, Count(members.Value) ?? 0); // Nova says it under both names
            }
            else if (members.Is("cacheWriteInputTokens"u8) || members.Is("cacheWriteInputTokenCount"u8))
            {
                written = Math.Max(written, Count(members.Value) ?? 0);
            }
            else if (members.Is("cacheDetails"u8))
            {
                hour = HourOf(members.Value);
            }
        }
        hour = Math.Min(hour, written);
        tokens = new TokenUsage { Input = input ?? 0, CacheRead = read, CacheWrite = written - hour, CacheWrite1h = hour, Output = output ?? 0 };
        return input is not null || output is not null;
    }

    /// <summary>Reads <c>amazon-bedrock-invocationMetrics</c>, which stand in the last chunk of an invoked model's stream. False: they say neither what went in nor what came out.</summary>
    /// <exception cref="JsonException">It is no valid JSON.</exception>
    public static bool TryReadMetrics(ReadOnlySpan<byte> metrics, out TokenUsage tokens)
    {
        long? input = null, output = null;
        long read = 0, written = 0;
        for (var members = new SpanMembers(metrics); members.Next();)
        {
            input = members.Is("inputTokenCount"u8) ? Count(members.Value) : input;
            output = members.Is("outputTokenCount"u8) ? Count(members.Value) : output;
            read = members.Is("cacheReadInputTokenCount"u8) ? Count(members.Value) ?? 0 : read;
            written = members.Is("cacheWriteInputTokenCount"u8) ? Count(members.Value) ?? 0 : written;
        }
        tokens = new TokenUsage { Input = input ?? 0, CacheRead = read, CacheWrite = written, Output = output ?? 0 };
        return input is not null || output is not null;
    }

    /// <summary>Writes a <c>usage</c> object.</summary>
    public static void Write(IBufferWriter<byte> output, in TokenUsage tokens)
    {
        var json = new JsonObjectWriter(output);
        json.Number("inputTokens"u8, tokens.Input + tokens.AudioInput + tokens.ImageInput);
        json.Number("outputTokens"u8, tokens.TotalOutput);
        json.Number("totalTokens"u8, tokens.Total);
        json.Number("cacheReadInputTokens"u8, tokens.CacheRead);
        json.Number("cacheWriteInputTokens"u8, tokens.CacheWrite + tokens.CacheWrite1h);
        if (tokens.CacheWrite1h > 0)
        {
            json.Name("cacheDetails"u8);
            output.Write("[{\"ttl\":\"1h\",\"inputTokens\":"u8);
            output.WriteNumber(tokens.CacheWrite1h);
            if (tokens.CacheWrite > 0)
            {
                output.Write("},{\"ttl\":\"5m\",\"inputTokens\":"u8);
                output.WriteNumber(tokens.CacheWrite);
            }
            output.Write("}]"u8);
        }
        json.End();
    }

    /// <summary>The tier in <c>{"type":…}</c>; null: none.</summary>
    public static string? TierOf(ReadOnlySpan<byte> serviceTier)
    {
        for (var members = new SpanMembers(serviceTier); members.Next();)
        {
            if (members.Is("type"u8) && !members.Text.IsEmpty)
            {
                return members.Says("default"u8) ? "default" : new JsonText(members.Text.ToArray()).ToString();
            }
        }
        return null;
    }

    /// <summary>Reads of a complete answer what bills it.</summary>
    public static bool TryReadAnswer(ReadOnlySpan<byte> body, out CompletionFacts facts)
    {
        facts = default;
        try
        {
            var (hasOutput, hasMessage, any) = (false, false, false);
            for (var members = new SpanMembers(body); members.Next();)
            {
                any = true;
                if (members.Is("usage"u8) && members.Kind == JsonTokenType.StartObject)
                {
                    facts.Usage = TryRead(members.Value, out var tokens) ? tokens : null;
                }
                else if (members.Is("serviceTier"u8))
                {
                    facts.ServiceTier = TierOf(members.Value);
                }
                hasOutput |= members.Is("output"u8) || members.Is("stopReason"u8);
                hasMessage |= members.Is("message"u8) || members.Is("__type"u8);
            }
            facts.IsError = hasMessage && !hasOutput;
            return any || IsEmptyObject(body);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    private static bool IsEmptyObject(ReadOnlySpan<byte> body) => JsonBytes.IsObject(body);

    private static long? Count(ReadOnlySpan<byte> value) => Utf8Parser.TryParse(value, out long count, out var read) && read == value.Length && count is >= 0 and <= 1_000_000_000_000 ? count : null;

    private static long HourOf(ReadOnlySpan<byte> details)
    {
        var hour = 0L;
        var reader = new Utf8JsonReader(details, JsonArrayReader.Options);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartArray)
        {
            return 0;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            var (isHour, count) = (false, 0L);
            for (var members = new SpanMembers(details[start..(int)reader.BytesConsumed]); members.Next();)
            {
                isHour |= members.Is("ttl"u8) && members.Says("1h"u8);
                count = members.Is("inputTokens"u8) ? Count(members.Value) ?? 0 : count;
            }
            hour += isHour ? count : 0;
        }
        return hour;
    }
}
