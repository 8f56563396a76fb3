#pragma warning disable MCP9005, MCP9006 // Sampling and sessions are deprecated, and most peers have them all the same.
using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Gateway.Tests.Interop;
using Gateway.Tests.Tools;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using TestSupport;

namespace Gateway.Tests.Relay;

/// <summary>
/// Clients of all five revisions before tool servers of all five, through the gateway, with everything that both have. The outcome is the table in the documentation; where it is
/// not what the table says, the test fails, and with the variable GATEWAY_REGENERATE set to 1 the table is written anew.
/// </summary>
public sealed class MatrixTests : IAsyncLifetime
{
    private const string Page = "docs/protocol-matrix.md";
    private const string Passes = "passes";
    private const string Absent = "–";
    private const string FirstWithElicitation = "2025-06-18";
    private const string Stateless = "2026-07-28";

    private static readonly TimeSpan Guard = TimeSpan.FromSeconds(20);
    private static readonly string[] Revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", Stateless];

    private readonly Dictionary<string, RelayServer> servers = [];
    private readonly Dictionary<string, McpClient> clients = [];
    private TestGateway gateway = null!;

    private static IEnumerable<(string Feature, string Words, Func<MatrixTests, string, string, Task> Check)> Features =>
    [
        ("tools", "listed, called, structured answers", static (self, client, server) => self.ToolsAsync(client, server)),
        ("prompts", "listed, filled in", static (self, client, server) => self.PromptsAsync(client, server)),
        ("resources", "listed, templates, read, embedded", static (self, client, server) => self.ResourcesAsync(client, server)),
        ("progress", "every report, before the answer", static (self, client, server) => self.ProgressAsync(client, server)),
        ("cancel", "the server hears of it", static (self, client, server) => self.CancelAsync(client, server)),
        ("list_changed", "a new tool is told and listed", static (self, client, server) => self.ListChangedAsync(client, server)),
        ("elicitation", "a question in the middle of a call", static (self, client, server) => self.ElicitationAsync(client, server)),
        ("sampling", "a model's words in the middle of a call", static (self, client, server) => self.SamplingAsync(client, server)),
    ];

    public async ValueTask InitializeAsync()
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        var manifests = new Dictionary<string, string>();
        foreach (var revision in Revisions)
        {
            var server = servers[revision] = await RelayServer.StartAsync(cancellationToken);
            manifests[$"{Id(revision)}.yaml"] = $$"""
                apiVersion: hub/v1
                kind: ToolManifest
                metadata: {id: {{Id(revision)}}}
                upstream: {url: {{server.Endpoint}}, protocol: "{{revision}}"}
                """;
        }
        gateway = await TestGateway.StartAsync(new TestGatewayOptions { Manifests = manifests }, cancellationToken);
        foreach (var revision in Revisions)
        {
            await ToolCaller.WaitForAsync(gateway, Id(revision), state => state.State == "connected");
        }
        foreach (var revision in Revisions)
        {
            clients[revision] = await ConnectAsync(revision);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in clients.Values)
        {
            await client.DisposeAsync();
        }
        await gateway.DisposeAsync();
        foreach (var server in servers.Values)
        {
            await server.DisposeAsync();
        }
    }

    [Fact]
    public async Task EveryClient_BeforeEveryServer_IsAsThePageSays()
    {
        var outcomes = new Dictionary<(string Feature, string Client, string Server), string>();
        foreach (var (feature, _, check) in Features)
        {
            foreach (var client in Revisions)
            {
                foreach (var server in Revisions)
                {
                    outcomes[(feature, client, server)] = await OutcomeAsync(feature, client, server, check);
                }
            }
        }
        var page = Write(outcomes);
        var path = Path.Combine(InteropFolder.Root, Page);
        if (Environment.GetEnvironmentVariable("GATEWAY_REGENERATE") == "1")
        {
            await File.WriteAllTextAsync(path, page, TestContext.Current.CancellationToken);
        }

        Assert.All(outcomes, outcome => Assert.True(outcome.Value is Passes or Absent, $"{outcome.Key}: {outcome.Value}"));
        Assert.Equal(await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken), page);
    }

    private async Task<string> OutcomeAsync(string feature, string client, string server, Func<MatrixTests, string, string, Task> check)
    {
        if (feature == "elicitation" && (string.CompareOrdinal(client, FirstWithElicitation) < 0 || string.CompareOrdinal(server, FirstWithElicitation) < 0))
        {
            // The specification has none before 2025-06-18.
            return Absent;
        }
        try
        {
            await check(this, client, server).WaitAsync(Guard, TestContext.Current.CancellationToken);
            return Passes;
        }
        catch (Exception exception) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            return $"fails: {exception.Message.ReplaceLineEndings(" ")}";
        }
    }

    private async Task ToolsAsync(string client, string server)
    {
        var tools = await clients[client].ListToolsAsync(cancellationToken: TestContext.Current.CancellationToken);
        Assert.Contains(tools, tool => tool.Name == $"{Id(server)}__who");
        var result = await CallAsync(client, server, "link");
        Assert.Equal($"{Id(server)}+memo://linked", Assert.IsType<ResourceLinkBlock>(Assert.Single(result.Content)).Uri);
    }

    private async Task PromptsAsync(string client, string server)
    {
        Assert.Contains(await clients[client].ListPromptsAsync(cancellationToken: TestContext.Current.CancellationToken), prompt => prompt.Name == $"{Id(server)}__greet");
        var prompt = await clients[client].GetPromptAsync($"{Id(server)}__greet", new Dictionary<string, object?> { ["name"] = "Ada" }, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal("Hello Ada", ((TextContentBlock)prompt.Messages[0].Content).Text);
    }

    private async Task ResourcesAsync(string client, string server)
    {
        var (mcp, cancellationToken) = (clients[client], TestContext.Current.CancellationToken);
        Assert.Contains(await mcp.ListResourcesAsync(cancellationToken: cancellationToken), resource => resource.Uri == $"{Id(server)}+memo://one");
        Assert.Contains(await mcp.ListResourceTemplatesAsync(cancellationToken: cancellationToken), template => template.UriTemplate == $"{Id(server)}+memo://{{name}}");
        var read = Assert.Single((await mcp.ReadResourceAsync($"{Id(server)}+memo://two", cancellationToken: cancellationToken)).Contents);
        Assert.Equal(($"{Id(server)}+memo://two", "text of memo://two"), (read.Uri, ((TextResourceContents)read).Text));
    }

    private async Task ProgressAsync(string client, string server)
    {
        var token = $"{client} {server}";
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var values = new ConcurrentBag<double>();
        await using var registration = clients[client].RegisterNotificationHandler(NotificationMethods.ProgressNotification, (notification, _) =>
        {
            if (notification.Params?["progressToken"]?.GetValue<string>() == token)
            {
                values.Add(notification.Params["progress"]!.GetValue<double>());
            }
            if (values.Count == 3)
            {
                all.TrySetResult();
            }
            return ValueTask.CompletedTask;
        });
        await clients[client].CallToolAsync(new CallToolRequestParams { Name = $"{Id(server)}__progress", Meta = new JsonObject { ["progressToken"] = token } }, TestContext.Current.CancellationToken);
        await all.Task.WaitAsync(Guard);
        Assert.Equal([1, 2, 3], values.Order());
    }

    private async Task CancelAsync(string client, string server)
    {
        using var leaving = new CancellationTokenSource();
        var wait = servers[server].WaitOf(client);
        var call = clients[client].CallToolAsync($"{Id(server)}__wait", new Dictionary<string, object?> { ["id"] = client }, cancellationToken: leaving.Token).AsTask();
        await wait.Began.Task.WaitAsync(Guard);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await wait.Cancelled.Task.WaitAsync(Guard);
    }

    private async Task ListChangedAsync(string client, string server)
    {
        var name = $"new-{Id(client)}";
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = clients[client].RegisterNotificationHandler(NotificationMethods.ToolListChangedNotification, (_, _) =>
        {
            told.TrySetResult();
            return ValueTask.CompletedTask;
        });
        var acknowledged = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var listening = client == Stateless ? ListenAsync(acknowledged, told, leaving.Token) : Task.CompletedTask;
        if (client == Stateless)
        {
            // What changes before the stream is acknowledged need not be told on it.
            await acknowledged.Task.WaitAsync(Guard);
        }
        servers[server].AddTool(name);
        await told.Task.WaitAsync(Guard);
        Assert.Contains(await clients[client].ListToolsAsync(cancellationToken: TestContext.Current.CancellationToken), tool => tool.Name == $"{Id(server)}__{name}");
        await leaving.CancelAsync();
        await Task.WhenAny(listening);
    }

    private async Task ElicitationAsync(string client, string server) => Assert.Equal("Ada", TextOf(await CallAsync(client, server, "ask")));

    private async Task SamplingAsync(string client, string server) => Assert.Equal("sampled", TextOf(await CallAsync(client, server, "sample")));

    /// <summary>A client without a session hears of changes on a stream that it opens for that.</summary>
    private async Task ListenAsync(TaskCompletionSource acknowledged, TaskCompletionSource told, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "mcp");
        request.Content = new StringContent(
            """{"jsonrpc":"2.0","id":"listen","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}""",
            Encoding.UTF8, "application/json");
        request.Headers.Add("Accept", "application/json, text/event-stream");
        request.Headers.Add("MCP-Protocol-Version", Stateless);
        request.Headers.Add("Mcp-Method", "subscriptions/listen");
        using var response = await gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(cancellationToken));
        while (await lines.ReadLineAsync(cancellationToken) is { } line)
        {
            if (line.Contains("acknowledged", StringComparison.Ordinal))
            {
                acknowledged.TrySetResult();
            }
            if (line.Contains("notifications/tools/list_changed", StringComparison.Ordinal))
            {
                told.TrySetResult();
            }
        }
    }

    private async Task<CallToolResult> CallAsync(string client, string server, string tool) =>
        await clients[client].CallToolAsync($"{Id(server)}__{tool}", cancellationToken: TestContext.Current.CancellationToken);

    private static string TextOf(CallToolResult result) => Assert.IsType<TextContentBlock>(Assert.Single(result.Content)).Text;

    private static string Id(string revision) => $"r{revision.Replace("-", "", StringComparison.Ordinal)}";

    private Task<McpClient> ConnectAsync(string revision) => McpClient.CreateAsync(
        new HttpClientTransport(new HttpClientTransportOptions
        {
            Endpoint = new Uri(gateway.BaseAddress, "mcp"),
            TransportMode = HttpTransportMode.StreamableHttp,
            AdditionalHeaders = new Dictionary<string, string> { ["Authorization"] = $"Bearer {gateway.VirtualKey}" },
        }),
        new McpClientOptions
        {
            ProtocolVersion = revision,
            Handlers = new McpClientHandlers
            {
                ElicitationHandler = (_, _) => ValueTask.FromResult(new ElicitResult { Action = "accept", Content = new Dictionary<string, JsonElement> { ["answer"] = JsonSerializer.SerializeToElement("Ada") } }),
                SamplingHandler = (_, _, _) => ValueTask.FromResult(new CreateMessageResult { Model = "m", Role = Role.Assistant, Content = [new TextContentBlock { Text = "sampled" }] }),
            },
        },
        cancellationToken: TestContext.Current.CancellationToken);

    private static string Write(Dictionary<(string Feature, string Client, string Server), string> outcomes)
    {
        var page = new StringBuilder("""
            # Protocol matrix

            What a client of one revision of the protocol can do with a tool server of another one, through the gateway. The tables are written by a test (`MatrixTests`), which tries every cell
            with the official client in front and a server on the official SDK behind, each held to its revision. Rows are the client's revision, columns the server's; – means that the
            specification does not have the feature in one of the two.


            """.ReplaceLineEndings("\n"));
        foreach (var (feature, words, _) in Features)
        {
            page.Append(CultureInfo.InvariantCulture, $"## {feature}\n\n{char.ToUpperInvariant(words[0])}{words[1..]}.\n\n| | {string.Join(" | ", Revisions)} |\n|---|{string.Concat(Revisions.Select(_ => "---|"))}\n");
            foreach (var client in Revisions)
            {
                page.Append(CultureInfo.InvariantCulture, $"| **{client}** | {string.Join(" | ", Revisions.Select(server => outcomes[(feature, client, server)]))} |\n");
            }
            page.Append('\n');
        }
        return page.ToString().TrimEnd('\n') + "\n";
    }
}
