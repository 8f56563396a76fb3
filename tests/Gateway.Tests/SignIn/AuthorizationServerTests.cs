using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TestSupport;

namespace Gateway.Tests.SignIn;

public sealed class AuthorizationServerTests
{
    private static Task<SignInSetup> StartAsync(string server = "", string? rules = null) => SignInSetup.StartAsync(rules, server: server);

    [Fact]
    public async Task Person_WithARegisteredClient_SignsInAndStaysSignedIn()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);

        var (status, answer) = await client.RedeemAsync(await client.CodeAsync());

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("Bearer", answer.GetProperty("token_type").GetString());
        Assert.Equal(1800, answer.GetProperty("expires_in").GetInt32());
        var (access, refresh) = ClientProgram.TokensOf(answer);
        await setup.AssertTakenAsync(access);

        setup.Clock.Advance(TimeSpan.FromMinutes(30));
        var challenge = await setup.AssertRefusedAsync(access, HttpStatusCode.Unauthorized, "has expired");
        Assert.StartsWith("Bearer error=\"invalid_token\"", challenge, StringComparison.Ordinal);
        (status, answer) = await client.RefreshAsync(refresh);
        Assert.True(status == HttpStatusCode.OK, answer.ToString());
        var (newer, rotated) = ClientProgram.TokensOf(answer);
        Assert.NotEqual(refresh, rotated);
        await setup.AssertTakenAsync(newer);
    }

    [Fact]
    public async Task Token_OfTheGateway_AndOfTheProvider_AreTheSameCaller()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var (access, _) = await client.TokensAsync();
        Assert.Equal(await WhoAsync(setup, access), await WhoAsync(setup, setup.Provider.AccessToken(setup.Address)));
    }

    [Fact]
    public async Task Token_ForOneEndpoint_IsOfNoUseAtAnother()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup, resource: setup.Address + "/v1");
        var (access, _) = await client.TokensAsync();
        await setup.AssertRefusedAsync(access, HttpStatusCode.Unauthorized, "not for this endpoint");
        using var models = setup.NewClient(access);
        using var response = await models.GetAsync("v1/models", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Token_ChangedInAnyByte_IsRefused()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var (access, refresh) = await client.TokensAsync();
        foreach (var place in new[] { 8, 20, 40, access.Length - 2 })
        {
            var changed = access[..place] + (access[place] == 'A' ? 'B' : 'A') + access[(place + 1)..];
            await setup.AssertRefusedAsync(changed, HttpStatusCode.Unauthorized, "was not issued by this gateway");
        }
        await setup.AssertRefusedAsync("at-gw-", HttpStatusCode.Unauthorized, "was not issued");
        await setup.AssertRefusedAsync("at-gw-" + refresh["rt-gw-".Length..], HttpStatusCode.Unauthorized, "was not issued");
        await setup.AssertRefusedAsync(refresh, HttpStatusCode.Unauthorized, "nor a signed JWT");
    }

    [Fact]
    public async Task RefreshToken_UsedTwice_EndsTheSignIn()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var (_, stolen) = await client.TokensAsync();
        var (_, answer) = await client.RefreshAsync(stolen);
        var (access, current) = ClientProgram.TokensOf(answer);
        await setup.AssertTakenAsync(access);

        setup.Clock.Advance(TimeSpan.FromSeconds(10));
        var (status, refusal) = await client.RefreshAsync(stolen);

        Assert.Equal((HttpStatusCode.BadRequest, "invalid_grant"), (status, refusal.GetProperty("error").GetString()));
        await setup.AssertRefusedAsync(access, HttpStatusCode.Unauthorized, "sign-in has ended");
        Assert.Equal(HttpStatusCode.BadRequest, (await client.RefreshAsync(current)).Status);
        Assert.Contains(setup.Gateway.Logs.Lines, line => line.Message.Contains("was used twice", StringComparison.Ordinal));
    }

    [Fact]
    public async Task RefreshToken_AskedForTwiceAtOnce_IsAnsweredTwiceWithTheSame()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var (_, refresh) = await client.TokensAsync();
        var before = setup.Provider.Requests.Count(path => path == "/token");

        var answers = await Task.WhenAll(client.RefreshAsync(refresh), client.RefreshAsync(refresh), client.RefreshAsync(refresh));

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.OK, answer.Status));
        Assert.Single(answers.Select(answer => ClientProgram.TokensOf(answer.Answer).Refresh).Distinct());
        Assert.Equal(before + 1, setup.Provider.Requests.Count(path => path == "/token"));
    }

    [Fact]
    public async Task RefreshToken_OfAnotherClientOrResource_IsRefused()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var other = await ClientProgram.RegisterAsync(setup, "http://127.0.0.1:53682/callback", "Another");
        var (_, refresh) = await client.TokensAsync();
        Assert.Equal("invalid_grant", (await other.RefreshAsync(refresh)).Answer.GetProperty("error").GetString());
        Assert.Equal("invalid_target", (await client.RefreshAsync(refresh, ("resource", setup.Address + "/v1"))).Answer.GetProperty("error").GetString());
        Assert.Equal("invalid_scope", (await client.RefreshAsync(refresh, ("scope", "more"))).Answer.GetProperty("error").GetString());
        Assert.Equal(HttpStatusCode.OK, (await client.RefreshAsync(refresh)).Status);
    }

    [Fact]
    public async Task Code_UsedTwice_TakesBackWhatItWasExchangedFor()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var code = await client.CodeAsync();
        var (_, answer) = await client.RedeemAsync(code);
        var (access, refresh) = ClientProgram.TokensOf(answer);

        var (status, refusal) = await client.RedeemAsync(code);

        Assert.Equal((HttpStatusCode.BadRequest, "invalid_grant"), (status, refusal.GetProperty("error").GetString()));
        await setup.AssertRefusedAsync(access, HttpStatusCode.Unauthorized, "sign-in has ended");
        Assert.Equal(HttpStatusCode.BadRequest, (await client.RefreshAsync(refresh)).Status);
    }

    [Theory]
    [InlineData("code_verifier", "0123456789012345678901234567890123456789012", "invalid_grant")]
    [InlineData("code_verifier", "short", "invalid_grant")]
    [InlineData("code_verifier", null, "invalid_grant")]
    [InlineData("redirect_uri", "http://127.0.0.1:53683/callback", "invalid_grant")]
    [InlineData("redirect_uri", null, "invalid_grant")]
    [InlineData("client_id", "dcr-another", "invalid_grant")]
    [InlineData("client_id", null, "invalid_request")]
    [InlineData("resource", "http://127.0.0.1/v1", "invalid_target")]
    [InlineData("grant_type", "password", "unsupported_grant_type")]
    [InlineData("grant_type", "client_credentials", "unsupported_grant_type")]
    public async Task Code_ShownWithSomethingElse_IsRefused(string field, string? value, string error)
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var code = await client.CodeAsync();
        var (status, answer) = await client.RedeemAsync(code, (field, value));
        Assert.Equal((HttpStatusCode.BadRequest, error), (status, answer.GetProperty("error").GetString()));
        if (error == "invalid_grant")
        {
            // A code that somebody tried with something else is of no use to anybody.
            Assert.Equal(HttpStatusCode.BadRequest, (await client.RedeemAsync(code)).Status);
        }
    }

    [Fact]
    public async Task Code_OfAnotherClient_IsRefusedAndSpent()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var thief = await ClientProgram.RegisterAsync(setup, name: "Thief");
        var code = await client.CodeAsync();
        var (_, answer) = await thief.RedeemAsync(code, ("code_verifier", client.Verifier));
        Assert.Equal("invalid_grant", answer.GetProperty("error").GetString());
        Assert.Equal(HttpStatusCode.BadRequest, (await client.RedeemAsync(code)).Status);
    }

    [Fact]
    public async Task Code_AfterAMinute_IsOver()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var code = await client.CodeAsync();
        setup.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal("invalid_grant", (await client.RedeemAsync(code)).Answer.GetProperty("error").GetString());
    }

    [Theory]
    [InlineData("https://evil.example.com/callback")]
    [InlineData("http://127.0.0.1:53682/callback/../elsewhere")]
    [InlineData("http://127.0.0.1:53682/callback?x=1")]
    [InlineData("http://localhost:53682/callback")]
    [InlineData("http://127.0.0.1.evil.example.com/callback")]
    [InlineData("http://user@127.0.0.1:53682/callback")]
    [InlineData("http://127.0.0.1:53682/callback#fragment")]
    [InlineData("javascript:alert(1)")]
    [InlineData("")]
    public async Task Redirect_ThatWasNotRegistered_IsShownAndNotFollowed(string redirect)
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        using var response = await client.Browser.GetAsync(client.AuthorizeAddress(("redirect_uri", redirect)));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Null(response.Headers.Location);
    }

    [Fact]
    public async Task Redirect_ToThisMachineAtAnotherPort_IsTaken()
    {
        await using var setup = await StartAsync();
        var registered = await ClientProgram.RegisterAsync(setup, "http://127.0.0.1/callback");
        var client = new ClientProgram(setup, registered.ClientId, "http://127.0.0.1:41234/callback");
        var (access, _) = await client.TokensAsync();
        await setup.AssertTakenAsync(access);
    }

    [Theory]
    [InlineData("response_type", "token", "unsupported_response_type")]
    [InlineData("code_challenge", null, "invalid_request")]
    [InlineData("code_challenge_method", "plain", "invalid_request")]
    [InlineData("code_challenge_method", null, "invalid_request")]
    [InlineData("resource", null, "invalid_target")]
    [InlineData("resource", "https://elsewhere.example.com/mcp", "invalid_target")]
    [InlineData("resource", "{0}/admin", "invalid_target")]
    [InlineData("resource", "{0}/mcp?x=1", "invalid_target")]
    [InlineData("prompt", "none", "interaction_required")]
    public async Task Request_ThatIsNotTaken_GoesBackToTheClientWithWhy(string name, string? value, string error)
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        using var response = await client.Browser.GetAsync(client.AuthorizeAddress((name, value?.Replace("{0}", setup.Address, StringComparison.Ordinal))));
        Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
        var answer = ClientProgram.Parse(response.Headers.Location!);
        Assert.Equal((error, "state of the client's", setup.Address), (answer["error"], answer["state"], answer["iss"]));
        Assert.DoesNotContain("/authorize", setup.Provider.Requests);
    }

    [Fact]
    public async Task Parameter_ThatStandsTwice_IsRefused()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        using var response = await client.Browser.GetAsync(client.AuthorizeAddress() + "&redirect_uri=https://evil.example.com/");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task ConsentPage_NamesTheClientAndItsHostAndRunsNothingOfIts()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup, "https://app.example.com/callback", "<script>alert(1)</script>\u202Eelgoog");
        using var response = await client.Browser.GetAsync(client.AuthorizeAddress());
        var page = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Contains("&lt;script&gt;alert(1)&lt;/script&gt;elgoog", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", page, StringComparison.Ordinal);
        Assert.Contains("app.example.com", page, StringComparison.Ordinal);
        Assert.Contains(setup.Address + "/mcp", page, StringComparison.Ordinal);
        Assert.Contains("nobody has verified it", page, StringComparison.Ordinal);
        Assert.Contains("frame-ancestors 'none'", response.Header("Content-Security-Policy"), StringComparison.Ordinal);
        Assert.Equal("DENY", response.Header("X-Frame-Options"));
        var cookie = response.Header("Set-Cookie");
        Assert.Contains("httponly", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("samesite=lax", cookie, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Consent_InAnotherBrowserOrOfAnotherPage_IsRefused()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        using var response = await client.Browser.GetAsync(client.AuthorizeAddress());
        var page = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

        using var stranger = new Browser(setup.Gateway.BaseAddress);
        using var without = await stranger.AnswerAsync(page);
        Assert.Equal(HttpStatusCode.BadRequest, without.StatusCode);
        using var own = await stranger.GetAsync(client.AuthorizeAddress());
        using var withAnother = await stranger.AnswerAsync(page);
        Assert.Equal(HttpStatusCode.BadRequest, withAnother.StatusCode);
        using var forged = await client.Browser.AnswerAsync(page, origin: "https://evil.example.com");
        Assert.Equal(HttpStatusCode.Forbidden, forged.StatusCode);

        setup.Clock.Advance(TimeSpan.FromMinutes(15));
        using var late = await client.Browser.AnswerAsync(page);
        Assert.Equal(HttpStatusCode.BadRequest, late.StatusCode);
        Assert.DoesNotContain("/authorize", setup.Provider.Requests);
    }

    [Fact]
    public async Task Consent_Refused_GoesBackToTheClient()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        using var response = await client.Browser.GetAsync(client.AuthorizeAddress());
        using var answered = await client.Browser.AnswerAsync(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), "deny");
        Assert.Equal("access_denied", ClientProgram.Parse(answered.Headers.Location!)["error"]);
        Assert.DoesNotContain("/authorize", setup.Provider.Requests);
    }

    [Fact]
    public async Task Callback_InAnotherBrowser_IsRefusedAndLeavesTheSignInAlone()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var callback = await CallbackAsync(setup, client);

        using var victim = new Browser(setup.Gateway.BaseAddress);
        using var refused = await victim.GetAsync(callback.AbsoluteUri);
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        using var taken = await client.Browser.GetAsync(callback.AbsoluteUri);
        Assert.Contains("code=", taken.Headers.Location!.Query, StringComparison.Ordinal);
        using var again = await client.Browser.GetAsync(callback.AbsoluteUri);
        Assert.Equal(HttpStatusCode.BadRequest, again.StatusCode);
    }

    public static TheoryData<string, string> Misbehaviours => new()
    {
        { "refuses", "access_denied" },
        { "nonce", "access_denied" },
        { "no nonce", "access_denied" },
        { "audience", "access_denied" },
        { "azp", "access_denied" },
        { "issuer", "access_denied" },
        { "expired", "access_denied" },
        { "no rule", "access_denied" },
        { "answer of another issuer", "server_error" },
        { "away", "temporarily_unavailable" },
    };

    [Theory]
    [MemberData(nameof(Misbehaviours))]
    public async Task Provider_WhoseAnswerDoesNotHold_LetsNobodyIn(string kind, string error)
    {
        await using var setup = await StartAsync();
        var provider = setup.Provider;
        provider.Refuses = kind == "refuses";
        provider.AnswerIssuer = kind == "answer of another issuer" ? "https://evil.example.com" : null;
        provider.Adjust = claims =>
        {
            switch (kind)
            {
                case "nonce": claims["nonce"] = "another"; break;
                case "no nonce": claims.Remove("nonce"); break;
                case "audience": claims["aud"] = "another-client"; break;
                case "azp": claims["azp"] = "another-client"; break;
                case "issuer": claims["iss"] = "https://evil.example.com"; break;
                case "expired": claims["exp"] = setup.Clock.GetUtcNow().AddHours(-1).ToUnixTimeSeconds(); break;
                case "no rule": claims["groups"] = new JsonArray("sales"); break;
            }
        };
        var client = await ClientProgram.RegisterAsync(setup);
        var callback = await CallbackAsync(setup, client);
        provider.IsDown = kind == "away";

        using var response = await client.Browser.GetAsync(callback.AbsoluteUri);

        var answer = ClientProgram.Parse(response.Headers.Location!);
        Assert.Equal((error, "state of the client's", setup.Address), (answer["error"], answer["state"], answer["iss"]));
    }

    [Fact]
    public async Task Provider_ThatNamesItself_IsTaken()
    {
        await using var setup = await StartAsync();
        setup.Provider.AnswerIssuer = setup.Provider.Issuer;
        var client = await ClientProgram.RegisterAsync(setup);
        await setup.AssertTakenAsync((await client.TokensAsync()).Access);
    }

    [Fact]
    public async Task Account_ClosedAtTheProvider_EndsTheSignInWithTheNextRenewal()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var (access, refresh) = await client.TokensAsync();
        setup.Provider.AccountIsClosed = true;
        Assert.Equal("invalid_grant", (await client.RefreshAsync(refresh)).Answer.GetProperty("error").GetString());
        await setup.AssertRefusedAsync(access, HttpStatusCode.Unauthorized, "sign-in has ended");
    }

    [Fact]
    public async Task Account_OfOtherGroups_LosesItsRightsWithTheNextRenewal()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var (_, refresh) = await client.TokensAsync();
        setup.Provider.Person["groups"] = new JsonArray("sales");
        var (access, _) = ClientProgram.TokensOf((await client.RefreshAsync(refresh)).Answer);
        await setup.AssertRefusedAsync(access, HttpStatusCode.Forbidden, "no rule");
    }

    [Fact]
    public async Task Provider_AwayAtARenewal_IsAskedAgainLater()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var (_, refresh) = await client.TokensAsync();
        setup.Provider.IsDown = true;
        var (status, answer) = await client.RefreshAsync(refresh);
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "temporarily_unavailable"), (status, answer.GetProperty("error").GetString()));
        setup.Provider.IsDown = false;
        Assert.Equal(HttpStatusCode.OK, (await client.RefreshAsync(refresh)).Status);
    }

    [Fact]
    public async Task SignIn_ThatNobodyCanVerify_EndsEarly()
    {
        await using var setup = await StartAsync(", unverifiedLifetime: 20m");
        setup.Provider.GivesRefreshTokens = false;
        var client = await ClientProgram.RegisterAsync(setup);
        var (_, answer) = await client.RedeemAsync(await client.CodeAsync());
        Assert.Equal(1200, answer.GetProperty("expires_in").GetInt32());
        setup.Clock.Advance(TimeSpan.FromMinutes(15));
        (_, answer) = await client.RefreshAsync(ClientProgram.TokensOf(answer).Refresh);
        Assert.Equal(300, answer.GetProperty("expires_in").GetInt32());
        setup.Clock.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal(HttpStatusCode.BadRequest, (await client.RefreshAsync(ClientProgram.TokensOf(answer).Refresh)).Status);
    }

    [Fact]
    public async Task SignIn_SurvivesARestart_AndHoldsNothingReadable()
    {
        using var folder = new TemporaryFolder();
        var data = Path.Combine(folder.Path, "data");
        await using var setup = await SignInSetup.StartAsync("    - {name: all, tools: ['*']}", issuer: ", audiences: [x]", server: "", dataFolder: data);
        var client = await ClientProgram.RegisterAsync(setup);
        var (access, refresh) = await client.TokensAsync();
        await setup.StopGatewayAsync();

        Assert.DoesNotContain("ada@example.com", Encoding.Latin1.GetString(await File.ReadAllBytesAsync(Path.Combine(data, "gateway.db"), TestContext.Current.CancellationToken)), StringComparison.Ordinal);
        await using var second = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = SignInSetup.Configuration(setup.Provider.Issuer, "    - {name: all, tools: ['*']}", server: ""),
            Environment = new Dictionary<string, string> { ["PROVIDER_SECRET"] = FakeIdentityProvider.ClientSecret },
            Clock = setup.Clock,
            DataFolder = data,
            Urls = setup.Address,
        }, TestContext.Current.CancellationToken);

        using var holder = second.NewClient(access);
        using var listed = await SignInSetup.ListAsync(holder);
        Assert.Equal(HttpStatusCode.OK, listed.StatusCode);
        using var renewed = await second.Anonymous.PostAsync("oauth/token", new FormUrlEncodedContent(
            [new("grant_type", "refresh_token"), new("client_id", client.ClientId), new("refresh_token", refresh)]), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, renewed.StatusCode);
    }

    [Fact]
    public async Task Revocation_EndsTheSignInOfItsOwnClientOnly()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var (access, refresh) = await client.TokensAsync();
        await RevokeAsync(setup, refresh, "another");
        await setup.AssertTakenAsync(access);
        await RevokeAsync(setup, refresh, client.ClientId);
        await setup.AssertRefusedAsync(access, HttpStatusCode.Unauthorized, "sign-in has ended");
        await RevokeAsync(setup, "nonsense", client.ClientId);
    }

    [Fact]
    public async Task Admin_SeesWhoIsSignedIn_AndEndsIt()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var (access, _) = await client.TokensAsync();
        using var listed = await setup.Gateway.AdminClient.GetAsync("admin/v1/signins?name=ada", TestContext.Current.CancellationToken);
        var one = Assert.Single((await listed.JsonAsync()).GetProperty("signIns").EnumerateArray());
        Assert.Equal(("ada@example.com", "Test client"), (one.GetProperty("name").GetString(), one.GetProperty("client").GetString()));
        Assert.Contains(one.GetProperty("caller").GetString()!, await WhoAsync(setup, access), StringComparison.Ordinal);

        using var ended = await setup.Gateway.AdminClient.DeleteAsync($"admin/v1/signins/{one.GetProperty("id").GetString()}", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NoContent, ended.StatusCode);
        await setup.AssertRefusedAsync(access, HttpStatusCode.Unauthorized, "sign-in has ended");
        using var audit = await setup.Gateway.AdminClient.GetAsync("admin/v1/audit?kind=signIn", TestContext.Current.CancellationToken);
        Assert.Equal("ended", (await audit.JsonAsync()).GetProperty("records")[0].GetProperty("action").GetString());
    }

    [Fact]
    public async Task Server_TakenOutOfTheConfiguration_TakesItsTokensAlong()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var (access, _) = await client.TokensAsync();
        await AccessTokenTests.ReconfigureAsync(setup, "    - {name: engineers, claims: [{claim: groups, contains: engineering}], tools: ['*']}");
        await setup.AssertRefusedAsync(access, HttpStatusCode.Unauthorized, "issues no tokens any more");
    }

    [Theory]
    [InlineData("""{}""", "invalid_redirect_uri")]
    [InlineData("""{"redirect_uris":[]}""", "invalid_redirect_uri")]
    [InlineData("""{"redirect_uris":["http://example.com/cb"]}""", "invalid_redirect_uri")]
    [InlineData("""{"redirect_uris":["javascript:alert(1)"]}""", "invalid_redirect_uri")]
    [InlineData("""{"redirect_uris":["data:text/html,x"]}""", "invalid_redirect_uri")]
    [InlineData("""{"redirect_uris":["https://a.example.com/cb#x"]}""", "invalid_redirect_uri")]
    [InlineData("""{"redirect_uris":["/cb"]}""", "invalid_redirect_uri")]
    [InlineData("""{"redirect_uris":[7]}""", "invalid_redirect_uri")]
    [InlineData("""{"redirect_uris":["https://a.example.com/1","https://a.example.com/2","https://a.example.com/3","https://a.example.com/4","https://a.example.com/5","https://a.example.com/6","https://a.example.com/7","https://a.example.com/8","https://a.example.com/9","https://a.example.com/10","https://a.example.com/11"]}""", "invalid_redirect_uri")]
    [InlineData("""{"redirect_uris":["https://a.example.com/cb"],"grant_types":["client_credentials"]}""", "invalid_client_metadata")]
    [InlineData("""{"redirect_uris":["https://a.example.com/cb"],"redirect_uris":["https://b.example.com/cb"]}""", "invalid_client_metadata")]
    [InlineData("""[]""", "invalid_client_metadata")]
    [InlineData("not JSON", "invalid_client_metadata")]
    public async Task Registration_ThatIsNotTaken_SaysWhy(string metadata, string error)
    {
        await using var setup = await StartAsync();
        using var response = await setup.Gateway.Anonymous.PostAsync("oauth/register", new StringContent(metadata, Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(error, (await response.JsonAsync()).GetProperty("error").GetString());
    }

    [Fact]
    public async Task Registration_OfTooMuch_IsBounded()
    {
        await using var setup = await StartAsync();
        using (var large = await ClientProgram.RegisterAsync(setup, new JsonObject { ["redirect_uris"] = new JsonArray("https://a.example.com/cb"), ["x"] = new string('x', 20_000) }))
        {
            Assert.Equal(HttpStatusCode.BadRequest, large.StatusCode);
        }
        for (var i = 1; i < 60; i++)
        {
            using var one = await ClientProgram.RegisterAsync(setup, new JsonObject { ["redirect_uris"] = new JsonArray("https://a.example.com/cb") });
            Assert.Equal(HttpStatusCode.Created, one.StatusCode);
        }
        using var refused = await ClientProgram.RegisterAsync(setup, new JsonObject { ["redirect_uris"] = new JsonArray("https://a.example.com/cb") });
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        setup.Clock.Advance(TimeSpan.FromMinutes(1));
        using var later = await ClientProgram.RegisterAsync(setup, new JsonObject { ["redirect_uris"] = new JsonArray("https://a.example.com/cb") });
        Assert.Equal(HttpStatusCode.Created, later.StatusCode);
    }

    [Fact]
    public async Task Registration_AfterAYear_IsOver()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        setup.Clock.Advance(TimeSpan.FromDays(365));
        using var response = await client.Browser.GetAsync(client.AuthorizeAddress());
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("must register anew", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://claude.ai/api/mcp/auth_callback", true)]
    [InlineData("https://a.example.com/cb", true)]
    [InlineData("http://localhost:1234/cb", true)]
    [InlineData("cursor://anysphere.cursor-mcp/oauth/callback", true)]
    [InlineData("https://evil.example.org/cb", false)]
    [InlineData("vscode://x/cb", false)]
    public async Task RedirectHosts_Listed_BarOthers(string redirect, bool isTaken)
    {
        await using var setup = await StartAsync(", redirectHosts: [claude.ai, '*.example.com', localhost, 'cursor:']");
        using var response = await ClientProgram.RegisterAsync(setup, new JsonObject { ["redirect_uris"] = new JsonArray(redirect) });
        Assert.Equal(isTaken ? HttpStatusCode.Created : HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task Registration_SwitchedOff_IsNotOffered()
    {
        await using var setup = await StartAsync(", registration: false");
        using var response = await ClientProgram.RegisterAsync(setup, new JsonObject { ["redirect_uris"] = new JsonArray("https://a.example.com/cb") });
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        using var metadata = await setup.Gateway.Anonymous.GetAsync(".well-known/oauth-authorization-server", TestContext.Current.CancellationToken);
        Assert.False((await metadata.JsonAsync()).TryGetProperty("registration_endpoint", out _));
    }

    [Fact]
    public async Task SignIns_OfOnePerson_BeyondTwenty_EndTheOldest()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var (first, _) = await client.TokensAsync();
        for (var i = 0; i < 20; i++)
        {
            setup.Clock.Advance(TimeSpan.FromSeconds(1));
            await client.TokensAsync();
        }
        await setup.AssertRefusedAsync(first, HttpStatusCode.Unauthorized, "sign-in has ended");
    }

    [Fact]
    public async Task Logs_OfAWholeFlow_HoldNoSecret()
    {
        await using var setup = await StartAsync();
        var client = await ClientProgram.RegisterAsync(setup);
        var code = await client.CodeAsync();
        var (_, answer) = await client.RedeemAsync(code);
        var (access, refresh) = ClientProgram.TokensOf(answer);
        await setup.AssertTakenAsync(access);
        foreach (var secret in new[] { code, access, refresh, client.Verifier, FakeIdentityProvider.ClientSecret, "ada@example.com" })
        {
            Assert.DoesNotContain(setup.Gateway.Logs.Lines, line => line.Message.Contains(secret, StringComparison.Ordinal));
        }
    }

    /// <summary>Where the provider sends the person.</summary>
    private static async Task<Uri> CallbackAsync(SignInSetup setup, ClientProgram client)
    {
        using var page = await client.Browser.GetAsync(client.AuthorizeAddress());
        using var answered = await client.Browser.AnswerAsync(await page.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        return await client.Browser.FollowAsync(answered.Headers.Location!, setup.Address + "/oauth/callback");
    }

    private static async Task<string> WhoAsync(SignInSetup setup, string token)
    {
        using var client = setup.NewClient(token);
        using var answer = JsonDocument.Parse(await Tools.ToolCaller.CallAsync(client, "gateway__whoami"));
        return answer.RootElement.GetProperty("result").GetProperty("content")[0].GetProperty("text").GetString()!;
    }

    private static async Task RevokeAsync(SignInSetup setup, string token, string clientId)
    {
        using var response = await setup.Gateway.Anonymous.PostAsync("oauth/revoke", new FormUrlEncodedContent([new("token", token), new("client_id", clientId)]), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }
}
