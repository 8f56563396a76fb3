using System.Net;
using System.Text;
using System.Text.Json;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests;

public sealed class StreamingTests
{
    private const string Ask = """{"model":"fake/small","stream":true,"messages":[]}""";
    private const string AskWithUsage = """{"model":"fake/small","stream":true,"stream_options":{"include_usage":true},"messages":[]}""";

    [Fact]
    public async Task Stream_Complete_IsForwardedByteForByteWithoutTheUsageChunk()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(FakeReply.Stream(": ping\n\n", FakeReply.Role(), FakeReply.Content("a"), FakeReply.Content("b"), FakeReply.Finish(), FakeReply.Usage(5, 2), FakeReply.Done));

        using var response = await host.PostAsync(Ask);

        Assert.Equal("text/event-stream; charset=utf-8", response.Content.Headers.ContentType?.ToString());
        Assert.Equal(": ping\n\n" + FakeReply.Role() + FakeReply.Content("a") + FakeReply.Content("b") + FakeReply.Finish() + FakeReply.Done, await response.TextAsync());
        Assert.Equal("""{"model":"small","stream_options":{"include_usage":true},"stream":true,"messages":[]}""", Encoding.UTF8.GetString(fake.Requests[0].Body));
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, UsageSource.Reported, 5L, 2L), (row.Result.Outcome, row.Result.Source, row.Result.Usage.TotalInput, row.Result.Usage.TotalOutput));
    }

    [Fact]
    public async Task Stream_ClientAskedForUsage_GetsTheUsageChunk()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(FakeReply.Stream(FakeReply.Content("a"), FakeReply.Finish(), FakeReply.Usage(5, 2), FakeReply.Done));

        using var response = await host.PostAsync(AskWithUsage);

        Assert.Equal(FakeReply.Content("a") + FakeReply.Finish() + FakeReply.Usage(5, 2) + FakeReply.Done, await response.TextAsync());
        Assert.Equal(AskWithUsage.Replace("fake/small", "small", StringComparison.Ordinal), Encoding.UTF8.GetString(fake.Requests[0].Body));
    }

    [Theory]
    [InlineData("\"stream_options\":null", "\"stream_options\":{\"include_usage\":true}")]
    [InlineData("\"stream_options\":{}", "\"stream_options\":{\"include_usage\":true}")]
    [InlineData("\"stream_options\":{ \"x\":1}", "\"stream_options\":{\"include_usage\":true, \"x\":1}")]
    [InlineData("\"stream_options\":{\"include_usage\": false }", "\"stream_options\":{\"include_usage\": true }")]
    [InlineData("\"stream_options\":{\"include\\u005fusage\":null}", "\"stream_options\":{\"include\\u005fusage\":true}")]
    public async Task Stream_UsageNotAsked_IsAskedForByTheSmallestEdit(string sent, string received)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(FakeReply.Stream(FakeReply.Content("a"), FakeReply.Finish(), FakeReply.Usage(5, 2), FakeReply.Done));

        using var response = await host.PostAsync($$"""{"model":"fake/small",{{sent}},"stream":true}""");

        Assert.Equal($$"""{"model":"small",{{received}},"stream":true}""", Encoding.UTF8.GetString(fake.Requests[0].Body));
        Assert.DoesNotContain("\"choices\":[]", await response.TextAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_FirstContent_ReachesTheClientBeforeTheUpstreamGoesOn()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        var more = new TaskCompletionSource();
        fake.Enqueue(FakeReply.Stream(FakeReply.Role(), FakeReply.Content("a"), new FakePiece(Encoding.UTF8.GetBytes(FakeReply.Finish() + FakeReply.Done), more.Task)));

        using var response = await host.PostAsync(Ask);
        await using var stream = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        var expected = FakeReply.Role() + FakeReply.Content("a");
        var received = new byte[expected.Length];
        await stream.ReadExactlyAsync(received, TestContext.Current.CancellationToken);
        more.SetResult();

        Assert.Equal(expected, Encoding.UTF8.GetString(received));
    }

    [Fact]
    public async Task Stream_OnlyLifecycleEvents_AreHeldBackUntilContentComes()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var second = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, second);
        fake.Enqueue(FakeReply.Stream(FakeReply.Role(), FakeReply.Content("")) with { Ending = FakeEnding.Abort });
        second.Enqueue(FakeReply.Stream(FakeReply.Content("second"), FakeReply.Finish(), FakeReply.Done));

        using var response = await host.PostAsync("""{"model":"both","stream":true,"messages":[]}""");

        Assert.Equal(FakeReply.Content("second") + FakeReply.Finish() + FakeReply.Done, await response.TextAsync());
        Assert.Equal("second", response.Header("x-gateway-provider"));
        Assert.Equal("2", response.Header("x-gateway-attempts"));
    }

    [Theory]
    [InlineData(FakeEnding.Complete)]
    [InlineData(FakeEnding.Abort)]
    public async Task Stream_CutAfterContent_EndsWithAnErrorEventAndNoDone(FakeEnding ending)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var second = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, second);
        var seen = new TaskCompletionSource();
        fake.Enqueue(FakeReply.Stream(FakeReply.Role(), FakeReply.Content("a"), new FakePiece("data: {\"id\":\"half"u8.ToArray(), seen.Task)) with { Ending = ending });

        // The headers come with the first content, so what happens from here on is too late for another target.
        using var response = await host.PostAsync("""{"model":"both","stream":true,"messages":[]}""");
        seen.SetResult();
        var text = await response.TextAsync();

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.StartsWith(FakeReply.Role() + FakeReply.Content("a") + "data: {\"error\":{", text, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
        Assert.DoesNotContain("half", text, StringComparison.Ordinal);
        var error = JsonDocument.Parse(text[(text.LastIndexOf("data: ", StringComparison.Ordinal) + 6)..]).RootElement.GetProperty("error");
        Assert.Equal("upstream_stream_broken", error.GetProperty("code").GetString());
        Assert.Empty(second.Requests);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Broken, UsageSource.Reserved), (row.Result.Outcome, row.Result.Source));
    }

    [Fact]
    public async Task Stream_ErrorEventAfterContent_IsForwardedAndEndsTheStream()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        const string Error = "data: {\"error\":{\"message\":\"overloaded\",\"code\":529}}\n\n";
        var seen = new TaskCompletionSource();
        fake.Enqueue(FakeReply.Stream(FakeReply.Content("a"), new FakePiece(Encoding.UTF8.GetBytes(Error), seen.Task), FakeReply.Done));

        using var response = await host.PostAsync(Ask);
        seen.SetResult();

        Assert.Equal(FakeReply.Content("a") + Error, await response.TextAsync());
        Assert.Equal(CallOutcome.Broken, Assert.Single(await host.Ledger.RowsAsync(1)).Result.Outcome);
    }

    [Fact]
    public async Task Stream_ErrorEventBeforeContent_FallsBackElseRelaysTheError()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(FakeReply.Stream(FakeReply.Role(), "event: error\ndata: {\"error\":{\"message\":\"overloaded\"}}\n\n"));

        using var response = await host.PostAsync(Ask);

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Equal("""{"error":{"message":"overloaded"}}""", await response.TextAsync());
    }

    [Theory]
    [InlineData("data: [DONE]\n")]
    [InlineData("data:[DONE]")]
    [InlineData("")]
    public async Task Stream_CompleteButForItsLastLine_IsCompleted(string end)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        var finish = FakeReply.Finish().Replace("\"usage\":null", "\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":1}", StringComparison.Ordinal);
        fake.Enqueue(FakeReply.Stream(FakeReply.Content("a"), finish, end));

        using var response = await host.PostAsync(Ask);

        Assert.Equal(FakeReply.Content("a") + finish + FakeReply.Done, await response.TextAsync());
        Assert.Equal(5, Assert.Single(await host.Ledger.RowsAsync(1)).Result.Usage.Total);
    }

    [Theory]
    [InlineData("data: [DONE] \n\n")]
    [InlineData("data: [DONE]\ndata:\n\n")]
    public async Task Stream_InexactDone_IsNoEnd(string done)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        var seen = new TaskCompletionSource();
        fake.Enqueue(FakeReply.Stream(FakeReply.Content("a"), new FakePiece(Encoding.UTF8.GetBytes(done), seen.Task)));

        using var response = await host.PostAsync(Ask);
        seen.SetResult();

        Assert.Contains("upstream_stream_broken", await response.TextAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_Stalls_EndsWithATimeoutEvent()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        var clock = new WatchedClock();
        var provider = ProxyHost.Provider(fake) with { StallTimeout = TimeSpan.FromSeconds(7), HeaderTimeout = TimeSpan.FromSeconds(50) };
        await using var host = await ProxyHost.StartAsync(new ProxySetup { Providers = [provider], Clock = clock });
        fake.Enqueue(FakeReply.Stream(FakeReply.Content("a")) with { Ending = FakeEnding.Hang });

        using var response = await host.PostAsync(Ask);
        var text = response.TextAsync();
        await clock.PassAsync(TimeSpan.FromSeconds(7));

        // The timer was set for the first piece; for the silence after it, the clock has to move once more.
        while (!fake.Requests[0].IsAborted && await Task.WhenAny(text, clock.TimerAsync(TimeSpan.Zero, TimeSpan.FromSeconds(7))) != text)
        {
            clock.Advance(TimeSpan.FromSeconds(7));
        }

        Assert.Contains("upstream_timeout", await text, StringComparison.Ordinal);
        await fake.Requests[0].AbortedAsync();
        Assert.Equal("timeout", Assert.Single(await host.Ledger.RowsAsync(1)).Result.Error);
    }

    [Fact]
    public async Task Stream_ClientLeaves_UpstreamIsCancelledAndTheAttemptSettled()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(FakeReply.Stream(FakeReply.Content("a")) with { Ending = FakeEnding.Hang });

        using (await host.PostAsync(Ask))
        {
            // Leaving the block closes the connection in the middle of the stream.
        }

        await fake.Requests[0].AbortedAsync();
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Cancelled, UsageSource.Reserved), (row.Result.Outcome, row.Result.Source));
    }

    [Fact]
    public async Task Stream_UpstreamAnswersJson_IsAnInvalidResponse()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);

        using var response = await host.PostAsync(Ask);

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Contains("\"code\":\"upstream_error\"", await response.TextAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_Bodies_AllMemoryIsGivenBack()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(FakeReply.Stream(FakeReply.Content(new string('x', 100_000)), FakeReply.Finish(), FakeReply.Usage(1, 1), FakeReply.Done));

        using (var response = await host.PostAsync(Ask))
        {
            Assert.Contains("xxx", await response.TextAsync(), StringComparison.Ordinal);
        }
        using (var response = await host.PostAsync("""{"model":"fake/small"}"""))
        {
            await response.TextAsync();
        }
        await host.RequestEndedAsync();
        await host.RequestEndedAsync();

        Assert.Equal(0, host.Memory.Held);
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake, FakeProvider? second = null) => ProxyHost.StartAsync(new ProxySetup
    {
        Providers = second is null ? [ProxyHost.Provider(fake)] : [ProxyHost.Provider(fake), ProxyHost.Provider(second, "second")],
        Routes = second is null ? [] : [new Route { Name = "both", Targets = [new Target("fake", "small"), new Target("second", "small")] }],
        Prices = [ProxyHost.Price(1, 1), ProxyHost.Price(1, 1, "second")],
    });
}
