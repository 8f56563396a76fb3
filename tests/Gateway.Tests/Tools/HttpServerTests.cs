using System.Net.Http.Json;
using System.Text.Json;
using TestSupport;

namespace Gateway.Tests.Tools;

/// <summary>Tool servers over Streamable HTTP, through the whole gateway.</summary>
public sealed class HttpServerTests
{
    [Fact]
    public async Task Call_ParametersAndResult_PassRaw()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        const string Result = """{"content":[{"type":"hologram","data":1.50},{"type":"text","text":"\u00e9 \ud800"}],"structuredContent":{"a":[1e400]},"x-vendor":{"k":null},"_meta":{"m":1}}""";
        server.Call = request => FakeMcpServer.Result(request, Result);
        await using var gateway = await StartAsync(server);

        var answer = await ToolCaller.CallAsync(gateway.Client, "fake__echo", """{"n":1.50,"deep":{"é":"\u00e9"}}""", ",\"vendor/x\":{\"y\":2.0}");

        Assert.Contains(""" "content":[{"type":"hologram","data":1.50},{"type":"text","text":"\u00e9 \ud800"}],"structuredContent":{"a":[1e400]},"x-vendor":{"k":null} """.Trim(), answer, StringComparison.Ordinal);
        var sent = server.Received.Last(message => message.Method == "tools/call").Text;
        Assert.Contains("""{"n":1.50,"deep":{"é":"\u00e9"}}""", sent, StringComparison.Ordinal);
        Assert.Contains("\"vendor/x\":{\"y\":2.0}", sent, StringComparison.Ordinal);
        Assert.Contains("\"name\":\"echo\"", sent, StringComparison.Ordinal);
        Assert.Contains("\"traceparent\":\"00-", sent, StringComparison.Ordinal);
        Assert.DoesNotContain("sk-gw-", sent + string.Join(' ', server.LastHeaders.Values), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Progress_ArrivesInOrderWithTheCallersToken_BeforeTheResult()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        server.Call = request =>
        {
            var token = request["params"]!["_meta"]!["progressToken"]!.ToJsonString();
            var events = string.Concat(Enumerable.Range(1, 5).Select(i => $"data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{token},\"progress\":{i},\"vendor\":true}}}}\n\n"));
            return events + $"data: {FakeMcpServer.Result(request, "{\"content\":[]}")}\n\n";
        };
        await using var gateway = await StartAsync(server);

        var answer = await ToolCaller.CallAsync(gateway.Client, "fake__echo", moreMeta: ",\"progressToken\":\"mine\"");

        var messages = answer.Split('\n').Where(line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(line => JsonDocument.Parse(line[6..]).RootElement).ToList();
        Assert.Equal(6, messages.Count);
        Assert.Equal([1, 2, 3, 4, 5], messages.Take(5).Select(message => message.GetProperty("params").GetProperty("progress").GetInt32()));
        Assert.All(messages.Take(5), message => Assert.Equal("mine", message.GetProperty("params").GetProperty("progressToken").GetString()));
        Assert.True(messages[5].TryGetProperty("result", out _));
    }

    [Fact]
    public async Task LostSession_IsOpenedAnewAndTheCallRepeated()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync(server);
        Assert.Contains("ok", await ToolCaller.CallAsync(gateway.Client, "fake__echo"), StringComparison.Ordinal);
        var before = server.Sessions;

        server.ForgetSessions();

        Assert.Contains("ok", await ToolCaller.CallAsync(gateway.Client, "fake__echo"), StringComparison.Ordinal);
        Assert.True(server.Sessions > before + 1);
    }

    [Fact]
    public async Task CallerThatLeaves_IsToldToTheServer()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        server.Call = _ => null;
        await using var gateway = await StartAsync(server);
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);

        var call = ToolCaller.CallAsync(gateway.Client, "fake__echo", cancellationToken: leave.Token);
        await server.ReceivedAsync("tools/call");
        await leave.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await server.ReceivedAsync("notifications/cancelled");
    }

    [Fact]
    public async Task ListChanged_ShowsTheNewToolsWithoutARestart()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync(server);

        server.Tools = """[{"name":"echo","inputSchema":{"type":"object"}},{"name":"later","inputSchema":{"type":"object"}}]""";
        server.PushListChanged();

        await ToolCaller.WaitForAsync(gateway, "fake", state => state.Tools == 2);
        Assert.Contains("fake__later", await ToolCaller.ListAsync(gateway.Client));
    }

    [Fact]
    public async Task ModernServer_GetsHeadersAndEnvelope()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        server.IsModern = true;
        await using var gateway = await StartAsync(server);

        Assert.Contains("ok", await ToolCaller.CallAsync(gateway.Client, "fake__echo"), StringComparison.Ordinal);

        Assert.Equal("tools/call", server.LastHeaders["Mcp-Method"]);
        Assert.Equal("echo", server.LastHeaders["Mcp-Name"]);
        Assert.Equal("2026-07-28", server.LastHeaders["MCP-Protocol-Version"]);
        Assert.Contains("\"io.modelcontextprotocol/clientInfo\":{\"name\":\"agent-gateway\"", server.Received.Last(message => message.Method == "tools/call").Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BrokenAnswers_AreClearErrors_AndAHangingServerDelaysNobodyElse()
    {
        var token = TestContext.Current.CancellationToken;
        await using var bad = await FakeMcpServer.StartAsync(token);
        await using var good = await FakeMcpServer.StartAsync(token);
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Manifests = new Dictionary<string, string> { ["bad.yaml"] = ToolCaller.Http("bad", bad.Endpoint, ", limits: {callTimeout: 2s}"), ["good.yaml"] = ToolCaller.Http("good", good.Endpoint) },
        }, token);
        await ToolCaller.WaitForAsync(gateway, "bad", state => state.State == "connected");
        await ToolCaller.WaitForAsync(gateway, "good", state => state.State == "connected");

        foreach (var garbage in new[] { "no json at all", "{\"jsonrpc\":\"2.0\",\"id\":", "{\"jsonrpc\":\"2.0\",\"id\":99999,\"result\":{}}", "data: {\"jsonrpc\":\"2.0\"\n\n" })
        {
            bad.Call = _ => garbage;
            Assert.Contains("without a result", await ToolCaller.CallAsync(gateway.Client, "bad__echo"), StringComparison.Ordinal);
        }
        bad.Call = _ => null;
        var hanging = ToolCaller.CallAsync(gateway.Client, "bad__echo");
        Assert.Contains("ok", await ToolCaller.CallAsync(gateway.Client, "good__echo"), StringComparison.Ordinal);
        Assert.Contains("did not answer within 2 seconds", await hanging, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DeniedTool_LooksLikeAnUnknownOne_AndIsRefusedAtDispatch()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        server.Tools = """[{"name":"read","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}},{"name":"delete","inputSchema":{"type":"object"}}]""";
        await using var gateway = await StartAsync(server);
        using var client = gateway.NewClient(await CreateKeyAsync(gateway, new { name = "narrow", tools = new[] { "fake/*", "!fake/delete*" } }));
        using var readers = gateway.NewClient(await CreateKeyAsync(gateway, new { name = "readers", tools = new[] { "fake/*" }, toolAnnotations = new { readOnlyHint = true } }));

        Assert.Equal(["fake__read"], await ToolCaller.ListAsync(client));
        Assert.Equal(["fake__read"], await ToolCaller.ListAsync(readers));
        var denied = await ToolCaller.CallAsync(client, "fake__delete");
        Assert.Equal(denied.Replace("delete", "absent", StringComparison.Ordinal), await ToolCaller.CallAsync(client, "fake__absent"));
        Assert.Contains("-32602", denied, StringComparison.Ordinal);
        Assert.DoesNotContain(server.Received, message => message.Method == "tools/call");
    }

    [Fact]
    public async Task PricePerCall_IsChargedAndRefusedWhenTheBudgetIsSpent()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Manifests = new Dictionary<string, string> { ["fake.yaml"] = ToolCaller.Http("fake", server.Endpoint).Replace("{prefix: fake}", "{prefix: fake, tools: [{name: echo, cost: 0.4}]}", StringComparison.Ordinal) },
        }, TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, "fake", state => state.State == "connected");
        using var client = gateway.NewClient(await CreateKeyAsync(gateway, new { name = "payer", tools = new[] { "*" }, budgets = new[] { new { limit = 1, per = "30d" } } }));

        Assert.Contains("ok", await ToolCaller.CallAsync(client, "fake__echo"), StringComparison.Ordinal);
        Assert.Contains("ok", await ToolCaller.CallAsync(client, "fake__echo"), StringComparison.Ordinal);
        Assert.Contains("budget_exceeded", await ToolCaller.CallAsync(client, "fake__echo"), StringComparison.Ordinal);
        Assert.Equal(2, server.Received.Count(message => message.Method == "tools/call"));
    }

    private static async Task<TestGateway> StartAsync(FakeMcpServer server)
    {
        var gateway = await TestGateway.StartAsync(new TestGatewayOptions { Manifests = new Dictionary<string, string> { ["fake.yaml"] = ToolCaller.Http("fake", server.Endpoint) } }, TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, "fake", state => state.State == "connected");
        return gateway;
    }

    private static async Task<string> CreateKeyAsync(TestGateway gateway, object declaration)
    {
        using var response = await gateway.AdminClient.PostAsJsonAsync(new Uri("admin/v1/keys", UriKind.Relative), declaration, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, text);
        using var created = JsonDocument.Parse(text);
        return created.RootElement.GetProperty("token").GetString()!;
    }
}
