using System.Net;
using System.Text.Json;
using Gateway.Tests.Admin;
using TestSupport;

namespace Gateway.Tests.Tools;

/// <summary>Tool servers that hang or fail: their own calls fail fast, nobody else's wait, and admins see it.</summary>
public sealed class HealthTests
{
    private const string Breaker = "\nhealth: {interval: 1h, breaker: {failures: 2, openFor: 1h}}";

    [Fact]
    public async Task HangingServer_OpensItsCircuit_AndRecoversWithATrial()
    {
        var token = TestContext.Current.CancellationToken;
        await using var bad = await FakeMcpServer.StartAsync(token);
        await using var good = await FakeMcpServer.StartAsync(token);
        await using var gateway = await StartAsync(bad, good);
        bad.Call = _ => null;

        for (var i = 0; i < 2; i++)
        {
            Assert.Contains("did not answer", await ToolCaller.CallAsync(gateway.Client, "bad__echo"), StringComparison.Ordinal);
        }
        var refused = JsonDocument.Parse(await ToolCaller.CallAsync(gateway.Client, "bad__echo")).RootElement.GetProperty("error");
        Assert.Equal(-31503, refused.GetProperty("code").GetInt32());
        Assert.Equal("circuit_open", refused.GetProperty("data").GetProperty("code").GetString());
        Assert.InRange(refused.GetProperty("data").GetProperty("retryAfterSeconds").GetInt32(), 3000, 3600);
        Assert.Equal(2, bad.Received.Count(message => message.Method == "tools/call"));
        Assert.Contains("ok", await ToolCaller.CallAsync(gateway.Client, "good__echo"), StringComparison.Ordinal);

        var shown = await gateway.GetAsync("toolservers/bad");
        Assert.Equal("open", shown.GetProperty("breaker").GetProperty("state").GetString());
        Assert.Equal(2, shown.GetProperty("breaker").GetProperty("failuresInRow").GetInt32());
        Assert.NotNull(shown.GetProperty("breaker").GetProperty("retryAt").GetString());
        var tool = Assert.Single(shown.GetProperty("toolList").EnumerateArray()).GetProperty("health");
        Assert.Equal((2, 2, 1), (tool.GetProperty("calls").GetInt32(), tool.GetProperty("failures").GetInt32(), tool.GetProperty("refused").GetInt32()));
        Assert.Equal(("timeout", -31504), (tool.GetProperty("lastError").GetString(), tool.GetProperty("lastErrorCode").GetInt32()));
        Assert.True(tool.GetProperty("meanMilliseconds").GetDouble() > 0);

        var metrics = await gateway.Anonymous.GetStringAsync("/metrics", token);
        AssertMetric(metrics, "gateway_tool_server_up", 1, "server=\"bad\"");
        AssertMetric(metrics, "gateway_tool_server_up", 1, "server=\"good\"");
        AssertMetric(metrics, "gateway_tool_server_breaker", 2, "server=\"bad\"");
        AssertMetric(metrics, "gateway_tool_server_breaker", 0, "server=\"good\"");
        AssertMetric(metrics, "gateway_tool_calls_total", 2, "server=\"bad\"", "tool=\"echo\"", "outcome=\"failed\"");
        AssertMetric(metrics, "gateway_tool_calls_total", 1, "server=\"bad\"", "tool=\"echo\"", "outcome=\"refused\"");
        AssertMetric(metrics, "gateway_tool_calls_total", 1, "server=\"good\"", "tool=\"echo\"", "outcome=\"answered\"");

        bad.Call = request => FakeMcpServer.Result(request, """{"content":[{"type":"text","text":"back"}]}""");
        var sessions = bad.Sessions;
        using var reconnected = await gateway.AdminClient.PostAsync("/admin/v1/toolservers/bad/reconnect", null, token);
        Assert.Equal(HttpStatusCode.Accepted, reconnected.StatusCode);
        await ToolCaller.WaitForAsync(gateway, "bad", state => state.State == "connected" && bad.Sessions > sessions);
        Assert.Contains("back", await ToolCaller.CallAsync(gateway.Client, "bad__echo"), StringComparison.Ordinal);
        Assert.Equal("closed", (await gateway.GetAsync("toolservers/bad")).GetProperty("breaker").GetProperty("state").GetString());
    }

    [Fact]
    public async Task ToolsThatFailByTheirOwn_OpenNothing()
    {
        var token = TestContext.Current.CancellationToken;
        await using var server = await FakeMcpServer.StartAsync(token);
        await using var gateway = await StartAsync(server, server);
        foreach (var answer in new Func<System.Text.Json.Nodes.JsonNode, string>[]
        {
            request => FakeMcpServer.Result(request, """{"isError":true,"content":[]}"""),
            request => $$$"""{"jsonrpc":"2.0","id":{{{request["id"]}}},"error":{"code":-32602,"message":"wrong"}}""",
        })
        {
            server.Call = answer;
            for (var i = 0; i < 5; i++)
            {
                Assert.DoesNotContain("circuit_open", await ToolCaller.CallAsync(gateway.Client, "bad__echo"), StringComparison.Ordinal);
            }
        }

        var shown = await gateway.GetAsync("toolservers/bad");
        Assert.Equal("closed", shown.GetProperty("breaker").GetProperty("state").GetString());
        var health = Assert.Single(shown.GetProperty("toolList").EnumerateArray()).GetProperty("health");
        Assert.Equal((10, 5, 5), (health.GetProperty("calls").GetInt32(), health.GetProperty("failures").GetInt32(), health.GetProperty("toolErrors").GetInt32()));
    }

    private static void AssertMetric(string metrics, string name, int value, params string[] labels) => Assert.Contains(metrics.Split('\n'), line =>
        line.StartsWith(name + "{", StringComparison.Ordinal) && labels.All(label => line.Contains(label, StringComparison.Ordinal)) && line.Split(' ')[1] == value.ToString(System.Globalization.CultureInfo.InvariantCulture));

    private static async Task<TestGateway> StartAsync(FakeMcpServer bad, FakeMcpServer good)
    {
        var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Manifests = new Dictionary<string, string> { ["bad.yaml"] = ToolCaller.Http("bad", bad.Endpoint, ", limits: {callTimeout: 300ms}") + Breaker, ["good.yaml"] = ToolCaller.Http("good", good.Endpoint) },
        }, TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, "bad", state => state.State == "connected");
        await ToolCaller.WaitForAsync(gateway, "good", state => state.State == "connected");
        return gateway;
    }
}
