using System.Globalization;
using System.Net;
using System.Text;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests;

public sealed class FallbackTests
{
    private const string Ask = """{"model":"both","messages":[]}""";

    [Theory]
    [InlineData(408)]
    [InlineData(409)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(503)]
    public async Task Post_FirstTargetFails_AnswersFromTheNext(int status)
    {
        await using var first = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var second = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(first, second);
        first.Enqueue(FakeReply.Error(status));

        using var response = await host.PostAsync(Ask);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("second", response.Header("x-gateway-provider"));
        Assert.Equal("2", response.Header("x-gateway-attempts"));
        var rows = await host.Ledger.RowsAsync(2);
        Assert.Equal((CallOutcome.Failed, UsageSource.None, status, Money.Zero), (rows[0].Result.Outcome, rows[0].Result.Source, rows[0].Result.Status, rows[0].Charged));
        Assert.Equal(CallOutcome.Succeeded, rows[1].Result.Outcome);
    }

    public static TheoryData<FakeReply, UsageSource> BrokenReplies => new()
    {
        { FakeReply.Reset, UsageSource.Reserved },
        { FakeReply.Json(200, "<html>it works</html>"), UsageSource.Reserved },
        { FakeReply.Json(200, """{"id":"chatcmpl-1","choices":[{"index":0"""), UsageSource.Reserved },
        { FakeReply.Json(200, """{"id":"chatcmpl-1"} trailing"""), UsageSource.Reserved },
        { FakeReply.Completion("cut") with { ContentLength = 5000, Ending = FakeEnding.Abort }, UsageSource.Reserved },
        { FakeReply.Json(200, """{"error":{"message":"overloaded","code":503}}"""), UsageSource.Reserved },
        { FakeReply.Json(302, "moved") with { Headers = new Dictionary<string, string> { ["Location"] = "http://127.0.0.1:1/" } }, UsageSource.None },
    };

    [Theory]
    [MemberData(nameof(BrokenReplies))]
    public async Task Post_FirstTargetAnswersNonsense_AnswersFromTheNext(FakeReply reply, UsageSource source)
    {
        await using var first = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var second = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(first, second);
        first.Enqueue(reply);

        using var response = await host.PostAsync(Ask);

        Assert.Equal("second", response.Header("x-gateway-provider"));
        var row = (await host.Ledger.RowsAsync(2))[0];
        Assert.Equal((CallOutcome.Broken, source), (row.Result.Outcome, row.Result.Source));
        Assert.Equal(source == UsageSource.Reserved ? row.Bound : Money.Zero, row.Charged);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(401)]
    [InlineData(404)]
    [InlineData(422)]
    public async Task Post_ClientError_IsRelayedUnmodifiedAndNotRetried(int status)
    {
        await using var first = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var second = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(first, second, retries: 2);
        var reply = FakeReply.Json(status, """{ "error" : {"message":"no","weird":1e400}}""") with { ContentType = "application/problem+json", Headers = new Dictionary<string, string> { ["retry-after"] = "5" } };
        first.Enqueue(reply);

        using var response = await host.PostAsync(Ask);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(reply.Pieces[0].Bytes, await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.ToString());
        Assert.Equal("5", response.Header("retry-after"));
        Assert.Equal("fake", response.Header("x-gateway-provider"));
        Assert.Single(first.Requests);
        Assert.Empty(second.Requests);
    }

    [Fact]
    public async Task Post_AllTargetsFail_RelaysTheLastUpstreamError()
    {
        await using var first = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var second = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(first, second);
        first.Enqueue(FakeReply.Error(503, "first"));
        second.Enqueue(FakeReply.Error(500, "second"));

        using var response = await host.PostAsync(Ask);

        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.Contains("\"second\"", await response.TextAsync(), StringComparison.Ordinal);
        Assert.Equal("2", response.Header("x-gateway-attempts"));
    }

    [Fact]
    public async Task Post_NothingListens_AnswersBadGatewayWithoutAddressesAndChargesNothing()
    {
        var gone = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        var provider = ProxyHost.Provider(gone);
        await gone.DisposeAsync();
        await using var host = await ProxyHost.StartAsync(new ProxySetup { Providers = [provider], Prices = [ProxyHost.Price(1, 1)], HardBudget = Money.FromDollars(1) });

        using var response = await host.PostAsync("""{"model":"fake/small","messages":[]}""");
        var text = await response.TextAsync();

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.DoesNotContain("127.0.0.1", text, StringComparison.Ordinal);
        Assert.Equal("""{"error":{"message":"The model's provider could not be reached, or its answer made no sense.","type":"server_error","param":null,"code":"upstream_error"}}""", text);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal(("connect", Money.Zero), (row.Result.Error, row.Charged));
    }

    public static TheoryData<string, string, double> RetryAfterForms => new()
    {
        { "retry-after-ms", "1500", 1.5 },
        { "retry-after", "3", 3 },
        { "retry-after", new DateTimeOffset(2026, 3, 1, 12, 0, 20, TimeSpan.Zero).ToString("R", CultureInfo.InvariantCulture), 20 },
    };

    [Theory]
    [MemberData(nameof(RetryAfterForms))]
    public async Task Post_RetryAfterGiven_RetriesThatMuchLater(string name, string value, double seconds)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        var clock = new WatchedClock();
        await using var host = await StartAsync(fake, null, retries: 1, clock);
        fake.Enqueue(FakeReply.Error(429) with { Headers = new Dictionary<string, string> { [name] = value } });

        var posting = host.PostAsync("""{"model":"fake/small","messages":[]}""");
        await clock.PassAsync(TimeSpan.FromSeconds(seconds));
        using var response = await posting;

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(2, fake.Requests.Count);
        Assert.Equal([0, 1], (await host.Ledger.RowsAsync(2)).Select(row => row.Index));
    }

    [Fact]
    public async Task Post_RetryAfterTooLong_GoesToTheNextTargetAtOnce()
    {
        await using var first = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var second = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(first, second, retries: 2, new WatchedClock());
        first.Enqueue(FakeReply.Error(429) with { Headers = new Dictionary<string, string> { ["retry-after"] = "31" } });

        using var response = await host.PostAsync(Ask);

        Assert.Equal("second", response.Header("x-gateway-provider"));
        Assert.Single(first.Requests);
    }

    [Fact]
    public async Task Post_HeadersDoNotCome_TimesOutAndFallsBack()
    {
        await using var first = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var second = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        var clock = new WatchedClock();
        await using var host = await StartAsync(first, second, clock: clock);
        first.Enqueue(FakeReply.Hang);

        var posting = host.PostAsync(Ask);
        await first.WaitForRequestsAsync(1);
        await clock.PassAsync(TimeSpan.FromSeconds(120));
        using var response = await posting;

        Assert.Equal("second", response.Header("x-gateway-provider"));
        await first.Requests[0].AbortedAsync();
        var row = (await host.Ledger.RowsAsync(2))[0];
        Assert.Equal(("timeout", UsageSource.Reserved, row.Bound), (row.Result.Error, row.Result.Source, row.Charged));
    }

    [Fact]
    public async Task Post_OnlyTargetTimesOut_AnswersGatewayTimeout()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        var clock = new WatchedClock();
        await using var host = await StartAsync(fake, null, clock: clock);
        fake.Enqueue(FakeReply.Hang);

        var posting = host.PostAsync("""{"model":"fake/small","messages":[]}""");
        await fake.WaitForRequestsAsync(1);
        await clock.PassAsync(TimeSpan.FromSeconds(120));
        using var response = await posting;

        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Contains("\"code\":\"upstream_timeout\"", await response.TextAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_ClientLeaves_UpstreamIsCancelled()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, null);
        fake.Enqueue(FakeReply.Hang);
        using var leave = new CancellationTokenSource();

        var posting = host.PostAsync("""{"model":"fake/small","messages":[]}""", leave.Token);
        await fake.WaitForRequestsAsync(1);
        await leave.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => posting);
        await fake.Requests[0].AbortedAsync();
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Cancelled, UsageSource.Reserved), (row.Result.Outcome, row.Result.Source));
    }

    [Fact]
    public async Task Post_ClientLeavesBeforeARetry_NothingMoreIsSent()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        var clock = new WatchedClock();
        await using var host = await StartAsync(fake, null, retries: 2, clock);
        fake.Otherwise = _ => FakeReply.Error(429) with { Headers = new Dictionary<string, string> { ["retry-after"] = "20" } };
        using var leave = new CancellationTokenSource();

        var posting = host.PostAsync("""{"model":"fake/small","messages":[]}""", leave.Token);
        await clock.TimerAsync(TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(20));
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => posting);
        await host.RequestEndedAsync();
        clock.Advance(TimeSpan.FromMinutes(1));

        Assert.Single(fake.Requests);
        Assert.Equal(CallOutcome.Failed, Assert.Single(host.Ledger.Rows).Result.Outcome);
    }

    [Fact]
    public async Task Post_SecondTargetHasAnotherOutputMember_EachGetsItsOwnEdits()
    {
        await using var first = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var second = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(first), ProxyHost.Provider(second, "second") with { OutputLimitMember = "max_tokens" }],
            Routes = [new Route { Name = "both", Targets = [new Target("fake", "one"), new Target("second", "two")], DefaultOutputTokens = 50 }],
        });
        first.Enqueue(FakeReply.Error(500));

        using var response = await host.PostAsync("""{"model":"both"}""");

        Assert.Equal("""{"model":"one","max_completion_tokens":50}""", Encoding.UTF8.GetString(first.Requests[0].Body));
        Assert.Equal("""{"model":"two","max_tokens":50}""", Encoding.UTF8.GetString(second.Requests[0].Body));
        Assert.Equal("50", response.Header("x-gateway-output-limit"));
    }

    [Fact]
    public async Task Post_TargetFailsAgainAndAgain_IsLeftAloneForAWhile()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, null, clock: new WatchedClock());
        fake.Otherwise = _ => FakeReply.Error(500);

        for (var i = 0; i < 20; i++)
        {
            using var failed = await host.PostAsync("""{"model":"fake/small"}""");
            Assert.Equal(HttpStatusCode.InternalServerError, failed.StatusCode);
        }
        using var response = await host.PostAsync("""{"model":"fake/small"}""");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.NotNull(response.Header("Retry-After"));
        Assert.Equal("0", response.Header("x-gateway-attempts"));
        Assert.Equal(20, fake.Requests.Count);
    }

    private static Task<ProxyHost> StartAsync(FakeProvider first, FakeProvider? second, int retries = 0, TimeProvider? clock = null) => ProxyHost.StartAsync(new ProxySetup
    {
        Providers = second is null ? [ProxyHost.Provider(first, retries: retries)] : [ProxyHost.Provider(first, retries: retries), ProxyHost.Provider(second, "second", retries)],
        Routes = second is null ? [] : [new Route { Name = "both", Targets = [new Target("fake", "small"), new Target("second", "small")] }],
        Prices = [ProxyHost.Price(1, 1), ProxyHost.Price(1, 1, "second")],
        Clock = clock ?? TimeProvider.System,
    });
}
