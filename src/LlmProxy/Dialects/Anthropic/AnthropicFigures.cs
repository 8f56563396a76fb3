using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Usage;
using Shared.Pricing;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>
/// Anthropic's usage figures as they were told so far. Those of a stream are cumulative: each event's replace the earlier ones, and what an event leaves out stays.
/// </summary>
/// <remarks>
/// <c>input_tokens</c> counts neither what was read from a cache nor what was written to one. What <c>cache_creation</c> says of the times to live holds for the moment it was said:
/// when server tools go on writing, only the total grows (the last event has no breakdown), and what is beyond it is counted as the time to live that the breakdown names,
/// the shorter one of two. What <c>iterations</c> lists as compaction and as another model's advice is in no total, but billed: it is added.
/// </remarks>
internal struct AnthropicFigures
{
    private long input, cacheRead, cacheCreation, fiveMinutes, oneHour, output, thinking, searches;
    private Side side;

    /// <summary>Whether any figure was told.</summary>
    public bool HasCounts { get; private set; }

    /// <summary>The tier that served it, <c>fast</c> for fast mode; null: not said.</summary>
    public string? ServiceTier { get; private set; }

    /// <summary>The figures in the form in which each part counts once.</summary>
    public readonly TokenUsage Usage
    {
        get
        {
            var written = Math.Max(cacheCreation, fiveMinutes + oneHour);
            var beyond = written - fiveMinutes - oneHour;
            var hour = oneHour + (oneHour > 0 && fiveMinutes == 0 ? beyond : 0);
            var thoughts = Math.Min(thinking, output);
            return new TokenUsage
            {
                Input = input + side.Input,
                CacheRead = cacheRead + side.CacheRead,
                CacheWrite = written - hour + side.CacheWrite,
                CacheWrite1h = hour + side.CacheWrite1h,
                Output = output - thoughts + side.Output,
                Reasoning = thoughts,
                Units = searches > 0 ? UnitUsage.Of(UnitKind.Search, searches) : default,
            };
        }
    }

    /// <summary>Reads the <c>usage</c> object that the reader stands on; any other value is skipped.</summary>
    /// <param name="reader">Stands on the value; afterwards on its end.</param>
    /// <param name="serverTools">Where <c>server_tool_use</c> stands in what the reader reads; length 0: it is not there.</param>
    public void Read(ref Utf8JsonReader reader, out JsonSlice serverTools)
    {
        serverTools = default;
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        string? speed = null;
        Side own = default;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "input_tokens"u8))
            {
                // Some servers say 0 in the last event and mean what they said in the first.
                long count = 0;
                HasCounts |= TokenCount.TryRead(ref reader, ref count);
                input = count == 0 ? input : count;
            }
            else if (MemberNames.Is(ref reader, "output_tokens"u8))
            {
                HasCounts |= TokenCount.TryRead(ref reader, ref output);
            }
            else if (MemberNames.Is(ref reader, "cache_read_input_tokens"u8))
            {
                HasCounts |= TokenCount.TryRead(ref reader, ref cacheRead);
            }
            else if (MemberNames.Is(ref reader, "cache_creation_input_tokens"u8))
            {
                HasCounts |= TokenCount.TryRead(ref reader, ref cacheCreation);
            }
            else if (MemberNames.Is(ref reader, "cache_creation"u8))
            {
                ReadCacheCreation(ref reader, ref fiveMinutes, ref oneHour);
            }
            else if (MemberNames.Is(ref reader, "output_tokens_details"u8))
            {
                ReadDetails(ref reader);
            }
            else if (MemberNames.Is(ref reader, "iterations"u8))
            {
                ReadIterations(ref reader, ref own);
            }
            else if (MemberNames.Is(ref reader, "server_tool_use"u8))
            {
                reader.Read();
                var (start, isObject) = ((int)reader.TokenStartIndex, reader.TokenType == JsonTokenType.StartObject);
                ReadServerTools(ref reader);
                serverTools = isObject ? new JsonSlice(start, (int)reader.BytesConsumed - start) : default;
            }
            else if (MemberNames.Is(ref reader, "service_tier"u8))
            {
                ServiceTier = TextOf(ref reader) ?? ServiceTier;
            }
            else if (MemberNames.Is(ref reader, "speed"u8))
            {
                speed = TextOf(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
        if (own.IsBrokenDown && own.CacheWrite + own.CacheWrite1h == cacheCreation)
        {
            (fiveMinutes, oneHour) = (own.CacheWrite, own.CacheWrite1h); // a breakdown that is not stale
        }
        if (speed is not (null or "standard"))
        {
            ServiceTier = speed; // priced apart, as a tier is
        }
    }

    /// <summary>What Anthropic's own tools did: its searches are billed by themselves.</summary>
    private void ReadServerTools(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "web_search_requests"u8))
            {
                TokenCount.TryRead(ref reader, ref searches);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private void ReadDetails(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "thinking_tokens"u8))
            {
                TokenCount.TryRead(ref reader, ref thinking);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private void ReadIterations(ref Utf8JsonReader reader, ref Side own)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return;
        }
        own = new Side { IsBrokenDown = true };
        var sum = new Side();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }
            var one = new Side();
            one.Read(ref reader, out var isBeside);
            (isBeside ? ref sum : ref own).Add(one);
        }
        side = sum;
    }

    private static void ReadCacheCreation(ref Utf8JsonReader reader, ref long fiveMinutes, ref long oneHour)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "ephemeral_5m_input_tokens"u8))
            {
                TokenCount.TryRead(ref reader, ref fiveMinutes);
            }
            else if (MemberNames.Is(ref reader, "ephemeral_1h_input_tokens"u8))
            {
                TokenCount.TryRead(ref reader, ref oneHour);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static string? TextOf(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.String)
        {
            return reader.ValueTextEquals("standard"u8) ? "standard" : reader.GetString();
        }
        reader.Skip();
        return null;
    }

    /// <summary>One element of <c>iterations</c>.</summary>
    private struct Side
    {
        public long Input, CacheRead, CacheWrite, CacheWrite1h, Output;

        /// <summary>Whether all that was written to a cache is told apart by its time to live.</summary>
        public bool IsBrokenDown;

        public void Add(in Side other)
        {
            Input = Math.Min(TokenCount.Most, Input + other.Input);
            CacheRead = Math.Min(TokenCount.Most, CacheRead + other.CacheRead);
            CacheWrite = Math.Min(TokenCount.Most, CacheWrite + other.CacheWrite);
            CacheWrite1h = Math.Min(TokenCount.Most, CacheWrite1h + other.CacheWrite1h);
            Output = Math.Min(TokenCount.Most, Output + other.Output);
            IsBrokenDown &= other.IsBrokenDown;
        }

        public void Read(ref Utf8JsonReader reader, out bool isBeside)
        {
            isBeside = false;
            long creation = 0;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (MemberNames.Is(ref reader, "type"u8))
                {
                    reader.Read();
                    isBeside = reader.TokenType == JsonTokenType.String && (reader.ValueTextEquals("compaction"u8) || reader.ValueTextEquals("advisor_message"u8));
                    reader.Skip();
                }
                else if (MemberNames.Is(ref reader, "input_tokens"u8))
                {
                    TokenCount.TryRead(ref reader, ref Input);
                }
                else if (MemberNames.Is(ref reader, "output_tokens"u8))
                {
                    TokenCount.TryRead(ref reader, ref Output);
                }
                else if (MemberNames.Is(ref reader, "cache_read_input_tokens"u8))
                {
                    TokenCount.TryRead(ref reader, ref CacheRead);
                }
                else if (MemberNames.Is(ref reader, "cache_creation_input_tokens"u8))
                {
                    TokenCount.TryRead(ref reader, ref creation);
                }
                else if (MemberNames.Is(ref reader, "cache_creation"u8))
                {
                    ReadCacheCreation(ref reader, ref CacheWrite, ref CacheWrite1h);
                }
                else
                {
                    reader.Read();
                    reader.Skip();
                }
            }
            var beyond = Math.Max(0, creation - CacheWrite - CacheWrite1h);
            IsBrokenDown = beyond == 0;
            CacheWrite += beyond;
        }
    }
}
