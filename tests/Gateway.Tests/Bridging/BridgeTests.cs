using System.Text.Json;
using Microsoft.AspNetCore.Http;
using TestSupport;
using static Gateway.Tests.Bridging.ScriptedGateway;

namespace Gateway.Tests.Bridging;

public sealed class BridgeTests
{
    private static readonly TimeSpan HangGuard = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Session_AfterTheHandshake_StandsInEveryRequest()
    {
        await using var gateway = await StartAsync(Session("one"));
        await using var client = new BridgedClient(gateway.Url);
        await client.ShakeHandsAsync();
        await client.SendAsync("""{"jsonrpc":"2.0","id":"a/1","method":"tools/list"}""");

        Assert.Equal("""{"jsonrpc":"2.0","id":"a/1","result":{"n":1.50,"s":"é\/"}}""", await client.NextAsync());
        var request = gateway.All.Last(received => received.Body.Contains("tools/list", StringComparison.Ordinal));
        Assert.Equal("one", request.Headers["Mcp-Session-Id"]);
        Assert.Equal("2025-11-25", request.Headers["MCP-Protocol-Version"]);
        Assert.Equal("Bearer sk-gw-test", request.Headers["Authorization"]);
        Assert.Equal("""{"jsonrpc":"2.0","id":"a/1","method":"tools/list"}""", request.Body);
        var bodies = gateway.All.Where(received => received.Method == "POST").Select(received => received.Body).ToArray();
        Assert.True(Array.IndexOf(bodies, BridgedClient.Initialized) < Array.IndexOf(bodies, request.Body), "The request overtook the end of the handshake.");
    }

    [Fact]
    public async Task RequestOfTheGateway_OnAStream_IsAnsweredByTheClient()
    {
        var answered = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var gateway = await StartAsync(Session("one", async (context, received) =>
        {
            if (received.Body.Contains("\"elicited\"", StringComparison.Ordinal))
            {
                answered.TrySetResult(received.Body);
                context.Response.StatusCode = 202;
                return;
            }
            await EventAsync(context, "data: {\"jsonrpc\":\"2.0\",\"id\":\"ask\",\"method\":\"elicitation/create\",\ndata: \"params\":{\"message\":\"sure?\"}}\n\n");
            await answered.Task.WaitAsync(HangGuard);
            await EventAsync(context, "data: {\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{\"done\":true}}\n\n");
        }));
        await using var client = new BridgedClient(gateway.Url);
        await client.ShakeHandsAsync();
        await client.SendAsync("""{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"x"}}""");

        Assert.Equal("""{"jsonrpc":"2.0","id":"ask","method":"elicitation/create","params":{"message":"sure?"}}""", await client.NextAsync());
        await client.SendAsync("""{"jsonrpc":"2.0","id":"ask","result":{"action":"accept","content":{"elicited":1.0}}}""");
        Assert.Equal("""{"jsonrpc":"2.0","id":5,"result":{"done":true}}""", await client.NextAsync());
        Assert.Equal("""{"jsonrpc":"2.0","id":"ask","result":{"action":"accept","content":{"elicited":1.0}}}""", await answered.Task);
    }

    [Fact]
    public async Task GatewayMessages_StreamBreaks_IsTakenUpAtTheLastEvent()
    {
        var taken = 0;
        await using var gateway = await StartAsync(Session("one", listen: async context =>
        {
            if (Interlocked.Increment(ref taken) == 1)
            {
                await EventAsync(context, "id: e-1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n");
                return;
            }
            await EventAsync(context, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n\n");
            await WaitForEndAsync(context);
        }));
        await using var client = new BridgedClient(gateway.Url);
        await client.ShakeHandsAsync();

        Assert.Equal("""{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""", await client.NextAsync());
        Assert.Equal("""{"jsonrpc":"2.0","method":"notifications/message","params":{}}""", await client.NextAsync());
        var streams = gateway.All.Where(received => received.Method == "GET").ToArray();
        Assert.False(streams[0].Headers.ContainsKey("Last-Event-ID"));
        Assert.Equal("e-1", streams[1].Headers["Last-Event-ID"]);
    }

    [Fact]
    public async Task Answer_StreamBreaks_IsTakenUpAtTheLastEvent()
    {
        await using var gateway = await StartAsync(Session("one",
            (context, _) => EventAsync(context, "id: r-1\nretry: 0\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progress\":1}}\n\n"),
            context => context.Request.Headers.ContainsKey("Last-Event-ID")
                ? EventAsync(context, "data: {\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{\"late\":true}}\n\n")
                : NoListeningAsync(context)));
        await using var client = new BridgedClient(gateway.Url);
        await client.ShakeHandsAsync();
        await client.SendAsync("""{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"x"}}""");

        Assert.Contains("notifications/progress", await client.NextAsync());
        Assert.Equal("""{"jsonrpc":"2.0","id":5,"result":{"late":true}}""", await client.NextAsync());
    }

    [Fact]
    public async Task Session_Forgotten_IsOpenedAgainAndTheRequestRepeated()
    {
        var handshakes = 0;
        await using var gateway = await StartAsync(async (context, received) =>
        {
            if (received.Body.Contains("\"initialize\"", StringComparison.Ordinal))
            {
                await AgreeAsync(context, $"s{Interlocked.Increment(ref handshakes)}");
            }
            else if (received.Method == "GET")
            {
                await NoListeningAsync(context);
            }
            else if (!received.Body.Contains("\"id\"", StringComparison.Ordinal))
            {
                context.Response.StatusCode = 202;
            }
            else if (received.Headers["Mcp-Session-Id"] == "s1")
            {
                await JsonAsync(context, """{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}""", 404);
            }
            else
            {
                await JsonAsync(context, $$$"""{"jsonrpc":"2.0","id":{{{JsonDocument.Parse(received.Body).RootElement.GetProperty("id")}}},"result":{}}""");
            }
        });
        await using var client = new BridgedClient(gateway.Url);
        await client.ShakeHandsAsync();
        // Two at once: only one of them opens the session.
        await client.SendAsync("""{"jsonrpc":"2.0","id":1,"method":"tools/list"}""");
        await client.SendAsync("""{"jsonrpc":"2.0","id":2,"method":"tools/list"}""");

        var lines = new[] { await client.NextAsync(), await client.NextAsync(), await client.NextAsync() };
        Assert.Equal(
        [
            """{"jsonrpc":"2.0","id":1,"result":{}}""", """{"jsonrpc":"2.0","id":2,"result":{}}""", """{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""",
        ], lines.Order(StringComparer.Ordinal));
        Assert.Equal(2, handshakes);
        Assert.Equal(2, gateway.All.Count(received => received.Body == BridgedClient.Initialized));
    }

    [Fact]
    public async Task Session_ForgottenEachTime_IsAnErrorAndNoLoop()
    {
        await using var gateway = await StartAsync(async (context, received) =>
        {
            if (received.Body.Contains("\"initialize\"", StringComparison.Ordinal))
            {
                await AgreeAsync(context, "s");
            }
            else if (received.Body == BridgedClient.Initialized)
            {
                context.Response.StatusCode = 202;
            }
            else
            {
                context.Response.StatusCode = received.Method == "GET" ? 405 : 404;
            }
        });
        await using var client = new BridgedClient(gateway.Url);
        await client.ShakeHandsAsync();
        await client.SendAsync("""{"jsonrpc":"2.0","id":1,"method":"tools/list"}""");

        Assert.Contains("list_changed", await client.NextAsync());
        Assert.Contains("forgets each session", (await client.NextJsonAsync()).GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public async Task Cancellation_OfACall_IsPassedOnAndEndsTheExchange()
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var gateway = await StartAsync(Session("one", async (context, received) =>
        {
            if (received.Body.Contains("tools/call", StringComparison.Ordinal))
            {
                begun.TrySetResult();
                await WaitForEndAsync(context);
                ended.TrySetResult();
                return;
            }
            await JsonAsync(context, """{"jsonrpc":"2.0","id":6,"result":{}}""");
        }));
        await using var client = new BridgedClient(gateway.Url);
        await client.ShakeHandsAsync();
        await client.SendAsync("""{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"x"}}""");
        await begun.Task.WaitAsync(HangGuard, TestContext.Current.CancellationToken);
        const string Cancelled = """{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5,"reason":"enough"}}""";
        await client.SendAsync(Cancelled);
        await ended.Task.WaitAsync(HangGuard, TestContext.Current.CancellationToken);
        Assert.Contains(gateway.All, received => received.Body == Cancelled);

        await client.SendAsync("""{"jsonrpc":"2.0","id":6,"method":"ping"}""");
        Assert.Equal("""{"jsonrpc":"2.0","id":6,"result":{}}""", await client.NextAsync());
    }

    [Fact]
    public async Task StatelessRequest_OfTheNewestRevision_CarriesItsHeaders()
    {
        await using var gateway = await StartAsync((context, _) => JsonAsync(context, """{"jsonrpc":"2.0","id":1,"result":{}}"""));
        await using var client = new BridgedClient(gateway.Url);
        await client.SendAsync("""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wörk","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}""");
        await client.NextAsync();

        var request = Assert.Single(gateway.All);
        Assert.Equal("2026-07-28", request.Headers["MCP-Protocol-Version"]);
        Assert.Equal("tools/call", request.Headers["Mcp-Method"]);
        Assert.Equal("=?base64?d8O2cms=?=", request.Headers["Mcp-Name"]);
        Assert.False(request.Headers.ContainsKey("Mcp-Session-Id"));
    }

    [Fact]
    public async Task Input_Ends_DeletesTheSession()
    {
        await using var gateway = await StartAsync(Session("one"));
        await using var client = new BridgedClient(gateway.Url);
        await client.ShakeHandsAsync();
        Assert.Equal(0, await client.CloseAsync());
        Assert.Equal("one", Assert.Single(gateway.All, received => received.Method == "DELETE").Headers["Mcp-Session-Id"]);
    }

    [Fact]
    public async Task Input_Ends_WhatWasAskedIsAnsweredAndASubscriptionIsNotWaitedFor()
    {
        var listening = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var closed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var gateway = await StartAsync(async (context, received) =>
        {
            if (received.Body.Contains("subscriptions/listen", StringComparison.Ordinal))
            {
                listening.TrySetResult();
                await WaitForEndAsync(context);
                return;
            }
            await closed.Task.WaitAsync(HangGuard, context.RequestAborted);
            await JsonAsync(context, """{"jsonrpc":"2.0","id":2,"result":{}}""");
        });
        var clock = new WatchedClock();
        await using var client = new BridgedClient(gateway.Url, clock: clock);
        await client.SendAsync("""{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}""");
        await listening.Task.WaitAsync(HangGuard, TestContext.Current.CancellationToken);
        await client.SendAsync("""{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"slow","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}""");
        var ended = client.CloseAsync();
        await clock.TimerAsync(TimeSpan.FromSeconds(30));
        // Longer than clients wait before they send a signal.
        clock.Advance(TimeSpan.FromSeconds(5));
        closed.SetResult();

        Assert.Equal("""{"jsonrpc":"2.0","id":2,"result":{}}""", await client.NextAsync());
        Assert.Equal(0, await ended);
    }

    [Theory]
    [InlineData("text/html", "<html>", "is not a gateway")]
    [InlineData("text/event-stream", "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n", "without an answer")]
    [InlineData("application/json", "{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}", "without an answer")]
    public async Task Answer_ThatIsNone_IsAnError(string type, string body, string words)
    {
        await using var gateway = await StartAsync((context, _) =>
        {
            context.Response.ContentType = type;
            return context.Response.WriteAsync(body);
        });
        await using var client = new BridgedClient(gateway.Url);
        await client.SendAsync(BridgedClient.Initialize);
        var line = await client.NextJsonAsync();
        while (!line.TryGetProperty("error", out _))
        {
            line = await client.NextJsonAsync();
        }
        Assert.Equal(0, line.GetProperty("id").GetInt32());
        Assert.Contains(words, line.GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public async Task Redirect_WithTheKey_IsNotFollowed()
    {
        await using var gateway = await StartAsync((context, _) =>
        {
            context.Response.Redirect("http://127.0.0.1:1/elsewhere");
            return Task.CompletedTask;
        });
        await using var client = new BridgedClient(gateway.Url);
        await client.SendAsync(BridgedClient.Initialize);
        Assert.Contains("sends callers on to", (await client.NextJsonAsync()).GetProperty("error").GetProperty("message").GetString());
        Assert.Single(gateway.All);
    }

    [Theory]
    [InlineData("{bad", -32700)]
    [InlineData("""[{"jsonrpc":"2.0","id":1,"method":"ping"}]""", -32600)]
    [InlineData("""{"jsonrpc":"2.0"}""", -32700)]
    public async Task Line_ThatIsNoMessage_IsRefusedAndTheNextServed(string line, int code)
    {
        await using var gateway = await StartAsync(Session("one"));
        await using var client = new BridgedClient(gateway.Url);
        await client.SendAsync(line);
        Assert.Equal(code, (await client.NextJsonAsync()).GetProperty("error").GetProperty("code").GetInt32());
        await client.ShakeHandsAsync();
    }

    [Theory]
    [InlineData(null, "No virtual key")]
    [InlineData("${user_config.api_key}", "No virtual key")]
    [InlineData("YOUR-VIRTUAL-KEY", "No virtual key")]
    [InlineData("sk gw", "characters that no key has")]
    public async Task Key_Missing_IsAnErrorAndNothingIsSent(string? key, string words)
    {
        await using var gateway = await StartAsync(Session("one"));
        await using var client = new BridgedClient(gateway.Url, key);
        await client.SendAsync(BridgedClient.Initialize);
        var error = (await client.NextJsonAsync()).GetProperty("error");
        Assert.Equal(401, error.GetProperty("code").GetInt32());
        Assert.Contains(words, error.GetProperty("message").GetString());
        Assert.Empty(gateway.All);
    }

    [Fact]
    public async Task KeyFile_Replaced_HoldsFromTheNextRequestOn()
    {
        using var folder = new TemporaryFolder();
        var file = Path.Combine(folder.Path, "key");
        await File.WriteAllTextAsync(file, "sk-gw-first\n", TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync(Session("one"));
        await using var client = new BridgedClient(gateway.Url, null, options => options with { KeyFile = file });
        await client.ShakeHandsAsync();
        await File.WriteAllTextAsync(file, "sk-gw-second\n", TestContext.Current.CancellationToken);
        await client.SendAsync("""{"jsonrpc":"2.0","id":1,"method":"tools/list"}""");
        await client.NextAsync();
        Assert.Equal("Bearer sk-gw-first", gateway.All.First().Headers["Authorization"]);
        Assert.Equal("Bearer sk-gw-second", gateway.All.Last(received => received.Body.Contains("tools/list", StringComparison.Ordinal)).Headers["Authorization"]);
    }

    [Theory]
    [InlineData("http://gateway.example:8080", "--allow-http")]
    [InlineData("ftp://127.0.0.1", "is not the address of a gateway")]
    [InlineData("http://user:secret@127.0.0.1", "no user, query or fragment")]
    public async Task Address_Unsuitable_EndsTheBridgeWithTwo(string url, string words)
    {
        await using var client = new BridgedClient(url);
        Assert.Equal(2, await client.Ended.WaitAsync(HangGuard, TestContext.Current.CancellationToken));
        Assert.Contains(words, client.Log);
        Assert.DoesNotContain("secret", client.Log);
    }

    [Fact]
    public async Task Gateway_Restarted_IsFoundAgainAndToldToTheClient()
    {
        using var folder = new TemporaryFolder();
        var first = await GatewayProcess.ServeAsync(folder.Path, cancellationToken: TestContext.Current.CancellationToken);
        var address = first.BaseAddress.ToString();
        await using var client = new BridgedClient(address, first.VirtualKey);
        await client.ShakeHandsAsync();
        await client.SendAsync("""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"gateway__whoami","arguments":{}}}""");
        Assert.Contains("first key", await client.NextAsync());

        await first.DisposeAsync();
        await client.SendAsync("""{"jsonrpc":"2.0","id":2,"method":"ping"}""");
        var away = await client.NextJsonAsync();
        Assert.Equal(2, away.GetProperty("id").GetInt32());
        Assert.Equal(-31503, away.GetProperty("error").GetProperty("code").GetInt32());

        await using var second = await GatewayProcess.ServeAsync(folder.Path, new Dictionary<string, string?>(), TestContext.Current.CancellationToken, address.TrimEnd('/'));
        // By itself, from the stream on which it listens.
        Assert.Equal("""{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""", await client.NextAsync());
        await client.SendAsync("""{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"gateway__whoami","arguments":{}}}""");
        Assert.Contains("first key", await client.NextAsync());
    }

    /// <summary>A gateway with one session: it answers what a test does not.</summary>
    private static Func<HttpContext, Received, Task> Session(string id, Func<HttpContext, Received, Task>? requests = null, Func<HttpContext, Task>? listen = null) => async (context, received) =>
    {
        if (received.Body.Contains("\"initialize\"", StringComparison.Ordinal))
        {
            await AgreeAsync(context, id);
        }
        else if (received.Method == "GET")
        {
            await (listen ?? NoListeningAsync)(context);
        }
        else if (received.Method == "DELETE" || !received.Body.Contains("\"id\"", StringComparison.Ordinal))
        {
            context.Response.StatusCode = received.Method == "DELETE" ? 200 : 202;
        }
        else
        {
            await (requests ?? ((context, received) => JsonAsync(context, $$$"""{"jsonrpc":"2.0","id":{{{JsonDocument.Parse(received.Body).RootElement.GetProperty("id").GetRawText()}}},"result":{"n":1.50,"s":"é\/"}}""")))(context, received);
        }
    };

    private static Task NoListeningAsync(HttpContext context)
    {
        context.Response.StatusCode = 405;
        return Task.CompletedTask;
    }

    private static async Task WaitForEndAsync(HttpContext context)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = context.RequestAborted.Register(() => ended.TrySetResult());
        await ended.Task.WaitAsync(HangGuard);
    }
}
