using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Pricing;
using TestSupport;

namespace LlmProxy.Tests.Dialects.Bedrock;

/// <summary>InvokeModel with bodies of model families whose format nobody here reads.</summary>
public sealed class InvokeAnyTests
{
    private const string Body = """{"inputText": "hi", "textGenerationConfig": {"maxTokenCount": 10}}""";
    private const string Answer = """{"inputTextTokenCount":1,"results":[{"tokenCount":2,"outputText":"Hello","completionReason":"FINISH"}]}""";

    [Fact]
    public async Task Post_BytesPassBothWays_AndTheHeadersBillThem()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(FakeReply.Json(200, Answer) with
        {
            Headers = new Dictionary<string, string>
            {
                ["x-amzn-bedrock-input-token-count"] = "1000000", ["x-amzn-bedrock-output-token-count"] = "2000000", ["x-amzn-bedrock-cache-read-input-token-count"] = "3",
                ["x-amzn-bedrock-invocation-latency"] = "77", ["x-amzn-RequestId"] = "theirs",
            },
        });

        using var response = await host.PostAsync(Body, path: "/bedrock/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc/invoke");

        Assert.Equal((HttpStatusCode.OK, Answer), (response.StatusCode, await response.TextAsync()));
        Assert.Equal(("77", "1000000", "theirs"), (response.Header("x-amzn-bedrock-invocation-latency"), response.Header("x-amzn-bedrock-input-token-count"), response.Header("x-upstream-request-id")));
        var received = Assert.Single(fake.Requests);
        Assert.Equal(Body, Encoding.UTF8.GetString(received.Body));
        Assert.EndsWith("/model/arn:aws:bedrock:us-east-1:123456789012:application-inference-profile%2Fabc/invoke", received.Path, StringComparison.Ordinal);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, UsageSource.Reported, 1_000_000L, 3L, 2_000_000L), (row.Result.Outcome, row.Result.Source, row.Result.Usage.Input, row.Result.Usage.CacheRead, row.Result.Usage.Output));
        Assert.True(row.Result.Cost >= Money.FromDollars(5) && row.Result.Cost < Money.FromDollars(5.01m));
    }

    [Fact]
    public async Task Post_Stream_BytesPassAndTheLastChunkBillsThem()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        var bytes = FakeVendor.Chunks(["""{"outputText":"Hel"}""", """{"outputText":"lo","completionReason":"FINISH","amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":2,"invocationLatency":9,"firstByteLatency":4}}"""]);
        fake.Enqueue(new FakeReply { ContentType = "application/vnd.amazon.eventstream", Pieces = [new FakePiece(bytes[..99]), new FakePiece(bytes[99..])] });

        using var response = await host.PostAsync(Body, path: "/bedrock/model/amazon.titan-text-lite-v1/invoke-with-response-stream");

        Assert.Equal(bytes, await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        Assert.Equal("application/vnd.amazon.eventstream", response.Content.Headers.ContentType!.MediaType);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, UsageSource.Reported, 7L, 2L), (row.Result.Outcome, row.Result.Source, row.Result.Usage.Input, row.Result.Usage.Output));
    }

    [Fact]
    public async Task Post_StreamCutWithinAMessage_EndsInAnException()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        var bytes = FakeVendor.Chunks(["""{"outputText":"Hel"}""", """{"outputText":"lo"}"""]);
        fake.Enqueue(new FakeReply { ContentType = "application/vnd.amazon.eventstream", Pieces = [new FakePiece(bytes[..^5])] });

        using var response = await host.PostAsync(Body, path: "/bedrock/model/amazon.titan-text-lite-v1/invoke-with-response-stream");
        var text = Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));

        Assert.Contains("internalServerException", text, StringComparison.Ordinal);
        Assert.Equal(CallOutcome.Broken, Assert.Single(await host.Ledger.RowsAsync(1)).Result.Outcome);
    }

    [Fact]
    public async Task Post_Headers_GuardrailAndTierGoUpAndAccountsDoNot()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(FakeReply.Json(200, Answer));
        using var handler = new SocketsHttpHandler();
        using var client = new HttpClient(handler) { BaseAddress = host.Address };
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("bedrock/model/titan/invoke", UriKind.Relative)) { Content = new StringContent(Body) };
        foreach (var (name, value) in new Dictionary<string, string> { ["X-Amzn-Bedrock-GuardrailIdentifier"] = "g1", ["X-Amzn-Bedrock-GuardrailVersion"] = "2", ["X-Amzn-Bedrock-Service-Tier"] = "flex", ["x-amz-security-token"] = "theirs", ["x-amz-date"] = "20260101T000000Z" })
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var headers = Assert.Single(fake.Requests).Headers;
        Assert.Equal(("g1", "2", "flex"), (headers["x-amzn-bedrock-guardrailidentifier"], headers["x-amzn-bedrock-guardrailversion"], headers["x-amzn-bedrock-service-tier"]));
        Assert.False(headers.ContainsKey("x-amz-security-token") || headers.ContainsKey("x-amz-date"));
    }

    [Fact]
    public async Task Post_UnderAHardBudget_IsRefused()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, Money.FromDollars(1));

        using var response = await host.PostAsync(Body, path: "/bedrock/model/titan/invoke");

        Assert.Equal((HttpStatusCode.BadRequest, "ValidationException"), (response.StatusCode, response.Header("x-amzn-ErrorType")));
        Assert.Contains("format is not read", (string?)JsonNode.Parse(await response.TextAsync())!["message"], StringComparison.Ordinal);
        Assert.Empty(fake.Requests);
    }

    [Fact]
    public async Task Post_ModelOfAnotherProvider_SaysWhatIsServed()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake)] });

        using var response = await host.PostAsync(Body, path: "/bedrock/model/fake%2Fsmall/invoke");

        Assert.Equal((HttpStatusCode.NotFound, "ResourceNotFoundException"), (response.StatusCode, response.Header("x-amzn-ErrorType")));
        Assert.Contains("anthropic_version", (string?)JsonNode.Parse(await response.TextAsync())!["message"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_ModelThatIsNotGranted_IsNotThere()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, models: ["bedrock/other"]);

        using var response = await host.PostAsync(Body, path: "/bedrock/model/titan/invoke");

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Empty(fake.Requests);
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake, Money? hardBudget = null, string[]? models = null) => ProxyHost.StartAsync(new ProxySetup
    {
        Providers = [ProxyHost.Provider(fake, "bedrock") with { Dialect = "bedrock" }],
        Prices = [ProxyHost.Price(1, 2, "bedrock")],
        HardBudget = hardBudget,
        Models = [.. models ?? ["*"]],
    });
}
