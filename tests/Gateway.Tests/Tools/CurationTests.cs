#pragma warning disable MCP9005, MCP9006 // Sessions and the handshake are deprecated, and most peers have them all the same.
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Gateway.Tests.Configuration;
using Gateway.Tests.Interop;
using Gateway.Tests.Relay;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using TestSupport;

namespace Gateway.Tests.Tools;

/// <summary>What manifests make of tools, and toolsets, through the whole gateway.</summary>
public sealed class CurationTests
{
    private const string Issue = """
        [{"name":"create_issue","title":"Old","inputSchema":{"type":"object","properties":{"owner":{"type":"string"},"token":{"type":"string"},"repo":{"type":"string"},"state":{"type":"string"},"page":{"type":"integer"},"debug":{"type":"boolean"}},"required":["owner","repo","page"]}},
         {"name":"delete_issue","inputSchema":{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}}]
        """;

    public static TheoryData<string, bool> Eras => new() { { "2025-11-25", false }, { "2025-11-25", true }, { "2026-07-28", false }, { "2026-07-28", true } };

    [Fact]
    public async Task Arguments_AreFixedHiddenFilledInAndChecked()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        server.Tools = Issue;
        await using var gateway = await StartAsync(server, """
              tools:
                - name: create_issue
                  as: new_issue
                  title: Open an issue
                  description: Opens an issue.
                  set: {owner: acme}
                  setSecret: {token: "${env:FAKE_TOKEN}"}
                  hideArgs: [debug]
                  args:
                    repo: {description: One of ours., allowed: [site, shop]}
                    page: {default: 1, min: 1, max: 9}
            """);

        var tool = ToolOf(gateway, "fake__new_issue");
        var made = await ToolCaller.CallAsync(gateway.Client, "fake__new_issue", """{"repo":"s\u0069te","x":1.50}""");
        var refusals = new List<string>();
        foreach (var arguments in new[] { """{"repo":"site","owner":"evil"}""", """{"repo":"site","debug":true}""", """{"repo":"other"}""", """{"repo":"site","repo":"other"}""", """{"repo":"site","page":10}""" })
        {
            using var refusal = JsonDocument.Parse(await ToolCaller.CallAsync(gateway.Client, "fake__new_issue", arguments));
            Assert.Equal(-32602, refusal.RootElement.GetProperty("error").GetProperty("code").GetInt32());
            refusals.Add(refusal.RootElement.GetProperty("error").GetProperty("message").GetString()!);
        }

        Assert.Equal("""{"name":"fake__new_issue","description":"Opens an issue.","title":"Open an issue","inputSchema":{"type":"object","properties":{"repo":{"type":"string","description":"One of ours.","enum":["site","shop"]},"state":{"type":"string"},"page":{"type":"integer","default":1,"maximum":9,"minimum":1}},"required":["repo"]}}""", tool);
        Assert.Contains("ok", made, StringComparison.Ordinal);
        Assert.Contains("""
            "arguments":{"owner":"acme","token":"s3cret-token","page":1,"repo":"s\u0069te","x":1.50}
            """.Trim(), Assert.Single(server.Received, message => message.Method == "tools/call").Text, StringComparison.Ordinal);
        Assert.Equal(
        [
            "Argument 'owner' has a fixed value here; leave it out.", "Argument 'debug' cannot be sent here; leave it out.", "Argument 'repo' must be one of \"site\", \"shop\".", "Argument 'repo' stands twice.",
            "Argument 'page' is greater than 9.",
        ], refusals);
        var rows = await LedgerAsync(gateway, "refused", 5);
        Assert.All(rows, row => Assert.Equal(("fake", "create_issue", "argument_refused", "refused"), (Text(row, "server"), Text(row, "tool"), Text(row, "error"), Text(row, "outcome"))));
        var shown = await gateway.AdminClient.GetStringAsync(new Uri("admin/v1/manifests/fake", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.DoesNotContain("s3cret-token", shown + made + string.Concat(gateway.Logs.Lines.Select(line => line.Message)), StringComparison.Ordinal);
        Assert.Contains("${env:FAKE_TOKEN}", shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RuleThatDoesNotFit_QuarantinesTheToolAndSaysWhy()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        server.Tools = Issue;
        await using var gateway = await StartAsync(server, "  tools: [{name: create_issue, hideArgs: [owner]}, {name: delete_issue, args: {idd: {max: 3}}}]", quarantined: 2);

        var shown = JsonNode.Parse(await gateway.AdminClient.GetStringAsync(new Uri("admin/v1/toolservers/fake", UriKind.Relative), TestContext.Current.CancellationToken))!.ToJsonString();

        Assert.DoesNotContain(await ToolCaller.ListAsync(gateway.Client), name => name.StartsWith("fake", StringComparison.Ordinal));
        Assert.Contains("The manifest hides its argument \\u0027owner\\u0027, which its server requires; give it a value under \\u0027set\\u0027.", shown, StringComparison.Ordinal);
        Assert.Contains("The manifest has a rule for its argument \\u0027idd\\u0027, which it does not have; it has id.", shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ServerOfFiles_IsKeptToTheFoldersThatTheManifestNames()
    {
        Assert.SkipUnless(InteropFolder.IsInstalled, InteropFolder.Missing);
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(Path.Combine(folder.Path, "public", "deep"));
        Directory.CreateDirectory(Path.Combine(folder.Path, "private"));
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "public", "deep", "a.txt"), "everybody's", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "private", "b.txt"), "nobody's", TestContext.Current.CancellationToken);
        var script = Path.Combine(InteropFolder.Folder, "node_modules", "@modelcontextprotocol", "server-filesystem", "dist", "index.js");
        await using var gateway = await StartAsync("files", $$"""
            apiVersion: hub/v1
            kind: ToolManifest
            metadata: {id: files}
            upstream: {command: "{{InteropFolder.Node}}", args: ["{{script}}", "{{folder.Path}}"]}
            expose:
              tools:
                - match: "*"
                  args:
                    path: {within: ["{{folder.Path}}/public"]}
                    paths: {within: ["{{folder.Path}}/public"]}
            """);
        Task<string> ReadAsync(string path) => ToolCaller.CallAsync(gateway.Client, "files__read_text_file", $$$"""{"path":{{{JsonSerializer.Serialize(folder.Path + path)}}}}""");
        // The server itself would let it be read.
        Assert.Contains("everybody's", await ReadAsync("/public/deep/a.txt"), StringComparison.Ordinal);
        Assert.Contains("everybody's", await ToolCaller.CallAsync(gateway.Client, "files__read_multiple_files", $$"""{"paths":["{{folder.Path}}/public/deep/a.txt"]}"""), StringComparison.Ordinal);

        foreach (var path in new[] { "/private/b.txt", "/public/../private/b.txt", "/public/%2e%2e/private/b.txt", "/public\\..\\private\\b.txt", "/publicity", "/public/\uff0e\uff0e/private/b.txt" })
        {
            var answer = await ReadAsync(path);
            Assert.Contains("-32602", answer, StringComparison.Ordinal);
            Assert.Contains("Argument 'path'", answer, StringComparison.Ordinal);
        }
        Assert.Contains("Argument 'paths' is not below", await ToolCaller.CallAsync(gateway.Client, "files__read_multiple_files", $$"""{"paths":["{{folder.Path}}/public/deep/a.txt","{{folder.Path}}/private/b.txt"]}"""), StringComparison.Ordinal);
        Assert.Equal(7, (await LedgerAsync(gateway, "refused", 7)).Count);
    }

    [Theory]
    [MemberData(nameof(Eras))]
    public async Task Approval_APersonIsAskedInEitherEra(string client, bool modernServer)
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        (server.Tools, server.IsModern) = (Issue, modernServer);
        await using var gateway = await StartAsync(server, "  tools: [{name: delete_issue, cost: 0.01, approval: confirm}]");
        var (asked, answer) = (new List<string>(), "accept");
        await using var mcp = await ConnectAsync(gateway, client, (request, _) =>
        {
            asked.Add(request!.Message);
            return ValueTask.FromResult(new ElicitResult { Action = answer });
        });

        var allowed = await mcp.CallToolAsync("fake__delete_issue", new Dictionary<string, object?> { ["id"] = 7 }, cancellationToken: TestContext.Current.CancellationToken);
        answer = "decline";
        var declined = await mcp.CallToolAsync("fake__delete_issue", new Dictionary<string, object?> { ["id"] = 8 }, cancellationToken: TestContext.Current.CancellationToken);

        Assert.NotEqual(true, allowed.IsError);
        Assert.Equal(["Allow the call of tool \"delete_issue\" of server \"fake\"?\nid: 7", "Allow the call of tool \"delete_issue\" of server \"fake\"?\nid: 8"], asked);
        Assert.True(declined.IsError);
        Assert.Contains("declined the call of 'fake__delete_issue'", ((TextContentBlock)declined.Content[0]).Text, StringComparison.Ordinal);
        Assert.Contains("\"id\":7", Assert.Single(server.Received, message => message.Method == "tools/call").Text, StringComparison.Ordinal);
        Assert.Equal("approval_declined", Text(Assert.Single(await LedgerAsync(gateway, "refused", 1)), "error"));
        Assert.Single(await LedgerAsync(gateway, "succeeded", 1));
    }

    [Theory]
    [MemberData(nameof(Eras))]
    public async Task Approval_ServerThatAsksTooMeanwhile_TheApprovalIsAskedOnce(string client, bool modernServer)
    {
        await using var server = await RelayServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync("relay", $$"""
            apiVersion: hub/v1
            kind: ToolManifest
            metadata: {id: relay}
            upstream: {url: "{{server.Endpoint}}", protocol: "{{(modernServer ? "2026-07-28" : "2025-11-25")}}"}
            expose: {tools: [{name: ask-twice, approval: confirm}]}
            """);
        var asked = new List<string>();
        await using var mcp = await ConnectAsync(gateway, client, (request, _) =>
        {
            asked.Add(request!.Message);
            return ValueTask.FromResult(new ElicitResult { Action = "accept", Content = new Dictionary<string, JsonElement> { ["answer"] = JsonSerializer.SerializeToElement("Ada") } });
        });

        var result = await mcp.CallToolAsync("relay__ask-twice", cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal("Ada", ((TextContentBlock)result.Content[0]).Text);
        Assert.Equal(3, asked.Count);
        Assert.Equal("Allow the call of tool \"ask-twice\" of server \"relay\"?\n(no arguments)", Assert.Single(asked, message => message.StartsWith("Allow", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("2025-11-25")]
    [InlineData("2026-07-28")]
    public async Task Approval_ClientWithoutAPerson_IsRefused(string client)
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        server.Tools = Issue;
        await using var gateway = await StartAsync(server, "  tools: [{name: delete_issue, approval: confirm}]");
        await using var mcp = await ConnectAsync(gateway, client, null);

        var refused = await mcp.CallToolAsync("fake__delete_issue", new Dictionary<string, object?> { ["id"] = 7 }, cancellationToken: TestContext.Current.CancellationToken);

        Assert.True(refused.IsError);
        Assert.Contains("this client cannot ask its person", ((TextContentBlock)refused.Content[0]).Text, StringComparison.Ordinal);
        Assert.DoesNotContain(server.Received, message => message.Method == "tools/call");
        Assert.Equal("approval_impossible", Text(Assert.Single(await LedgerAsync(gateway, "refused", 1)), "error"));
    }

    [Fact]
    public async Task Approval_RememberedForTheSession_IsNotAskedAgain()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        server.Tools = Issue;
        await using var gateway = await StartAsync(server, "  tools: [{name: delete_issue, approval: {mode: confirm, remember: session}}]");
        var asked = 0;
        ValueTask<ElicitResult> Answer(ElicitRequestParams? request, CancellationToken _)
        {
            asked++;
            Assert.Contains("remember", request!.RequestedSchema!.Properties.Keys);
            return ValueTask.FromResult(new ElicitResult { Action = "accept", Content = new Dictionary<string, JsonElement> { ["remember"] = JsonSerializer.SerializeToElement(true) } });
        }
        await using var first = await ConnectAsync(gateway, "2025-11-25", Answer);
        await using var second = await ConnectAsync(gateway, "2025-11-25", Answer);

        foreach (var mcp in new[] { first, first, first, second })
        {
            Assert.NotEqual(true, (await mcp.CallToolAsync("fake__delete_issue", new Dictionary<string, object?> { ["id"] = 7 }, cancellationToken: TestContext.Current.CancellationToken)).IsError);
        }

        Assert.Equal(2, asked);
        Assert.Equal(4, server.Received.Count(message => message.Method == "tools/call"));
    }

    [Fact]
    public async Task ResultsRatesAndTimes_AreLimitedForOneTool()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        server.Tools = """[{"name":"long","inputSchema":{"type":"object"}},{"name":"slow","inputSchema":{"type":"object"}},{"name":"free","inputSchema":{"type":"object"}}]""";
        server.Call = request => (string?)request["params"]!["name"] == "slow" ? null : FakeMcpServer.Result(request, $$"""{"content":[{"type":"text","text":"{{new string('x', 9000)}}"}]}""");
        await using var gateway = await StartAsync(server, "  tools: [{name: long, result: 2KiB, rateLimit: 2}, {name: slow, timeout: 200ms}]");

        var cut = await ToolCaller.CallAsync(gateway.Client, "fake__long");
        await ToolCaller.CallAsync(gateway.Client, "fake__long");
        var limited = await ToolCaller.CallAsync(gateway.Client, "fake__long");
        var slow = await ToolCaller.CallAsync(gateway.Client, "fake__slow");
        var free = await ToolCaller.CallAsync(gateway.Client, "fake__free");

        Assert.InRange(cut.Length, 1500, 2200);
        Assert.Contains("[The gateway shortened this result: it has 9", cut, StringComparison.Ordinal);
        Assert.Contains("/tool:fake/long' of 2 requests per minute is reached", limited, StringComparison.Ordinal);
        Assert.Contains("Tool 'fake__slow' did not answer within 0.2 s.", slow, StringComparison.Ordinal);
        Assert.True(free.Length > 9000);
    }

    [Fact]
    public async Task Toolset_IsServedAtItsEndpointAndGrantedByName()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        server.Tools = """[{"name":"get","inputSchema":{"type":"object"}},{"name":"put","inputSchema":{"type":"object"}},{"name":"find","inputSchema":{"type":"object"}},{"name":"drop","inputSchema":{"type":"object"}}]""";
        await using var gateway = await StartAsync(server, "  tools: [{name: get, as: fetch, tags: [reading]}, {name: drop, tags: [reading]}]", """
            toolsets:
              reading: {title: Reading, instructions: Only look., tags: [reading], tools: ["fake/f*", "!fake/drop"]}
              elsewhere: {tools: ["other/*"]}
            """);
        var narrow = await CreateKeyAsync(gateway, new { name = "narrow", tools = new[] { "toolset:reading", "!fake/find" } });
        var writer = await CreateKeyAsync(gateway, new { name = "writer", tools = new[] { "fake/put" } });

        await using var all = await ConnectAsync(gateway, "2025-11-25", null, "mcp/t/reading");
        await using var granted = await ConnectAsync(gateway, "2025-11-25", null, key: narrow);

        Assert.Equal(["fake__fetch", "fake__find"], (await all.ListToolsAsync(cancellationToken: TestContext.Current.CancellationToken)).Select(tool => tool.Name));
        Assert.StartsWith("Only look.", all.ServerInstructions, StringComparison.Ordinal);
        Assert.NotEqual(true, (await all.CallToolAsync("fake__fetch", cancellationToken: TestContext.Current.CancellationToken)).IsError);
        var unknown = await Assert.ThrowsAsync<ModelContextProtocol.McpProtocolException>(() => all.CallToolAsync("fake__put", cancellationToken: TestContext.Current.CancellationToken).AsTask());
        Assert.Contains("Unknown tool", unknown.Message, StringComparison.Ordinal);
        Assert.Equal(["fake__fetch"], (await granted.ListToolsAsync(cancellationToken: TestContext.Current.CancellationToken)).Select(tool => tool.Name));
        foreach (var (path, key, expected) in new[]
        {
            ("mcp/t/reading", narrow, HttpStatusCode.OK), ("mcp/t/reading", writer, HttpStatusCode.NotFound), ("mcp/t/elsewhere", gateway.VirtualKey, HttpStatusCode.NotFound),
            ("mcp/t/absent", gateway.VirtualKey, HttpStatusCode.NotFound), ("mcp/fake", writer, HttpStatusCode.OK), ("mcp/gateway", writer, HttpStatusCode.NotFound), ("mcp/absent", gateway.VirtualKey, HttpStatusCode.NotFound),
        })
        {
            Assert.Equal((path, expected), (path, await InitializeAsync(gateway, path, key)));
        }
    }

    [Fact]
    public async Task PromptsAndResources_AreShownAsTheManifestAndTheKeySay()
    {
        await using var server = await RelayServer.StartAsync(TestContext.Current.CancellationToken);
        string Manifest(string id, string expose) => $"apiVersion: hub/v1\nkind: ToolManifest\nmetadata: {{id: {id}}}\nupstream: {{url: \"{server.Endpoint}\"}}\nexpose: {{{expose}}}\n";
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = "toolsets: {one: {tools: [\"open/ask\"]}, two: {tools: [\"open/*\"], resources: [\"open/memo://o*\"]}}",
            Manifests = new Dictionary<string, string>
            {
                ["open.yaml"] = Manifest("open", "prompts: {rename: {greet: hello}}, resources: {allow: [\"memo://*\"], deny: [\"memo://two\"]}"),
                ["closed.yaml"] = Manifest("closed", "default: deny"),
            },
        }, TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, "open", state => state.State == "connected");
        await ToolCaller.WaitForAsync(gateway, "closed", state => state.State == "connected");
        var token = TestContext.Current.CancellationToken;

        await using var all = await ConnectAsync(gateway, "2025-11-25", null);
        Assert.Equal(["open__hello"], (await all.ListPromptsAsync(cancellationToken: token)).Select(prompt => prompt.Name));
        await all.GetPromptAsync("open__hello", new Dictionary<string, object?> { ["name"] = "Ada" }, cancellationToken: token);
        await Assert.ThrowsAsync<ModelContextProtocol.McpProtocolException>(() => all.GetPromptAsync("closed__greet", cancellationToken: token).AsTask());
        Assert.Equal(["open+memo://one"], (await all.ListResourcesAsync(cancellationToken: token)).Select(resource => resource.Uri));
        await all.ReadResourceAsync("open+memo://one", cancellationToken: token);
        foreach (var uri in new[] { "open+memo://two", "open+memo://x/../two", "open+memo://x/%2e%2e/two", "open+file:///etc/passwd", "closed+memo://one" })
        {
            await Assert.ThrowsAsync<ModelContextProtocol.McpProtocolException>(() => all.ReadResourceAsync(uri, cancellationToken: token).AsTask());
        }

        await using var some = await ConnectAsync(gateway, "2025-11-25", null, key: await CreateKeyAsync(gateway, new { name = "some", tools = new[] { "open/ask" } }));
        Assert.Empty(await some.ListPromptsAsync(cancellationToken: token));
        Assert.Empty(await some.ListResourcesAsync(cancellationToken: token));
        await using var named = await ConnectAsync(gateway, "2025-11-25", null, key: await CreateKeyAsync(gateway, new { name = "named", tools = new[] { "open/ask" }, prompts = new[] { "open/greet" } }));
        Assert.Equal(["open__hello"], (await named.ListPromptsAsync(cancellationToken: token)).Select(prompt => prompt.Name));
        Assert.Empty(await named.ListResourcesAsync(cancellationToken: token));

        await using var one = await ConnectAsync(gateway, "2025-11-25", null, "mcp/t/one");
        Assert.Empty(await one.ListPromptsAsync(cancellationToken: token));
        await using var two = await ConnectAsync(gateway, "2025-11-25", null, "mcp/t/two");
        Assert.Equal(["open__hello"], (await two.ListPromptsAsync(cancellationToken: token)).Select(prompt => prompt.Name));
        await two.ReadResourceAsync("open+memo://one", cancellationToken: token);
        await Assert.ThrowsAsync<ModelContextProtocol.McpProtocolException>(() => two.ReadResourceAsync("open+memo://three", cancellationToken: token).AsTask());
    }

    [Fact]
    public async Task FixedSecret_OfTheAdminApi_IsKeptInTheEncryptedStore()
    {
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions(), TestContext.Current.CancellationToken);
        var place = new Uri("admin/v1/manifests/made", UriKind.Relative);
        async Task<string> PutAsync(string tools)
        {
            using var body = new StringContent($$$"""{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"made"},"enabled":false,"upstream":{"url":"https://tools.example.com/mcp"},"expose":{"tools":{{{tools}}}}}""", System.Text.Encoding.UTF8, "application/json");
            using var response = await gateway.AdminClient.PutAsync(place, body, TestContext.Current.CancellationToken);
            var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            return response.IsSuccessStatusCode ? await gateway.AdminClient.GetStringAsync(place, TestContext.Current.CancellationToken) : text;
        }

        var shown = await PutAsync("""[{"name":"a","setSecret":{"token":"plain-s3cret"}},{"match":"b*","setSecret":{"token":"other-s3cret"}}]""");
        var masked = await PutAsync("""[{"name":"a","setSecret":{"token":"***"}}]""");
        var moved = await PutAsync("""[{"match":"b*","setSecret":{"token":"${secret:manifest.made.set.2}","more":"third-s3cret"}}]""");

        Assert.Contains("\"setSecret\":{\"token\":\"${secret:manifest.made.set.1}\"}", shown, StringComparison.Ordinal);
        Assert.Contains("\"setSecret\":{\"token\":\"${secret:manifest.made.set.2}\"}", shown, StringComparison.Ordinal);
        Assert.Contains("expose.tools[0].setSecret.token", masked, StringComparison.Ordinal);
        Assert.Contains("${secret:manifest.made.set.2}", moved, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", (shown + moved).Replace("setSecret", "", StringComparison.Ordinal), StringComparison.Ordinal);
        var tools = ((Shared.Snapshots.SnapshotStore)gateway.Services.GetService(typeof(Shared.Snapshots.SnapshotStore))!).Current.Manifests.Single(manifest => manifest.Id == "made").Tools;
        Assert.Equal(("\"other-s3cret\"", "\"third-s3cret\""), (tools[0].Set["token"].Json, tools[0].Set["more"].Json));
    }

    [Theory]
    [InlineData("key", "tools: [\"toolset:readin\"]", "there is no toolset 'readin' under toolsets; did you mean 'reading'?")]
    [InlineData("set", "set: {a: \"${env:X}\"}", "references go into setSecret")]
    [InlineData("set", "set: {a: 1}, setSecret: {a: b}", "'a' stands in set as well")]
    [InlineData("set", "set: {a: 1}, hideArgs: [a]", "has a fixed value, and is hidden by that already")]
    [InlineData("set", "hideArgs: [a], args: {a.b: {max: 1}}", "'a' is hidden")]
    [InlineData("set", "args: {a: {pattern: \"(?=x)\"}}", "is no regular expression")]
    [InlineData("set", "args: {a: {pattern: \"x)|(y\"}}", "is no regular expression")]
    [InlineData("set", "args: {a: {within: [\"/srv/../etc\"]}}", "'/srv/../etc' holds '..'")]
    [InlineData("set", "args: {a.b: {default: 1}}", "a member of one cannot have it")]
    [InlineData("set", "args: {a: {allowed: [[1]]}}", "expected a text, a number or a boolean")]
    [InlineData("set", "args: {a: {min: 2, max: 1}}", "is greater than max")]
    [InlineData("set", "args: {a..b: {max: 1}}", "expected names with a dot between")]
    [InlineData("set", "timeout: 10m", "is longer than the server's, upstream.limits.callTimeout (5m)")]
    [InlineData("set", "rateLimit: {}", "expected perMinute, totalPerMinute or both")]
    [InlineData("set", "approval: ask", "expected one of none, confirm")]
    [InlineData("set", "tags: [\"two words\"]", "expected a word")]
    [InlineData("expose", "prompts: {rename: {a: x, b: x}}", "'x' is the name of 'a' and 'b'")]
    public async Task Mistakes_AreRefusedWithTheirPlace(string where, string yaml, string expected)
    {
        using var folder = new TemporaryFolder();
        var file = Path.Combine(folder.Path, "gateway.yaml");
        await File.WriteAllTextAsync(file, "toolsets: {reading: {tools: [\"a/*\"]}}\n" + (where == "key" ? $"teams: {{a: {{{yaml}}}}}\n" : ""), TestContext.Current.CancellationToken);
        Directory.CreateDirectory(Path.Combine(folder.Path, "tool-manifests"));
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "tool-manifests", "a.yaml"), $$"""
            apiVersion: hub/v1
            kind: ToolManifest
            metadata: {id: a}
            upstream: {url: "http://localhost:1/mcp"}
            expose: {{{(where == "set" ? $"tools: [{{name: t, {yaml}}}]" : where == "expose" ? yaml : "")}}}
            """, TestContext.Current.CancellationToken);

        var run = await CommandRun.Async("config", "check", "--config", file, "--manifests", Path.Combine(folder.Path, "tool-manifests"), "--data", Path.Combine(folder.Path, "data"));

        Assert.NotEqual(0, run.Code);
        Assert.Contains(expected, run.Output + run.Error, StringComparison.Ordinal);
    }

    private static Task<TestGateway> StartAsync(FakeMcpServer server, string expose, string? configuration = null, int quarantined = 0) =>
        StartAsync("fake", $"apiVersion: hub/v1\nkind: ToolManifest\nmetadata: {{id: fake}}\nupstream: {{url: \"{server.Endpoint}\"}}\nexpose:\n{expose}\n", configuration, quarantined);

    private static async Task<TestGateway> StartAsync(string id, string manifest, string? configuration = null, int quarantined = 0)
    {
        var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = configuration,
            Manifests = new Dictionary<string, string> { [id + ".yaml"] = manifest },
            Environment = new Dictionary<string, string> { ["FAKE_TOKEN"] = "s3cret-token", ["PATH"] = Environment.GetEnvironmentVariable("PATH") ?? "" },
        }, TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, id, state => state.State == "connected" && state.Quarantined.Count == quarantined && state.Tools + quarantined > 0);
        return gateway;
    }

    private static Task<McpClient> ConnectAsync(TestGateway gateway, string version, Func<ElicitRequestParams?, CancellationToken, ValueTask<ElicitResult>>? answer, string path = "mcp", string? key = null) => McpClient.CreateAsync(
        new HttpClientTransport(new HttpClientTransportOptions
        {
            Endpoint = new Uri(gateway.BaseAddress, path),
            TransportMode = HttpTransportMode.StreamableHttp,
            AdditionalHeaders = new Dictionary<string, string> { ["Authorization"] = $"Bearer {key ?? gateway.VirtualKey}" },
        }),
        new McpClientOptions { ProtocolVersion = version, Handlers = answer is null ? new McpClientHandlers() : new McpClientHandlers { ElicitationHandler = answer } },
        cancellationToken: TestContext.Current.CancellationToken);

    private static async Task<HttpStatusCode> InitializeAsync(TestGateway gateway, string path, string key)
    {
        using var client = gateway.NewClient(key);
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative))
        {
            Content = JsonContent.Create(JsonNode.Parse("""{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}""")),
        };
        request.Headers.Add("Accept", "application/json, text/event-stream");
        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        return response.StatusCode;
    }

    /// <summary>A tool's definition, raw.</summary>
    private static string ToolOf(TestGateway gateway, string name)
    {
        var tools = (Shared.Tools.IToolAccess)gateway.Services.GetService(typeof(Shared.Tools.IToolAccess))!;
        var snapshot = ((Shared.Snapshots.SnapshotStore)gateway.Services.GetService(typeof(Shared.Snapshots.SnapshotStore))!).Current;
        var caller = new Shared.Http.GatewayRequest("r", snapshot, System.Diagnostics.ActivityTraceId.CreateRandom()) { TraceParent = "", Key = snapshot.Keys.Values.First() };
        using var list = JsonDocument.Parse(tools.List(caller));
        return list.RootElement.EnumerateArray().Single(tool => tool.GetProperty("name").GetString() == name).GetRawText();
    }

    /// <summary>Rows of the ledger, as soon as there are so many.</summary>
    private static async Task<List<JsonElement>> LedgerAsync(TestGateway gateway, string outcome, int count)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(30));
        while (true)
        {
            var page = await gateway.AdminClient.GetFromJsonAsync<JsonElement>(new Uri($"admin/v1/ledger?outcome={outcome}", UriKind.Relative), patience.Token);
            var rows = page.GetProperty("attempts").EnumerateArray().ToList();
            if (rows.Count >= count)
            {
                return rows;
            }
            await Task.Yield();
        }
    }

    private static async Task<string> CreateKeyAsync(TestGateway gateway, object declaration)
    {
        using var response = await gateway.AdminClient.PostAsJsonAsync(new Uri("admin/v1/keys", UriKind.Relative), declaration, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, text);
        using var created = JsonDocument.Parse(text);
        return created.RootElement.GetProperty("token").GetString()!;
    }

    private static string? Text(JsonElement row, string member) => row.TryGetProperty(member, out var value) ? value.ToString() : null;
}
