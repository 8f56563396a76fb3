using System.Net;
using System.Text;

namespace Gateway.Tests.SignIn;

/// <summary>MCP sessions of those who are signed in.</summary>
public sealed class SessionTests
{
    private static readonly TimeSpan HangGuard = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LookPeriod = TimeSpan.FromSeconds(16);

    [Fact]
    public async Task Session_OfAnotherPerson_IsClosedToEverybodyElse()
    {
        await using var setup = await SignInSetup.StartAsync();
        using var ada = setup.NewClient(setup.Provider.AccessToken(setup.Address));
        setup.Provider.Person["sub"] = "bob-2";
        using var bob = setup.NewClient(setup.Provider.AccessToken(setup.Address));
        var session = await OpenAsync(ada);

        using var own = await SendAsync(ada, session, """{"jsonrpc":"2.0","id":2,"method":"tools/list"}""");
        using var foreign = await SendAsync(bob, session, """{"jsonrpc":"2.0","id":2,"method":"tools/list"}""");
        using var withKey = await SendAsync(setup.Gateway.Client, session, """{"jsonrpc":"2.0","id":2,"method":"tools/list"}""");
        using var stream = await ListenAsync(bob, session);

        Assert.Equal(HttpStatusCode.OK, own.StatusCode);
        Assert.True(foreign.StatusCode is HttpStatusCode.Forbidden or HttpStatusCode.NotFound, foreign.StatusCode.ToString());
        Assert.True(withKey.StatusCode is HttpStatusCode.Forbidden or HttpStatusCode.NotFound, withKey.StatusCode.ToString());
        Assert.True(stream.StatusCode is HttpStatusCode.Forbidden or HttpStatusCode.NotFound, stream.StatusCode.ToString());
    }

    [Fact]
    public async Task Session_OfOnePersonWithANewerToken_GoesOn()
    {
        await using var setup = await SignInSetup.StartAsync();
        using var first = setup.NewClient(setup.Provider.AccessToken(setup.Address));
        var session = await OpenAsync(first);
        setup.Clock.Advance(TimeSpan.FromMinutes(5));
        using var second = setup.NewClient(setup.Provider.AccessToken(setup.Address));
        using var listed = await SendAsync(second, session, """{"jsonrpc":"2.0","id":2,"method":"tools/list"}""");
        Assert.Equal(HttpStatusCode.OK, listed.StatusCode);

        // The first token ends, the second holds, and so does the session.
        setup.Clock.Advance(TimeSpan.FromMinutes(6));
        using var again = await SendAsync(second, session, """{"jsonrpc":"2.0","id":3,"method":"tools/list"}""");
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
        using var late = await SendAsync(first, session, """{"jsonrpc":"2.0","id":4,"method":"tools/list"}""");
        Assert.Equal(HttpStatusCode.Unauthorized, late.StatusCode);
    }

    [Fact]
    public async Task Stream_OfATokenThatEnds_Ends()
    {
        await using var setup = await SignInSetup.StartAsync();
        using var client = setup.NewClient(setup.Provider.AccessToken(setup.Address));
        var session = await OpenAsync(client);
        using var stream = await ListenAsync(client, session);
        Assert.Equal(HttpStatusCode.OK, stream.StatusCode);

        setup.Clock.Advance(TimeSpan.FromMinutes(11));
        await AssertEndsAsync(setup, stream);

        using var newer = setup.NewClient(setup.Provider.AccessToken(setup.Address));
        using var gone = await SendAsync(newer, session, """{"jsonrpc":"2.0","id":2,"method":"tools/list"}""");
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
    }

    [Fact]
    public async Task Stream_OfASignInThatIsRevoked_Ends_AndOneThatIsOnlyNotRenewedYetGoesOn()
    {
        await using var setup = await SignInSetup.StartAsync(server: "");
        var program = await ClientProgram.RegisterAsync(setup);
        var (access, refresh) = await program.TokensAsync();
        using var client = setup.NewClient(access);
        var session = await OpenAsync(client);
        using var stream = await ListenAsync(client, session);

        // The access token is over, the sign-in is not: with a new one the same session goes on.
        setup.Clock.Advance(TimeSpan.FromMinutes(31));
        var (newer, _) = ClientProgram.TokensOf((await program.RefreshAsync(refresh)).Answer);
        using var renewed = setup.NewClient(newer);
        using (var listed = await SendAsync(renewed, session, """{"jsonrpc":"2.0","id":2,"method":"tools/list"}"""))
        {
            Assert.Equal(HttpStatusCode.OK, listed.StatusCode);
        }

        using var revoked = await setup.Gateway.Anonymous.PostAsync("oauth/revoke", new FormUrlEncodedContent([new("token", newer), new("client_id", program.ClientId)]), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, revoked.StatusCode);
        await AssertEndsAsync(setup, stream);
    }

    [Fact]
    public async Task Stream_OfAnAccountThatLostItsGroup_EndsWithTheRenewal()
    {
        await using var setup = await SignInSetup.StartAsync(server: "");
        var program = await ClientProgram.RegisterAsync(setup);
        var (access, refresh) = await program.TokensAsync();
        using var client = setup.NewClient(access);
        var session = await OpenAsync(client);
        using var stream = await ListenAsync(client, session);

        setup.Provider.Person["groups"] = new System.Text.Json.Nodes.JsonArray("sales");
        Assert.Equal(HttpStatusCode.OK, (await program.RefreshAsync(refresh)).Status);

        await AssertEndsAsync(setup, stream);
    }

    [Fact]
    public async Task Session_OfOneClient_OutlivesTheSignInOfAnother()
    {
        await using var setup = await SignInSetup.StartAsync(server: "");
        var first = await ClientProgram.RegisterAsync(setup, name: "First");
        var second = await ClientProgram.RegisterAsync(setup, name: "Second");
        var (firstAccess, _) = await first.TokensAsync();
        var (secondAccess, _) = await second.TokensAsync();
        using var one = setup.NewClient(firstAccess);
        using var other = setup.NewClient(secondAccess);
        var kept = await OpenAsync(one);
        var ended = await OpenAsync(other);
        using var stream = await ListenAsync(one, kept);

        using var revoked = await setup.Gateway.Anonymous.PostAsync("oauth/revoke", new FormUrlEncodedContent([new("token", secondAccess), new("client_id", second.ClientId)]), TestContext.Current.CancellationToken);
        setup.Clock.Advance(LookPeriod);

        using var listed = await SendAsync(one, kept, """{"jsonrpc":"2.0","id":2,"method":"tools/list"}""");
        Assert.Equal(HttpStatusCode.OK, listed.StatusCode);
        using var refused = await SendAsync(other, ended, """{"jsonrpc":"2.0","id":2,"method":"tools/list"}""");
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    [Fact]
    public async Task Stream_OfACallerWhoseRuleIsGone_Ends()
    {
        await using var setup = await SignInSetup.StartAsync();
        using var client = setup.NewClient(setup.Provider.AccessToken(setup.Address));
        var session = await OpenAsync(client);
        using var stream = await ListenAsync(client, session);

        await AccessTokenTests.ReconfigureAsync(setup, "    - {name: directors, claims: [{claim: groups, contains: directors}], tools: ['*']}");

        await AssertEndsAsync(setup, stream);
    }

    [Fact]
    public async Task Tools_OfARuleThatChanges_AreAnnounced()
    {
        await using var setup = await SignInSetup.StartAsync();
        using var client = setup.NewClient(setup.Provider.AccessToken(setup.Address));
        var session = await OpenAsync(client);
        using var stream = await ListenAsync(client, session);
        using var reader = new StreamReader(await stream.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));

        await AccessTokenTests.ReconfigureAsync(setup, "    - {name: engineers, claims: [{claim: groups, contains: engineering}], tools: ['gateway/whoami']}");

        while (await reader.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(HangGuard, TestContext.Current.CancellationToken) is { } line)
        {
            if (line.Contains("notifications/tools/list_changed", StringComparison.Ordinal))
            {
                using var listed = await SendAsync(client, session, """{"jsonrpc":"2.0","id":2,"method":"tools/list"}""");
                var text = await listed.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
                Assert.Contains("gateway__whoami", text, StringComparison.Ordinal);
                Assert.DoesNotContain("gateway__spend", text, StringComparison.Ordinal);
                return;
            }
        }
        Assert.Fail("The stream ended without a word of the change.");
    }

    /// <summary>The stream ends at the next look at what callers hold open, of which each advance of the clock makes one due.</summary>
    private static async Task AssertEndsAsync(SignInSetup setup, HttpResponseMessage stream)
    {
        var ended = ReadToEndAsync(stream);
        setup.Clock.Advance(LookPeriod);
        await ended.WaitAsync(HangGuard, TestContext.Current.CancellationToken);
    }

    private static async Task ReadToEndAsync(HttpResponseMessage stream)
    {
        await using var body = await stream.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        var buffer = new byte[1024];
        while (await body.ReadAsync(buffer, TestContext.Current.CancellationToken) > 0)
        {
        }
    }

    private static async Task<string> OpenAsync(HttpClient client)
    {
        using var opened = await SendAsync(client, null, """{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}""");
        Assert.Equal(HttpStatusCode.OK, opened.StatusCode);
        var session = opened.Header("Mcp-Session-Id");
        using var initialized = await SendAsync(client, session, """{"jsonrpc":"2.0","method":"notifications/initialized"}""");
        Assert.Equal(HttpStatusCode.Accepted, initialized.StatusCode);
        return session;
    }

    private static async Task<HttpResponseMessage> ListenAsync(HttpClient client, string session)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "mcp");
        request.Headers.Add("Accept", "text/event-stream");
        request.Headers.Add("Mcp-Session-Id", session);
        return await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
    }

    private static async Task<HttpResponseMessage> SendAsync(HttpClient client, string? session, string message)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "mcp") { Content = new StringContent(message, Encoding.UTF8, "application/json") };
        request.Headers.Add("Accept", "application/json, text/event-stream");
        if (session is not null)
        {
            request.Headers.Add("Mcp-Session-Id", session);
        }
        return await client.SendAsync(request, TestContext.Current.CancellationToken);
    }
}
