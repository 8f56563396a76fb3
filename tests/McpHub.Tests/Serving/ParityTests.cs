using System.Net;
using System.Text.Json.Nodes;

namespace McpHub.Tests.Serving;

/// <summary>The same requests on both ways through the hub: a client must not be able to tell which one answered.</summary>
public sealed class ParityTests
{
    private const string List = """{"jsonrpc":"2.0","id":1,"method":"tools/list"}""";
    private const string Call = """{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hi"}}}""";

    private static string StatelessList => $$$$"""{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{ {{{{Wire.StatelessMeta}}}} }}}""";

    private static string StatelessCall => $$$$"""{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"echo","arguments":{},"_meta":{ {{{{Wire.StatelessMeta}}}} }}}""";

    /// <summary>Name, stateless or not, body, headers changed (a header of the empty text is left out), status, and error code or 0.</summary>
    public static TheoryData<string, bool, string, string, int, int> Requests()
    {
        var table = new TheoryData<string, bool, string, string, int, int>
        {
            { "list", false, List, "", 200, 0 },
            { "list with empty params", false, """{"jsonrpc":"2.0","id":"a","method":"tools/list","params":{}}""", "", 200, 0 },
            { "list with null params", false, """{"jsonrpc":"2.0","id":"a","method":"tools/list","params":null}""", "", 200, 0 },
            { "list with a cursor", false, """{"jsonrpc":"2.0","id":"a","method":"tools/list","params":{"cursor":"x"}}""", "", 200, -32602 },
            { "list with odd params", false, """{"jsonrpc":"2.0","id":"a","method":"tools/list","params":[]}""", "", 200, 0 },
            { "list with the agreed version", false, List, "MCP-Protocol-Version: 2025-11-25", 200, 0 },
            { "list with another version", false, List, "MCP-Protocol-Version: 2025-06-18", 200, -32600 },
            { "list with an unknown version", false, List, "MCP-Protocol-Version: 1999-01-01", 400, -32022 },
            { "list that accepts JSON only", false, List, "Accept: application/json", 406, -32000 },
            { "list that accepts streams only", false, List, "Accept: text/event-stream", 406, -32000 },
            { "list that accepts all", false, List, "Accept: */*", 200, 0 },
            { "list that accepts by weights", false, List, "Accept: text/event-stream;q=0.5, application/json;q=0.9", 200, 0 },
            { "list as text", false, List, "Content-Type: text/plain", 415, 0 },
            { "list as UTF-16", false, List, "Content-Type: application/json; charset=utf-16", 415, -32600 },
            { "list as UTF-8", false, List, "Content-Type: application/json; charset=utf-8", 200, 0 },
            { "list without a session", false, List, "Mcp-Session-Id: ", 400, -32000 },
            { "list in an unknown session", false, List, "Mcp-Session-Id: nobody", 404, -32001 },
            { "list with reserved metadata", false, StatelessList, "", 200, 0 },
            { "list with client info only", false, """{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"}}}}""", "", 200, 0 },
            { "call", false, Call, "", 200, 0 },
            { "call without name", false, """{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{}}""", "", 200, -32602 },
            { "call without params", false, """{"jsonrpc":"2.0","id":2,"method":"tools/call"}""", "", 200, -32602 },
            { "call with a number as name", false, """{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":3}}""", "", 200, -32602 },
            { "call with odd arguments", false, """{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":[1]}}""", "", 200, -32602 },
            { "call with odd metadata", false, """{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","_meta":3}}""", "", 200, -32602 },
            { "call of a tool nobody has", false, """{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"nope"}}""", "", 200, -32602 },
            { "call that fails with data", false, """{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"fail"}}""", "", 200, -32042 },
            { "call that throws", false, """{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"throw"}}""", "", 200, -32603 },
            { "malformed", false, """{"jsonrpc":"2.0","id":1,""", "", 400, -32700 },
            { "trailing bytes", false, List + "}", "", 400, -32700 },
            { "empty", false, "", "", 400, -32700 },
            { "batch", false, $"[{List}]", "", 400, -32600 },
            { "no version", false, """{"id":1,"method":"tools/list"}""", "", 400, -32600 },
            { "old version", false, """{"jsonrpc":"1.0","id":1,"method":"tools/list"}""", "", 400, -32600 },
            { "null id", false, """{"jsonrpc":"2.0","id":null,"method":"tools/list"}""", "", 400, -32600 },
            { "fractional id", false, """{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}""", "", 400, -32600 },
            { "object id", false, """{"jsonrpc":"2.0","id":{},"method":"tools/list"}""", "", 400, -32600 },
            { "id beyond 64 bits", false, """{"jsonrpc":"2.0","id":92233720368547758070,"method":"tools/list"}""", "", 400, -32600 },
            { "duplicated method", false, """{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}""", "", 400, -32600 },
            { "duplicated name, escaped", false, """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","n\u0061me":"slow"}}""", "", 400, -32600 },
            { "duplicated metadata", false, """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{"a":1,"a":2}}}""", "", 400, -32600 },
            { "unknown method", false, """{"jsonrpc":"2.0","id":1,"method":"tools/dance"}""", "", 200, -32601 },
            { "number as method", false, """{"jsonrpc":"2.0","id":1,"method":5}""", "", 400, -32600 },
            { "stateless list", true, StatelessList, "", 200, 0 },
            { "stateless list without metadata", true, List, "", 400, -32602 },
            { "stateless list without capabilities", true, """{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}""", "", 400, -32602 },
            { "stateless list under another version", true, """{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2025-11-25","io.modelcontextprotocol/clientCapabilities":{}}}}""", "", 400, -32020 },
            { "stateless list without method header", true, StatelessList, "Mcp-Method: ", 400, -32020 },
            { "stateless list with another method header", true, StatelessList, "Mcp-Method: tools/call", 400, -32020 },
            { "stateless list with a session header", true, StatelessList, "Mcp-Session-Id: whatever", 200, 0 },
            { "stateless call", true, StatelessCall, "Mcp-Method: tools/call|Mcp-Name: echo", 200, 0 },
            { "stateless call, encoded name", true, StatelessCall, "Mcp-Method: tools/call|Mcp-Name: =?base64?ZWNobw==?=", 200, 0 },
            { "stateless call, name badly encoded", true, StatelessCall, "Mcp-Method: tools/call|Mcp-Name: =?base64?%%?=", 400, -32020 },
            { "stateless call without name header", true, StatelessCall, "Mcp-Method: tools/call", 400, -32020 },
            { "stateless call with another name header", true, StatelessCall, "Mcp-Method: tools/call|Mcp-Name: slow", 400, -32020 },
            { "stateless call of an unknown method's error", true, StatelessCall.Replace("\"echo\"", "\"gone\"", StringComparison.Ordinal), "Mcp-Method: tools/call|Mcp-Name: gone", 404, -32601 },
            { "stateless call that fails with data", true, StatelessCall.Replace("\"echo\"", "\"fail\"", StringComparison.Ordinal), "Mcp-Method: tools/call|Mcp-Name: fail", 200, -32042 },
            { "stateless call with upstream metadata", true, StatelessCall.Replace("\"echo\"", "\"meta\"", StringComparison.Ordinal), "Mcp-Method: tools/call|Mcp-Name: meta", 200, 0 },
            { "stateless call with an odd client description", true, StatelessCall.Replace("clientCapabilities\":{}", "clientCapabilities\":{},\"io.modelcontextprotocol/clientInfo\":7", StringComparison.Ordinal), "Mcp-Method: tools/call|Mcp-Name: echo", 200, -32602 },
            { "stateless initialize", true, """{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}""", "Mcp-Method: initialize", 404, -32601 },
        };
        return table;
    }

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task Post_OnEitherPath_AnswersTheSame(string name, bool stateless, string body, string changes, int status, int errorCode)
    {
        await using var host = await HubHost.StartAsync();
        host.Tools.Answer = (_, call, _) => ValueTask.FromResult(call.Name switch
        {
            "nope" => FakeTools.Error("""{"code":-32602,"message":"Unknown tool: nope"}"""),
            "gone" => FakeTools.Error("""{"code":-32601,"message":"gone"}"""),
            "fail" => FakeTools.Error("""{"code":-32042,"message":"ünable","data":{"why":["x",1.50],"n":null}}"""),
            "throw" => throw new InvalidOperationException("a secret"),
            "meta" => FakeTools.Result("""{"_meta":{"k":1,"io.modelcontextprotocol/serverInfo":{"name":"upstream","version":"9"}},"content":[],"resultType":"input_required"}"""),
            _ => FakeTools.Result(FakeTools.PlainResult),
        });
        using var wire = host.NewWire();
        if (!stateless)
        {
            await wire.OpenSessionAsync();
        }
        var headers = stateless ? Wire.StatelessHeaders("tools/list") : [];
        foreach (var change in changes.Split('|', StringSplitOptions.RemoveEmptyEntries))
        {
            var colon = change.IndexOf(": ", StringComparison.Ordinal);
            headers[change[..colon]] = change[(colon + 2)..];
        }

        host.Switches.AllThroughSdk = true;
        var sdk = await wire.PostAsync(body, headers);
        host.Switches.AllThroughSdk = false;
        var ours = await wire.PostAsync(body, headers);

        Assert.True(status == (int)ours.Status, $"{name}: {(int)ours.Status} {ours.Body}");
        Assert.Equal(sdk.Status, ours.Status);
        Assert.Equal(errorCode, ours.ErrorCode ?? 0);
        Assert.Equal(sdk.SessionId, ours.SessionId);
        Assert.True(JsonNode.DeepEquals(sdk.Last, ours.Last), $"{name}\nSDK:  {sdk.Body}\nours: {ours.Body}");
        Assert.DoesNotContain("secret", ours.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_PlainListAndCall_AreAnsweredAsBytes()
    {
        await using var host = await HubHost.StartAsync();
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();

        var list = await wire.PostAsync(List);
        var call = await wire.PostAsync(Call);
        var statelessList = await wire.PostAsync(StatelessList, Wire.StatelessHeaders("tools/list"));
        var statelessCall = await wire.PostAsync(StatelessCall, Wire.StatelessHeaders("tools/call", "echo"));

        Assert.All([list, call, statelessList, statelessCall], answer => Assert.Equal("application/json", answer.ContentType));
        Assert.Equal($$$"""{"jsonrpc":"2.0","id":2,"result":{{{FakeTools.PlainResult}}}}""", call.Body);
        Assert.Equal("""{"jsonrpc":"2.0","id":1,"result":{"tools":""" + System.Text.Encoding.UTF8.GetString(FakeViews.Default.ToolsJson.Span) + "}}", list.Body);
        Assert.Equal("private", statelessList.Last!["result"]!["cacheScope"]!.GetValue<string>());
        Assert.Equal("complete", statelessList.Last["result"]!["resultType"]!.GetValue<string>());
        Assert.True(statelessList.Last["result"]!["ttlMs"]!.GetValue<long>() >= 0);
        Assert.Equal("agent-gateway", statelessCall.Last!["result"]!["_meta"]!["io.modelcontextprotocol/serverInfo"]!["name"]!.GetValue<string>());
        Assert.Equal("complete", statelessCall.Last["result"]!["resultType"]!.GetValue<string>());
        Assert.Contains("1.50", statelessCall.Body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("7")]
    [InlineData("-9223372036854775808")]
    [InlineData("9007199254740993")]
    [InlineData("\"\"")]
    [InlineData("\"a\\u0062\\n\\\"\\\\ ☃ é\"")]
    public async Task Post_AnyKindOfId_ComesBackAsSent(string id)
    {
        await using var host = await HubHost.StartAsync();
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();
        var body = $$"""{"jsonrpc":"2.0","id":{{id}},"method":"tools/list"}""";

        var ours = await wire.PostAsync(body);
        host.Switches.AllThroughSdk = true;
        var sdk = await wire.PostAsync(body);

        Assert.StartsWith($$"""{"jsonrpc":"2.0","id":{{id}},""", ours.Body, StringComparison.Ordinal);
        Assert.True(JsonNode.DeepEquals(sdk.Last!["id"], ours.Last!["id"]));
    }

    [Fact]
    public async Task List_OfFiveHundredTools_ComesWholeOnEitherPath()
    {
        await using var host = await HubHost.StartAsync();
        host.Views.Set(HubHost.Key, FakeViews.NewLargeView(500, bytesEach: 300));
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();

        var ours = await wire.PostAsync(List);
        host.Switches.AllThroughSdk = true;
        var sdk = await wire.PostAsync(List);

        Assert.Equal(500, ours.Last!["result"]!["tools"]!.AsArray().Count);
        Assert.True(JsonNode.DeepEquals(sdk.Last, ours.Last));
    }

    [Fact]
    public async Task Post_SessionOfAnotherKey_IsUnknownOnEitherPath()
    {
        await using var host = await HubHost.StartAsync();
        using var alice = host.NewWire();
        await alice.OpenSessionAsync();
        using var bob = host.NewWire(HubHost.OtherKey);
        bob.SessionId = alice.SessionId;

        var ours = await bob.PostAsync(List);
        host.Switches.AllThroughSdk = true;
        var sdk = await bob.PostAsync(List);

        Assert.Equal(HttpStatusCode.NotFound, ours.Status);
        Assert.Equal(sdk.Body, ours.Body);
    }
}
