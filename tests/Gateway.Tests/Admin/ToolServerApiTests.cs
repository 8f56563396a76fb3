using System.Net;
using System.Net.Http.Json;
using Gateway.Tests.Tools;
using TestSupport;

namespace Gateway.Tests.Admin;

/// <summary>Tool servers through the admin API.</summary>
public sealed class ToolServerApiTests
{
    private const string TwoTools = """[{"name":"echo","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}},{"name":"wipe/all","inputSchema":{"type":"object"}},{"name":"bad"}]""";

    [Fact]
    public async Task Shown_IsEverythingButSecrets()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        server.Tools = TwoTools;
        await using var gateway = await StartAsync(server, """, headers: {Authorization: "Bearer very-secret-token"}""");
        await ToolCaller.CallAsync(gateway.Client, "fake__echo");

        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(30));
        var shown = await gateway.GetAsync("toolservers/fake");
        while (shown.GetProperty("calls").GetProperty("calls").GetInt64() == 0)
        {
            // A call is settled after its answer has left.
            patience.Token.ThrowIfCancellationRequested();
            shown = await gateway.GetAsync("toolservers/fake");
        }

        Assert.Equal("connected", shown.GetProperty("state").GetString());
        Assert.Equal("2025-06-18", shown.GetProperty("protocolVersion").GetString());
        Assert.Equal("fake", shown.GetProperty("serverInfo").GetProperty("name").GetString());
        Assert.NotNull(shown.GetProperty("since").GetString());
        var echo = shown.GetProperty("toolList").EnumerateArray().First(tool => tool.GetProperty("name").GetString() == "echo");
        Assert.Equal("fake__echo", echo.GetProperty("exposedName").GetString());
        Assert.True(echo.GetProperty("annotations").GetProperty("readOnlyHint").GetBoolean());
        Assert.Equal(1, echo.GetProperty("calls").GetProperty("calls").GetInt64());
        Assert.Equal("bad", Assert.Single(shown.GetProperty("withheld").EnumerateArray()).GetProperty("name").GetString());
        Assert.DoesNotContain("very-secret-token", shown.GetRawText(), StringComparison.Ordinal);
        using var unknown = await gateway.AdminClient.GetAsync("/admin/v1/toolservers/nobody", TestContext.Current.CancellationToken);
        Assert.Equal("unknown_tool_server", (await unknown.JsonAsync()).GetProperty("code").GetString());
    }

    [Fact]
    public async Task Quarantine_HoldsAToolBackAtOnce_SurvivesARestart_AndIsAudited()
    {
        using var data = new TemporaryFolder();
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        server.Tools = TwoTools;
        string adminKey, key;
        await using (var gateway = await StartAsync(server, data: data.Path))
        {
            (adminKey, key) = (gateway.AdminKey, gateway.VirtualKey);
            using var held = await gateway.AdminClient.PutAsJsonAsync("/admin/v1/toolservers/fake/tools/wipe%2Fall/quarantine", new { reason = "deletes without asking" }, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, held.StatusCode);
            var withheld = (await held.JsonAsync()).GetProperty("withheld").EnumerateArray().First(tool => tool.GetProperty("name").GetString() == "wipe/all");
            Assert.Equal("deletes without asking", withheld.GetProperty("heldBy").GetProperty("reason").GetString());
            Assert.DoesNotContain(await ToolCaller.ListAsync(gateway.Client), name => name.StartsWith("fake__wipe", StringComparison.Ordinal));
        }
        await using var again = await StartAsync(server, data: data.Path);
        using var admin = again.NewClient(adminKey);
        using var client = again.NewClient(key);
        Assert.Equal(["fake__echo"], (await ToolCaller.ListAsync(client)).Where(name => name.StartsWith("fake__", StringComparison.Ordinal)));

        using var released = await admin.DeleteAsync("/admin/v1/toolservers/fake/tools/wipe%2Fall/quarantine", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, released.StatusCode);
        Assert.Contains(await ToolCaller.ListAsync(client), name => name.StartsWith("fake__wipe", StringComparison.Ordinal));
        var audit = again.Services.GetService(typeof(Shared.Stored.AuditLog)) as Shared.Stored.AuditLog;
        var records = audit!.Read(new Shared.Stored.AuditRequest { Kind = "tool", Id = "fake/wipe/all" });
        Assert.Equal(["released", "quarantined"], records.Select(record => record.Change.Action));
        Assert.All(records, record => Assert.StartsWith("admin:", record.By.Actor, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{}""", "reason")]
    [InlineData("""{"reason":""}""", "reason")]
    [InlineData("""{"reason":7}""", "reason")]
    [InlineData("""{"reason":"x","color":"red"}""", "color")]
    [InlineData("""[""", "reason")]
    public async Task Hold_WithoutAReason_IsRefused(string body, string field)
    {
        await using var gateway = await Hosts.StartAsync();
        using var content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        using var response = await gateway.AdminClient.PutAsync("/admin/v1/toolservers/gateway/tools/whoami/quarantine", content, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(field, (await response.JsonAsync()).GetProperty("field").GetString());
    }

    [Fact]
    public async Task Disabled_ServesNothing_UntilItIsEnabled()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync(server);
        using var disabled = await gateway.AdminClient.PostAsJsonAsync("/admin/v1/toolservers/fake/disable", new { reason = "maintenance" }, TestContext.Current.CancellationToken);
        Assert.Equal("disabled", (await disabled.JsonAsync()).GetProperty("state").GetString());
        Assert.DoesNotContain("fake__echo", await ToolCaller.ListAsync(gateway.Client));
        using var refused = await gateway.AdminClient.PostAsync("/admin/v1/toolservers/fake/reconnect", null, TestContext.Current.CancellationToken);
        Assert.Equal("tool_server_disabled", (await refused.JsonAsync()).GetProperty("code").GetString());

        using var enabled = await gateway.AdminClient.PostAsync("/admin/v1/toolservers/fake/enable", null, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, enabled.StatusCode);
        await ToolCaller.WaitForAsync(gateway, "fake", state => state.State == "connected");
        Assert.Contains("fake__echo", await ToolCaller.ListAsync(gateway.Client));
    }

    [Fact]
    public async Task Reconnect_OpensANewSession_AndToolsStay()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync(server);
        var before = server.Sessions;

        using var response = await gateway.AdminClient.PostAsync("/admin/v1/toolservers/fake/reconnect", null, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        Assert.Contains("fake__echo", await ToolCaller.ListAsync(gateway.Client));
        await ToolCaller.WaitForAsync(gateway, "fake", state => state.State == "connected" && server.Sessions > before);
        Assert.Contains("ok", await ToolCaller.CallAsync(gateway.Client, "fake__echo"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task HttpServerThatIsGone_IsShownAsDisconnected_AfterACallThatFailed()
    {
        var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync(server);
        await server.DisposeAsync();

        await ToolCaller.CallAsync(gateway.Client, "fake__echo");

        await ToolCaller.WaitForAsync(gateway, "fake", state => state.State == "disconnected");
        Assert.Contains("fake__echo", await ToolCaller.ListAsync(gateway.Client));
    }

    [Fact]
    public async Task CommandLine_ListsShowsAndHolds()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync(server);
        var (code, list, _) = await CommandLineCalls.RunAsync(gateway, "toolservers", "list");
        Assert.Equal(0, code);
        Assert.Contains(list.Split('\n'), line => line.StartsWith("fake ", StringComparison.Ordinal) && line.Contains("connected", StringComparison.Ordinal));
        Assert.Equal(0, (await CommandLineCalls.RunAsync(gateway, "toolservers", "quarantine", "fake", "echo", "--reason", "too loud")).Code);
        var (_, shown, _) = await CommandLineCalls.RunAsync(gateway, "toolservers", "show", "fake");
        Assert.Contains("too loud", shown, StringComparison.Ordinal);
        Assert.Equal(0, (await CommandLineCalls.RunAsync(gateway, "toolservers", "release", "fake", "echo")).Code);
        Assert.Equal(0, (await CommandLineCalls.RunAsync(gateway, "toolservers", "reconnect", "fake")).Code);
        var (unknown, _, error) = await CommandLineCalls.RunAsync(gateway, "toolservers", "show", "nobody");
        Assert.Equal((1, "gateway: There is no tool server 'nobody'."), (unknown, error.Trim()));
    }

    private static async Task<TestGateway> StartAsync(FakeMcpServer server, string more = "", string? data = null)
    {
        var gateway = await TestGateway.StartAsync(new TestGatewayOptions { DataFolder = data, Manifests = new Dictionary<string, string> { ["fake.yaml"] = ToolCaller.Http("fake", server.Endpoint, more) } }, TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, "fake", state => state.State == "connected");
        return gateway;
    }
}
