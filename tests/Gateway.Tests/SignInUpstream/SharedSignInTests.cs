using System.Net;
using Gateway.Tests.Admin;
using Gateway.Tests.Tools;
using Microsoft.Extensions.Time.Testing;
using TestSupport;

namespace Gateway.Tests.SignInUpstream;

/// <summary>One sign-in for everybody, which an admin makes by browser.</summary>
public sealed class SharedSignInTests
{
    [Fact]
    public async Task SignIn_ByAnAdminsLink_ConnectsTheServerForEverybody()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(server, "oauth");
        await ToolCaller.WaitForAsync(gateway, "far", state => state.Problem == "sign_in_required");

        var link = await LinkAsync(gateway);
        using var browser = new Browser();
        Assert.Equal(HttpStatusCode.OK, await browser.SignInAsync(link));

        // Nobody is asked to sign in again while the server is being connected.
        Assert.NotEqual("sign_in_required", (await gateway.AdminAsync("GET", "/toolservers/far")).Json.GetProperty("lastError").GetString());
        Assert.Contains("You are signed in", browser.Page, StringComparison.Ordinal);
        await ToolCaller.WaitForAsync(gateway, "far", state => state.State == "connected");
        Assert.Contains("you are ann", await ToolCaller.CallAsync(gateway.Client, "far__whoami"), StringComparison.Ordinal);
        var exchange = Assert.Single(server.TokenRequests);
        Assert.Equal(server.Endpoint.ToString(), exchange.Form["resource"]);
        Assert.StartsWith("Basic ", exchange.Authorization, StringComparison.Ordinal);
        var states = await gateway.AdminAsync("GET", "/toolservers/far/sign-in");
        var state = Assert.Single(states.Json.GetProperty("signIns").EnumerateArray());
        Assert.Equal(("shared", "signedIn", server.Issuer), (state.GetProperty("subject").GetString(), state.GetProperty("state").GetString(), state.GetProperty("issuer").GetString()));
        var audit = await gateway.AdminAsync("GET", "/audit?kind=toolServer&id=far");
        Assert.Equal(["signedIn", "signInStarted"], audit.Json.GetProperty("records").EnumerateArray().Select(record => record.GetProperty("action").GetString()));
        AssertNoSecretIn(server, string.Join('\n', gateway.Logs.Lines.Select(line => line.Message)) + states.Body + audit.Body);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(gateway.Folder, "data"), "gateway.db*"))
        {
            await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var reader = new StreamReader(stream, System.Text.Encoding.Latin1);
            AssertNoSecretIn(server, await reader.ReadToEndAsync(TestContext.Current.CancellationToken));
        }
        Assert.DoesNotContain(server.Received, request => request.Headers.Values.Any(value => value.Contains("sk-gw-", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Link_WorksOnceAndInOneBrowser_AndItsPageIsStrict()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(server, "oauth");
        var link = await LinkAsync(gateway);
        Assert.Equal(link, await LinkAsync(gateway));
        using var first = new Browser();
        using var second = new Browser();

        // Looking does not use it up, as a chat that shows what a link leads to looks, too.
        await second.GoAsync(HttpMethod.Get, new Uri(link));
        Assert.Equal(HttpStatusCode.OK, second.Last.StatusCode);
        Assert.Contains("Far away", second.Page, StringComparison.Ordinal);
        Assert.Contains("everybody", second.Page, StringComparison.Ordinal);
        Assert.Equal($"default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' {server.Origin}", second.Last.Header("Content-Security-Policy"));
        Assert.Equal("no-store", second.Last.Header("Cache-Control"));
        Assert.Equal("same-origin", second.Last.Header("Referrer-Policy"));

        await first.LeaveAsync(link);
        Assert.Equal(HttpStatusCode.SeeOther, first.Last.StatusCode);
        Assert.Contains("httponly", first.Last.Header("Set-Cookie"), StringComparison.OrdinalIgnoreCase);
        Assert.Contains("samesite=lax", first.Last.Header("Set-Cookie"), StringComparison.OrdinalIgnoreCase);
        await second.LeaveAsync(link);
        Assert.Equal(HttpStatusCode.NotFound, second.Last.StatusCode);

        // Whoever was handed the answer of the first browser's sign-in has not its cookie.
        using var answer = await Unfollowed(first.Last.Headers.Location!);
        await second.GoAsync(HttpMethod.Get, answer.Headers.Location!);
        Assert.Equal(HttpStatusCode.NotFound, second.Last.StatusCode);
        Assert.Empty(server.TokenRequests);

        await first.GoAsync(HttpMethod.Get, answer.Headers.Location!);
        Assert.Equal(HttpStatusCode.OK, first.Last.StatusCode);
        await first.GoAsync(HttpMethod.Get, answer.Headers.Location!);
        Assert.Equal(HttpStatusCode.NotFound, first.Last.StatusCode);
        Assert.Single(server.TokenRequests);
    }

    [Fact]
    public async Task Grant_SurvivesARestart()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        using var data = new TemporaryFolder();
        string key;
        await using (var gateway = await Protected.StartAsync(server, "oauth", new TestGatewayOptions { DataFolder = data.Path }))
        {
            key = gateway.VirtualKey;
            await SignInAsync(gateway);
        }

        await using var again = await Protected.StartAsync(server, "oauth", new TestGatewayOptions { DataFolder = data.Path });
        using var client = again.NewClient(key);

        await ToolCaller.WaitForAsync(again, "far", state => state.State == "connected");
        Assert.Contains("you are ann", await ToolCaller.CallAsync(client, "far__whoami"), StringComparison.Ordinal);
        Assert.Single(server.TokenRequests);
        Assert.Equal(1, server.Registrations);
    }

    [Fact]
    public async Task Refresh_OfManyCallsAtOnce_HappensOnce()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.Parse("2026-11-23T05:00:00Z", System.Globalization.CultureInfo.InvariantCulture));
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(server, "oauth", new TestGatewayOptions { Clock = clock });
        await SignInAsync(gateway);
        var gate = new TaskCompletionSource();
        server.TokenGate = gate.Task;

        // Expired, so that all have to wait.
        clock.Advance(TimeSpan.FromHours(2));
        var calls = Enumerable.Range(0, 100).Select(_ => ToolCaller.CallAsync(gateway.Client, "far__whoami")).ToList();
        await server.AskedAsync("refresh_token");
        gate.SetResult();

        Assert.All(await Task.WhenAll(calls), answer => Assert.Contains("you are ann", answer, StringComparison.Ordinal));
        Assert.Equal(1, server.Asked("refresh_token"));
    }

    [Fact]
    public async Task Refresh_AheadOfTheEnd_KeepsNobodyWaiting()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.Parse("2026-11-23T05:00:00Z", System.Globalization.CultureInfo.InvariantCulture));
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(server, "oauth", new TestGatewayOptions { Clock = clock });
        await SignInAsync(gateway);
        var gate = new TaskCompletionSource();
        server.TokenGate = gate.Task;
        var before = server.Received[^1].Headers["Authorization"];

        clock.Advance(TimeSpan.FromMinutes(56));
        Assert.Contains("you are ann", await ToolCaller.CallAsync(gateway.Client, "far__whoami"), StringComparison.Ordinal);
        Assert.Equal(before, server.Received[^1].Headers["Authorization"]);
        gate.SetResult();

        // The new one is in use as soon as it is there.
        using var guard = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (server.Received[^1].Headers["Authorization"] == before)
        {
            guard.Token.ThrowIfCancellationRequested();
            Assert.Contains("you are ann", await ToolCaller.CallAsync(gateway.Client, "far__whoami"), StringComparison.Ordinal);
        }
        Assert.Equal(1, server.Asked("refresh_token"));
    }

    [Theory]
    [InlineData(500)]
    [InlineData(503)]
    [InlineData(429)]
    public async Task Refresh_InTransientTrouble_LosesNothing(int status)
    {
        var clock = new FakeTimeProvider(DateTimeOffset.Parse("2026-11-23T05:00:00Z", System.Globalization.CultureInfo.InvariantCulture));
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(server, "oauth", new TestGatewayOptions { Clock = clock });
        await SignInAsync(gateway);
        server.TokenStatus = status;

        // Still valid: used.
        clock.Advance(TimeSpan.FromMinutes(57));
        Assert.Contains("you are ann", await ToolCaller.CallAsync(gateway.Client, "far__whoami"), StringComparison.Ordinal);
        await gateway.Logs.WaitForAsync("was not renewed");

        // At its end: an error that says what and when to try again.
        clock.Advance(TimeSpan.FromMinutes(5));
        var refused = await ToolCaller.CallAsync(gateway.Client, "far__whoami");
        Assert.Contains($"HTTP status {status}", refused, StringComparison.Ordinal);
        Assert.Contains("Try again in", refused, StringComparison.Ordinal);

        // The refresh token was kept.
        server.TokenStatus = 0;
        clock.Advance(TimeSpan.FromMinutes(2));
        Assert.Contains("you are ann", await ToolCaller.CallAsync(gateway.Client, "far__whoami"), StringComparison.Ordinal);
        AssertNoSecretIn(server, string.Join('\n', gateway.Logs.Lines.Select(line => line.Message)));
    }

    [Fact]
    public async Task Refresh_RefusedForGood_AsksForASignIn()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.Parse("2026-11-23T05:00:00Z", System.Globalization.CultureInfo.InvariantCulture));
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(server, "oauth", new TestGatewayOptions { Clock = clock });
        await SignInAsync(gateway);
        (server.TokenStatus, server.TokenError) = (400, "invalid_grant");
        clock.Advance(TimeSpan.FromHours(2));

        var refused = await ToolCaller.CallAsync(gateway.Client, "far__whoami");
        Assert.Contains("wants the gateway to sign in", refused, StringComparison.Ordinal);
        var states = await gateway.AdminAsync("GET", "/toolservers/far/sign-in");
        Assert.Equal("mustSignIn", states.Json.GetProperty("signIns")[0].GetProperty("state").GetString());
        var asked = server.Asked("refresh_token");
        await ToolCaller.CallAsync(gateway.Client, "far__whoami");
        Assert.Equal(asked, server.Asked("refresh_token"));

        server.TokenStatus = 0;
        await SignInAsync(gateway);
        Assert.Contains("you are ann", await ToolCaller.CallAsync(gateway.Client, "far__whoami"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Token_RefusedByTheServer_IsRenewedAndTheCallRepeated()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(server, "oauth");
        await SignInAsync(gateway);

        server.RevokeAccess();

        Assert.Contains("you are ann", await ToolCaller.CallAsync(gateway.Client, "far__whoami"), StringComparison.Ordinal);
        Assert.Equal(1, server.Asked("refresh_token"));
    }

    [Fact]
    public async Task Scope_ThatACallLacks_IsAskedForWithTheOthers()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(server, "oauth");
        await SignInAsync(gateway);
        server.CallScope = "write";

        Assert.Contains("once more, for write", await ToolCaller.CallAsync(gateway.Client, "far__whoami"), StringComparison.Ordinal);
        var link = await gateway.AdminAsync("POST", "/toolservers/far/sign-in");
        Assert.Equal(["basic", "write"], link.Json.GetProperty("scopes").EnumerateArray().Select(scope => scope.GetString()));
        using var browser = new Browser();
        await browser.SignInAsync(link.Text("url")!);

        Assert.Contains("you are ann", await ToolCaller.CallAsync(gateway.Client, "far__whoami"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task SignOut_ForgetsTheGrant()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(server, "oauth");
        await SignInAsync(gateway);

        Assert.Equal(204, (await gateway.AdminAsync("DELETE", "/toolservers/far/sign-in")).Status);

        Assert.Contains("wants the gateway to sign in", await ToolCaller.CallAsync(gateway.Client, "far__whoami"), StringComparison.Ordinal);
        Assert.Empty((await gateway.AdminAsync("GET", "/toolservers/far/sign-in")).Json.GetProperty("signIns").EnumerateArray());
        Assert.Equal(404, (await gateway.AdminAsync("DELETE", "/toolservers/far/sign-in")).Status);
    }

    [Fact]
    public async Task Grant_IsNotSentToAnotherAddress()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var other = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(server, "oauth");
        await SignInAsync(gateway);
        // The other one claims the same authorization server.
        other.NamedIssuer = server.Issuer;

        await File.WriteAllTextAsync(Path.Combine(gateway.Folder, "tool-manifests", "far.yaml"), Protected.Manifest(other, "oauth"), TestContext.Current.CancellationToken);

        await ToolCaller.WaitForAsync(gateway, "far", state => state.Problem == "sign_in_required");
        Assert.NotEmpty(other.Received);
        Assert.DoesNotContain(other.Received, request => request.Headers.ContainsKey("Authorization"));
    }

    [Fact]
    public async Task Metadata_OfAnotherResource_AreRefused()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        server.Resource = "https://elsewhere.example/mcp";
        await using var gateway = await Protected.StartAsync(server, "oauth");

        var refused = await gateway.AdminAsync("POST", "/toolservers/far/sign-in");

        Assert.Equal((409, "sign_in_refused"), (refused.Status, refused.Text("code")));
        Assert.Contains("are of another resource (https://elsewhere.example/mcp)", refused.Text("detail"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task AuthorizationServer_ThatTheToolServerNames_IsHeldToTheEgressPolicy()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        // The metadata of a cloud, and another address of this machine than the manifest's.
        foreach (var named in new[] { "http://169.254.169.254", $"http://127.0.0.2:{server.Endpoint.Port}/as" })
        {
            server.NamedIssuer = named;
            await using var gateway = await Protected.StartAsync(server, "oauth");

            var refused = await gateway.AdminAsync("POST", "/toolservers/far/sign-in");

            Assert.Equal((409, "sign_in_refused"), (refused.Status, refused.Text("code")));
            Assert.Contains("is not connected", refused.Text("detail"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task AuthorizationServer_OtherThanTheOneOfTheSecret_IsRefused()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var other = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(server, "{mode: oauth, clientId: mine, clientSecret: hush}");
        await SignInAsync(gateway);
        server.NamedIssuer = other.Issuer;

        var refused = await gateway.AdminAsync("POST", "/toolservers/far/sign-in");

        Assert.Equal(409, refused.Status);
        Assert.Contains("set 'auth.issuer'", refused.Text("detail"), StringComparison.Ordinal);
        Assert.Empty(other.TokenRequests);
    }

    [Fact]
    public async Task SignIn_WhereNobodyCan_IsRefusedInWords()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(server, "{mode: clientCredentials, clientId: a, clientSecret: b}");

        Assert.Equal((409, "no_sign_in"), await CodeAsync("POST", "/toolservers/far/sign-in", null));
        Assert.Equal((404, "unknown_tool_server"), await CodeAsync("POST", "/toolservers/nobody/sign-in", null));
        Assert.Equal((400, "invalid_request"), await CodeAsync("POST", "/toolservers/far/sign-in", """{"subject":"somebody"}"""));
        Assert.Equal((400, "invalid_request"), await CodeAsync("POST", "/toolservers/far/sign-in", """{"who":"shared"}"""));
        Assert.Equal((400, "invalid_request"), await CodeAsync("POST", "/toolservers/far/sign-in", """{"subject":"user:nobody"}"""));

        async Task<(int, string?)> CodeAsync(string method, string path, string? body)
        {
            var answer = await gateway.AdminAsync(method, path, body);
            return (answer.Status, answer.Text("code"));
        }
    }

    private static async Task<string> LinkAsync(TestGateway gateway)
    {
        var link = await gateway.AdminAsync("POST", "/toolservers/far/sign-in");
        Assert.True(link.Status == 200, $"{link.Status} {link.Body}");
        return link.Text("url")!;
    }

    private static async Task SignInAsync(TestGateway gateway)
    {
        using var browser = new Browser();
        Assert.Equal(HttpStatusCode.OK, await browser.SignInAsync(await LinkAsync(gateway)));
        await ToolCaller.WaitForAsync(gateway, "far", state => state.State == "connected");
    }

    private static async Task<HttpResponseMessage> Unfollowed(Uri address)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false });
        return await client.GetAsync(address, TestContext.Current.CancellationToken);
    }

    private static void AssertNoSecretIn(FakeProtectedServer server, string text)
    {
        Assert.NotEmpty(server.Secrets);
        Assert.All(server.Secrets, secret => Assert.DoesNotContain(secret, text, StringComparison.Ordinal));
    }
}
