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

    private static Task<ProxyHost> StartAsync() => ProxyHost.StartAsync(new ProxySetup
    {
        Providers = [new Provider { Id = "simulator", Dialect = "simulator", Models = ["echo", "tools"], Origin = "built-in" }],
        Prices = [ProxyHost.Price(0, 0, "simulator")],
        HardBudget = Money.FromDollars(1),
    });
}
