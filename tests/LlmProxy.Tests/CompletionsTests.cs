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

/// <summary>Text completions, and what they do otherwise than chat completions.</summary>
public sealed class CompletionsTests
{
    private const string Path = "/v1/completions";

    private const string Answer = """{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":" there","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3} }""";

    private const string UsageChunk = "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n\n";

    public static TheoryData<string> Vectors =>
    [
        """{"model":"m","prompt":"hi"}""",
        "  { \"prompt\" : [ \"a\" , \"b\\ud800\" ] ,\r\n \"model\":\t\"m\", \"logit_bias\":{\"50256\":-1e400} }\n",
        """{"model":"m","prompt":[1,2,3],"suffix":null,"suffix":"x","echo":true,"best_of":3,"n":2,"max_tokens":0}""",
        """{"model":"m","prompt":[[1,2],[3],[]],"stream":false,"stream_options":null,"temperature":0.10000000000000000001}""",
        """{"model":"m","prompt":null,"best_of":null}""",
    ];

    [Theory]
    [MemberData(nameof(Vectors))]
    public async Task Post_NoEditDue_UpstreamReceivesTheVeryBytes(string body)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [new Route { Name = "m", Targets = [new Target("fake", "m")] }]);
        fake.Enqueue(FakeReply.Json(200, Answer));
        var bytes = Encoding.UTF8.GetBytes(body);

        using var response = await host.PostAsync(bytes, path: Path);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(Answer, await response.TextAsync());
        var received = Assert.Single(fake.Requests);
        Assert.Equal(SHA256.HashData(bytes), SHA256.HashData(received.Body));
        Assert.Equal("/v1/completions", received.Path);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((UsageSource.Reported, 2L, 1L), (row.Result.Source, row.Result.Usage.TotalInput, row.Result.Usage.TotalOutput));
    }

    [Theory]
    [InlineData("""{"model":"fake/m"}""", """{"model":"m","max_tokens":16}""", "16")]
    [InlineData("""{"model":"fake/m","max_tokens":null}""", """{"model":"m","max_tokens":16}""", "16")]
    [InlineData("""{"model":"fake/m","max_tokens":77}""", """{"model":"m","max_tokens":77}""", null)]
    [InlineData("""{"model":"fake/m","max_tokens":0,"echo":true}""", """{"model":"m","max_tokens":0,"echo":true}""", null)]
    [InlineData("""{"model":"fake/m", "max_completion_tokens" : 77}""", """{"model":"m", "max_tokens" : 77}""", null)]
    public async Task Post_HardBudget_TheLimitStandsUnderMaxTokens(string sent, string received, string? reported)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [], Money.FromDollars(5), ProxyHost.Price(1, 10));
        fake.Enqueue(FakeReply.Json(200, Answer));

        using var response = await host.PostAsync(sent, path: Path);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(received, Encoding.UTF8.GetString(Assert.Single(fake.Requests).Body));
        Assert.Equal(reported, response.Header("x-gateway-output-limit"));
    }

    [Theory]
    [InlineData("\"prompt\":\"a\",\"max_tokens\":100", 100)]
    [InlineData("\"prompt\":\"a\",\"n\":3,\"max_tokens\":100", 300)]
    [InlineData("\"prompt\":\"a\",\"n\":2,\"best_of\":5,\"max_tokens\":100", 500)]
    [InlineData("\"best_of\":5,\"max_tokens\":100,\"prompt\":[\"a\",\"b\",\"c\"]", 1500)]
    [InlineData("\"prompt\":[[],[]],\"n\":2,\"max_tokens\":100", 400)]
    [InlineData("\"prompt\":[7],\"max_tokens\":100", 100)]
    [InlineData("\"prompt\":[\"a\",\"b\"]", 32)]
    public async Task Post_CandidatesAndPrompts_AllAreReserved(string members, long output)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [], Money.FromDollars(5), ProxyHost.Price(0, 10));
        fake.Enqueue(FakeReply.Json(200, $$"""{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":{{output}},"total_tokens":{{output + 9}} } }"""));

        using var response = await host.PostAsync($$"""{"model":"fake/m",{{members}}}""", path: Path);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((new Money(output * 10_000), row.Reserved), (row.Reserved, row.Charged));
    }

    [Theory]
    [InlineData("\"prompt\":\"a long prompt\",\"max_tokens\":10,\"echo\":true", 1, 1)]
    [InlineData("\"echo\":true,\"prompt\":[\"one\",\"another\"],\"n\":2,\"best_of\":3,\"max_tokens\":10", 2, 3)]
    public async Task Post_EchoBilledAsOutput_StaysWithinTheReservation(string members, int prompts, int candidates)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [], Money.FromDollars(5), ProxyHost.Price(0, 10));
        var body = $$"""{"model":"fake/m",{{members}}}""";
        // A token for each byte of each prompt in each of its candidates, and as many new ones as the limit lets through.
        var output = candidates * (body.Length + (10L * prompts));
        fake.Enqueue(FakeReply.Json(200, $$"""{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":{{output}},"total_tokens":{{output + 9}} } }"""));

        using var response = await host.PostAsync(body, path: Path);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal(new Money(output * 10_000), row.Charged);
        Assert.True(row.Charged <= row.Reserved, $"{row.Charged} charged, {row.Reserved} reserved");
    }

    [Fact]
    public async Task Post_TokenNumbersAndASuffix_TheSuffixCountsByItsBytes()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [], Money.FromDollars(5), ProxyHost.Price(1, 0));
        fake.Enqueue(FakeReply.Json(200, Answer));
        const string Body = """{"model":"fake/m","prompt":[100257,100258],"suffix":"the end of it all"}""";

        using var response = await host.PostAsync(Body, path: Path);

        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal(new Money((Body.Length - "[100257,100258]".Length + 2 + 2) * 1000L), row.Reserved);
    }

    [Theory]
    [InlineData("{\"prompt\":\"x\"}", "missing_required_parameter", "model")]
    [InlineData("{\"model\":\"fake/m\",\"prompt\":7}", "invalid_type", "prompt")]
    [InlineData("{\"model\":\"fake/m\",\"prompt\":{}}", "invalid_type", "prompt")]
    [InlineData("{\"model\":\"fake/m\",\"prompt\":[\"a\",[1]]}", "invalid_type", "prompt")]
    [InlineData("{\"model\":\"fake/m\",\"prompt\":[{\"type\":\"text\"}]}", "invalid_type", "prompt")]
    [InlineData("{\"model\":\"fake/m\",\"prompt\":[[\"a\"]]}", "invalid_type", "prompt")]
    [InlineData("{\"model\":\"fake/m\",\"best_of\":0}", "invalid_type", "best_of")]
    [InlineData("{\"model\":\"fake/m\",\"echo\":1}", "invalid_type", "echo")]
    [InlineData("{\"model\":\"fake/m\",\"echo\":false,\"ech\\u006f\":true}", "duplicate_member", "echo")]
    [InlineData("{\"model\":\"fake/m\",\"best_of\":\"3\"}", "invalid_type", "best_of")]
    [InlineData("{\"model\":\"fake/m\",\"max_tokens\":-1}", "invalid_type", "max_tokens")]
    [InlineData("{\"model\":\"fake/m\",\"stream\":1}", "invalid_type", "stream")]
    [InlineData("{\"model\":\"fake/m\",\"n\":1025}", "invalid_type", "n")]
    [InlineData("{\"model\":\"fake/m\",\"prompt\":\"a\",\"pr\\u006fmpt\":\"b\"}", "duplicate_member", "prompt")]
    [InlineData("{\"model\":\"fake/m\",\"best_of\":1,\"best\\u005fof\":2}", "duplicate_member", "best_of")]
    [InlineData("{\"model\":\"fake/m\",\"max_tokens\":1,\"max_tokens\":2}", "duplicate_member", "max_tokens")]
    public async Task Post_BadBody_IsA400ThatNamesTheMember(string body, string code, string? member)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, []);

        using var response = await host.PostAsync(body, path: Path);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = JsonDocument.Parse(await response.TextAsync()).RootElement.GetProperty("error");
        Assert.Equal((code, member), (error.GetProperty("code").GetString(), error.GetProperty("param").GetString()));
        Assert.Empty(fake.Requests);
    }

    [Fact]
    public async Task Post_TooManyAnswers_IsRefusedNamingThePrompt()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, []);
        var prompts = string.Join(',', Enumerable.Repeat("\"\"", 1000));

        using var response = await host.PostAsync($$"""{"model":"fake/m","prompt":[{{prompts}}],"best_of":1001}""", path: Path);

        var error = JsonDocument.Parse(await response.TextAsync()).RootElement.GetProperty("error");
        Assert.Equal(("invalid_type", "prompt"), (error.GetProperty("code").GetString(), error.GetProperty("param").GetString()));
    }

    [Fact]
    public async Task Stream_UsageNotAsked_IsAskedForBilledAndTakenOut()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, []);
        fake.Enqueue(FakeReply.Stream(Chunk("", null), Chunk("a", null), Chunk("b", null), Chunk("", "stop"), UsageChunk, FakeReply.Done));

        using var response = await host.PostAsync("""{"model":"fake/m","stream":true,"prompt":"x"}""", path: Path);

        Assert.Equal(Chunk("", null) + Chunk("a", null) + Chunk("b", null) + Chunk("", "stop") + FakeReply.Done, await response.TextAsync());
        Assert.Equal("""{"model":"m","stream_options":{"include_usage":true},"stream":true,"prompt":"x"}""", Encoding.UTF8.GetString(Assert.Single(fake.Requests).Body));
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, UsageSource.Reported, 5L, 2L), (row.Result.Outcome, row.Result.Source, row.Result.Usage.TotalInput, row.Result.Usage.TotalOutput));
    }

    [Fact]
    public async Task Stream_FirstText_ReachesTheClientBeforeTheUpstreamGoesOn()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, []);
        var more = new TaskCompletionSource();
        fake.Enqueue(FakeReply.Stream(Chunk("first", null), new FakePiece(Encoding.UTF8.GetBytes(Chunk(" second", "stop")), more.Task), UsageChunk, FakeReply.Done));

        using var response = await host.PostAsync("""{"model":"fake/m","stream":true,"prompt":"x"}""", path: Path);
        await using var stream = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        var first = new byte[Encoding.UTF8.GetByteCount(Chunk("first", null))];
        await stream.ReadExactlyAsync(first, TestContext.Current.CancellationToken);
        more.SetResult();
        using var rest = new StreamReader(stream);

        Assert.Equal(Chunk("first", null), Encoding.UTF8.GetString(first));
        Assert.Equal(Chunk(" second", "stop") + FakeReply.Done, await rest.ReadToEndAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Stream_BreaksBeforeAnyText_NextTargetAnswers()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [new Route { Name = "m", Targets = [new Target("fake", "a"), new Target("fake", "b")] }]);
        fake.Enqueue(
            FakeReply.Stream(Chunk("", null)) with { Ending = FakeEnding.Abort },
            FakeReply.Stream(Chunk("x", null), Chunk("", "length"), UsageChunk, FakeReply.Done));

        using var response = await host.PostAsync("""{"model":"m","stream":true,"prompt":"x"}""", path: Path);

        Assert.Equal(Chunk("x", null) + Chunk("", "length") + FakeReply.Done, await response.TextAsync());
        Assert.Equal("2", response.Header("x-gateway-attempts"));
        Assert.Equal([CallOutcome.Broken, CallOutcome.Succeeded], (await host.Ledger.RowsAsync(2)).Select(row => row.Result.Outcome));
    }

    [Fact]
    public async Task Stream_BreaksAfterText_EndsWithAnErrorAndNoDone()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, []);
        fake.Enqueue(FakeReply.Stream(Chunk("x", null)));

        using var response = await host.PostAsync("""{"model":"fake/m","stream":true,"prompt":"x"}""", path: Path);
        var text = await response.TextAsync();

        Assert.StartsWith(Chunk("x", null) + "data: {\"error\":", text, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_ClientLeaves_UpstreamIsCancelledAndTheReservationCharged()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, [], Money.FromDollars(1), ProxyHost.Price(1, 10));
        fake.Enqueue(FakeReply.Stream(Chunk("x", null)) with { Ending = FakeEnding.Hang });
        using var leaving = new CancellationTokenSource();

        using (var response = await host.PostAsync("""{"model":"fake/m","stream":true,"prompt":"x","max_tokens":10}""", leaving.Token, Path))
        {
            await leaving.CancelAsync();
        }

        await fake.Requests[0].AbortedAsync();
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Cancelled, row.Reserved), (row.Result.Outcome, row.Charged));
    }

    private static string Chunk(string text, string? finish) =>
        $$"""data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":{{JsonSerializer.Serialize(text)}},"index":0,"logprobs":null,"finish_reason":{{JsonSerializer.Serialize(finish)}}}]}""" + "\n\n";

    private static Task<ProxyHost> StartAsync(FakeProvider fake, System.Collections.Immutable.ImmutableArray<Route> routes, Money? budget = null, ModelPrice? price = null) =>
        ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake)], Routes = routes, HardBudget = budget, Prices = price is null ? [] : [price] });
}
