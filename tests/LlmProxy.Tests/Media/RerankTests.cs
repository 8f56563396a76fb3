using System.Net;
using System.Text;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests.Media;

public sealed class RerankTests
{
    private const string Path = "/v1/rerank";

    private const string Cohere = """
        {"id":"1","results":[{"index":1,"relevance_score":0.9}],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":1},"tokens":{"input_tokens":40,"output_tokens":0}}}
        """;

    private static readonly ModelPrice perSearch = ProxyHost.Price(0, 0) with { UnitRates = [new UnitRate(UnitKind.Search, null, Money.FromDollars(0.002m * 1_000_000).Nano)] };

    [Theory]
    [InlineData("/v1/rerank")]
    [InlineData("/v2/rerank")]
    public async Task Post_CohereShape_PassesUnchangedAndIsBilledBySearches(string path)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, perSearch, Money.FromDollars(1));
        fake.Enqueue(FakeReply.Json(200, Cohere));
        const string body = """{ "query":"capital?", "model":"fake/rerank-v3.5", "documents":["Paris",{"text":"Berlin"}], "top_n":1, "x":1e400 }""";

        using var response = await host.PostAsync(body, path: path);

        Assert.Equal((HttpStatusCode.OK, Cohere), (response.StatusCode, await response.TextAsync()));
        var received = Assert.Single(fake.Requests);
        Assert.Equal(body.Replace("fake/", "", StringComparison.Ordinal), Encoding.UTF8.GetString(received.Body));
        Assert.Equal(("/v1/rerank", "Bearer sk-upstream"), (received.Path, received.Headers["Authorization"]));
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, UsageSource.Reported, Money.FromDollars(0.002m)), (row.Result.Outcome, row.Result.Source, row.Charged));
        Assert.Equal(UnitUsage.Of(UnitKind.Search, 1), row.Result.Usage.Units);
        Assert.Equal(Money.FromDollars(0.002m), row.Reserved);
    }

    [Theory]
    [InlineData("""{"results":[],"usage":{"total_tokens":15}}""")] // Jina, vLLM
    [InlineData("""{"object":"rerank","results":[],"usage":{"prompt_tokens":15,"completion_tokens":0,"total_tokens":15}}""")] // Together
    public async Task Post_TokensAreReported_TheyAreBilled(string answer)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, ProxyHost.Price(2, 0), Money.FromDollars(1));
        fake.Enqueue(FakeReply.Json(200, answer));

        using var response = await host.PostAsync("""{"model":"fake/m","query":"q","documents":["a"]}""", path: Path);

        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((15L, 0L, Money.FromDollars(0.00003m)), (row.Result.Usage.TotalInput, row.Result.Usage.TotalOutput, row.Charged));
    }

    [Fact]
    public async Task Post_SearchesWithoutAPriceForThem_CostIsUnknownAndNotZero()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, ProxyHost.Price(2, 0), null);
        fake.Enqueue(FakeReply.Json(200, """{"results":[],"meta":{"billed_units":{"search_units":1}}}"""));

        using var response = await host.PostAsync("""{"model":"fake/m","query":"q","documents":["a"]}""", path: Path);

        Assert.Null(Assert.Single(await host.Ledger.RowsAsync(1)).Charged);
    }

    [Fact]
    public async Task Post_HardBudget_ReservesASearchForEachHundredChunksOfDocuments()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, perSearch, Money.FromDollars(1));
        fake.Enqueue(FakeReply.Json(200, Cohere));
        var documents = string.Join(',', Enumerable.Repeat("\"d\"", 150).Append($"\"{new string('x', 60_000)}\""));

        using var response = await host.PostAsync($$"""{"model":"fake/m","query":"q","documents":[{{documents}}]}""", path: Path);

        // 150 short documents, and 60,002 bytes with 497 left for each chunk beside the query: 121 chunks more.
        Assert.Equal(Money.FromDollars(0.006m), Assert.Single(await host.Ledger.RowsAsync(1)).Reserved);
    }

    [Fact]
    public async Task Post_FirstTargetFails_TheNextOneAnswers()
    {
        await using var failing = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var healthy = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        failing.Otherwise = _ => FakeReply.Error(503);
        healthy.Enqueue(FakeReply.Json(200, Cohere));
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(failing, "one"), ProxyHost.Provider(healthy, "two")],
            Routes = [new Route { Name = "ranker", Targets = [new Target("one", "a"), new Target("two", "b")] }],
        });

        using var response = await host.PostAsync("""{"model":"ranker","query":"q","documents":["a"]}""", path: Path);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(("2", "two", "b"), (response.Header("x-gateway-attempts"), response.Header("x-gateway-provider"), response.Header("x-gateway-model")));
        Assert.Contains("\"model\":\"b\"", Encoding.UTF8.GetString(Assert.Single(healthy.Requests).Body), StringComparison.Ordinal);
        var rows = await host.Ledger.RowsAsync(2);
        Assert.Equal([CallOutcome.Failed, CallOutcome.Succeeded], rows.Select(row => row.Result.Outcome));
    }

    [Theory]
    [InlineData("""{"query":"q","documents":["a"]}""", 400, "missing_required_parameter")]
    [InlineData("""{"model":"fake/m","mod\u0065l":"fake/n","documents":["a"]}""", 400, "duplicate_member")]
    [InlineData("""{"model":"fake/m","documents":"a"}""", 400, "invalid_type")]
    [InlineData("""{"model":"fake/m","documents":["a"]""", 400, "invalid_json")]
    [InlineData("""{"model":"nobody/m","documents":["a"]}""", 404, "model_not_found")]
    public async Task Post_BadRequest_IsRefusedAndNothingIsSent(string body, int status, string code)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, perSearch, null);

        using var response = await host.PostAsync(body, path: Path);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Contains($"\"code\":\"{code}\"", await response.TextAsync(), StringComparison.Ordinal);
        Assert.Empty(fake.Requests);
    }

    [Fact]
    public async Task Post_ModelIsNotGranted_LooksLikeOneThatDoesNotExist()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake)], Models = ["fake/other"] });

        using var response = await host.PostAsync("""{"model":"fake/m","query":"q","documents":["a"]}""", path: Path);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Empty(fake.Requests);
    }

    [Fact]
    public async Task Post_ProviderLacksTheEndpoint_IsToldSo()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake) with { Endpoints = ["chat"] }] });

        using var response = await host.PostAsync("""{"model":"fake/m","query":"q","documents":["a"]}""", path: Path);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Contains("endpoint_not_supported", await response.TextAsync(), StringComparison.Ordinal);
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake, ModelPrice price, Money? budget) =>
        ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake)], Prices = [price], HardBudget = budget });
}
