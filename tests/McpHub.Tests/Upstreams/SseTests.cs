using McpHub.Upstreams;
using Microsoft.Extensions.Logging.Abstractions;
using Shared.Snapshots;

namespace McpHub.Tests.Upstreams;

/// <summary>Tool servers over the HTTP+SSE of 2024-11-05, on real sockets.</summary>
public sealed class SseTests : IAsyncLifetime
{
    private readonly HttpMessageInvoker client = ToolServerConnections.NewClient(TestSupport.TestEgress.NewPolicy(), Shared.Egress.EgressTrust.Operator);
    private SseServer fake = null!;

    public async ValueTask InitializeAsync() => fake = await SseServer.StartAsync();

    public async ValueTask DisposeAsync()
    {
        client.Dispose();
        await fake.DisposeAsync();
    }

    [Fact]
    public async Task Connect_OldServer_IsListedAndCalledOverTheOneStream()
    {
        await using var server = await ConnectAsync(Manifest() with { Headers = Manifest().Headers.Add("Authorization", "Bearer upstream-token") });

        Assert.Equal("2024-11-05", server.ProtocolVersion);
        Assert.Equal("""{"name":"echo","inputSchema":{"type":"object"}}""", Calls.Utf8(Assert.Single(await server.ListToolsAsync(TestContext.Current.CancellationToken))));
        Assert.Equal("called", Calls.TextOf(await server.CallAsync("echo")));
        Assert.Equal(["initialize", "notifications/initialized", "tools/list", "tools/call"], fake.Posts.Select(post => post.Method));
        Assert.Single(fake.Gets);
        Assert.Equal("text/event-stream", fake.Gets.Single()["Accept"]);
        Assert.All(fake.Posts.Select(post => post.Headers).Append(fake.Gets.Single()), headers => Assert.Equal("Bearer upstream-token", headers["Authorization"]));
    }

    [Fact]
    public async Task Connect_AbsoluteAddressOfItsOwn_IsTaken()
    {
        fake.Opening = address => $": hello\nevent: endpoint\ndata: {new Uri(fake.Endpoint, address).AbsoluteUri}\n\n";

        await using var server = await ConnectAsync();

        Assert.Equal("called", Calls.TextOf(await server.CallAsync("echo")));
    }

    [Theory]
    [InlineData("http://127.0.0.1:1/messages")]
    [InlineData("http://169.254.169.254/latest/meta-data")]
    [InlineData("https://evil.example.com/messages")]
    [InlineData("//evil.example.com/messages")]
    [InlineData("file:///etc/passwd")]
    [InlineData("gopher://127.0.0.1/x")]
    [InlineData("/\\evil.example.com/messages")]
    [InlineData("http://user:password@SELF/messages")]
    [InlineData("https://SELF/messages")]
    [InlineData("/messages with spaces")]
    [InlineData("/méssages")]
    public async Task Connect_AddressOfAnotherOrigin_IsRefusedAndNothingIsSentThere(string address)
    {
        fake.Opening = _ => $"event: endpoint\ndata: {address.Replace("SELF", fake.Endpoint.Authority, StringComparison.Ordinal)}\n\n";

        var refused = await Assert.ThrowsAsync<UpstreamException>(() => ConnectAsync());

        Assert.Equal(UpstreamReasons.EndpointRefused, refused.Reason);
        Assert.DoesNotContain("evil", refused.Message, StringComparison.Ordinal);
        Assert.Empty(fake.Posts);
    }

    [Fact]
    public async Task Connect_SecondAddressLater_IsNotFollowed()
    {
        await using var server = await ConnectAsync();
        fake.Push("event: endpoint\ndata: http://127.0.0.1:1/elsewhere\n\n");

        Assert.Equal("called", Calls.TextOf(await server.CallAsync("echo")));
        Assert.Equal("called", Calls.TextOf(await server.CallAsync("echo")));
    }

    [Fact]
    public async Task Connect_StreamWithoutAnAddress_EndsWithTheTimeAllowed()
    {
        fake.Opening = _ => ": nothing yet\n\n";

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ConnectAsync(timeout: TimeSpan.FromMilliseconds(300)));
    }

    [Theory]
    [InlineData("event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n")]
    [InlineData("data: no event\n\n")]
    public async Task Connect_MessagesBeforeTheAddress_AnswerNothing(string early)
    {
        fake.Opening = address => $"{early}event: endpoint\ndata: {address}\n\n";

        await using var server = await ConnectAsync();

        Assert.Equal("2024-11-05", server.ProtocolVersion);
    }

    [Fact]
    public async Task Call_StreamEnds_FailsAtOnceAndTheConnectionIsLost()
    {
        await using var server = await ConnectAsync();
        fake.Answer = (method, id, body) =>
        {
            fake.EndStreams();
            return null;
        };

        var failure = await server.FailAsync("echo");

        Assert.Equal(UpstreamReasons.Broken, failure.Reason);
        Assert.Equal(UpstreamReasons.Broken, (await server.Lost.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken)).Reason);
    }

    [Fact]
    public async Task Call_ServerForgotTheSession_SaysSoAndWasNotSent()
    {
        await using var server = await ConnectAsync();
        fake.StatusOf = _ => 404;

        var failure = await server.FailAsync("echo");

        Assert.Equal((UpstreamReasons.SessionLost, false), (failure.Reason, failure.WasSent));
    }

    [Fact]
    public async Task Stream_MessageTooLarge_EndsTheConnection()
    {
        await using var server = await ConnectAsync(Manifest() with { MaxMessageBytes = 4096 });

        fake.Push($"event: message\ndata: {new string('x', 10_000)}");

        Assert.Equal(UpstreamReasons.TooLarge, (await server.Lost.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken)).Reason);
    }

    [Fact]
    public async Task Upstream_StreamBreaks_IsConnectedAnew()
    {
        using var connections = Connections();
        var ready = new SemaphoreSlim(0);
        await using var upstream = new Upstream(Manifest(), connections.ConnectAsync, _ => ready.Release(), TimeProvider.System, NullLogger.Instance);
        await UntilAsync(ready, () => upstream.Current.State == UpstreamStatus.Ready);

        fake.EndStreams();

        await UntilAsync(ready, () => upstream.Current.State == UpstreamStatus.Ready && fake.Gets.Count == 2);
        Assert.Equal("called", Calls.TextOf(await upstream.CallAsync(Calls.New("echo"), TestContext.Current.CancellationToken)));
    }

    [Theory]
    [InlineData(400)]
    [InlineData(404)]
    [InlineData(405)]
    [InlineData(415)]
    public async Task Connect_StreamableHttpRefused_FallsBack(int status)
    {
        fake.StatusOfOtherPosts = status;
        using var connections = Connections();

        await using var server = await connections.ConnectAsync(Manifests.Http(fake.Endpoint), ClientOffer.Shared, TestContext.Current.CancellationToken);

        Assert.Equal("2024-11-05", server.ProtocolVersion);
        Assert.Equal("called", Calls.TextOf(await server.CallAsync("echo")));
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(429)]
    [InlineData(500)]
    public async Task Connect_RefusedForAnotherReason_DoesNotFallBack(int status)
    {
        fake.StatusOfOtherPosts = status;
        using var connections = Connections();

        var failure = await Assert.ThrowsAsync<UpstreamException>(() => connections.ConnectAsync(Manifests.Http(fake.Endpoint), ClientOffer.Shared, TestContext.Current.CancellationToken));

        Assert.Equal($"http_{status}", failure.Reason);
        Assert.Empty(fake.Gets);
    }

    private static async Task UntilAsync(SemaphoreSlim changed, Func<bool> condition)
    {
        while (!condition())
        {
            Assert.True(await changed.WaitAsync(TimeSpan.FromSeconds(30)), "It did not change.");
        }
    }

    private ToolManifest Manifest() => new() { Id = "old", Transport = UpstreamTransport.Sse, Url = fake.Endpoint, Prefix = "old", Origin = "test" };

    private static ToolServerConnections Connections() => new(() => throw new NotSupportedException(), TestSupport.TestEgress.NewPolicy(), () => throw new NotSupportedException(), TimeProvider.System, NullLogger<ToolServerConnections>.Instance);

    private async Task<IToolServer> ConnectAsync(ToolManifest? manifest = null, TimeSpan? timeout = null)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        if (timeout is { } limit)
        {
            patience.CancelAfter(limit);
        }
        return await RpcConnection.ConnectAsync(manifest ?? Manifest(), new SseTransport(manifest ?? Manifest(), client, null, NullLogger.Instance), ClientOffer.Shared, TimeProvider.System, NullLogger.Instance, patience.Token);
    }
}
