using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests;

public sealed class EmbeddingsTests
{
    private const string Path = "/v1/embeddings";

    private const string Vector = """{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2e-3]}],"model":"m","usage":{"prompt_tokens":5,"total_tokens":5},"extra":1}""";

    public static TheoryData<string> Vectors =>
    [
        """{"model":"m","input":"hi"}""",
        "  { \"input\" : [ \"a\" , \"b\\ud800\" ] ,\r\n \"model\":\t\"m\", \"x\":1e400 }\n",
        """{"model":"m","input":[1,2,3],"dimensions":8,"dimensions":9,"encoding_format":"base64"}""",
        """{"model":"m","input":[[1,2],[3],[]],"user":"\udc00","nested":{"model":"x","input":7}}""",
        """{"model":"m","input":[],"stream":true,"n":"7","max_tokens":-1}""",
        """{"model":"m","in\u0070ut":"é漢😀"}""",
    ];

    [Theory]
    [MemberData(nameof(Vectors))]
    public async Task Post_NoEditDue_UpstreamReceivesTheVeryBytes(string body)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [new Route { Name = "m", Targets = [new Target("fake", "m")] }]);
        fake.Enqueue(FakeReply.Json(200, Vector));
        var bytes = Encoding.UTF8.GetBytes(body);

        using var response = await host.PostAsync(bytes, path: Path);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(Vector, await response.TextAsync());
        Assert.Equal(("1", "fake", "m"), (response.Header("x-gateway-attempts"), response.Header("x-gateway-provider"), response.Header("x-gateway-model")));
        var received = Assert.Single(fake.Requests);
        Assert.Equal(SHA256.HashData(bytes), SHA256.HashData(received.Body));
        Assert.Equal("/v1/embeddings", received.Path);
        Assert.Equal("Bearer sk-upstream", received.Headers["Authorization"]);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, UsageSource.Reported, 5L, 0L), (row.Result.Outcome, row.Result.Source, row.Result.Usage.TotalInput, row.Result.Usage.TotalOutput));
    }

    [Fact]
    public async Task Post_HardBudget_NoLimitIsWrittenAndTheUsageIsCharged()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [], Money.FromDollars(1), ProxyHost.Price(2, 50));
        fake.Enqueue(FakeReply.Json(200, Vector));

        using var response = await host.PostAsync("""{"model":"fake/m","input":"hello"}""", path: Path);

        Assert.Equal("""{"model":"m","input":"hello"}""", Encoding.UTF8.GetString(Assert.Single(fake.Requests).Body));
        Assert.Null(response.Header("x-gateway-output-limit"));
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal(Money.FromDollars(0.00001m), row.Charged);
        Assert.Equal(Money.FromDollars(0.000068m), row.Reserved); // 34 bytes at 2 dollars per million
    }

    [Theory]
    [InlineData("""{"model":"fake/m","input":[100257,100258,100259]}""", 22, 3 + 2)]
    [InlineData("""{"model":"fake/m","input":[[100257],[100258, 100259]]}""", 24, 3 + 4)]
    [InlineData("""{"model":"fake/m","input":[[],"some text",[12345]]}""", 7, 1 + 2)]
    public async Task Post_TokenNumbers_CountOnceEachInsteadOfByTheirDigits(string body, int arrayBytes, int tokens)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [], Money.FromDollars(1), ProxyHost.Price(1, 0));
        fake.Enqueue(FakeReply.Json(200, Vector));

        using var response = await host.PostAsync(body, path: Path);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal(new Money((body.Length - arrayBytes + tokens) * 1000L), row.Reserved);
    }

    [Fact]
    public async Task Post_OnlyATotalIsReported_ItIsTheInput()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [], Money.FromDollars(1), ProxyHost.Price(1, 50));
        fake.Enqueue(FakeReply.Json(200, """{"object":"list","data":[],"usage":{"total_tokens":7}}"""));

        using var response = await host.PostAsync("""{"model":"fake/m","input":"hello"}""", path: Path);

        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((UsageSource.Reported, 7L, 0L, new Money(7000)), (row.Result.Source, row.Result.Usage.TotalInput, row.Result.Usage.TotalOutput, row.Charged));
    }

    [Theory]
    [InlineData("{}", "missing_required_parameter", "model")]
    [InlineData("{\"model\":\"fake/m\",\"input\":7}", "invalid_type", "input")]
    [InlineData("{\"model\":\"fake/m\",\"input\":null}", "invalid_type", "input")]
    [InlineData("{\"model\":\"fake/m\",\"input\":true}", "invalid_type", "input")]
    [InlineData("{\"model\":\"fake/m\",\"input\":{\"text\":\"x\"}}", "invalid_type", "input")]
    [InlineData("{\"model\":\"fake/m\",\"input\":[\"a\",null]}", "invalid_type", "input")]
    [InlineData("{\"model\":\"fake/m\",\"input\":[1,2.5]}", "invalid_type", "input")]
    [InlineData("{\"model\":\"fake/m\",\"input\":[1,-2]}", "invalid_type", "input")]
    [InlineData("{\"model\":\"fake/m\",\"input\":[1,\"a\"]}", "invalid_type", "input")]
    [InlineData("{\"model\":\"fake/m\",\"input\":[[1],[\"a\"]]}", "invalid_type", "input")]
    [InlineData("{\"model\":\"fake/m\",\"input\":[[[1]]]}", "invalid_type", "input")]
    [InlineData("{\"model\":\"fake/m\",\"input\":[99999999999]}", "invalid_type", "input")]
    [InlineData("{\"model\":\"fake/m\",\"input\":\"a\",\"inp\\u0075t\":\"b\"}", "duplicate_member", "input")]
    [InlineData("{\"model\":\"fake/m\",\"model\":\"fake/m\"}", "duplicate_member", "model")]
    [InlineData("{\"model\":\"fake/m\",\"input\":[1,2", "invalid_json", null)]
    [InlineData("{\"model\":\"fake/m\",\"input\":[[1,2]", "invalid_json", null)]
    public async Task Post_BadBody_IsA400ThatNamesTheMember(string body, string code, string? member)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, []);

        using var response = await host.PostAsync(body, path: Path);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = JsonDocument.Parse(await response.TextAsync()).RootElement.GetProperty("error");
        Assert.Equal((code, member), (error.GetProperty("code").GetString(), error.GetProperty("param").GetString()));
        Assert.Empty(fake.Requests);
        await host.RequestEndedAsync();
        Assert.Equal((0, 0), (host.Memory.Held, host.Ledger.Begun));
    }

    [Theory]
    [InlineData("\"input\":[{\"image\":\"https://example.com/a.png\"}]", "input[]")]
    [InlineData("\"input\":[{\"type\":\"video\",\"video\":\"x\"}]", "input[].type")]
    [InlineData("\"input\":[{\"type\":\"input_audio\",\"input_audio\":{}}]", "input[].input_audio")]
    [InlineData("\"prompt\":\"Represent: \"", "prompt")]
    [InlineData("\"messages\":[]", "messages")]
    [InlineData("\"service_tier\":\"fancy\"", "service_tier")]
    public async Task Post_HardBudgetAndNoBound_IsRefusedNamingTheMember(string members, string member)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [], Money.FromDollars(1), ProxyHost.Price(1, 0));

        using var response = await host.PostAsync($$"""{"model":"fake/m",{{members}}}""", path: Path);

        var error = JsonDocument.Parse(await response.TextAsync()).RootElement.GetProperty("error");
        Assert.Equal((HttpStatusCode.BadRequest, "unbounded_cost"), (response.StatusCode, error.GetProperty("code").GetString()));
        Assert.Contains($"'{member}'", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Empty(fake.Requests);
    }

    [Fact]
    public async Task Post_FirstTargetFails_NextOneAnswers()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [new Route { Name = "m", Targets = [new Target("fake", "a"), new Target("fake", "b"), new Target("fake", "c")] }]);
        fake.Enqueue(FakeReply.Error(503), FakeReply.Json(200, """{"error":{"message":"overloaded"}}"""), FakeReply.Json(200, Vector));

        using var response = await host.PostAsync("""{"model":"m","input":"x"}""", path: Path);

        Assert.Equal((HttpStatusCode.OK, "3", "c"), (response.StatusCode, response.Header("x-gateway-attempts"), response.Header("x-gateway-model")));
        Assert.Equal(["a", "b", "c"], fake.Requests.Select(request => request.Json.GetProperty("model").GetString()));
        Assert.Equal(3, (await host.Ledger.RowsAsync(3)).Count);
    }

    [Fact]
    public async Task Post_ClientLeaves_UpstreamIsCancelledAndSettled()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [], Money.FromDollars(1), ProxyHost.Price(1, 0));
        fake.Enqueue(FakeReply.Hang);
        using var leaving = new CancellationTokenSource();

        var answer = host.PostAsync("""{"model":"fake/m","input":"x"}""", leaving.Token, Path);
        await fake.WaitForRequestsAsync(1);
        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answer);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Cancelled, row.Reserved), (row.Result.Outcome, row.Charged));
        await fake.Requests[0].AbortedAsync();
    }

    [Fact]
    public async Task Post_ProviderLacksTheEndpoint_IsSkippedOrNamed()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(fake, "chatty") with { Endpoints = ["chat"] }, ProxyHost.Provider(fake) with { Endpoints = ["embeddings"] }],
            Routes = [new Route { Name = "m", Targets = [new Target("chatty", "a"), new Target("fake", "b")] }],
        });
        fake.Enqueue(FakeReply.Json(200, Vector), FakeReply.Completion("hi"));

        using var embedded = await host.PostAsync("""{"model":"m","input":"x"}""", path: Path);
        using var chatted = await host.PostAsync("""{"model":"m","messages":[]}""");
        using var refused = await host.PostAsync("""{"model":"chatty/a","input":"x"}""", path: Path);
        using var refusedChat = await host.PostAsync("""{"model":"fake/a","messages":[]}""");

        Assert.Equal(("fake", "1"), (embedded.Header("x-gateway-provider"), embedded.Header("x-gateway-attempts")));
        Assert.Equal(("chatty", "1"), (chatted.Header("x-gateway-provider"), chatted.Header("x-gateway-attempts")));
        Assert.Equal(["/v1/embeddings", "/v1/chat/completions"], fake.Requests.Select(request => request.Path));
        foreach (var (response, words) in new[] { (refused, (string[])["chatty", "/v1/embeddings"]), (refusedChat, ["fake", "/v1/chat/completions"]) })
        {
            var error = JsonDocument.Parse(await response.TextAsync()).RootElement.GetProperty("error");
            Assert.Equal((HttpStatusCode.NotFound, "endpoint_not_supported", "model"), (response.StatusCode, error.GetProperty("code").GetString(), error.GetProperty("param").GetString()));
            Assert.All(words, word => Assert.Contains(word, error.GetProperty("message").GetString(), StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Post_RouteDefaults_AreAddedOnlyWhereTheRequestLacksThem()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [new Route
        {
            Name = "m", Targets = [new Target("fake", "m")], Defaults = System.Collections.Immutable.ImmutableDictionary<string, string>.Empty.Add("dimensions", "64"),
        }]);
        fake.Enqueue(FakeReply.Json(200, Vector), FakeReply.Json(200, Vector));

        using var without = await host.PostAsync("""{"model":"m","input":"x"}""", path: Path);
        using var with = await host.PostAsync("""{"model":"m","input":"x","dimensions":8}""", path: Path);

        Assert.Equal(["""{"model":"m","dimensions":64,"input":"x"}""", """{"model":"m","input":"x","dimensions":8}"""], fake.Requests.Select(request => Encoding.UTF8.GetString(request.Body)));
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake, System.Collections.Immutable.ImmutableArray<Route> routes, Money? budget = null, ModelPrice? price = null) =>
        ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake)], Routes = routes, HardBudget = budget, Prices = price is null ? [] : [price] });
}
