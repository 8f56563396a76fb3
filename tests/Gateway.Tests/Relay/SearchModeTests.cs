using System.Text.Json;
using Gateway.Tests.Admin;
using Gateway.Tests.Tools;
using ModelContextProtocol;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using TestSupport;

namespace Gateway.Tests.Relay;

/// <summary>Three tools in place of all: they find, describe and call the others, with the same checks as a direct call.</summary>
public sealed class SearchModeTests : IAsyncLifetime
{
    private RelayServer server = null!;
    private TestGateway gateway = null!;
    private string narrow = "";

    public async ValueTask InitializeAsync()
    {
        server = await RelayServer.StartAsync(TestContext.Current.CancellationToken);
        gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Manifests = new Dictionary<string, string>
            {
                ["relay.yaml"] = $$"""
                    apiVersion: hub/v1
                    kind: ToolManifest
                    metadata: {id: relay}
                    upstream: {url: {{server.Endpoint}} }
                    """,
            },
        }, TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, "relay", state => state.State == "connected");
        narrow = (await gateway.DeclareAsync("POST", "/keys", """{"name":"narrow","tools":["relay/who","relay/ask*"]}""")).Text("token")!;
    }

    public async ValueTask DisposeAsync()
    {
        await gateway.DisposeAsync();
        await server.DisposeAsync();
    }

    [Theory]
    [InlineData("2025-11-25")]
    [InlineData("2026-07-28")]
    public async Task Client_FindsDescribesAndCalls(string version)
    {
        await using var mcp = await ConnectAsync(version, narrow);
        var cancellation = TestContext.Current.CancellationToken;

        var listed = await mcp.ListToolsAsync(cancellationToken: cancellation);
        var found = await mcp.CallToolAsync("search_tools", new Dictionary<string, object?> { ["query"] = "asking somebody twice", ["limit"] = 1 }, cancellationToken: cancellation);
        var described = await mcp.CallToolAsync("describe_tool", new Dictionary<string, object?> { ["names"] = new[] { "relay__ask" } }, cancellationToken: cancellation);
        var called = await mcp.CallToolAsync("call_tool", new Dictionary<string, object?> { ["name"] = "relay__ask", ["arguments"] = new Dictionary<string, object?>() }, cancellationToken: cancellation);
        var direct = await mcp.CallToolAsync("relay__ask", cancellationToken: cancellation);

        Assert.Equal(["call_tool", "describe_tool", "search_tools"], listed.Select(tool => tool.Name));
        Assert.Contains("search_tools", mcp.ServerInstructions, StringComparison.Ordinal);
        Assert.Equal("relay__ask-twice", found.StructuredContent!.Value.GetProperty("tools")[0].GetProperty("name").GetString());
        Assert.Equal("object", described.StructuredContent!.Value.GetProperty("tools")[0].GetProperty("inputSchema").GetProperty("type").GetString());
        Assert.All([called, direct], result => Assert.Equal("Ada", Assert.IsType<TextContentBlock>(Assert.Single(result.Content)).Text));
    }

    [Theory]
    [InlineData("relay__sample", "Unknown tool: relay__sample")]
    [InlineData("relay__aks", "Did you mean relay__ask")]
    [InlineData("call_tool", "cannot be called through call_tool")]
    public async Task Tool_ThatIsNotTheCallers_CannotBeCalled(string name, string words)
    {
        await using var mcp = await ConnectAsync("2025-11-25", narrow);

        var refused = await Assert.ThrowsAsync<McpProtocolException>(() => mcp.CallToolAsync(
            "call_tool", new Dictionary<string, object?> { ["name"] = name }, cancellationToken: TestContext.Current.CancellationToken).AsTask());

        Assert.Contains(words, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("Did you mean relay__sample", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Calls_AreRecordedUnderTheToolsOwnName()
    {
        await using var mcp = await ConnectAsync("2025-11-25", narrow);

        await mcp.CallToolAsync("call_tool", new Dictionary<string, object?> { ["name"] = "relay__who", ["arguments"] = new Dictionary<string, object?>() }, cancellationToken: TestContext.Current.CancellationToken);
        await mcp.CallToolAsync("search_tools", new Dictionary<string, object?> { ["query"] = "who" }, cancellationToken: TestContext.Current.CancellationToken);

        var rows = await EventuallyAsync(async () =>
        {
            var text = await gateway.AdminClient.GetStringAsync("admin/v1/ledger?limit=50", TestContext.Current.CancellationToken);
            return text.Contains("search_tools", StringComparison.Ordinal) && text.Contains("relay__who", StringComparison.Ordinal) ? text : null;
        });
        Assert.DoesNotContain("call_tool", rows, StringComparison.Ordinal);
    }

    private static async Task<string> EventuallyAsync(Func<Task<string?>> probe)
    {
        using var guard = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (true)
        {
            if (await probe() is { } found)
            {
                return found;
            }
            guard.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private Task<McpClient> ConnectAsync(string version, string key) => McpClient.CreateAsync(
        new HttpClientTransport(new HttpClientTransportOptions
        {
            Endpoint = new Uri(gateway.BaseAddress, "mcp?mode=search"),
            TransportMode = HttpTransportMode.StreamableHttp,
            AdditionalHeaders = new Dictionary<string, string> { ["Authorization"] = $"Bearer {key}" },
        }),
        new McpClientOptions
        {
            ProtocolVersion = version,
            Handlers = new McpClientHandlers
            {
                ElicitationHandler = (_, _) => ValueTask.FromResult(new ElicitResult { Action = "accept", Content = new Dictionary<string, JsonElement> { ["answer"] = JsonSerializer.SerializeToElement("Ada") } }),
            },
        },
        cancellationToken: TestContext.Current.CancellationToken);
}
