using McpHub.Upstreams;
using Microsoft.Extensions.Logging.Abstractions;
using Shared.Snapshots;

namespace McpHub.Tests.Upstreams;

/// <summary>Tool servers over Streamable HTTP, on real sockets.</summary>
public sealed class HttpTests : IAsyncLifetime
{
    private const string Progress = """{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":3,"progress":1}}""";

    private readonly HttpMessageInvoker client = ToolServerConnections.NewClient(TestSupport.TestEgress.NewPolicy(), Shared.Egress.EgressTrust.Operator);
    private ScriptedServer fake = null!;

    public async ValueTask InitializeAsync() => fake = await ScriptedServer.StartAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        client.Dispose();
        await fake.DisposeAsync();
    }

    [Fact]
    public async Task Connect_ServerWithSessions_SendsSessionAndRevisionFromThenOn()
    {
        await using (var server = await ConnectAsync())
        {
            await server.CallAsync("echo");
            await fake.WaitForAsync("GET");
        }

        var methods = fake.Requests.Where(request => request.HttpMethod == "POST").Select(request => request.Method);
        Assert.Equal(["initialize", "notifications/initialized", "tools/call"], methods);
        Assert.Null(fake.RequestsOf("initialize")[0].Session);
        var call = fake.RequestsOf("tools/call")[0];
        Assert.Equal("session-1", call.Session);
        Assert.Equal("2025-11-25", call.Headers["MCP-Protocol-Version"]);
        Assert.Equal("application/json, text/event-stream", call.Headers["Accept"]);
        Assert.Equal("application/json", call.Headers["Content-Type"]);
        Assert.DoesNotContain("Mcp-Method", call.Headers.Keys, StringComparer.OrdinalIgnoreCase);
        Assert.Equal("session-1", fake.RequestsOf("DELETE")[0].Session);
    }

    [Fact]
    public async Task Connect_HeadersOfTheManifest_AreSentWithEachRequest()
    {
        await using var server = await ConnectAsync(Manifest() with { Headers = Manifest().Headers.Add("Authorization", "Bearer upstream-token") });
        await server.CallAsync("echo");
        await fake.WaitForAsync("GET");

        Assert.All(fake.Requests, request => Assert.Equal("Bearer upstream-token", request.Headers["Authorization"]));
    }

    [Theory]
    [InlineData("2024-11-05")]
    [InlineData("2025-03-26")]
    [InlineData("2025-06-18")]
    [InlineData("2025-11-25")]
    public async Task Connect_ServerChoosesAnOlderRevision_IsFollowed(string version)
    {
        fake.ProtocolVersion = version;

        await using var server = await ConnectAsync();

        Assert.Equal(version, server.ProtocolVersion);
    }

    [Fact]
    public async Task Connect_ServerChoosesAnUnknownRevision_Fails()
    {
        fake.ProtocolVersion = "2031-01-01";

        Assert.Equal(UpstreamReasons.ProtocolVersion, (await Assert.ThrowsAsync<UpstreamException>(() => ConnectAsync())).Reason);
    }

    [Fact]
    public async Task Connect_ServerWithoutHandshake_GetsWhatThatRevisionDemands()
    {
        fake.IsModern = true;
        await using var server = await ConnectAsync();

        await server.CallAsync("grüße");

        var call = fake.RequestsOf("tools/call")[0];
        Assert.Equal("2026-07-28", server.ProtocolVersion);
        Assert.Equal("2026-07-28", call.Headers["MCP-Protocol-Version"]);
        Assert.Equal("tools/call", call.Headers["Mcp-Method"]);
        Assert.Equal("=?base64?Z3LDvMOfZQ==?=", call.Headers["Mcp-Name"]);
        Assert.Null(call.Session);
        Assert.Contains("\"io.modelcontextprotocol/clientCapabilities\":{}", call.Body, StringComparison.Ordinal);
        Assert.StartsWith("""{"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true},""", (await fake.WaitForAsync("subscriptions/listen"))[0].Params, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Connect_ServerWithoutHandshakeTellsOfChanges_RaisesTheEvent()
    {
        fake.IsModern = true;
        var gate = new TaskCompletionSource();
        fake.Script = request => request.Method != "subscriptions/listen" ? null : ScriptedReply.Events("") with
        {
            Pieces =
            [
                ("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{}}\n\n", null),
                ("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\",\"params\":{}}\n\n", gate.Task),
            ],
            StaysOpen = true,
        };
        await using var server = await ConnectAsync();
        var changed = new TaskCompletionSource();
        server.ToolsChanged += () => changed.TrySetResult();

        gate.SetResult();

        await changed.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Call_ResultAsJson_KeepsItsBytes()
    {
        const string result = """{ "x-vendor" : {"z":1.50,"a":[ ]},"content":[{"type":"x-new","data":"caf\u00e9 \/ é"}],"structuredContent":[1E+2,12345678901234567890],"_meta":{"k":null} }""";
        fake.Call = request => ScriptedReply.Result(request, result);
        await using var server = await ConnectAsync();

        Assert.Equal(result, Calls.Utf8((await server.CallAsync("echo")).Result));
    }

    [Fact]
    public async Task Call_JsonRpcError_KeepsItsBytes()
    {
        const string error = """{"code":-32042,"message":"caf\u00e9","data":{"x":1.50}}""";
        fake.Call = request => ScriptedReply.Error(request, error, 400);
        await using var server = await ConnectAsync();

        Assert.Equal(error, Calls.Utf8((await server.CallAsync("echo")).Error));
    }

    [Fact]
    public async Task Call_StreamThatStaysOpenAfterTheResult_IsNotWaitedFor()
    {
        fake.Call = request => ScriptedReply.Events(ScriptedReply.ResultOf(request, """{"content":[]}""")) with { StaysOpen = true };
        await using var server = await ConnectAsync();

        Assert.Equal("""{"content":[]}""", Calls.Utf8((await server.CallAsync("echo")).Result));
    }

    [Fact]
    public async Task Call_ProgressOnTheStream_ArrivesAsItIsSentAndBeforeTheResult()
    {
        var first = new TaskCompletionSource();
        fake.Call = request => ScriptedReply.Events() with
        {
            Pieces =
            [
                ($"data: {Token(request, 1)}\n\ndata: {Token(request, 2)}\n\n", null),
                ($"data: {Token(request, 3)}\n\ndata: {ScriptedReply.ResultOf(request, "{}")}\n\n", first.Task),
            ],
        };
        await using var server = await ConnectAsync();
        var reports = new List<string>();

        await server.CallAsync("echo", """{"name":"a","_meta":{"progressToken":"t"}}""", report =>
        {
            reports.Add(Calls.Utf8(report));
            if (reports.Count == 2)
            {
                first.SetResult();
            }
            return ValueTask.CompletedTask;
        });

        Assert.Equal(["""{"progressToken":"t","progress":1}""", """{"progressToken":"t","progress":2}""", """{"progressToken":"t","progress":3}"""], reports);

        static string Token(ScriptedRequest request, int progress) =>
            $$$"""{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":{{{request.Id}}},"progress":{{{progress}}}}}""";
    }

    [Fact]
    public async Task Call_ServerClosesTheStreamAndLetsItBeTakenUp_GetsTheResultFromTheOtherStream()
    {
        fake.Script = request => request.HttpMethod == "GET" && request.Headers.TryGetValue("Last-Event-ID", out var id)
            ? ScriptedReply.Events($$$"""{"jsonrpc":"2.0","id":{{{id.Replace("event-", "", StringComparison.Ordinal)}}},"result":{"content":["resumed"]}}""") : null;
        fake.Call = request => ScriptedReply.Events() with { Pieces = [($"id: event-{request.Id}\nretry: 1\ndata: \n\n", null)] };
        await using var server = await ConnectAsync();

        Assert.Equal("""{"content":["resumed"]}""", Calls.Utf8((await server.CallAsync("echo")).Result));
    }

    [Fact]
    public async Task Call_StreamEndsWithoutAnAnswer_Fails()
    {
        fake.Call = _ => ScriptedReply.Events(Progress);
        await using var server = await ConnectAsync();

        var exception = await server.FailAsync("echo");

        Assert.Equal(UpstreamReasons.InvalidResponse, exception.Reason);
        Assert.Equal(RpcError.UpstreamInvalid, exception.Code);
    }

    [Theory]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":")]
    [InlineData("<html>")]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":999,\"result\":{}}")]
    public async Task Call_BodyThatIsNoAnswer_Fails(string body)
    {
        fake.Call = _ => ScriptedReply.Json(body);
        await using var server = await ConnectAsync();

        Assert.Equal(UpstreamReasons.InvalidResponse, (await server.FailAsync("echo")).Reason);
        Assert.False(server.Lost.IsCompleted);
    }

    [Theory]
    [InlineData(401, false)]
    [InlineData(307, false)]
    [InlineData(502, true)]
    public async Task Call_ErrorStatus_FailsWithoutNamingTheAddress(int status, bool wasSent)
    {
        fake.Call = _ => new ScriptedReply { Status = status, ContentType = "text/html", Pieces = [("<h1>secret page</h1>", null)] };
        await using var server = await ConnectAsync();

        var exception = await server.FailAsync("echo");

        Assert.Equal($"http_{status}", exception.Reason);
        Assert.Equal($"Tool server 'fake' answered with HTTP status {status}.", exception.Message);
        Assert.Equal(wasSent, exception.WasSent);
    }

    [Fact]
    public async Task Call_ConnectionCutHalfWay_Fails()
    {
        fake.Call = _ => ScriptedReply.Json("{\"jsonrpc\":") with { IsCut = true };
        await using var server = await ConnectAsync();

        var exception = await server.FailAsync("echo");

        Assert.Equal((UpstreamReasons.Broken, true), (exception.Reason, exception.WasSent));
    }

    [Fact]
    public async Task Connect_NobodyListens_SaysSoWithoutTheAddress()
    {
        var exception = await Assert.ThrowsAsync<UpstreamException>(() => ConnectAsync(Manifest() with { Url = new Uri("http://127.0.0.1:9/mcp") }));

        Assert.Equal((UpstreamReasons.Unreachable, false), (exception.Reason, exception.WasSent));
        Assert.DoesNotContain("127.0.0.1", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("application/json")]
    [InlineData("text/event-stream")]
    public async Task Call_AnswerBeyondTheLimit_FailsOnlyThatCall(string type)
    {
        var text = $$"""{"content":[{"type":"text","text":"{{new string('x', 300_000)}}"}]}""";
        fake.Call = request => request.Body.Contains("small", StringComparison.Ordinal) ? ScriptedReply.Result(request, "{}")
            : type == "application/json" ? ScriptedReply.Result(request, text) : ScriptedReply.Events(ScriptedReply.ResultOf(request, text));
        await using var server = await ConnectAsync(Manifest() with { MaxMessageBytes = 100_000 });

        Assert.Equal(UpstreamReasons.TooLarge, (await server.FailAsync("echo")).Reason);
        Assert.Equal("{}", Calls.Utf8((await server.CallAsync("small")).Result));
    }

    [Fact]
    public async Task Call_Cancelled_ClosesTheRequestAndTellsTheServer()
    {
        fake.Call = _ => ScriptedReply.Silence;
        await using var server = await ConnectAsync();
        using var leaving = new CancellationTokenSource();
        var call = server.CallAsync(Calls.New("echo"), leaving.Token).AsTask();
        var request = (await fake.WaitForAsync("tools/call"))[0];

        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await request.AbortedAsync();
        Assert.Contains($"\"requestId\":{request.Id},", (await fake.WaitForAsync("notifications/cancelled"))[0].Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_SessionForgotten_FailsAsNotExecutedAndLosesTheConnection()
    {
        await using var server = await ConnectAsync();
        fake.ForgetSessions();

        var exception = await server.FailAsync("echo");

        Assert.Equal((UpstreamReasons.SessionLost, false), (exception.Reason, exception.WasSent));
        Assert.Equal(UpstreamReasons.SessionLost, (await server.Lost).Reason);
    }

    [Fact]
    public async Task Stream_ServerPushesAChange_RaisesTheEvent()
    {
        await using var server = await ConnectAsync();
        var changed = new TaskCompletionSource();
        server.ToolsChanged += () => changed.TrySetResult();
        await fake.WaitForAsync("GET");

        while (!changed.Task.IsCompleted)
        {
            // The request is there a moment before the stream is.
            fake.Push("""{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""");
            await Task.Yield();
        }
    }

    [Fact]
    public async Task Stream_NotOffered_IsNotMissed()
    {
        fake.HasStream = false;
        await using var server = await ConnectAsync();
        await fake.WaitForAsync("GET");

        await server.CallAsync("echo");

        Assert.Single(fake.RequestsOf("GET"));
        Assert.False(server.Lost.IsCompleted);
    }

    [Fact]
    public async Task List_ManyPages_IsReadToItsEnd()
    {
        fake.Tools = [.. Enumerable.Range(0, 25).Select(i => $$$"""{"name":"t{{{i}}}","inputSchema":{"type":"object"}}""")];
        fake.PageSize = 10;
        await using var server = await ConnectAsync();

        var tools = await server.ListToolsAsync(TestContext.Current.CancellationToken);

        Assert.Equal(fake.Tools, tools.Select(Calls.Utf8));
        Assert.Equal(3, fake.RequestsOf("tools/list").Count);
    }

    [Fact]
    public async Task List_PagesWithoutEnd_IsCut()
    {
        var page = 0;
        fake.Script = request => request.Method == "tools/list" ? ScriptedReply.Result(request, $$"""{"tools":[{"name":"t"}],"nextCursor":"{{page++}}"}""") : null;
        await using var server = await ConnectAsync();

        Assert.Equal(ToolList.MaxPages, (await server.ListToolsAsync(TestContext.Current.CancellationToken)).Count);
    }

    [Fact]
    public async Task List_SameCursorAgain_IsCut()
    {
        fake.Script = request => request.Method == "tools/list" ? ScriptedReply.Result(request, """{"tools":[{"name":"t"}],"nextCursor":"again"}""") : null;
        await using var server = await ConnectAsync();

        Assert.Equal(2, (await server.ListToolsAsync(TestContext.Current.CancellationToken)).Count);
    }

    [Fact]
    public async Task List_TooManyTools_IsCut()
    {
        fake.Tools = [.. Enumerable.Repeat("{}", ToolList.MaxTools + 10)];
        await using var server = await ConnectAsync();

        Assert.Equal(ToolList.MaxTools, (await server.ListToolsAsync(TestContext.Current.CancellationToken)).Count);
    }

    [Theory]
    [InlineData("""{"tools":{}}""")]
    [InlineData("[]")]
    [InlineData("null")]
    public async Task List_NotAList_Fails(string result)
    {
        fake.Script = request => request.Method == "tools/list" ? ScriptedReply.Result(request, result) : null;
        await using var server = await ConnectAsync();

        Assert.Equal(UpstreamReasons.InvalidResponse, (await Assert.ThrowsAsync<UpstreamException>(() => server.ListToolsAsync(TestContext.Current.CancellationToken))).Reason);
    }

    [Fact]
    public async Task List_ServerKnowsNoTools_IsEmpty()
    {
        fake.Script = request => request.Method == "tools/list" ? ScriptedReply.Error(request, """{"code":-32601,"message":"Method not found"}""") : null;
        await using var server = await ConnectAsync();

        Assert.Empty(await server.ListToolsAsync(TestContext.Current.CancellationToken));
    }

    private ToolManifest Manifest() => Manifests.Http(fake.Endpoint);

    private Task<RpcConnection> ConnectAsync(ToolManifest? manifest = null)
    {
        manifest ??= Manifest();
        return RpcConnection.ConnectAsync(manifest, new StreamableHttpTransport(manifest, client, null, TimeProvider.System, NullLogger.Instance), ClientOffer.Shared, TimeProvider.System, NullLogger.Instance, TestContext.Current.CancellationToken);
    }
}
