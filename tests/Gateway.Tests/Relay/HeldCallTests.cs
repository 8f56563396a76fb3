using System.Text;
using System.Text.Json.Nodes;
using Gateway.Tests.Admin;
using Gateway.Tests.Tools;
using Microsoft.Extensions.Time.Testing;
using TestSupport;

namespace Gateway.Tests.Relay;

/// <summary>A call of a client without a session that waits for its answers: nobody but its own client brings it to its end, once, for the same request, and in time.</summary>
public sealed class HeldCallTests : IAsyncLifetime
{
    private const string Capable = """{"elicitation":{},"sampling":{}}""";

    private readonly FakeTimeProvider clock = new(TimeProvider.System.GetUtcNow());
    private RelayServer server = null!;
    private TestGateway gateway = null!;

    public async ValueTask InitializeAsync()
    {
        server = await RelayServer.StartAsync(TestContext.Current.CancellationToken);
        gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Clock = clock,
            Manifests = new Dictionary<string, string>
            {
                ["relay.yaml"] = $"""
                    apiVersion: hub/v1
                    kind: ToolManifest
                    metadata:
                      id: relay
                    upstream:
                      url: {server.Endpoint}
                      protocol: "2025-11-25"
                    """,
            },
        }, TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, "relay", state => state.State == "connected");
    }

    public async ValueTask DisposeAsync()
    {
        await gateway.DisposeAsync();
        await server.DisposeAsync();
    }

    [Fact]
    public async Task Retry_WithTheAnswer_EndsTheVeryCall()
    {
        var asked = await CallAsync("relay__live");
        var ended = await CallAsync("relay__live", StateOf(asked), Answers(asked, "Ada"));

        Assert.Equal("input_required", asked["result"]!["resultType"]!.GetValue<string>());
        Assert.Equal("elicitation/create", Assert.Single(Questions(asked)).Value!["method"]!.GetValue<string>());
        Assert.Equal("complete", ended["result"]!["resultType"]!.GetValue<string>());
        Assert.Equal("accept Ada", ended["result"]!["content"]![0]!["text"]!.GetValue<string>());
        // The server saw one call, and asked in the middle of it.
        Assert.Single(server.Sessions);
    }

    [Fact]
    public async Task Retry_WithoutTheAnswer_IsAskedAgain()
    {
        var asked = await CallAsync("relay__ask");
        var again = await CallAsync("relay__ask", StateOf(asked), []);
        var ended = await CallAsync("relay__ask", StateOf(again), Answers(again, "Ada"));

        Assert.Equal("input_required", again["result"]!["resultType"]!.GetValue<string>());
        Assert.Equal("Ada", ended["result"]!["content"]![0]!["text"]!.GetValue<string>());
    }

    [Fact]
    public async Task State_UsedTwice_IsRefused()
    {
        var asked = await CallAsync("relay__ask");
        await CallAsync("relay__ask", StateOf(asked), Answers(asked, "Ada"));

        AssertRefused(await CallAsync("relay__ask", StateOf(asked), Answers(asked, "Eve")));
    }

    [Fact]
    public async Task State_OfAnotherKey_IsRefusedAndTheCallStaysWithItsOwner()
    {
        var asked = await CallAsync("relay__ask");
        var made = await gateway.DeclareAsync("POST", "/keys", """{"name":"eve","tools":["*"]}""");
        using var other = gateway.NewClient(made.Text("token"));

        AssertRefused(await CallAsync("relay__ask", StateOf(asked), Answers(asked, "Eve"), other));
        Assert.Equal("Ada", (await CallAsync("relay__ask", StateOf(asked), Answers(asked, "Ada")))["result"]!["content"]![0]!["text"]!.GetValue<string>());
    }

    [Fact]
    public async Task State_OfAnotherTool_IsRefused()
    {
        var asked = await CallAsync("relay__ask");

        AssertRefused(await CallAsync("relay__sample", StateOf(asked), Answers(asked, "Ada")));
    }

    [Theory]
    [InlineData("")]
    [InlineData("not a state")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    public async Task State_Forged_IsRefused(string state) => AssertRefused(await CallAsync("relay__ask", state, []));

    [Fact]
    public async Task State_WithOneCharacterChanged_IsRefused()
    {
        var asked = await CallAsync("relay__ask");
        var state = new StringBuilder(StateOf(asked));
        state[20] = state[20] == 'A' ? 'B' : 'A';

        AssertRefused(await CallAsync("relay__ask", state.ToString(), Answers(asked, "Ada")));
    }

    [Fact]
    public async Task State_TooOld_IsRefused()
    {
        var asked = await CallAsync("relay__ask");
        clock.Advance(TimeSpan.FromMinutes(11));

        AssertRefused(await CallAsync("relay__ask", StateOf(asked), Answers(asked, "Ada")));
    }

    [Fact]
    public async Task Client_CannotBeAsked_IsNotAsked()
    {
        var answer = await CallAsync("relay__ask", capabilities: "{}");

        Assert.Null(answer["result"]?["inputRequests"]);
        Assert.True(answer["error"] is not null || answer["result"]!["isError"]!.GetValue<bool>());
    }

    [Fact]
    public async Task Server_WantsAVisitFirst_ItsClientIsAskedInItsOwnWay()
    {
        var asked = await CallAsync("relay__visit", capabilities: """{"elicitation":{"form":{},"url":{}}}""");
        var refused = await CallAsync("relay__visit", capabilities: """{"elicitation":{"form":{}}}""");

        var question = Assert.Single(Questions(asked)).Value!;
        Assert.Equal(("elicitation/create", "https://example.com/visit"), (question["method"]!.GetValue<string>(), question["params"]!["url"]!.GetValue<string>()));
        Assert.Equal(-32042, refused["error"]!["code"]!.GetValue<int>());
    }

    [Theory]
    [InlineData(null, false)]
    [InlineData("error", false)]
    [InlineData("warning", true)]
    public async Task LogMessages_AreForThoseWhoAskForThem(string? level, bool isHeard)
    {
        var answer = await TextAsync("relay__log", logLevel: level, progressToken: "t");

        Assert.Equal(isHeard, answer.Contains("notifications/message", StringComparison.Ordinal));
        Assert.Contains("done", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task State_OfAnotherToolBehindTheSearch_IsRefused()
    {
        var asked = JsonNode.Parse(await TextAsync("call_tool", path: "mcp?mode=search", arguments: new JsonObject { ["name"] = "relay__ask" }))!;
        var state = StateOf(asked);

        AssertRefused(JsonNode.Parse(await TextAsync("call_tool", state, Answers(asked, "Ada"), path: "mcp?mode=search", arguments: new JsonObject { ["name"] = "relay__sample" }))!);
        var ended = JsonNode.Parse(await TextAsync("call_tool", state, Answers(asked, "Ada"), path: "mcp?mode=search", arguments: new JsonObject { ["name"] = "relay__ask" }))!;
        Assert.Equal("Ada", ended["result"]!["content"]![0]!["text"]!.GetValue<string>());
    }

    private static string StateOf(JsonNode answer) => answer["result"]!["requestState"]!.GetValue<string>();

    private static JsonObject Questions(JsonNode answer) => (JsonObject)answer["result"]!["inputRequests"]!;

    private static JsonObject Answers(JsonNode answer, string text) =>
        new(Questions(answer).Select(question => KeyValuePair.Create(question.Key, (JsonNode?)new JsonObject { ["action"] = "accept", ["content"] = new JsonObject { ["answer"] = text } })));

    private static void AssertRefused(JsonNode answer)
    {
        Assert.Equal(-32602, answer["error"]!["code"]!.GetValue<int>());
        Assert.Contains("requestState", answer["error"]!["message"]!.GetValue<string>(), StringComparison.Ordinal);
    }

    private async Task<JsonNode> CallAsync(string tool, string? state = null, JsonObject? answers = null, HttpClient? client = null, string capabilities = Capable)
    {
        var text = await TextAsync(tool, state, answers, client, capabilities);
        return JsonNode.Parse(text.StartsWith('{') ? text : text.Split('\n').First(line => line.StartsWith("data:", StringComparison.Ordinal))["data:".Length..])!;
    }

    private async Task<string> TextAsync(
        string tool, string? state = null, JsonObject? answers = null, HttpClient? client = null, string capabilities = Capable, string path = "mcp", JsonObject? arguments = null, string? logLevel = null, string? progressToken = null)
    {
        var parameters = new JsonObject
        {
            ["name"] = tool,
            ["arguments"] = arguments ?? [],
            ["_meta"] = new JsonObject
            {
                ["io.modelcontextprotocol/protocolVersion"] = "2026-07-28",
                ["io.modelcontextprotocol/clientCapabilities"] = JsonNode.Parse(capabilities),
                ["io.modelcontextprotocol/clientInfo"] = new JsonObject { ["name"] = "test", ["version"] = "1" },
            },
        };
        if (logLevel is not null)
        {
            parameters["_meta"]!["io.modelcontextprotocol/logLevel"] = logLevel;
        }
        if (progressToken is not null)
        {
            parameters["_meta"]!["progressToken"] = progressToken;
        }
        if (state is not null)
        {
            parameters["requestState"] = state;
        }
        if (answers is not null)
        {
            parameters["inputResponses"] = answers;
        }
        using var request = new HttpRequestMessage(HttpMethod.Post, path);
        request.Content = new StringContent(new JsonObject { ["jsonrpc"] = "2.0", ["id"] = 1, ["method"] = "tools/call", ["params"] = parameters }.ToJsonString(), Encoding.UTF8, "application/json");
        request.Headers.Add("Accept", "application/json, text/event-stream");
        request.Headers.Add("MCP-Protocol-Version", "2026-07-28");
        request.Headers.Add("Mcp-Method", "tools/call");
        request.Headers.Add("Mcp-Name", tool);
        using var response = await (client ?? gateway.Client).SendAsync(request, TestContext.Current.CancellationToken);
        return await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
    }
}
