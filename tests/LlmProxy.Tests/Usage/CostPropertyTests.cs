using System.Collections.Immutable;
using System.Net;
using System.Numerics;
using CsCheck;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Pricing;
using TestSupport;

namespace LlmProxy.Tests.Usage;

/// <summary>
/// Random figures, written as each vendor documents its usage object, are charged to the last digit as the vendor's own rule and the price table say; streamed or not,
/// relayed or translated. What is expected is worked out here, without any of the code under test.
/// </summary>
public sealed class CostPropertyTests
{
    private const int Samples = 40;
    private const long LongInput = 200_000;

    private static readonly TokenRates standard = Rates(3_000_000_019, 1);
    private static readonly TokenRates large = Rates(6_000_000_101, 3);
    private static readonly TokenRates priority = Rates(5_250_000_007, 5);
    private static readonly TokenRates flex = Rates(1_500_000_001, 7);

    private static readonly ModelPrice price = new()
    {
        Provider = "fake",
        Model = "*",
        Version = "test:1",
        Rates = standard,
        ContextTiers = [new ContextTier(LongInput, large)],
        ServiceTiers = ImmutableDictionary<string, TokenRates>.Empty.Add("priority", priority).Add("flex", flex),
        PerRequest = new Money(17),
        UnitRates = [new UnitRate(UnitKind.Search, null, 10_000_000_000_003)],
    };

    private static readonly Gen<long> tokens = Gen.Frequency((2, Gen.Const(0L)), (5, Gen.Long[1, 999]), (2, Gen.Long[1000, 150_000]));

    private static readonly Gen<Figures> figures =
        Gen.Select(tokens.Array[11], Gen.Int[0, 3], Gen.Int[0, 3], Gen.Bool).Select((counts, searches, tier, detailed) => new Figures(
            counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], counts[6] + 1, counts[7], counts[8], counts[9], counts[10], searches, tier, detailed));

    public static TheoryData<string> Vendors => Vendor.All;

    [Theory]
    [MemberData(nameof(Vendors))]
    public async Task Call_AnyFigures_CostsWhatTheVendorsRuleSays(string dialect)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(Vendor.Setup(fake, dialect) with { Prices = [price] });
        var rows = 0;

        await figures.SampleAsync(async sample =>
        {
            var said = Said.Of(dialect, sample);
            foreach (var client in RecordedTraffic.Dialects)
            {
                foreach (var stream in (bool[])[false, true])
                {
                    var (begin, end) = Vendor.Events(dialect, said.First, said.Usage, said.Tier, said.Items);
                    fake.Enqueue(stream ? Vendor.Stream(dialect, [.. begin, .. end]) : FakeReply.Json(200, Vendor.Answer(dialect, said.Usage, said.Tier, said.Items)));
                    using var response = await host.PostAsync(Vendor.Ask(client, stream), path: Vendor.PathOf(client, stream));
                    var text = await response.TextAsync();

                    var what = $"{dialect} for a client of {client}, {(stream ? "streamed" : "complete")}: {said.Usage}";
                    Assert.True(response.StatusCode == HttpStatusCode.OK, $"{what}: {text}");
                    var row = (await host.Ledger.RowsAsync(++rows))[rows - 1];
                    Assert.True((row.Result.Outcome, row.Result.Source) == (CallOutcome.Succeeded, UsageSource.Reported), $"{what}: {row.Result}");
                    Assert.True(row.Result.Usage.TotalInput == said.TotalInput && row.Result.Usage.TotalOutput == said.TotalOutput, $"{what}: {row.Result.Usage}");
                    Assert.True(row.Charged == said.Cost, $"{what}: {row.Charged} for {row.Result.Usage}, not {said.Cost}");
                }
            }
        }, iter: Samples, threads: 1);

        Assert.True(rows >= Samples * RecordedTraffic.Dialects.Count * 2);
    }

    // All rates differ, so that a token that is counted as another kind shows.
    private static TokenRates Rates(long input, long odd) => new()
    {
        Input = input,
        Output = (input * 5) + odd,
        CacheRead = (input / 10) + odd,
        CacheWrite = (input * 5 / 4) + odd,
        CacheWrite1h = (input * 2) + odd,
        Reasoning = (input * 7) + odd,
        AudioInput = (input * 11) + odd,
        AudioOutput = (input * 23) + odd,
        ImageInput = (input * 3) + odd,
        ImageOutput = (input * 13) + odd,
    };

    /// <summary>What a call used, each token once.</summary>
    private sealed record Figures(
        long Text, long Cached, long Written, long WrittenForAnHour, long AudioInput, long ImageInput, long Visible, long Reasoning, long AudioOutput, long ImageOutput, long ToolPrompt,
        int Searches, int Tier, bool Detailed);

    /// <summary>A vendor's words for it, and what they cost.</summary>
    private sealed record Said(string First, string Usage, string? Tier, int Items, long TotalInput, long TotalOutput, Money Cost)
    {
        public static Said Of(string dialect, Figures of) => dialect switch
        {
            RecordedTraffic.OpenAiChat => Chat(of),
            RecordedTraffic.OpenAiResponses => Responses(of),
            RecordedTraffic.Anthropic => Anthropic(of),
            RecordedTraffic.Gemini => Gemini(of),
            _ => Bedrock(of),
        };

        // OpenAI: prompt_tokens counts cached, written, audio and image tokens, completion_tokens counts reasoning, audio and image tokens.
        private static Said Chat(Figures of)
        {
            var (input, output) = (of.Text + of.Cached + of.Written + of.AudioInput + of.ImageInput, of.Visible + of.Reasoning + of.AudioOutput + of.ImageOutput);
            var tier = Named(of, "default");
            var usage = $$$"""{"prompt_tokens":{{{input}}},"completion_tokens":{{{output}}},"total_tokens":{{{input + output}}},"prompt_tokens_details":{"cached_tokens":{{{of.Cached}}},"cache_write_tokens":{{{of.Written}}},"audio_tokens":{{{of.AudioInput}}},"image_tokens":{{{of.ImageInput}}}},"completion_tokens_details":{"reasoning_tokens":{{{of.Reasoning}}},"audio_tokens":{{{of.AudioOutput}}},"image_tokens":{{{of.ImageOutput}}}},"server_tool_use":{"web_search_requests":{{{of.Searches}}}}}""";
            return new Said(usage, usage, tier, 0, input, output, CostOf(of with { WrittenForAnHour = 0, ToolPrompt = 0 }, tier));
        }

        private static Said Responses(Figures of)
        {
            var (input, output) = (of.Text + of.Cached + of.Written + of.AudioInput + of.ImageInput, of.Visible + of.Reasoning + of.AudioOutput + of.ImageOutput);
            var tier = Named(of, "default");
            var usage = $$$"""{"input_tokens":{{{input}}},"input_tokens_details":{"cached_tokens":{{{of.Cached}}},"cache_write_tokens":{{{of.Written}}},"audio_tokens":{{{of.AudioInput}}},"image_tokens":{{{of.ImageInput}}}},"output_tokens":{{{output}}},"output_tokens_details":{"reasoning_tokens":{{{of.Reasoning}}},"audio_tokens":{{{of.AudioOutput}}},"image_tokens":{{{of.ImageOutput}}}},"total_tokens":{{{input + output}}}}""";
            return new Said(usage, usage, tier, of.Searches, input, output, CostOf(of with { WrittenForAnHour = 0, ToolPrompt = 0 }, tier));
        }

        // Anthropic: input_tokens is what was neither read from a cache nor written to one; cache_creation_input_tokens is the sum of both times to live; output_tokens counts thinking.
        private static Said Anthropic(Figures of)
        {
            var written = of.Written + of.WrittenForAnHour;
            var breakdown = of.Detailed ? $$$""","cache_creation":{"ephemeral_5m_input_tokens":{{{of.Written}}},"ephemeral_1h_input_tokens":{{{of.WrittenForAnHour}}}}""" : "";
            var tier = Named(of, "standard");
            var input = $"\"input_tokens\":{of.Text},\"cache_creation_input_tokens\":{written},\"cache_read_input_tokens\":{of.Cached}{breakdown}";
            var output = $"\"output_tokens\":{of.Visible + of.Reasoning},\"output_tokens_details\":{{\"thinking_tokens\":{of.Reasoning}}},\"server_tool_use\":{{\"web_search_requests\":{of.Searches}}}";
            var served = tier is null ? "" : $",\"service_tier\":\"{tier}\"";
            return new Said($"{{{input},\"output_tokens\":1{served}}}", $"{{{input},{output}{served}}}", tier, 0,
                of.Text + of.Cached + written, of.Visible + of.Reasoning,
                // Without the breakdown nobody knows of the hour, and what was written is what is written usually.
                CostOf(of with { Written = of.Detailed ? of.Written : written, WrittenForAnHour = of.Detailed ? of.WrittenForAnHour : 0, AudioInput = 0, ImageInput = 0, AudioOutput = 0, ImageOutput = 0, ToolPrompt = 0 }, tier));
        }

        // Google: promptTokenCount counts cached tokens of every modality, candidatesTokenCount no thoughts; toolUsePromptTokenCount is in neither.
        private static Said Gemini(Figures of)
        {
            var cachedAudio = of.Detailed ? of.Cached / 3 : 0;
            var prompt = of.Text + of.Cached + of.AudioInput + of.ImageInput;
            var candidates = of.Visible + of.AudioOutput + of.ImageOutput;
            var tier = Named(of, null);
            var served = tier is null ? "" : $",\"serviceTier\":\"{tier}\"";
            var cached = of.Cached == 0 ? "" : $$$""","cachedContentTokenCount":{{{of.Cached}}},"cacheTokensDetails":[{"modality":"TEXT","tokenCount":{{{of.Cached - cachedAudio}}}},{"modality":"AUDIO","tokenCount":{{{cachedAudio}}}}]""";
            var details = $$$""","promptTokensDetails":[{"modality":"TEXT","tokenCount":{{{of.Text + of.Cached - cachedAudio}}}},{"modality":"AUDIO","tokenCount":{{{of.AudioInput + cachedAudio}}}},{"modality":"IMAGE","tokenCount":{{{of.ImageInput}}}}]""";
            var made = $$$""","candidatesTokensDetails":[{"modality":"TEXT","tokenCount":{{{of.Visible}}}},{"modality":"AUDIO","tokenCount":{{{of.AudioOutput}}}},{"modality":"IMAGE","tokenCount":{{{of.ImageOutput}}}}]""";
            var total = prompt + of.ToolPrompt + candidates + of.Reasoning;
            return new Said(
                $"{{\"promptTokenCount\":{prompt},\"totalTokenCount\":{prompt}{details}{cached}}}",
                $"{{\"promptTokenCount\":{prompt},\"candidatesTokenCount\":{candidates},\"thoughtsTokenCount\":{of.Reasoning},\"toolUsePromptTokenCount\":{of.ToolPrompt},\"totalTokenCount\":{total}{details}{cached}{made}{served}}}",
                tier, 0, prompt + of.ToolPrompt, candidates + of.Reasoning,
                CostOf(of with { Text = of.Text + of.ToolPrompt, Written = 0, WrittenForAnHour = 0, Searches = 0 }, tier));
        }

        // Amazon: inputTokens is what was neither read from a cache nor written to one; cacheDetails tells the times to live; outputTokens counts all.
        private static Said Bedrock(Figures of)
        {
            var written = of.Written + of.WrittenForAnHour;
            var details = of.Detailed ? $$$""","cacheDetails":[{"ttl":"1h","inputTokens":{{{of.WrittenForAnHour}}}},{"ttl":"5m","inputTokens":{{{of.Written}}}}]""" : "";
            var tier = Named(of, "default");
            var input = of.Text + of.Cached + written;
            var usage = $"{{\"inputTokens\":{of.Text},\"outputTokens\":{of.Visible},\"totalTokens\":{input + of.Visible},\"cacheReadInputTokens\":{of.Cached},\"cacheWriteInputTokens\":{written}{details}}}";
            return new Said(usage, usage, tier, 0, input, of.Visible, CostOf(
                new Figures(of.Text, of.Cached, of.Detailed ? of.Written : written, of.Detailed ? of.WrittenForAnHour : 0, 0, 0, of.Visible, 0, 0, 0, 0, 0, of.Tier, of.Detailed), tier));
        }

        private static string? Named(Figures of, string? usual) => of.Tier switch { 0 => null, 1 => usual, 2 => "priority", _ => "flex" };

        // The price table: a tier's own rates, else those for the size of the whole input; rounded up once.
        private static Money CostOf(Figures of, string? tier)
        {
            var input = of.Text + of.Cached + of.Written + of.WrittenForAnHour + of.AudioInput + of.ImageInput;
            var rates = tier == "priority" ? priority : tier == "flex" ? flex : input > LongInput ? large : standard;
            (long Count, long Rate)[] parts =
            [
                (of.Text, rates.Input), (of.Cached, rates.CacheRead!.Value), (of.Written, rates.CacheWrite!.Value), (of.WrittenForAnHour, rates.CacheWrite1h!.Value),
                (of.AudioInput, rates.AudioInput!.Value), (of.ImageInput, rates.ImageInput!.Value), (of.Visible, rates.Output), (of.Reasoning, rates.Reasoning!.Value),
                (of.AudioOutput, rates.AudioOutput!.Value), (of.ImageOutput, rates.ImageOutput!.Value), (of.Searches, 10_000_000_000_003),
            ];
            var sum = parts.Aggregate(BigInteger.Zero, (sum, part) => sum + (new BigInteger(part.Count) * part.Rate)) + (17 * 1_000_000);
            return new Money((long)((sum + 999_999) / 1_000_000));
        }
    }
}
