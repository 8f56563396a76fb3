using System.Text.Json;
using Gateway.Tests.Tools;
using TestSupport;

namespace Gateway.Tests.Admin;

/// <summary>What admins are told of the tools that a key's clients are shown.</summary>
public sealed class KeyToolsTests : IAsyncLifetime
{
    private FakeMcpServer server = null!;
    private TestGateway gateway = null!;

    public async ValueTask InitializeAsync()
    {
        server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        server.Tools = $"[{string.Join(',', Enumerable.Range(0, 60).Select(number => $$$"""{"name":"t{{{number:00}}}","inputSchema":{"type":"object"}}"""))}]";
        gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = "toolsets: {few: {tools: [\"many/t0*\"]}}\n",
            Manifests = new Dictionary<string, string>
            {
                ["many.yaml"] = $$"""
                    apiVersion: hub/v1
                    kind: ToolManifest
                    metadata: {id: many}
                    upstream: {url: "{{server.Endpoint}}"}
                    expose: {tools: [{name: t59, as: last}]}
                    """,
            },
        }, TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, "many", state => state.State == "connected");
    }

    public async ValueTask DisposeAsync()
    {
        await gateway.DisposeAsync();
        await server.DisposeAsync();
    }

    [Fact]
    public async Task Tools_OfAKey_AreThoseThatItsClientsList()
    {
        var made = await gateway.DeclareAsync("POST", "/keys", """{"name":"agent","tools":["many/*","!many/t00"]}""");
        using var client = gateway.NewClient(made.Text("token"));
        var listed = await ToolCaller.ListAsync(client);

        var first = await gateway.AdminAsync("GET", $"/keys/{made.Text("id")}/tools?limit=40");
        var second = await gateway.AdminAsync("GET", $"/keys/{made.Text("id")}/tools?limit=40&cursor={first.Text("nextCursor")}");

        var tools = first.Json.GetProperty("tools").EnumerateArray().Concat(second.Json.GetProperty("tools").EnumerateArray()).ToList();
        Assert.Equal(listed, tools.Select(tool => tool.GetProperty("name").GetString()));
        Assert.Equal(59, first.Json.GetProperty("count").GetInt32());
        Assert.Equal("""{"name":"many__last","server":"many","tool":"t59","bytes":53}""", tools[0].GetRawText());
        Assert.Equal(tools.Sum(tool => tool.GetProperty("bytes").GetInt32()) + 60, first.Json.GetProperty("definitionBytes").GetInt32()); // with commas and brackets
        Assert.Equal("""[{"client":"Antigravity","most":50},{"client":"Windsurf","most":50}]""", first.Json.GetProperty("tooManyFor").GetRawText());
        Assert.Equal(JsonValueKind.Null, second.Json.GetProperty("nextCursor").ValueKind);
    }

    [Theory]
    [InlineData("toolset=few", "many__t00", 10)]
    [InlineData("server=many", "last", 60)]
    public async Task Tools_OfAnEndpoint_AreThoseThatItShows(string query, string first, int count)
    {
        var shown = await gateway.AdminAsync("GET", $"/keys/{gateway.VirtualKey.Split('-')[2]}/tools?{query}");

        Assert.Equal((first, count), (shown.Json.GetProperty("tools")[0].GetProperty("name").GetString(), shown.Json.GetProperty("count").GetInt32()));
    }

    [Theory]
    [InlineData("server=many&toolset=few", "toolset")]
    [InlineData("server=nothing", "server")]
    [InlineData("toolset=nothing", "toolset")]
    public async Task Endpoint_ThatIsNone_IsNamed(string query, string field) =>
        (await gateway.AdminAsync("GET", $"/keys/{gateway.VirtualKey.Split('-')[2]}/tools?{query}")).AssertProblem(400, "invalid_parameter", field);

    [Fact]
    public async Task Key_Unknown_IsNotFound() => (await gateway.AdminAsync("GET", "/keys/nobody/tools")).AssertProblem(404, "unknown_key", null);

    [Fact]
    public async Task CommandLine_PrintsThem_AndForWhomTheyAreTooMany()
    {
        var (code, table, _) = await CommandLineCalls.RunAsync(gateway, "keys", "tools", gateway.VirtualKey.Split('-')[2]);
        var (_, few, _) = await CommandLineCalls.RunAsync(gateway, "keys", "tools", gateway.VirtualKey.Split('-')[2], "--toolset", "few");
        var (wrong, _, error) = await CommandLineCalls.RunAsync(gateway, "keys", "tools", gateway.VirtualKey.Split('-')[2], "--toolset", "none");

        Assert.Equal(0, code);
        Assert.Contains("many__last ", table, StringComparison.Ordinal);
        Assert.EndsWith("Antigravity takes 50 at most\nWindsurf takes 50 at most\n", table, StringComparison.Ordinal);
        Assert.EndsWith("10 tools, 531 bytes of definitions\n", few, StringComparison.Ordinal);
        Assert.Equal(1, wrong);
        Assert.Contains("There is no toolset 'none'.", error, StringComparison.Ordinal);
    }
}
