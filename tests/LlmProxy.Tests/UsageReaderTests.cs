using System.Text;
using System.Text.Json;
using LlmProxy.Relay;
using LlmProxy.Usage;
using Shared.Pricing;

namespace LlmProxy.Tests;

public sealed class UsageReaderTests
{
    public static TheoryData<string, TokenUsage> Figures => new()
    {
        { """{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}""", new TokenUsage { Input = 10, Output = 5 } },
        {
            """{"prompt_tokens":100,"completion_tokens":50,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":10,"audio_tokens":5},"completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":4,"other":[1]}}""",
            new TokenUsage { Input = 25, CacheRead = 60, CacheWrite = 10, AudioInput = 5, Output = 16, Reasoning = 30, AudioOutput = 4 }
        },
        // Reasoning beside completion_tokens shows in the total alone.
        { """{"prompt_tokens":10,"completion_tokens":5,"total_tokens":45,"completion_tokens_details":{"reasoning_tokens":30}}""", new TokenUsage { Input = 10, Output = 5, Reasoning = 30 } },
        // Names that only some providers have for what is read from and written to a cache.
        { """{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":2,"prompt_tokens_details":{"cached_tokens":8}}""", new TokenUsage { Input = 2, CacheRead = 8, Output = 5 } },
        { """{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":0},"cached_tokens":6}""", new TokenUsage { Input = 4, CacheRead = 6, Output = 5 } },
        { """{"prompt_tokens":10,"completion_tokens":5,"cache_read_input_tokens":3,"cache_creation_input_tokens":4,"prompt_tokens_details":{"cached_tokens":3,"cache_creation_tokens":4}}""", new TokenUsage { Input = 3, CacheRead = 3, CacheWrite = 4, Output = 5 } },
        // Parts that exceed their whole are cut.
        { """{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":99},"completion_tokens_details":{"reasoning_tokens":99}}""", new TokenUsage { CacheRead = 10, Reasoning = 5 } },
        { """{"prompt_tokens":-3,"completion_tokens":2.5,"prompt_tokens_details":null,"x":{"y":1e400}}""", new TokenUsage { Output = 3 } },
    };

    [Theory]
    [MemberData(nameof(Figures))]
    public void TryRead_Usage_EachPartCountsOnce(string json, TokenUsage expected)
    {
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(json));
        reader.Read();

        Assert.True(UsageReader.TryRead(ref reader, hasOutput: true, out var usage));
        Assert.Equal(expected, usage);
        Assert.Equal(json.Length, reader.BytesConsumed);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("[1]")]
    [InlineData("{}")]
    [InlineData("""{"prompt_tokens":"9"}""")]
    public void TryRead_NoFigures_IsNoUsage(string json)
    {
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(json));
        reader.Read();

        Assert.False(UsageReader.TryRead(ref reader, hasOutput: true, out _));
    }

    [Theory]
    [InlineData(0, "0ms")]
    [InlineData(0.002, "2ms")]
    [InlineData(1.5, "1.5s")]
    [InlineData(90, "1m30s")]
    [InlineData(7200, "2h0m0s")]
    public void Duration_Span_IsWrittenAsVendorsDo(double seconds, string expected) => Assert.Equal(expected, ResponseHeaders.Duration(TimeSpan.FromSeconds(seconds)));
}
