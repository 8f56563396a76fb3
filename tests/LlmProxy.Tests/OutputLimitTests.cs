using System.Collections.Immutable;
using System.Net;
using System.Text;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests;

/// <summary>Under a hard budget, whatever goes up must cost no more than was reserved for it.</summary>
public sealed class OutputLimitTests
{
    [Theory]
    [InlineData("""{"model":"fake/m"}""", """{"model":"m","max_completion_tokens":4096}""", "4096")]
    [InlineData("""{"model":"fake/m","max_completion_tokens":null}""", """{"model":"m","max_completion_tokens":4096}""", "4096")]
    [InlineData("""{"model":"fake/m","max_tokens":null}""", """{"model":"m","max_completion_tokens":4096}""", "4096")]
    [InlineData("""{"model":"fake/m","max_completion_tokens":77}""", """{"model":"m","max_completion_tokens":77}""", null)]
    [InlineData("""{"model":"fake/m", "max_tokens" : 77}""", """{"model":"m", "max_completion_tokens" : 77}""", null)]
    [InlineData("""{"model":"fake/m","max_tokens":77,"max_completion_tokens":null}""", """{"model":"m","max_tokens":77,"max_completion_tokens":77}""", null)]
    [InlineData("""{"model":"fake/m","max_tokens":77,"max_completion_tokens":50}""", """{"model":"m","max_tokens":77,"max_completion_tokens":50}""", null)]
    public async Task Post_HardBudget_TheLimitStandsWhereTheProviderHonoursIt(string sent, string received, string? reported)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, Money.FromDollars(5));

        using var response = await host.PostAsync(sent);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(received, Encoding.UTF8.GetString(fake.Requests[0].Body));
        Assert.Equal(reported, response.Header("x-gateway-output-limit"));
    }

    [Fact]
    public async Task Post_NoBudget_NoLimitIsWritten()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, null);

        using var response = await host.PostAsync("""{"model":"fake/m","max_tokens":5}""");

        Assert.Equal("""{"model":"m","max_tokens":5}""", Encoding.UTF8.GetString(fake.Requests[0].Body));
        Assert.Null(response.Header("x-gateway-output-limit"));
    }

    [Theory]
    [InlineData("""{"model":"capped","max_tokens":500}""", """{"model":"m","max_tokens":100}""")]
    [InlineData("""{"model":"capped","max_tokens":60}""", """{"model":"m","max_tokens":60}""")]
    [InlineData("""{"model":"capped"}""", """{"model":"m","max_tokens":100}""")]
    [InlineData("""{"model":"capped","max_completion_tokens":500}""", """{"model":"m","max_tokens":100}""")]
    [InlineData("""{"model":"capped","max_completion_tokens":500,"max_tokens":500}""", """{"model":"m","max_completion_tokens":100,"max_tokens":100}""")]
    public async Task Post_RouteCapsTheOutput_LargerLimitsAreLowered(string sent, string received)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(fake) with { OutputLimitMember = "max_tokens" }],
            Routes = [new Route { Name = "capped", Targets = [new Target("fake", "m")], MaxOutputTokens = 100 }],
        });

        using var response = await host.PostAsync(sent);

        Assert.Equal(received, Encoding.UTF8.GetString(fake.Requests[0].Body));
    }

    [Fact]
    public async Task Post_BudgetAffordsLessThanTheDefault_LimitIsLoweredToIt()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        var price = ProxyHost.Price(1, 10);
        fake.SpendTheLimit(price);
        await using var host = await StartAsync(fake, Money.FromDollars(0.01m), price);
        const string Body = """{"model":"fake/m","n":4}""";

        using var response = await host.PostAsync(Body);

        // 0.01 dollars less 24 input bytes at 1 dollar per million pay for 997.6 output tokens, 249 for each of four choices.
        Assert.Equal("249", response.Header("x-gateway-output-limit"));
        Assert.True(fake.Billed <= Money.FromDollars(0.01m));
        Assert.Equal(fake.Billed, Assert.Single(host.Ledger.Rows).Charged);
    }

    [Fact]
    public async Task Post_OutputIsFree_NoLimitIsWritten()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, Money.FromDollars(1), ProxyHost.Price(0, 0));

        using var response = await host.PostAsync("""{"model":"fake/m"}""");

        Assert.Equal("""{"model":"m"}""", Encoding.UTF8.GetString(fake.Requests[0].Body));
    }

    [Theory]
    [InlineData("web_search_options", "\"web_search_options\":{}")]
    [InlineData("service_tier", "\"service_tier\":\"priority\"")]
    [InlineData("models", "\"models\":[\"dearer\"]")]
    [InlineData("tools", "\"tools\":[{\"type\":\"web_search\"}]")]
    [InlineData("modalities", "\"modalities\":[\"text\",\"audio\"]")]
    [InlineData("messages[].content[].file", "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"file_id\":\"f\"}}]}]")]
    [InlineData("messages[].content[].input_audio", "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"\"}}]}]")]
    [InlineData("messages[].content[].type", "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"video_url\",\"video_url\":{}}]}]")]
    [InlineData("messages[].audio", "\"messages\":[{\"role\":\"assistant\",\"audio\":{\"id\":\"a\"}}]")]
    public async Task Post_BoundlessMemberUnderHardBudget_IsRefusedByName(string named, string member)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, Money.FromDollars(5));

        using var response = await host.PostAsync($$"""{"model":"fake/m",{{member}}}""");
        var text = await response.TextAsync();

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("\"code\":\"unbounded_cost\"", text, StringComparison.Ordinal);
        Assert.Contains(named, text, StringComparison.Ordinal);
        Assert.Equal("false", response.Header("x-should-retry"));
        Assert.Empty(fake.Requests);
    }

    [Fact]
    public async Task Post_BoundlessMemberOnRouteWithReservation_IsServed()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(fake)],
            Routes = [new Route { Name = "search", Targets = [new Target("fake", "search")], FixedReservation = Money.FromDollars(0.5m) }],
            Prices = [ProxyHost.Price(1, 1)],
            HardBudget = Money.FromDollars(1.2m),
        });
        fake.Enqueue(FakeReply.Hang);

        var first = host.PostAsync("""{"model":"search","web_search_options":{}}""");
        await fake.WaitForRequestsAsync(1);
        using var second = await host.PostAsync("""{"model":"search","web_search_options":{}}""");
        fake.Enqueue(FakeReply.Hang);
        var third = host.PostAsync("""{"model":"search","web_search_options":{}}""");
        await fake.WaitForRequestsAsync(3);
        using var fourth = await host.PostAsync("""{"model":"search","web_search_options":{}}""");

        Assert.Equal(HttpStatusCode.OK, second.StatusCode);
        Assert.Equal(HttpStatusCode.TooManyRequests, fourth.StatusCode);
        await fake.DisposeAsync();
        (await first).Dispose();
        (await third).Dispose();
    }

    [Fact]
    public async Task Post_UnknownPriceUnderHardBudget_IsRefused()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake)], HardBudget = Money.FromDollars(5) });

        using var response = await host.PostAsync("""{"model":"fake/m"}""");

        Assert.Contains("\"code\":\"unknown_price\"", await response.TextAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_UnknownPriceWithoutBudget_CostStaysUnknown()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake)] });

        using var response = await host.PostAsync("""{"model":"fake/m"}""");

        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((UsageSource.Reported, null), (row.Result.Source, row.Charged));
    }

    [Fact]
    public async Task Post_CostsMoreThanReserved_IsChargedInFull()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, Money.FromDollars(5));
        fake.Enqueue(FakeReply.Completion("much", 9, 1000));

        using var response = await host.PostAsync("""{"model":"fake/m","max_completion_tokens":10}""");

        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.True(row.Charged > row.Reserved);
        Assert.Equal(1009_000, row.Charged!.Value.Nano);
    }

    [Fact]
    public async Task Post_ImageParts_CountAtTheVendorsMaximum()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, Money.FromDollars(5), ProxyHost.Price(1, 1) with { MaxImageTokens = 1_000_000 });
        const string Image = """{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}""";

        using var response = await host.PostAsync($$$"""{"model":"fake/m","max_completion_tokens":1,"messages":[{"role":"user","content":[{{{string.Join(',', Enumerable.Repeat(Image, 3))}}}]}]}""");

        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.InRange(row.Reserved.Dollars, 3m, 3.001m);
    }

    [Fact]
    public async Task Post_UsageNotReportedUnderObservedPolicy_IsChargedByWhatPassed()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(fake)],
            Prices = [ProxyHost.Price(1, 1)],
            Settings = new GatewaySettings { UnknownUsage = UnknownUsagePolicy.Observed },
        });
        const string Answer = """{"choices":[]}""";
        const string Body = """{"model":"fake/m"}""";
        fake.Enqueue(FakeReply.Json(200, Answer));

        using var response = await host.PostAsync(Body);

        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((UsageSource.Observed, (Body.Length + Answer.Length) * 1000L), (row.Result.Source, row.Charged!.Value.Nano));
    }

    [Fact]
    public async Task Post_ManyAtOnceAgainstOneHardBudget_NeverSpendMore()
    {
        await using var first = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var second = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        var (price, dearer) = (ProxyHost.Price(0.5m, 8), ProxyHost.Price(1, 12, "second"));
        first.SpendTheLimit(price);
        second.SpendTheLimit(dearer);
        var spend = first.Otherwise;
        var count = 0;
        first.Otherwise = request => Interlocked.Increment(ref count) % 3 == 0 ? FakeReply.Error(503) : spend(request);
        var budget = Money.FromDollars(0.5m);
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(first), ProxyHost.Provider(second, "second") with { OutputLimitMember = "max_tokens" }],
            Routes = [new Route { Name = "both", Targets = [new Target("fake", "m"), new Target("second", "m")] }],
            Prices = [price, dearer],
            HardBudget = budget,
        });
        string[] bodies =
        [
            """{"model":"both","messages":[{"role":"user","content":"hello"}]}""",
            """{"model":"both","n":4,"messages":[]}""",
            """{"model":"both","max_tokens":200,"messages":[]}""",
            """{"model":"both","stream":true,"messages":[]}""",
        ];

        var responses = await Task.WhenAll(Enumerable.Range(0, 200).Select(i => host.PostAsync(bodies[i % bodies.Length])));
        foreach (var response in responses)
        {
            await response.TextAsync();
            Assert.Contains(response.StatusCode, (IEnumerable<HttpStatusCode>)[HttpStatusCode.OK, HttpStatusCode.TooManyRequests, HttpStatusCode.ServiceUnavailable]);
            response.Dispose();
        }

        var billed = first.Billed + second.Billed;
        Assert.True(billed <= budget, $"billed {billed}");
        Assert.Equal(billed.Nano, host.Ledger.Rows.Sum(row => row.Charged!.Value.Nano));
        Assert.All(host.Ledger.Rows, row => Assert.True(row.Charged <= row.Reserved));
        Assert.True(billed > Money.Zero);
    }

    [Fact]
    public void Snapshot_RouteIsWrong_EveryErrorIsReported()
    {
        var errors = new List<string>();
        var setup = new ProxySetup
        {
            Providers = [new Provider { Id = "odd", Dialect = "telepathy", Origin = "gateway.yaml" }],
            Routes =
            [
                new Route { Name = "a", Targets = [new Target("opnai", "m")], Defaults = ImmutableDictionary<string, string>.Empty.Add("m\u006fdel", "1").Add("seed", "{") },
                new Route { Name = "b", Targets = [], MaxOutputTokens = 0 },
            ],
        };
        var clock = TimeProvider.System;
        var egress = TestSupport.TestEgress.NewPolicy();
        using var clients = new Providers.ProviderClients(egress);
        var authorizers = new Providers.RequestAuthorizers(egress, clock, Microsoft.Extensions.Logging.Abstractions.NullLogger<Providers.RequestAuthorizers>.Instance);

        ProxyHost.Uncompiled(setup).Compile([new Routing.RouteTableCompiler(clients, authorizers, new Routing.TargetPipelines(clock))], errors);

        Assert.Equal(6, errors.Count);
        Assert.Contains(errors, error => error.Contains("'opnai'", StringComparison.Ordinal));
        Assert.Contains(errors, error => error.Contains("'telepathy'", StringComparison.Ordinal));
        Assert.Contains(errors, error => error.Contains("'model' cannot be a default", StringComparison.Ordinal));
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake, Money? budget, ModelPrice? price = null) => ProxyHost.StartAsync(new ProxySetup
    {
        Providers = [ProxyHost.Provider(fake)],
        Prices = [price ?? ProxyHost.Price(1, 1)],
        HardBudget = budget,
    });
}
