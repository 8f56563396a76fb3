using System.Collections.Immutable;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlmProxy.Dialects.Bedrock;
using LlmProxy.Relay;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests.Dialects.Anthropic;

/// <summary>Anthropic's format at its three hosts, on both sides of the gateway.</summary>
public sealed class HostsTests
{
    private const string Converse = RecordedTraffic.Bedrock;
    private const string Own = RecordedTraffic.Anthropic;
    private const string Bedrock = FakeVendor.AnthropicBedrock;
    private const string Vertex = FakeVendor.AnthropicVertex;
    private const string Messages = """{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"hi"}],"metadata":{"user_id":"u"},"unknown_yet":[1]}""";
    private const string MessagesStream = """{"stream":true,"model":"m","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}""";
    private const string Invoke = """{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["b-1","b-2"],"max_tokens":50,"messages":[{"role":"user","content":"hi"}],"unknown_yet":[1]}""";

    private static readonly string Answer = Encoding.UTF8.GetString(RecordedTraffic.Find(Own, "text.json").Read());

    public static TheoryData<string, string> Pairs => [.. from client in new[] { Own, Bedrock } from host in new[] { Own, Bedrock, Vertex } select (client, host)];

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Post_EachHost_TheAnswerPassesAsItIs(string client, string host)
    {
        await using var vendor = await FakeVendor.StartAsync(host, TestContext.Current.CancellationToken);
        await using var proxy = await StartAsync(vendor, host);

        using var response = await proxy.PostAsync(client == Own ? Messages : Invoke, path: PathOf(client, stream: false));

        Assert.Equal((HttpStatusCode.OK, Answer), (response.StatusCode, await response.TextAsync()));
        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
        var received = Assert.Single(vendor.Requests);
        Assert.Equal(UpstreamPathOf(host, stream: false), received.Path);
        AssertBody(host, client, stream: false, received);
        var row = Assert.Single(await proxy.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, UsageSource.Reported, true), (row.Result.Outcome, row.Result.Source, row.Result.Cost > Money.Zero));
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Post_EachHost_EveryEventOfAStreamPassesAsItIs(string client, string host)
    {
        await using var vendor = await FakeVendor.StartAsync(host, TestContext.Current.CancellationToken);
        vendor.Pieces = [7, 1, 64, 3];
        await using var proxy = await StartAsync(vendor, host);

        using var response = await proxy.PostAsync(client == Own ? MessagesStream : Invoke, path: PathOf(client, stream: true));
        var bytes = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);

        Assert.Equal(client == Own ? "text/event-stream" : "application/vnd.amazon.eventstream", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal(vendor.Stream.Events(), EventsOf(client, bytes));
        var received = Assert.Single(vendor.Requests);
        Assert.Equal(UpstreamPathOf(host, stream: true), received.Path);
        AssertBody(host, client, stream: true, received);
        var row = Assert.Single(await proxy.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, UsageSource.Reported, 12L, 9L), (row.Result.Outcome, row.Result.Source, row.Result.Usage.TotalInput, row.Result.Usage.TotalOutput));
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Post_TheHostRefuses_TheErrorHasTheClientsForm(string client, string host)
    {
        await using var vendor = await FakeVendor.StartAsync(host, TestContext.Current.CancellationToken);
        await using var proxy = await StartAsync(vendor, host);
        vendor.Enqueue(FakeReply.Json(429, FakeVendor.ErrorBody(host, 429, "Slow down.")) with { Headers = new Dictionary<string, string> { ["x-amzn-ErrorType"] = "ThrottlingException:http://internal.amazon.com/coral/" } });

        using var response = await proxy.PostAsync(client == Own ? Messages : Invoke, path: PathOf(client, stream: false));
        var error = JsonNode.Parse(await response.TextAsync())!;

        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.Equal("Slow down.", (string?)(client == Own ? error["error"]!["message"] : error["message"]));
        if (client == Bedrock)
        {
            Assert.StartsWith("ThrottlingException", response.Header("x-amzn-ErrorType"), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(Own, Bedrock)]
    [InlineData(Own, Vertex)]
    [InlineData(Bedrock, Own)]
    [InlineData(Bedrock, Bedrock)]
    public async Task Post_AStreamThatIsCut_SaysSo(string client, string host)
    {
        await using var vendor = await FakeVendor.StartAsync(host, TestContext.Current.CancellationToken);
        var whole = host == Bedrock ? FakeVendor.Chunks(vendor.Stream.Events()!) : vendor.Stream.Read();
        vendor.Enqueue(new FakeReply { ContentType = host == Bedrock ? "application/vnd.amazon.eventstream" : "text/event-stream", Pieces = [new FakePiece(whole[..^20])] });
        await using var proxy = await StartAsync(vendor, host);

        using var response = await proxy.PostAsync(client == Own ? MessagesStream : Invoke, path: PathOf(client, stream: true));
        var bytes = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);

        var row = Assert.Single(await proxy.Ledger.RowsAsync(1));
        if (host == Bedrock)
        {
            // A message that says how long it is, and is not: no guess makes it whole.
            Assert.Equal(CallOutcome.Broken, row.Result.Outcome);
            Assert.Contains(client == Own ? "api_error" : "internalServerException", Encoding.UTF8.GetString(bytes), StringComparison.Ordinal);
        }
        else
        {
            // All but the last event came, and the usage with it: the gateway completes it.
            Assert.Equal(CallOutcome.Succeeded, row.Result.Outcome);
            Assert.Equal(vendor.Stream.Events(), EventsOf(client, bytes));
        }
    }

    [Theory]
    [InlineData(Own)]
    [InlineData(Bedrock)]
    public async Task Post_BedrockThrottlesAmidAStream_TheClientIsToldInItsForm(string client)
    {
        await using var vendor = await FakeVendor.StartAsync(Bedrock, TestContext.Current.CancellationToken);
        var begun = new TaskCompletionSource();
        var exception = WireFormat.AwsEvent("throttlingException", "{\"message\":\"Too many tokens.\"}"u8, isException: true);
        vendor.Enqueue(new FakeReply { ContentType = "application/vnd.amazon.eventstream", Pieces = [new FakePiece(FakeVendor.Chunks(vendor.Stream.Events()!.Take(4))), new FakePiece(exception, begun.Task)] });
        await using var proxy = await StartAsync(vendor, Bedrock);

        using var response = await proxy.PostAsync(client == Own ? MessagesStream : Invoke, path: PathOf(client, stream: true));
        begun.SetResult();
        var text = Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));

        Assert.Contains(client == Own ? "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Too many tokens.\"}}" : "throttlingException", text, StringComparison.Ordinal);
        Assert.Equal(CallOutcome.Broken, Assert.Single(await proxy.Ledger.RowsAsync(1)).Result.Outcome);
    }

    [Theory]
    [InlineData(Own)]
    [InlineData(Bedrock)]
    public async Task Post_BedrockThrottlesFirst_TheStatusSaysSo(string client)
    {
        await using var vendor = await FakeVendor.StartAsync(Bedrock, TestContext.Current.CancellationToken);
        vendor.Enqueue(new FakeReply { ContentType = "application/vnd.amazon.eventstream", Pieces = [new FakePiece(WireFormat.AwsEvent("throttlingException", "{\"message\":\"Too many tokens.\"}"u8, isException: true))] });
        await using var proxy = await StartAsync(vendor, Bedrock);

        using var response = await proxy.PostAsync(client == Own ? MessagesStream : Invoke, path: PathOf(client, stream: true));

        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.Contains("Too many tokens.", await response.TextAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_BetasOfAHeader_StandInBedrocksBody()
    {
        await using var vendor = await FakeVendor.StartAsync(Bedrock, TestContext.Current.CancellationToken);
        await using var proxy = await StartAsync(vendor, Bedrock);
        using var handler = new SocketsHttpHandler();
        using var client = new HttpClient(handler) { BaseAddress = proxy.Address };
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("v1/messages", UriKind.Relative)) { Content = new StringContent(Messages, Encoding.UTF8, "application/json") };
        request.Headers.Add("anthropic-beta", "a-2026, b-2026");

        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var received = Assert.Single(vendor.Requests);
        Assert.Equal("""["a-2026","b-2026"]""", JsonNode.Parse(received.Body)!["anthropic_beta"]!.ToJsonString());
        Assert.False(received.Headers.ContainsKey("anthropic-beta"));
    }

    [Theory]
    [InlineData(RecordedTraffic.OpenAiChat)]
    [InlineData(RecordedTraffic.OpenAiResponses)]
    [InlineData(RecordedTraffic.Gemini)]
    [InlineData(Converse)]
    public async Task Post_InvokeOfAnotherFormat_IsTranslated(string dialect)
    {
        await using var vendor = await FakeVendor.StartAsync(dialect, TestContext.Current.CancellationToken);
        await using var proxy = await StartAsync(vendor, dialect, dialect == Converse ? ["converse"] : null);
        var words = string.Concat(vendor.Complete.Read() is var all && dialect == Converse ? JsonNode.Parse(all)!["output"]!["message"]!["content"]![0]!["text"]!.GetValue<string>() : "");

        using var response = await proxy.PostAsync(Invoke, path: PathOf(Bedrock, stream: false));
        var answer = JsonNode.Parse(await response.TextAsync())!;
        Assert.Equal(("message", "assistant"), ((string?)answer["type"], (string?)answer["role"]));
        Assert.Equal("text", (string?)answer["content"]![0]!["type"]);
        Assert.True(words.Length == 0 || words == (string?)answer["content"]![0]!["text"]);
        Assert.DoesNotContain("anthropic_version", response.Header("x-gateway-dropped") ?? "", StringComparison.Ordinal);

        using var streamed = await proxy.PostAsync(Invoke, path: PathOf(Bedrock, stream: true));
        var events = EventsOf(Bedrock, await streamed.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        Assert.Equal("application/vnd.amazon.eventstream", streamed.Content.Headers.ContentType!.MediaType);
        Assert.Equal(("message_start", "message_stop"), (TypeOf(events[0]), TypeOf(events[^1])));
        Assert.Contains("content_block_delta", events.Select(TypeOf));
        Assert.All(await proxy.Ledger.RowsAsync(2), row => Assert.Equal((CallOutcome.Succeeded, UsageSource.Reported), (row.Result.Outcome, row.Result.Source)));
    }

    [Fact]
    public async Task Post_RouteDefaultsAndLimit_StandInAnotherHostsBody()
    {
        await using var vendor = await FakeVendor.StartAsync(Vertex, TestContext.Current.CancellationToken);
        await using var proxy = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [Provider(vendor, Vertex, null)],
            Routes = [new Route { Name = "m", Targets = [new Target("host", "claude")], Defaults = ImmutableDictionary<string, string>.Empty.Add("temperature", "0.5"), MaxOutputTokens = 20 }],
        });

        using var response = await proxy.PostAsync("""{"model":"m", "max_tokens":50,"messages":[{"role":"user","content":"hi"}]}""", path: "/v1/messages");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("""{"temperature":0.5,"anthropic_version":"vertex-2023-10-16","max_tokens":20,"messages":[{"role":"user","content":"hi"}]}""", Encoding.UTF8.GetString(Assert.Single(vendor.Requests).Body));
    }

    private static void AssertBody(string host, string client, bool stream, FakeProviderRequest received)
    {
        var body = JsonNode.Parse(received.Body)!.AsObject();
        Assert.Equal(host == Own ? "claude" : null, (string?)body["model"]);
        Assert.Equal(host switch { Bedrock => "bedrock-2023-05-31", Vertex => "vertex-2023-10-16", _ => null }, (string?)body["anthropic_version"]);
        Assert.Equal(stream && host != Bedrock ? true : null, (bool?)body["stream"]);
        Assert.Equal(50, (int?)body["max_tokens"]);
        if (client == Bedrock || !stream)
        {
            Assert.Equal("[1]", body["unknown_yet"]!.ToJsonString());
        }
        if (client == Bedrock)
        {
            Assert.Equal(host == Bedrock ? """["b-1","b-2"]""" : null, body["anthropic_beta"]?.ToJsonString());
            Assert.Equal(host == Bedrock ? null : "b-1,b-2", received.Headers.GetValueOrDefault("anthropic-beta"));
        }
        Assert.Equal(host == Own ? "2023-06-01" : null, received.Headers.GetValueOrDefault("anthropic-version"));
    }

    private static string PathOf(string client, bool stream) => client == Own ? "/v1/messages" : stream ? "/bedrock/model/m/invoke-with-response-stream" : "/bedrock/model/m/invoke";

    private static string UpstreamPathOf(string host, bool stream) => host switch
    {
        Bedrock => stream ? "/model/claude/invoke-with-response-stream" : "/model/claude/invoke",
        Vertex => stream ? "/models/claude:streamRawPredict" : "/models/claude:rawPredict",
        _ => "/v1/messages",
    };

    private static string TypeOf(string data) => JsonNode.Parse(data)!["type"]!.GetValue<string>();

    private static List<string> EventsOf(string client, byte[] bytes)
    {
        if (client == Own)
        {
            return [.. Encoding.UTF8.GetString(bytes).Split('\n').Where(line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(line => line[6..])];
        }
        var (framer, events) = (new AwsEventStreamFramer(), new List<string>());
        while (framer.TryRead(bytes, out var frame))
        {
            Assert.Equal("chunk", Encoding.UTF8.GetString(StreamFramer.NameOf(bytes, frame)));
            using var payload = JsonDocument.Parse(framer.DataOf(bytes, frame).ToArray());
            events.Add(Encoding.UTF8.GetString(payload.RootElement.GetProperty("bytes").GetBytesFromBase64()));
            Assert.True(frame.End <= bytes.Length);
        }
        return events;
    }

    private static Provider Provider(FakeVendor vendor, string dialect, string[]? endpoints) => new()
    {
        Id = "host",
        Dialect = dialect,
        BaseAddress = dialect is Own or RecordedTraffic.OpenAiChat or RecordedTraffic.OpenAiResponses ? new Uri(vendor.Root, "v1") : vendor.Root,
        ApiKey = "sk-upstream",
        Models = ["claude"],
        Endpoints = endpoints is null ? null : [.. endpoints],
        MaxRetries = 0,
        Origin = "test",
    };

    private static Task<ProxyHost> StartAsync(FakeVendor vendor, string dialect, string[]? endpoints = null) => ProxyHost.StartAsync(new ProxySetup
    {
        Providers = [Provider(vendor, dialect, endpoints)],
        Routes = [new Route { Name = "m", Targets = [new Target("host", "claude")] }],
        Prices = [ProxyHost.Price(1, 2, "host")],
        HardBudget = Money.FromDollars(1),
    });
}
