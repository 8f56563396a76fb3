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

public sealed class ModerationsTests
{
    private const string Path = "/v1/moderations";

    private const string Answer = """{"id":"modr-1","model":"m","results":[{"flagged":false,"categories":{},"category_scores":{}}]}""";

    public static TheoryData<string> Vectors =>
    [
        """{"model":"m","input":"hi"}""",
        "  { \"input\" : [ \"a\" , \"b\\ud800\" ] ,\r\n \"model\":\t\"m\", \"x\":1e400 }\n",
        """{"model":"m","input":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:,"}}],"y":1,"y":2}""",
    ];

    [Theory]
    [MemberData(nameof(Vectors))]
    public async Task Post_NoEditDue_UpstreamReceivesTheVeryBytes(string body)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, null, null);
        fake.Enqueue(FakeReply.Json(200, Answer));
        var bytes = Encoding.UTF8.GetBytes(body);

        using var response = await host.PostAsync(bytes, path: Path);

        Assert.Equal((HttpStatusCode.OK, Answer), (response.StatusCode, await response.TextAsync()));
        var received = Assert.Single(fake.Requests);
        Assert.Equal(SHA256.HashData(bytes), SHA256.HashData(received.Body));
        Assert.Equal("/v1/moderations", received.Path);
    }

    [Fact]
    public async Task Post_PriceOfZero_IsFreeUnderAHardBudget()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, new Money(1), ProxyHost.Price(0, 0));
        fake.Enqueue(FakeReply.Json(200, Answer));

        using var response = await host.PostAsync("""{"model":"m","input":"x"}""", path: Path);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("""{"model":"m","input":"x"}""", Encoding.UTF8.GetString(Assert.Single(fake.Requests).Body));
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, Money.Zero), (row.Result.Outcome, row.Charged));
    }

    [Fact]
    public async Task Post_PricedAndNoUsageReported_TheReservationIsCharged()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, Money.FromDollars(1), ProxyHost.Price(1, 50));
        fake.Enqueue(FakeReply.Json(200, Answer));

        using var response = await host.PostAsync("""{"model":"m","input":"x"}""", path: Path);

        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((UsageSource.Reserved, new Money(25_000)), (row.Result.Source, row.Charged)); // 25 bytes at 1 dollar per million
    }

    [Fact]
    public async Task Post_NoPriceUnderAHardBudget_FollowsThePolicyForUnknownPrices()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, Money.FromDollars(1), null);

        using var response = await host.PostAsync("""{"model":"m","input":"x"}""", path: Path);
        using var chat = await host.PostAsync("""{"model":"m","messages":[]}""");

        Assert.Equal((chat.StatusCode, await chat.TextAsync()), (response.StatusCode, await response.TextAsync()));
        Assert.NotEqual(HttpStatusCode.OK, response.StatusCode);
        Assert.Empty(fake.Requests);
    }

    [Theory]
    [InlineData("{\"input\":\"x\"}", "missing_required_parameter", "model")]
    [InlineData("{\"model\":\"m\",\"input\":7}", "invalid_type", "input")]
    [InlineData("{\"model\":\"m\",\"input\":{}}", "invalid_type", "input")]
    [InlineData("{\"model\":\"m\",\"input\":[null]}", "invalid_type", "input")]
    [InlineData("{\"model\":\"m\",\"input\":\"a\",\"input\":\"b\"}", "duplicate_member", "input")]
    public async Task Post_BadBody_IsA400ThatNamesTheMember(string body, string code, string? member)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, null, null);

        using var response = await host.PostAsync(body, path: Path);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = JsonDocument.Parse(await response.TextAsync()).RootElement.GetProperty("error");
        Assert.Equal((code, member), (error.GetProperty("code").GetString(), error.GetProperty("param").GetString()));
        Assert.Empty(fake.Requests);
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake, Money? budget, ModelPrice? price) => ProxyHost.StartAsync(new ProxySetup
    {
        Providers = [ProxyHost.Provider(fake)],
        Routes = [new Route { Name = "m", Targets = [new Target("fake", "m")] }],
        HardBudget = budget,
        Prices = price is null ? [] : [price],
    });
}
