using System.Net;
using System.Text.RegularExpressions;
using Gateway.Tests.Admin;
using Gateway.Tests.Tools;
using TestSupport;

namespace Gateway.Tests.SignInUpstream;

/// <summary>Tokens for web APIs that an OpenAPI document describes, and for servers of the older HTTP+SSE.</summary>
public sealed partial class OtherTransportsTests
{
    private const string Credentials = "{mode: clientCredentials, clientId: a, clientSecret: b}";

    [Fact]
    public async Task WebApi_WithClientCredentials_GetsATokenThatNoCallerSees()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        using var folder = new TemporaryFolder();
        await using var gateway = await Protected.StartAsync(WebApi(folder, server, Credentials));

        var answer = await ToolCaller.CallAsync(gateway.Client, "far__whoami", """{"note":"hi"}""");

        Assert.Contains("you are the gateway; you said {\\\"note\\\":\\\"hi\\\"} with Bearer ***", answer, StringComparison.Ordinal);
        Assert.Equal("basic", Assert.Single(server.TokenRequests).Form["scope"]);
        // The document's scheme is served by the sign-in, and its header is no argument.
        var state = await gateway.AdminAsync("GET", "/toolservers/far");
        Assert.Equal("connected", state.Text("state"));
        Assert.DoesNotContain("credentials", state.Json.GetRawText(), StringComparison.Ordinal);
        Assert.DoesNotContain("Authorization", state.Json.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task WebApi_TokenRefused_IsRenewedAndTheCallRepeatedWithItsBody()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        using var folder = new TemporaryFolder();
        await using var gateway = await Protected.StartAsync(WebApi(folder, server, Credentials));
        await ToolCaller.CallAsync(gateway.Client, "far__whoami");
        server.RevokeAccess();
        server.CallScope = "write";

        var answer = await ToolCaller.CallAsync(gateway.Client, "far__whoami", """{"note":"again"}""");

        Assert.Contains("you are the gateway; you said {\\\"note\\\":\\\"again\\\"}", answer, StringComparison.Ordinal);
        Assert.Equal("write", server.TokenRequests[^1].Form["scope"].Split(' ')[^1]);
    }

    [Fact]
    public async Task WebApi_OfEachUser_AnswersWithALinkAndThenAsThatUser()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        using var folder = new TemporaryFolder();
        await using var gateway = await Protected.StartAsync(WebApi(folder, server, "{mode: oauth, per: user}"), new TestGatewayOptions { Configuration = "users: {ann: {}, bob: {}}\n" });
        using var ann = gateway.NewClient((await gateway.DeclareAsync("POST", "/keys", """{"name":"ann's","user":"ann","tools":["*"]}""")).Text("token"));
        using var bob = gateway.NewClient((await gateway.DeclareAsync("POST", "/keys", """{"name":"bob's","user":"bob","tools":["*"]}""")).Text("token"));

        var link = Links().Match(await ToolCaller.CallAsync(ann, "far__whoami")).Value;
        server.User = "Ann at the far end";
        using var browser = new Browser();
        Assert.Equal(HttpStatusCode.OK, await browser.SignInAsync(link));

        Assert.Contains("you are Ann at the far end", await ToolCaller.CallAsync(ann, "far__whoami"), StringComparison.Ordinal);
        Assert.Contains("wants you to sign in", await ToolCaller.CallAsync(bob, "far__whoami"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task WebApi_HeaderOfTheClients_GoesOnWhereNamed()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        using var folder = new TemporaryFolder();
        await using var gateway = await Protected.StartAsync(WebApi(folder, server, "{passHeaders: [{name: X-Tenant}, {name: X-Far-Token, as: Authorization, format: 'Bearer {value}'}]}"));
        using var client = gateway.NewClient(gateway.VirtualKey);
        client.DefaultRequestHeaders.Add("X-Tenant", "blue");
        client.DefaultRequestHeaders.Add("X-Far-Token", "of the caller");

        await ToolCaller.CallAsync(client, "far__whoami");

        var headers = Assert.Single(server.Received).Headers;
        Assert.Equal(("blue", "Bearer of the caller"), (headers["X-Tenant"], headers["Authorization"]));
    }

    [Fact]
    public async Task WebApi_WithoutABaseUrl_IsRefused()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await TestGateway.StartAsync(AdminSession.Loopback, TestContext.Current.CancellationToken);

        var refused = await gateway.AdminAsync("PUT", "/manifests/far",
            $$$"""{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"far"},"upstream":{"document":"{{{server.Origin}}}/api.json","auth":{"mode":"oauth"}},"expose":{"prefix":"far"}}""");

        Assert.Equal((400, "upstream.baseUrl"), (refused.Status, refused.Text("field")));
        Assert.Contains("tokens go to an address that the manifest names", refused.Text("detail"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("transport: sse, ")]
    [InlineData("")]
    public async Task OlderServer_WithClientCredentials_IsConnectedAndCalledWithAToken(string transport)
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(OverSse(server, transport, Credentials));
        server.RevokeAccess();

        Assert.Contains("you are the gateway", await ToolCaller.CallAsync(gateway.Client, "far__whoami"), StringComparison.Ordinal);

        Assert.Equal(2, server.Asked("client_credentials"));
        Assert.All(server.Received.Where(request => request.Method == "tools/call").TakeLast(1), request => Assert.StartsWith("Bearer at-", request.Headers["Authorization"], StringComparison.Ordinal));
    }

    [Fact]
    public async Task OlderServer_WithASharedSignIn_WaitsForIt()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(OverSse(server, "transport: sse, ", "oauth"));
        await ToolCaller.WaitForAsync(gateway, "far", state => state.Problem == "sign_in_required");

        using var browser = new Browser();
        Assert.Equal(HttpStatusCode.OK, await browser.SignInAsync((await gateway.AdminAsync("POST", "/toolservers/far/sign-in")).Text("url")!));

        await ToolCaller.WaitForAsync(gateway, "far", state => state.State == "connected");
        Assert.Contains("you are ann", await ToolCaller.CallAsync(gateway.Client, "far__whoami"), StringComparison.Ordinal);
    }

    private static string OverSse(FakeProtectedServer server, string transport, string auth) => $$"""
        apiVersion: hub/v1
        kind: ToolManifest
        metadata: {id: far}
        upstream: { {{transport}}url: "{{server.Origin}}/sse", auth: {{auth}} }
        expose: {prefix: far}
        """;

    [GeneratedRegex(@"http://[^\s""\\]+/oauth/upstream/sign-in/[A-Za-z0-9_-]+")]
    private static partial Regex Links();

    /// <summary>The manifest of the web API, with its document beside it.</summary>
    private static string WebApi(TemporaryFolder folder, FakeProtectedServer server, string auth)
    {
        var file = Path.Combine(folder.Path, "far.json");
        File.WriteAllText(file, FakeProtectedServer.ApiDocument);
        return $$"""
            apiVersion: hub/v1
            kind: ToolManifest
            metadata: {id: far}
            upstream: {document: '{{file}}', baseUrl: "{{server.Origin}}/api", auth: {{auth}}}
            expose: {prefix: far}
            """;
    }
}
