using System.Net;
using System.Text;
using LlmProxy.Dialects;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Pricing;
using TestSupport;

namespace LlmProxy.Tests.Dialects.Anthropic;

/// <summary>What a message is billed, relayed and translated, complete and streamed.</summary>
public sealed class BillingTests
{
    private const string Usage = """{"input_tokens":10,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"cache_creation":{"ephemeral_5m_input_tokens":40,"ephemeral_1h_input_tokens":60},"output_tokens":20,"output_tokens_details":{"thinking_tokens":5}}""";
    private const string Message = """{"id":"msg_1","type":"message","role":"assistant","model":"small","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":USAGE}""";
    private const string Ask = """{"model":"fake/small","max_tokens":100,"messages":[{"role":"user","content":"Hi"}]}""";
    private const string AskStreamed = """{"model":"fake/small","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"Hi"}]}""";

    private static readonly ModelPrice Price = new()
    {
        Provider = "fake",
        Model = "*",
        Version = "test:1",
        Rates = new TokenRates { Input = Dollars(3), Output = Dollars(15), CacheRead = Dollars(0.3m), CacheWrite = Dollars(3.75m), CacheWrite1h = Dollars(6), Reasoning = Dollars(20) },
    };

    private static readonly TokenUsage Used = new() { Input = 10, CacheRead = 1000, CacheWrite = 40, CacheWrite1h = 60, Output = 15, Reasoning = 5 };

    [Theory]
    [InlineData("/v1/messages", false)]
    [InlineData("/v1/messages", true)]
    [InlineData("/v1/chat/completions", false)]
    [InlineData("/v1/chat/completions", true)]
    public async Task Call_EveryWay_EachPartIsBilledOnceAtItsRate(string path, bool stream)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(stream ? FakeReply.Stream(Events(Usage)) : FakeReply.Json(200, Message.Replace("USAGE", Usage, StringComparison.Ordinal)));

        using var response = await host.PostAsync(stream ? AskStreamed : Ask, path: path);
        await response.TextAsync();

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("/v1/messages", Assert.Single(fake.Requests).Path);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, UsageSource.Reported, Used), (row.Result.Outcome, row.Result.Source, row.Result.Usage));
        Assert.Equal(Price.CostOf(Used), row.Charged);
    }

    [Fact]
    public async Task Call_HardBudget_TheLimitInTheBodyKeepsWithinIt()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, Money.FromDollars(0.0105m));
        fake.Enqueue(FakeReply.Json(200, Message.Replace("USAGE", Usage, StringComparison.Ordinal)));

        using var fits = await host.PostAsync(Ask, path: "/v1/messages");
        using var refused = await host.PostAsync(Ask.Replace("100", "100000", StringComparison.Ordinal), path: "/v1/messages");
        using var boundless = await host.PostAsync(Ask.Replace("\"max_tokens\"", "\"container\":\"c\",\"max_tokens\"", StringComparison.Ordinal), path: "/v1/messages");

        Assert.Equal(HttpStatusCode.OK, fits.StatusCode);
        Assert.Equal(Ask.Replace("fake/small", "small", StringComparison.Ordinal), Encoding.UTF8.GetString(Assert.Single(fake.Requests).Body));
        Assert.Contains("\"type\":\"rate_limit_error\"", await refused.TextAsync(), StringComparison.Ordinal);
        Assert.Contains("container", await boundless.TextAsync(), StringComparison.Ordinal);
        Assert.Equal("false", refused.Header("x-should-retry"));
    }

    [Fact]
    public async Task Call_HardBudget_AToolOfAnotherVendorsIsLeftOutAndBoundsNothing()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, Money.FromDollars(1));
        fake.Otherwise = _ => FakeReply.Json(200, Message.Replace("USAGE", Usage, StringComparison.Ordinal));

        using var translated = await host.PostAsync("""{"model":"fake/small","input":"Hi","max_output_tokens":100,"tools":[{"type":"web_search"}]}""", path: "/v1/responses");
        using var relayed = await host.PostAsync("""{"model":"fake/small","max_tokens":100,"messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"web_search_20250305","name":"web_search"}]}""", path: "/v1/messages");

        Assert.Equal(HttpStatusCode.OK, translated.StatusCode);
        Assert.Equal("tools[].web_search", translated.Header("x-gateway-dropped"));
        Assert.DoesNotContain("web_search", Encoding.UTF8.GetString(Assert.Single(fake.Requests).Body), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.BadRequest, relayed.StatusCode);
        Assert.Contains("tools", await relayed.TextAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Call_ClientLeaves_TheProvidersCallEndsAndWhatWasMadeIsBilled(bool translated)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(FakeReply.Stream(Events(Usage)[..Events(Usage).IndexOf("event: content_block_stop", StringComparison.Ordinal)]) with { Ending = FakeEnding.Hang });
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);

        using (var response = await host.PostAsync(AskStreamed, leaving.Token, path: translated ? "/v1/chat/completions" : "/v1/messages"))
        {
            await leaving.CancelAsync();
        }
        await fake.WaitForRequestsAsync(1);
        await fake.Requests[0].AbortedAsync();

        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal(CallOutcome.Cancelled, row.Result.Outcome);
        Assert.True(row.Charged > Money.Zero);
    }

    private static string Events(string usage) => Wire.Events(
        $$"""{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"small","content":[],"stop_reason":null,"stop_sequence":null,"usage":{{usage.Replace("\"output_tokens\":20", "\"output_tokens\":1", StringComparison.Ordinal)}}""" + "}}",
        """{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}""",
        """{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}""",
        """{"type":"content_block_stop","index":0}""",
        """{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":20}}""",
        """{"type":"message_stop"}""");

    private static Task<ProxyHost> StartAsync(FakeProvider fake, Money? budget = null) => ProxyHost.StartAsync(new ProxySetup
    {
        Providers = [ProxyHost.Provider(fake) with { Dialect = DialectIds.Anthropic }],
        Prices = [Price],
        HardBudget = budget,
    });

    private static long Dollars(decimal dollars) => Money.FromDollars(dollars).Nano;
}
