using System.Net;
using System.Text.RegularExpressions;
using Gateway.Tests.Admin;
using Gateway.Tests.Tools;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using TestSupport;

namespace Gateway.Tests.SignInUpstream;

/// <summary>A sign-in of each user, asked for when a call needs it.</summary>
public sealed partial class PerUserSignInTests
{
    private const string Users = "users: {ann: {}, bob: {}}\n";

    [Theory]
    [InlineData("2025-11-25")]
    [InlineData("2026-07-28")]
    public async Task Call_OfAClientThatOpensLinks_WaitsForTheSignInAndGoesOn(string version)
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        server.ListsAreOpen = true;
        await using var gateway = await StartAsync(server);
        var key = await KeyAsync(gateway, "bob");
        server.User = "Bob at the far end";
        List<ElicitRequestParams> asked = [];
        await using var mcp = await ConnectAsync(gateway, key, version, async request =>
        {
            asked.Add(request);
            using var browser = new Browser();
            Assert.Equal(HttpStatusCode.OK, await browser.SignInAsync(request.Url!));
            return "accept";
        });

        var result = await mcp.CallToolAsync("far__whoami", cancellationToken: TestContext.Current.CancellationToken);
        var again = await mcp.CallToolAsync("far__whoami", cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal("you are Bob at the far end", TextOf(result));
        Assert.Equal("you are Bob at the far end", TextOf(again));
        var question = Assert.Single(asked);
        Assert.Equal("url", question.Mode);
        Assert.NotEmpty(question.ElicitationId!);
        Assert.StartsWith(gateway.BaseAddress.ToString(), question.Url, StringComparison.Ordinal);
        Assert.Contains("wants you to sign in", question.Message, StringComparison.Ordinal);
        Assert.Equal(1, server.Asked("authorization_code"));
    }

    [Fact]
    public async Task Call_WhoseClientSaysYesBeforeTheSignInIsDone_Waits()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        server.ListsAreOpen = true;
        await using var gateway = await StartAsync(server);
        var link = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var mcp = await ConnectAsync(gateway, await KeyAsync(gateway, "bob"), "2025-11-25", request =>
        {
            link.TrySetResult(request.Url!);
            return Task.FromResult("accept");
        });

        var call = mcp.CallToolAsync("far__whoami", cancellationToken: TestContext.Current.CancellationToken).AsTask();
        using var browser = new Browser();
        await browser.SignInAsync(await link.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));

        Assert.Equal("you are ann", TextOf(await call));
    }

    [Theory]
    [InlineData("decline")]
    [InlineData("cancel")]
    public async Task Call_WhoseUserDoesNotWantTo_SaysSoAndSignsNobodyIn(string action)
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        server.ListsAreOpen = true;
        await using var gateway = await StartAsync(server);
        await using var mcp = await ConnectAsync(gateway, await KeyAsync(gateway, "bob"), "2025-11-25", _ => Task.FromResult(action));

        var result = await mcp.CallToolAsync("far__whoami", cancellationToken: TestContext.Current.CancellationToken);

        Assert.True(result.IsError);
        Assert.Contains("You declined", TextOf(result), StringComparison.Ordinal);
        Assert.Empty(server.TokenRequests);
    }

    [Fact]
    public async Task Call_OfAClientThatOpensNone_IsAnsweredWithALinkForItsUserAlone()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        server.ListsAreOpen = true;
        await using var gateway = await StartAsync(server);
        using var ann = gateway.NewClient(await KeyAsync(gateway, "ann"));
        using var bob = gateway.NewClient(await KeyAsync(gateway, "bob"));

        var toAnn = await ToolCaller.CallAsync(ann, "far__whoami");
        var toBob = await ToolCaller.CallAsync(bob, "far__whoami");
        Assert.Contains("\"isError\":true", toAnn, StringComparison.Ordinal);
        Assert.NotEqual(LinkIn(toAnn), LinkIn(toBob));
        server.User = "Ann at the far end";
        using var browser = new Browser();
        await browser.GoAsync(HttpMethod.Get, new Uri(LinkIn(toAnn)));
        Assert.Contains("the user ann", browser.Page, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, await browser.SignInAsync(LinkIn(toAnn)));

        Assert.Contains("you are Ann at the far end", await ToolCaller.CallAsync(ann, "far__whoami"), StringComparison.Ordinal);
        Assert.Equal(LinkIn(toBob), LinkIn(await ToolCaller.CallAsync(bob, "far__whoami")));
        // Another key of the same user has the user's sign-in.
        using var second = gateway.NewClient(await KeyAsync(gateway, "ann"));
        Assert.Contains("you are Ann at the far end", await ToolCaller.CallAsync(second, "far__whoami"), StringComparison.Ordinal);
        var logs = string.Join('\n', gateway.Logs.Lines.Select(line => line.Message));
        Assert.DoesNotContain(new Uri(LinkIn(toBob)).Segments[^1], logs, StringComparison.Ordinal);
        Assert.All(server.Secrets, secret => Assert.DoesNotContain(secret, logs, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Scope_ThatACallLacks_IsAskedForOnTheWay()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        server.ListsAreOpen = true;
        server.CallScope = "write";
        await using var gateway = await StartAsync(server);
        List<string> messages = [];
        await using var mcp = await ConnectAsync(gateway, await KeyAsync(gateway, "bob"), "2025-11-25", async request =>
        {
            messages.Add(request.Message);
            using var browser = new Browser();
            Assert.Equal(HttpStatusCode.OK, await browser.SignInAsync(request.Url!));
            return "accept";
        });

        Assert.Equal("you are ann", TextOf(await mcp.CallToolAsync("far__whoami", cancellationToken: TestContext.Current.CancellationToken)));

        Assert.Equal(2, messages.Count);
        Assert.Contains("once more, for write", messages[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Lists_AreReadWithTheTokenOfWhoeverSignedInFirst_UntilAnAdminSignsIn()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync(server);
        await ToolCaller.WaitForAsync(gateway, "far", state => state.Problem == "sign_in_required");
        using var bob = gateway.NewClient(await KeyAsync(gateway, "bob"));

        await SignInAsync(gateway, """{"subject":"user:bob"}""");
        await ToolCaller.WaitForAsync(gateway, "far", state => state.State == "connected");
        Assert.Contains("you are ann", await ToolCaller.CallAsync(bob, "far__whoami"), StringComparison.Ordinal);

        server.User = "the admin";
        await SignInAsync(gateway, "{}");
        await gateway.AdminAsync("POST", "/toolservers/far/reconnect");
        await ToolCaller.WaitForAsync(gateway, "far", state => state.State == "connected");
        var states = (await gateway.AdminAsync("GET", "/toolservers/far/sign-in")).Json.GetProperty("signIns").EnumerateArray().Select(state => state.GetProperty("subject").GetString());
        Assert.Equal(["shared", "user:bob"], states);
        // A call is always the caller's own.
        Assert.Contains("you are ann", await ToolCaller.CallAsync(bob, "far__whoami"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task User_OfAServerThatShowsNothingToStrangers_IsAskedOnTheConnectionOfItsOwn()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync(server);
        await ToolCaller.WaitForAsync(gateway, "far", state => state.Problem == "sign_in_required");
        await SignInAsync(gateway, """{"subject":"user:ann"}""");
        await ToolCaller.WaitForAsync(gateway, "far", state => state.State == "connected");
        server.User = "Bob at the far end";
        var asked = 0;
        await using var mcp = await ConnectAsync(gateway, await KeyAsync(gateway, "bob"), "2025-11-25", async request =>
        {
            Interlocked.Increment(ref asked);
            using var browser = new Browser();
            await browser.SignInAsync(request.Url!);
            return "accept";
        });

        var results = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => mcp.CallToolAsync("far__whoami", cancellationToken: TestContext.Current.CancellationToken).AsTask()));

        Assert.All(results, result => Assert.Equal("you are Bob at the far end", TextOf(result)));
        // Those that were asked with the same link wait for the first browser that used it.
        Assert.InRange(asked, 1, 5);
    }

    private static Task<TestGateway> StartAsync(FakeProtectedServer server) => Protected.StartAsync(server, "{mode: oauth, per: user}", new TestGatewayOptions { Configuration = Users });

    private static async Task<string> KeyAsync(TestGateway gateway, string user)
    {
        var made = await gateway.DeclareAsync("POST", "/keys", $$"""{"name":"of {{user}}","user":"{{user}}","tools":["*"]}""");
        return made.Text("token")!;
    }

    private static async Task SignInAsync(TestGateway gateway, string body)
    {
        var link = await gateway.AdminAsync("POST", "/toolservers/far/sign-in", body);
        using var browser = new Browser();
        Assert.Equal(HttpStatusCode.OK, await browser.SignInAsync(link.Text("url")!));
    }

    private static Task<McpClient> ConnectAsync(TestGateway gateway, string key, string version, Func<ElicitRequestParams, Task<string>> answer) => McpClient.CreateAsync(
        new HttpClientTransport(new HttpClientTransportOptions
        {
            Endpoint = new Uri(gateway.BaseAddress, "mcp"),
            TransportMode = HttpTransportMode.StreamableHttp,
            AdditionalHeaders = new Dictionary<string, string> { ["Authorization"] = $"Bearer {key}" },
        }),
        new McpClientOptions
        {
            ProtocolVersion = version,
            Capabilities = new ClientCapabilities { Elicitation = new ElicitationCapability { Url = new UrlElicitationCapability() } },
            Handlers = new McpClientHandlers { ElicitationHandler = async (request, _) => new ElicitResult { Action = await answer(request!) } },
        },
        cancellationToken: TestContext.Current.CancellationToken);

    private static string TextOf(CallToolResult result) => ((TextContentBlock)result.Content[0]).Text;

    private static string LinkIn(string answer) => Links().Match(answer).Value;

    [GeneratedRegex(@"http://[^\s""\\]+/oauth/upstream/sign-in/[A-Za-z0-9_-]+")]
    private static partial Regex Links();
}
