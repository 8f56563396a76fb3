using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using McpHub.Serving;
using ModelContextProtocol.Client;
using Shared.Snapshots;
using Shared.Tools;
using TestSupport;

namespace McpHub.Tests.Serving;

/// <summary>Clients on the HTTP+SSE of 2024-11-05, over real HTTP.</summary>
public sealed class LegacySseTests
{
    private const string Initialize = """{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"old","version":"1"}}}""";
    private const string Initialized = """{"jsonrpc":"2.0","method":"notifications/initialized"}""";
    private const string Ping = """{"jsonrpc":"2.0","id":9,"method":"ping"}""";

    private static readonly GatewaySettings On = new() { LegacySse = true };

    [Fact]
    public async Task SwitchedOff_IsNotThere()
    {
        await using var host = await HubHost.StartAsync();
        using var stream = new Wire(new Uri(host.Endpoint, "/mcp/sse"), HubHost.Key);
        using var messages = new Wire(new Uri(host.Endpoint, "/mcp/message?sessionId=x"), HubHost.Key);

        using var answer = await stream.GetAsync();
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await messages.PostAsync(Initialize)).Status);
    }

    [Fact]
    public async Task Client_ListsCallsHearsProgressAndChanges_AndIsGoneWithItsStream()
    {
        await using var host = await HubHost.StartAsync(settings: On);
        var changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var transport = new HttpClientTransport(new HttpClientTransportOptions
        {
            Endpoint = new Uri(host.Endpoint, "/mcp/sse"),
            TransportMode = HttpTransportMode.Sse,
            AdditionalHeaders = new Dictionary<string, string> { ["Authorization"] = $"Bearer {HubHost.Key}" },
        });
        await using (var client = await McpClient.CreateAsync(transport, new McpClientOptions
        {
            ProtocolVersion = "2024-11-05",
            Handlers = new McpClientHandlers { NotificationHandlers = [new("notifications/tools/list_changed", (_, _) => { changed.TrySetResult(); return default; })] },
        }, cancellationToken: TestContext.Current.CancellationToken))
        {
            Assert.Equal("2024-11-05", client.NegotiatedProtocolVersion);
            Assert.Contains(await client.ListToolsAsync(cancellationToken: TestContext.Current.CancellationToken), tool => tool.Name == "echo");
            await client.CallToolAsync("echo", cancellationToken: TestContext.Current.CancellationToken);
            Assert.Equal("echo", Assert.Single(host.Tools.Calls).Name);
            Assert.Equal(HubHost.Key, Assert.Single(host.Sessions.All).KeyId);

            host.Views.Set(HubHost.Key, FakeViews.NewView("""{"name":"other","inputSchema":{"type":"object"}}"""));
            await changed.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        }
        await UntilAsync(() => !host.Sessions.All.Any() && host.Memory.Held == 0);
        Assert.Equal(0, host.Sessions.CountOf(HubHost.Key));
    }

    [Fact]
    public async Task Stream_BeginsWithAnAddressOfItsOwn_AndAnswersComeOnIt()
    {
        await using var host = await HubHost.StartAsync(settings: On);
        host.Tools.Answer = async (_, call, _) =>
        {
            await call.OnProgress!("""{"progressToken":"p","progress":1}"""u8.ToArray());
            return FakeTools.Result(FakeTools.PlainResult);
        };
        using var client = await OldClient.OpenAsync(host);
        Assert.StartsWith("/mcp/message?sessionId=", client.Address, StringComparison.Ordinal);

        Assert.Equal(HttpStatusCode.Accepted, (await client.PostAsync(Initialize)).Status);
        Assert.Equal("2024-11-05", JsonNode.Parse(await client.NextAsync())!["result"]!["protocolVersion"]!.GetValue<string>());
        Assert.Equal(HttpStatusCode.Accepted, (await client.PostAsync(Initialized)).Status);
        await client.PostAsync("""{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"echo","_meta":{"progressToken":"p"}}}""");

        Assert.Equal("notifications/progress", JsonNode.Parse(await client.NextAsync())!["method"]!.GetValue<string>());
        var answer = JsonNode.Parse(await client.NextAsync())!;
        Assert.Equal("c", answer["id"]!.GetValue<string>());
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(FakeTools.PlainResult), answer["result"]));
        await UntilAsync(() => host.Memory.Held == 0);
    }

    [Fact]
    public async Task Client_CanBeAsked_ForWhatItDeclared()
    {
        await using var host = await HubHost.StartAsync(settings: On);
        host.Tools.Answer = async (_, call, token) => await call.Peer!.AskAsync("sampling/createMessage", "{\"messages\":[]}"u8.ToArray(), token);
        using var client = await OldClient.OpenAsync(host);
        await client.PostAsync(Initialize.Replace("\"capabilities\":{}", "\"capabilities\":{\"sampling\":{}}", StringComparison.Ordinal));
        await client.NextAsync();
        await client.PostAsync(Initialized);
        Assert.True(Assert.Single(host.Sessions.All).Peer.Can("sampling"));
        await client.PostAsync("""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}""");

        var asked = JsonNode.Parse(await client.NextAsync())!;
        Assert.Equal("sampling/createMessage", asked["method"]!.GetValue<string>());
        await client.PostAsync($$$"""{"jsonrpc":"2.0","id":{{{asked["id"]!.ToJsonString()}}},"result":{"role":"assistant","content":{"type":"text","text":"hi"},"model":"m"}}""");

        Assert.Equal("m", JsonNode.Parse(await client.NextAsync())!["result"]!["model"]!.GetValue<string>());
    }

    [Fact]
    public async Task StreamCut_CancelsItsCalls()
    {
        await using var host = await HubHost.StartAsync(settings: On);
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        host.Tools.Answer = async (_, _, token) =>
        {
            started.TrySetResult();
            await using var told = token.UnsafeRegister(_ => cancelled.TrySetResult(), null);
            await Task.Delay(Timeout.Infinite, token);
            return default;
        };
        using (var client = await OldClient.OpenAsync(host))
        {
            await client.PostAsync(Initialize);
            await client.PostAsync("""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}""");
            await started.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        }

        await cancelled.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await UntilAsync(() => host.Memory.Held == 0 && host.Legacy.Open == 0);
    }

    [Fact]
    public async Task Messages_OfAnotherKeyOrNobody_AreRefusedAlike()
    {
        await using var host = await HubHost.StartAsync(settings: On);
        using var client = await OldClient.OpenAsync(host);
        using var other = new Wire(new Uri(host.Endpoint, client.Address), HubHost.OtherKey);
        using var nobody = new Wire(new Uri(host.Endpoint, "/mcp/message?sessionId=0123456789abcdef0123456789abcdef"), HubHost.OtherKey);
        using var nameless = new Wire(new Uri(host.Endpoint, "/mcp/message"), HubHost.Key);

        var foreign = await other.PostAsync(Initialize);
        Assert.Equal(HttpStatusCode.NotFound, foreign.Status);
        Assert.Equal(foreign.Body, (await nobody.PostAsync(Initialize)).Body);
        Assert.Equal(foreign.Body, (await nameless.PostAsync(Initialize)).Body);
        using var keyless = new Wire(new Uri(host.Endpoint, "/mcp/sse"), "nobody");
        using var refused = await keyless.GetAsync();
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    [Theory]
    [InlineData(Ping, HttpStatusCode.BadRequest)]
    [InlineData("[" + Initialize + "]", HttpStatusCode.BadRequest)]
    [InlineData("not json", HttpStatusCode.BadRequest)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"initialize","\u006dethod":"tools/call"}""", HttpStatusCode.BadRequest)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}""", HttpStatusCode.BadRequest)]
    [InlineData("17", HttpStatusCode.BadRequest)]
    public async Task FirstMessage_ThatOpensNothing_IsRefused(string body, HttpStatusCode status)
    {
        await using var host = await HubHost.StartAsync(settings: On);
        using var client = await OldClient.OpenAsync(host);

        Assert.Equal(status, (await client.PostAsync(body)).Status);
        Assert.Empty(host.Sessions.All);
        Assert.Equal(0, host.Memory.Held);
        Assert.Equal(HttpStatusCode.Accepted, (await client.PostAsync(Initialize)).Status);
    }

    [Fact]
    public async Task Sessions_CountForTheKeysLimit()
    {
        await using var host = await HubHost.StartAsync(settings: On with { MaxSessionsPerKey = 1 });
        using var client = await OldClient.OpenAsync(host);
        await client.PostAsync(Initialize);
        await client.NextAsync();

        using var stream = new Wire(new Uri(host.Endpoint, "/mcp/sse"), HubHost.Key);
        using var refused = await stream.GetAsync();
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.NotNull(refused.Headers.RetryAfter);
    }

    [Fact]
    public async Task MessagesWithoutEnd_AreRefusedBeyondABound()
    {
        await using var host = await HubHost.StartAsync(settings: On);
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        host.Tools.Answer = async (_, _, token) =>
        {
            await release.Task.WaitAsync(token);
            return FakeTools.Result("{}");
        };
        using var client = await OldClient.OpenAsync(host);
        await client.PostAsync(Initialize);
        await client.NextAsync();
        await UntilAsync(() => host.Memory.Held == 0);
        for (var i = 0; i < LegacySseSession.MostPending; i++)
        {
            Assert.Equal(HttpStatusCode.Accepted, (await client.PostAsync($$$"""{"jsonrpc":"2.0","id":{{{i + 1}}},"method":"tools/call","params":{"name":"slow"}}""")).Status);
        }

        Assert.Equal(HttpStatusCode.TooManyRequests, (await client.PostAsync(Ping)).Status);
        release.SetResult();
        for (var i = 0; i < LegacySseSession.MostPending; i++)
        {
            await client.NextAsync();
        }
        await UntilAsync(() => host.Memory.Held == 0);
        Assert.Equal(HttpStatusCode.Accepted, (await client.PostAsync(Ping)).Status);
    }

    [Fact]
    public async Task KeyRevoked_EndsTheStream()
    {
        await using var host = await HubHost.StartAsync(settings: On);
        using var client = await OldClient.OpenAsync(host);
        await client.PostAsync(Initialize);
        await client.NextAsync();

        host.Publish([HubHost.NewKey(HubHost.Key, revoked: DateTimeOffset.UnixEpoch), HubHost.NewKey(HubHost.OtherKey)], On);

        await client.EndAsync();
        await UntilAsync(() => !host.Sessions.All.Any());
    }

    [Fact]
    public async Task Stream_ThatOpensNoSession_IsClosed()
    {
        var clock = new WatchedClock();
        await using var host = await HubHost.StartAsync(clock, settings: On);
        using var client = await OldClient.OpenAsync(host);

        await clock.TimerAsync(LegacySseEndpoints.OpeningTime);
        clock.Advance(LegacySseEndpoints.OpeningTime);

        await client.EndAsync();
        await UntilAsync(() => host.Legacy.Open == 0);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var guard = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        guard.CancelAfter(TimeSpan.FromSeconds(30));
        while (!condition())
        {
            guard.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    /// <summary>A client that reads the stream line by line.</summary>
    private sealed class OldClient : IDisposable
    {
        private readonly Wire stream;
        private readonly HttpResponseMessage response;
        private readonly StreamReader reader;
        private Wire messages = null!;

        private OldClient(Wire stream, HttpResponseMessage response, StreamReader reader) => (this.stream, this.response, this.reader) = (stream, response, reader);

        public string Address { get; private set; } = "";

        public static async Task<OldClient> OpenAsync(HubHost host, string key = HubHost.Key)
        {
            var stream = new Wire(new Uri(host.Endpoint, "/mcp/sse"), key);
            var response = await stream.GetAsync();
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            var client = new OldClient(stream, response, new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken), Encoding.UTF8));
            Assert.Equal("event: endpoint", await client.LineAsync());
            client.Address = await client.NextAsync();
            client.messages = new Wire(new Uri(host.Endpoint, client.Address), key);
            return client;
        }

        public Task<WireAnswer> PostAsync(string body) => messages.PostAsync(body);

        public async Task<string> NextAsync()
        {
            while (await LineAsync() is { } line)
            {
                if (line.StartsWith("data: ", StringComparison.Ordinal))
                {
                    return line["data: ".Length..];
                }
            }
            throw new InvalidOperationException("The stream ended.");
        }

        /// <summary>Waits for the end of the stream.</summary>
        public async Task EndAsync()
        {
            while (await LineAsync() is not null)
            {
            }
        }

        public void Dispose()
        {
            reader.Dispose();
            response.Dispose();
            stream.Dispose();
            messages.Dispose();
        }

        private Task<string?> LineAsync() => reader.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }
}
