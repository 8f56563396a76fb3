using System.Text.Json.Nodes;
using McpHub.Serving;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using TestSupport;

namespace McpHub.Tests.Serving;

/// <summary>The official client, in the oldest and the newest way to talk, on both ways through the hub.</summary>
public sealed class ClientTests
{
    public static TheoryData<string, bool> ErasAndPaths() => new()
    {
        { "2025-03-26", false }, { "2025-03-26", true },
        { "2025-06-18", false }, { "2025-06-18", true },
        { Wire.Handshake, false }, { Wire.Handshake, true },
        { Wire.Stateless, false }, { Wire.Stateless, true },
    };

    [Theory]
    [MemberData(nameof(ErasAndPaths))]
    public async Task Client_ListsAndCalls_GetsEverythingTheToolSent(string version, bool allThroughSdk)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        await using var host = await HubHost.StartAsync(allThroughSdk: allThroughSdk);
        await using var client = await host.ConnectAsync(version);

        var tools = await client.ListToolsAsync(cancellationToken: cancellationToken);
        var result = await client.CallToolAsync("echo", new Dictionary<string, object?> { ["message"] = "hi" }, cancellationToken: cancellationToken);

        Assert.Equal("agent-gateway", client.ServerInfo!.Name);
        Assert.True(client.ServerCapabilities.Tools!.ListChanged);
        Assert.True(client.ServerCapabilities.Prompts!.ListChanged);
        Assert.True(client.ServerCapabilities.Resources!.Subscribe);
        Assert.NotNull(client.ServerCapabilities.Completions);
        Assert.Equal(["echo", "slow"], tools.Select(tool => tool.Name));
        Assert.Equal("déjà vu ☃", Assert.IsType<TextContentBlock>(Assert.Single(result.Content)).Text);
        Assert.Equal("1.50", result.StructuredContent!.Value.GetProperty("n").GetRawText());
        var call = Assert.Single(host.Tools.Calls);
        Assert.Equal("echo", call.Name);
        Assert.Equal("hi", JsonNode.Parse(call.Params)!["arguments"]!["message"]!.GetValue<string>());
    }

    [Theory]
    [MemberData(nameof(ErasAndPaths))]
    public async Task Client_AsksForProgress_HearsItInOrderBeforeTheResult(string version, bool allThroughSdk)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        await using var host = await HubHost.StartAsync(allThroughSdk: allThroughSdk);
        host.Tools.Answer = async (_, call, _) =>
        {
            var token = JsonNode.Parse(call.Params.Span)!["_meta"]!["progressToken"]!.ToJsonString();
            for (var i = 1; i <= 20; i++)
            {
                await call.OnProgress!(System.Text.Encoding.UTF8.GetBytes($$"""{"progressToken":{{token}},"progress":{{i}},"total":20,"message":"step {{i}}","x-vendor":1}"""));
            }
            return FakeTools.Result(FakeTools.PlainResult);
        };
        using var wire = host.NewWire();
        var stateless = version == Wire.Stateless;
        if (!stateless)
        {
            await wire.OpenSessionAsync(version);
        }
        var meta = stateless ? "," + Wire.StatelessMeta : "";

        var answer = await wire.PostAsync(
            """{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"echo","_meta":{"progressToken":"p-1" """ + meta + "}}}",
            stateless ? Wire.StatelessHeaders("tools/call", "echo") : null);

        Assert.Equal(21, answer.Messages.Count);
        Assert.Equal(Enumerable.Range(1, 20), answer.Messages.SkipLast(1).Select(message => JsonNode.Parse(message)!["params"]!["progress"]!.GetValue<int>()));
        Assert.All(answer.Messages.SkipLast(1), message => Assert.Equal("p-1", JsonNode.Parse(message)!["params"]!["progressToken"]!.GetValue<string>()));
        Assert.Equal(1, JsonNode.Parse(answer.Messages[0])!["params"]!["x-vendor"]!.GetValue<int>());
        Assert.Equal(5, answer.Last!["id"]!.GetValue<int>());

        // The client's own handlers run beside each other, so only that the word gets through before the result is told here.
        var heard = new TaskCompletionSource<float>(TaskCreationOptions.RunContinuationsAsynchronously);
        host.Tools.Answer = async (_, call, _) =>
        {
            var token = JsonNode.Parse(call.Params.Span)!["_meta"]!["progressToken"]!.ToJsonString();
            await call.OnProgress!(System.Text.Encoding.UTF8.GetBytes($$"""{"progressToken":{{token}},"progress":3}"""));
            await heard.Task.WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None);
            return FakeTools.Result(FakeTools.PlainResult);
        };
        await using var client = await host.ConnectAsync(version);
        await client.CallToolAsync("echo", progress: new Recorder(heard), cancellationToken: cancellationToken);
        Assert.Equal(3, await heard.Task);
    }

    [Theory]
    [MemberData(nameof(ErasAndPaths))]
    public async Task Client_ToolFailsWithAnError_SeesCodeAndMessage(string version, bool allThroughSdk)
    {
        await using var host = await HubHost.StartAsync(allThroughSdk: allThroughSdk);
        host.Tools.Answer = (_, _, _) => ValueTask.FromResult(FakeTools.Error("""{"code":-32602,"message":"Unknown tool: x","data":{"hint":"y"}}"""));
        await using var client = await host.ConnectAsync(version);

        var exception = await Assert.ThrowsAsync<McpProtocolException>(async () =>
            await client.CallToolAsync("x", cancellationToken: TestContext.Current.CancellationToken));

        Assert.Equal(McpErrorCode.InvalidParams, exception.ErrorCode);
        Assert.Contains("Unknown tool: x", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(ErasAndPaths))]
    public async Task Client_CancelsACall_TheToolHearsOfIt(string version, bool allThroughSdk)
    {
        var clock = new WatchedClock();
        await using var host = await HubHost.StartAsync(clock, allThroughSdk);
        var (started, cancelled) = Hang(host);
        await using var client = await host.ConnectAsync(version);
        using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);

        var call = client.CallToolAsync("slow", cancellationToken: cancellation.Token).AsTask();
        await started.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await cancellation.CancelAsync();
        if (version == Wire.Handshake && allThroughSdk)
        {
            // This client cancels by hanging up, and could come back.
            await clock.TimerAsync(CallLifetime.Grace);
            Assert.False(cancelled.IsCompleted);
            clock.Advance(CallLifetime.Grace);
        }

        await cancelled.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }

    [Theory]
    [InlineData(false, "\"a b\"")]
    [InlineData(true, "\"a b\"")]
    [InlineData(false, "77")]
    [InlineData(true, "77")]
    public async Task CancelledNotification_InASession_EndsThePostWithoutAnAnswer(bool allThroughSdk, string id)
    {
        await using var host = await HubHost.StartAsync(allThroughSdk: allThroughSdk);
        var (started, cancelled) = Hang(host);
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();

        var call = wire.PostAsync($$$"""{"jsonrpc":"2.0","id":{{{id}}},"method":"tools/call","params":{"name":"slow"}}""");
        await started.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await wire.PostAsync($$$"""{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{{{id}}} }}""");

        await cancelled.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        var answer = await call.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Empty(answer.Messages);
        Assert.Equal("text/event-stream", answer.ContentType);
        Assert.Equal(0, host.Memory.Held);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ClosedConnection_WithoutASession_CancelsTheCall(bool allThroughSdk)
    {
        await using var host = await HubHost.StartAsync(allThroughSdk: allThroughSdk);
        var (started, cancelled) = Hang(host);
        using var wire = host.NewWire();
        using var abort = new CancellationTokenSource();
        var body = """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","_meta":{""" + Wire.StatelessMeta + "}}}";

        var call = wire.SendAsync(HttpMethod.Post, System.Text.Encoding.UTF8.GetBytes(body), Wire.StatelessHeaders("tools/call", "slow"), abort.Token);
        await started.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await abort.CancelAsync();

        await cancelled.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await Assert.ThrowsAnyAsync<Exception>(async () => (await call).Dispose());
    }

    /// <summary>Makes the tool hang until it is cancelled.</summary>
    private static (Task Started, Task Cancelled) Hang(HubHost host)
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        host.Tools.Answer = async (_, _, cancellationToken) =>
        {
            started.TrySetResult();
            try
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }
            catch (OperationCanceledException)
            {
                cancelled.TrySetResult();
                throw;
            }
            return default;
        };
        return (started.Task, cancelled.Task);
    }

    private sealed class Recorder(TaskCompletionSource<float> heard) : IProgress<ProgressNotificationValue>
    {
        public void Report(ProgressNotificationValue value) => heard.TrySetResult(value.Progress);
    }
}
