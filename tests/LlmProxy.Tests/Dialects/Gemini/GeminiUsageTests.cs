using System.Buffers;
using System.Text;
using System.Text.Json;
using CsCheck;
using LlmProxy.Dialects.Gemini;
using Shared.Pricing;

namespace LlmProxy.Tests.Dialects.Gemini;

public sealed class GeminiUsageTests
{
    [Fact]
    public void TryReadAnswer_OverlappingFigures_CountEachPartOnce()
    {
        var usage = Read("""
            {"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":30,"thoughtsTokenCount":20,"toolUsePromptTokenCount":5,"totalTokenCount":155,
             "promptTokensDetails":[{"modality":"TEXT","tokenCount":70},{"modality":"AUDIO","tokenCount":20},{"modality":"IMAGE","tokenCount":10}],
             "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":8}],
             "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":12}]}
            """);

        Assert.Equal(new TokenUsage { Input = 43, CacheRead = 40, AudioInput = 12, ImageInput = 10, Output = 18, Reasoning = 20, ImageOutput = 12 }, usage);
    }

    [Theory]
    [InlineData("""{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":40}""", 5, 25)]
    [InlineData("""{"promptTokenCount":10,"candidatesTokenCount":30,"thoughtsTokenCount":25,"totalTokenCount":40}""", 5, 25)]
    [InlineData("""{"promptTokenCount":"10","candidatesTokenCount":"5","thoughtsTokenCount":"25"}""", 5, 25)]
    [InlineData("""{"prompt_token_count":10,"candidates_token_count":5,"thoughts_token_count":25,"total_token_count":40}""", 5, 25)]
    public void TryReadAnswer_ThoughtsReportedInAnyWay_AreReasoning(string metadata, long output, long reasoning)
    {
        var usage = Read(metadata);

        Assert.Equal((10, output, reasoning), (usage!.Value.TotalInput, usage.Value.Output, usage.Value.Reasoning));
    }

    [Fact]
    public void Write_AnyUsage_ReadsBackWithTheSameTotals()
    {
        var part = Gen.Long[0, 1_000_000];
        Gen.Select(part, part, part, part, part, part, part, part).Sample((input, cached, audio, image, output, reasoning, audioOut, imageOut) =>
        {
            var usage = new TokenUsage
            {
                Input = input, CacheRead = cached, AudioInput = audio, ImageInput = image, Output = output, Reasoning = reasoning, AudioOutput = audioOut, ImageOutput = imageOut,
            };
            var text = new ArrayBufferWriter<byte>();
            using (var json = new Utf8JsonWriter(text))
            {
                GeminiUsage.Write(json, usage);
            }
            Assert.Equal(usage.Total == 0 ? default(TokenUsage) : usage, Read(Encoding.UTF8.GetString(text.WrittenSpan)));
        }, iter: 500);
    }

    [Fact]
    public void Read_AnyFigures_NoPartIsNegativeAndTheSumIsTheirs()
    {
        var figure = Gen.Long[-10, 5000];
        Gen.Select(figure, figure, figure, figure, figure, figure, figure).Sample((prompt, cached, candidates, thoughts, toolUse, audio, total) =>
        {
            var usage = Read($$"""
                {"promptTokenCount":{{prompt}},"cachedContentTokenCount":{{cached}},"candidatesTokenCount":{{candidates}},"thoughtsTokenCount":{{thoughts}},"toolUsePromptTokenCount":{{toolUse}},
                 "totalTokenCount":{{total}},"promptTokensDetails":[{"modality":"AUDIO","tokenCount":{{audio}}}],"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":{{audio}}}]}
                """);
            if (usage is not { } known)
            {
                return;
            }
            Assert.All([known.Input, known.CacheRead, known.AudioInput, known.ImageInput, known.Output, known.Reasoning, known.ImageOutput], count => Assert.True(count >= 0));
            Assert.Equal(Math.Max(0, prompt) + Math.Max(0, toolUse), known.TotalInput);
            Assert.True(known.TotalOutput >= Math.Max(0, candidates));
        }, iter: 2000);
    }

    [Fact]
    public void TryReadAnswer_TrafficType_IsTheTier()
    {
        var body = Encoding.UTF8.GetBytes("""{"candidates":[],"usageMetadata":{"promptTokenCount":1,"trafficType":"ON_DEMAND_FLEX"},"modelVersion":"gemini-x"}""");

        Assert.True(GeminiDialect.Instance.TryReadAnswer(body, "gemini-y", out var facts));

        Assert.Equal(("flex", "gemini-x", false), (facts.ServiceTier, facts.Model, facts.IsError));
    }

    [Theory]
    [InlineData("""{"error":{"code":503,"message":"no"}}""")]
    [InlineData("""[{"error":{"code":503,"message":"no"}}]""")]
    public void TryReadAnswer_ErrorUnderStatus200_IsOne(string body)
    {
        Assert.True(GeminiDialect.Instance.TryReadAnswer(Encoding.UTF8.GetBytes(body), "m", out var facts));
        Assert.True(facts.IsError);
    }

    private static TokenUsage? Read(string metadata)
    {
        Assert.True(GeminiDialect.Instance.TryReadAnswer(Encoding.UTF8.GetBytes($$"""{"candidates":[],"usageMetadata":{{metadata}}}"""), "m", out var facts));
        return facts.Usage;
    }
}
