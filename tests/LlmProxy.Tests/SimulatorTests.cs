using System.Net;
using System.Text.Json;
using LlmProxy.Tests.Hosting;
using Shared.Pricing;
using Shared.Snapshots;

namespace LlmProxy.Tests;

public sealed class SimulatorTests
{
    private const string Tools = """
        "tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":2},"unit":{"enum":["C","F"]},"note":{"type":"string"}},"required":["city","days","unit"]}}},{"type":"function","function":{"name":"clock"}}]
        """;

    [Fact]
    public async Task Echo_UserMessage_IsRepeatedWithALabelAndUsage()
    {
        await using var host = await StartAsync();

        using var response = await host.PostAsync("""{"model":"simulator/echo","messages":[{"role":"user","content":"Hello there"}]}""");
        var answer = JsonDocument.Parse(await response.TextAsync()).RootElement;

        Assert.Equal("[simulator] You said: Hello there", answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("stop", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        var usage = answer.GetProperty("usage");
        Assert.Equal(usage.GetProperty("prompt_tokens").GetInt64() + usage.GetProperty("completion_tokens").GetInt64(), usage.GetProperty("total_tokens").GetInt64());
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal(usage.GetProperty("total_tokens").GetInt64(), row.Result.Usage.Total);
        Assert.Equal(Money.Zero, row.Charged);
    }

    [Theory]
    [InlineData("max_tokens")]
    [InlineData("max_completion_tokens")]
    public async Task Echo_OutputLimit_CutsTheAnswerWithFinishReasonLength(string member)
    {
        await using var host = await StartAsync();

        using var response = await host.PostAsync($$"""{"model":"simulator/echo","{{member}}":5,"n":2,"messages":[{"role":"user","content":"{{new string('y', 300)}}"}]}""");
        var answer = JsonDocument.Parse(await response.TextAsync()).RootElement;

        Assert.Equal(2, answer.GetProperty("choices").GetArrayLength());
        Assert.Equal("length", answer.GetProperty("choices")[1].GetProperty("finish_reason").GetString());
        Assert.InRange(answer.GetProperty("usage").GetProperty("completion_tokens").GetInt64(), 2, 10);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Echo_Streamed_SaysTheSameInSeveralChunks(bool usage)
    {
        await using var host = await StartAsync();

        using var response = await host.PostAsync($$$"""{"model":"simulator/echo","stream":true,"stream_options":{"include_usage":{{{(usage ? "true" : "false")}}}},"messages":[{"role":"user","content":[{"type":"text","text":"one two three"}]}]}""");
        var events = (await response.TextAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);

        Assert.Equal("data: [DONE]", events[^1]);
        var chunks = events[..^1].Select(line => JsonDocument.Parse(line["data: ".Length..]).RootElement).ToList();
        Assert.Equal("[simulator] You said: one two three", string.Concat(chunks.Where(chunk => chunk.GetProperty("choices").GetArrayLength() > 0)
            .Select(chunk => chunk.GetProperty("choices")[0].GetProperty("delta")).Select(delta => delta.TryGetProperty("content", out var text) ? text.GetString() : "")));
        Assert.Equal(usage, chunks[^1].GetProperty("choices").GetArrayLength() == 0);
        Assert.True((await host.Ledger.RowsAsync(1))[0].Result.Usage.TotalOutput > 0);
    }

    [Theory]
    [InlineData("", "weather", """{"city":"simulated city","days":2,"unit":"C"}""")]
    [InlineData(",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"clock\"}}", "clock", "{}")]
    public async Task Tools_ToolsGiven_CallsOneWithArgumentsOfItsSchema(string choice, string name, string arguments)
    {
        await using var host = await StartAsync();

        using var response = await host.PostAsync($$"""{"model":"simulator/tools",{{Tools}}{{choice}},"messages":[{"role":"user","content":"go"}]}""");
        var first = JsonDocument.Parse(await response.TextAsync()).RootElement.GetProperty("choices")[0];

        Assert.Equal("tool_calls", first.GetProperty("finish_reason").GetString());
        var call = first.GetProperty("message").GetProperty("tool_calls")[0];
        Assert.Equal((name, arguments), (call.GetProperty("function").GetProperty("name").GetString(), call.GetProperty("function").GetProperty("arguments").GetString()));
    }

    [Fact]
    public async Task Tools_Streamed_CallArrivesInFragments()
    {
        await using var host = await StartAsync();

        using var response = await host.PostAsync($$"""{"model":"simulator/tools","stream":true,{{Tools}},"messages":[{"role":"user","content":"go"}]}""");
        var calls = (await response.TextAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries)[..^1]
            .Select(line => JsonDocument.Parse(line["data: ".Length..]).RootElement.GetProperty("choices")[0].GetProperty("delta"))
            .Where(delta => delta.TryGetProperty("tool_calls", out _)).Select(delta => delta.GetProperty("tool_calls")[0].GetProperty("function")).ToList();

        Assert.Equal(3, calls.Count);
        Assert.Equal("weather", calls[0].GetProperty("name").GetString());
        Assert.Equal("""{"city":"simulated city","days":2,"unit":"C"}""", string.Concat(calls.Select(call => call.GetProperty("arguments").GetString())));
    }

    [Fact]
    public async Task Tools_ResultsGiven_SumsThemUp()
    {
        await using var host = await StartAsync();

        using var response = await host.PostAsync($$"""{"model":"simulator/tools",{{Tools}},"messages":[{"role":"user","content":"go"},{"role":"assistant","tool_calls":[]},{"role":"tool","tool_call_id":"1","content":"sunny"},{"role":"tool","tool_call_id":"2","content":"late"}]}""");

        Assert.Contains("[simulator] 2 tool result(s): sunny | late", await response.TextAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"model":"simulator/other","messages":[{"role":"user","content":"x"}]}""", 404)]
    [InlineData("""{"model":"simulator/echo"}""", 400)]
    [InlineData("""{"model":"simulator/echo","messages":[{"role":"user","content":"\ud800"}]}""", 400)]
    public async Task Simulator_BadRequest_AnswersAsAProviderWould(string body, int status)
    {
        await using var host = await StartAsync();

        using var response = await host.PostAsync(body);

        Assert.Equal((HttpStatusCode)status, response.StatusCode);
        Assert.Contains("\"invalid_request_error\"", await response.TextAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Embed_Inputs_GetVectorsOfLengthOneThatAreAlwaysTheSame()
    {
        await using var host = await StartAsync();
        const string Body = """{"model":"simulator/embed","input":["the cat sat","the cat slept","stock prices fell",""]}""";

        using var first = await host.PostAsync(Body, path: "/v1/embeddings");
        using var second = await host.PostAsync(Body, path: "/v1/embeddings");
        var text = await first.TextAsync();
        var vectors = JsonDocument.Parse(text).RootElement.GetProperty("data").EnumerateArray().Select(Vector).ToList();

        Assert.Equal(text, await second.TextAsync());
        Assert.All(vectors, vector => Assert.Equal((256, 1.0), (vector.Length, Math.Round(Math.Sqrt(Product(vector, vector)), 4))));
        Assert.True(Product(vectors[0], vectors[1]) > Product(vectors[0], vectors[2]) + 0.2, "texts with words in common lie closer together");
        var row = (await host.Ledger.RowsAsync(2))[0];
        Assert.Equal((3 + 4 + 5, 0), (row.Result.Usage.TotalInput, row.Result.Usage.TotalOutput));
    }

    [Fact]
    public async Task Embed_Base64_HoldsTheSameNumbersInTheDimensionsAskedFor()
    {
        await using var host = await StartAsync();

        using var floats = await host.PostAsync("""{"model":"simulator/embed","input":[[1,2],[3]],"dimensions":40}""", path: "/v1/embeddings");
        using var base64 = await host.PostAsync("""{"model":"simulator/embed","input":[[1,2],[3]],"dimensions":40,"encoding_format":"base64"}""", path: "/v1/embeddings");
        var numbers = JsonDocument.Parse(await floats.TextAsync()).RootElement;
        var bytes = JsonDocument.Parse(await base64.TextAsync()).RootElement.GetProperty("data").EnumerateArray().Select(item => item.GetProperty("embedding").GetBytesFromBase64()).ToList();

        Assert.Equal(numbers.GetProperty("data").EnumerateArray().Select(Vector), bytes.Select(item => System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(item).ToArray()));
        Assert.Equal(40 * sizeof(float), bytes[1].Length);
        Assert.Equal(3, numbers.GetProperty("usage").GetProperty("total_tokens").GetInt64());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Text_EchoedPrompts_ComeBackPlainAndStreamed(bool stream)
    {
        await using var host = await StartAsync();

        using var response = await host.PostAsync(
            $$"""{"model":"simulator/echo","prompt":["one","two"],"n":2,"best_of":3,"echo":true,"max_tokens":50,"stream":{{(stream ? "true" : "false")}}}""", path: "/v1/completions");
        var body = await response.TextAsync();
        var chunks = stream
            ? body.Split("\n\n", StringSplitOptions.RemoveEmptyEntries)[..^1].Select(line => JsonDocument.Parse(line["data: ".Length..]).RootElement).ToList()
            : [JsonDocument.Parse(body).RootElement];
        var texts = chunks.SelectMany(chunk => chunk.GetProperty("choices").EnumerateArray()).GroupBy(choice => choice.GetProperty("index").GetInt32())
            .ToDictionary(group => group.Key, group => string.Concat(group.Select(choice => choice.GetProperty("text").GetString())));

        Assert.Equal(
            ["one[simulator] You said: one", "one[simulator] You said: one", "two[simulator] You said: two", "two[simulator] You said: two"],
            texts.OrderBy(pair => pair.Key).Select(pair => pair.Value));
        Assert.Equal(stream, body.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal));
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((2L, 2L * 3 * (3 + 1 + 2 + 1)), (row.Result.Usage.TotalInput, row.Result.Usage.TotalOutput));
    }

    [Fact]
    public async Task Text_NoLimit_EndsAfterSixteenTokensAsOpenAiSays()
    {
        await using var host = await StartAsync();

        using var response = await host.PostAsync($$"""{"model":"simulator/echo","prompt":"{{new string('y', 300)}}"}""", path: "/v1/completions");
        var answer = JsonDocument.Parse(await response.TextAsync()).RootElement;

        Assert.Equal("length", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.InRange(answer.GetProperty("usage").GetProperty("completion_tokens").GetInt64(), 10, 16);
    }

    [Theory]
    [InlineData("\"plain words\"", "")]
    [InlineData("\"some violence here\"", "violence")]
    [InlineData("[{\"type\":\"text\",\"text\":\"self-harm\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:,\"}}]", "self-harm")]
    public async Task Moderation_Text_IsFlaggedForTheCategoriesItNames(string input, string flagged)
    {
        await using var host = await StartAsync();

        using var response = await host.PostAsync($$"""{"model":"simulator/moderation","input":{{input}}}""", path: "/v1/moderations");
        var result = Assert.Single(JsonDocument.Parse(await response.TextAsync()).RootElement.GetProperty("results").EnumerateArray());

        Assert.Equal(flagged.Length > 0, result.GetProperty("flagged").GetBoolean());
        Assert.Equal(flagged, string.Join(',', result.GetProperty("categories").EnumerateObject().Where(category => category.Value.GetBoolean()).Select(category => category.Name)));
        Assert.Equal(Money.Zero, Assert.Single(await host.Ledger.RowsAsync(1)).Charged);
    }

    [Theory]
    [InlineData("/v1/embeddings", "{\"model\":\"simulator/echo\",\"input\":\"x\"}", 404, "model")]
    [InlineData("/v1/embeddings", "{\"model\":\"simulator/embed\"}", 400, "input")]
    [InlineData("/v1/embeddings", "{\"model\":\"simulator/embed\",\"input\":[]}", 400, "input")]
    [InlineData("/v1/embeddings", "{\"model\":\"simulator/embed\",\"input\":\"\\ud800\"}", 400, "input")]
    [InlineData("/v1/embeddings", "{\"model\":\"simulator/embed\",\"input\":\"x\",\"dimensions\":5000}", 400, "dimensions")]
    [InlineData("/v1/embeddings", "{\"model\":\"simulator/embed\",\"input\":\"x\",\"dimensions\":\"8\"}", 400, "dimensions")]
    [InlineData("/v1/embeddings", "{\"model\":\"simulator/embed\",\"input\":\"x\",\"encoding_format\":\"hex\"}", 400, "encoding_format")]
    [InlineData("/v1/completions", "{\"model\":\"simulator/tools\",\"prompt\":\"x\"}", 404, "model")]
    [InlineData("/v1/completions", "{\"model\":\"simulator/echo\"}", 400, "prompt")]
    [InlineData("/v1/completions", "{\"model\":\"simulator/echo\",\"prompt\":\"x\",\"n\":3,\"best_of\":2}", 400, "best_of")]
    [InlineData("/v1/moderations", "{\"model\":\"simulator/echo\",\"input\":\"x\"}", 404, "model")]
    [InlineData("/v1/moderations", "{\"model\":\"simulator/moderation\"}", 400, "input")]
    [InlineData("/v1/moderations", "{\"model\":\"simulator/moderation\",\"input\":[{\"type\":\"text\"}]}", 400, "input")]
    public async Task Simulator_BadRequestElsewhere_AnswersAsAProviderWould(string path, string body, int status, string member)
    {
        await using var host = await StartAsync();

        using var response = await host.PostAsync(body, path: path);

        Assert.Equal((HttpStatusCode)status, response.StatusCode);
        var error = JsonDocument.Parse(await response.TextAsync()).RootElement.GetProperty("error");
        Assert.Equal(("invalid_request_error", member), (error.GetProperty("type").GetString(), error.GetProperty("param").GetString()));
    }

    private static float[] Vector(JsonElement item) => [.. item.GetProperty("embedding").EnumerateArray().Select(number => number.GetSingle())];

    private static double Product(float[] left, float[] right) => left.Zip(right, (a, b) => (double)a * b).Sum();

    private static Task<ProxyHost> StartAsync() => ProxyHost.StartAsync(new ProxySetup
    {
        Providers = [new Provider { Id = "simulator", Dialect = "simulator", Models = ["echo", "tools"], Origin = "built-in" }],
        Prices = [ProxyHost.Price(0, 0, "simulator")],
        HardBudget = Money.FromDollars(1),
    });
}
