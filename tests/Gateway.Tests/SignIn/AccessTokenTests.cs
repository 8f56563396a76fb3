using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Gateway.Tests.Tools;
using TestSupport;

namespace Gateway.Tests.SignIn;

public sealed class AccessTokenTests
{
    [Fact]
    public async Task Token_OfAnEngineer_SeesWhatItsRuleGrants()
    {
        await using var setup = await SignInSetup.StartAsync();
        using var client = setup.NewClient(setup.Provider.AccessToken(setup.Address + "/mcp"));

        var tools = await ToolCaller.ListAsync(client);

        Assert.Contains("gateway__whoami", tools);
        var told = await ToolCaller.CallAsync(client, "gateway__whoami");
        Assert.Contains("ada@example.com", told, StringComparison.Ordinal);
        Assert.Contains("user-", told, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Token_OnTheModelPlane_IsChargedToItsCaller()
    {
        await using var setup = await SignInSetup.StartAsync();
        using var client = setup.NewClient(setup.Provider.AccessToken(setup.Address));

        using var response = await client.PostAsync("v1/chat/completions", Json("""{"model":"simulator/echo","messages":[{"role":"user","content":"hi"}]}"""), TestContext.Current.CancellationToken);

        Assert.True(response.StatusCode == HttpStatusCode.OK, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        await setup.Gateway.IdleAsync();
        using var ledger = await setup.Gateway.AdminClient.GetAsync("admin/v1/ledger", TestContext.Current.CancellationToken);
        var row = (await ledger.JsonAsync()).GetProperty("attempts")[0];
        Assert.StartsWith("user-", row.GetProperty("key").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rule_WithABudget_LimitsEachCallerByItself()
    {
        await using var setup = await SignInSetup.StartAsync("    - {name: all, tools: ['gateway/*'], rateLimits: [{requests: 1, per: 1h}]}");
        using var ada = setup.NewClient(setup.Provider.AccessToken(setup.Address));
        setup.Provider.Person["sub"] = "bob-2";
        using var bob = setup.NewClient(setup.Provider.AccessToken(setup.Address));

        Assert.DoesNotContain("rate_limit", await ToolCaller.CallAsync(ada, "gateway__current_time"), StringComparison.Ordinal);
        Assert.Contains("rate", await ToolCaller.CallAsync(ada, "gateway__current_time"), StringComparison.Ordinal);
        var first = await ToolCaller.CallAsync(bob, "gateway__current_time");
        Assert.Contains("\"content\"", first, StringComparison.Ordinal);
    }

    [Fact]
    public async Task UserClaim_BindsTheCallerToItsUser()
    {
        const string Users = """
            users:
              "ada@example.com": {tools: ["gateway/whoami"]}

            """;
        await using var setup = await SignInSetup.StartAsync("    - {name: known, userClaim: email, tools: ['*']}", more: Users);
        using var ada = setup.NewClient(setup.Provider.AccessToken(setup.Address));
        Assert.Equal(["gateway__whoami"], await ToolCaller.ListAsync(ada));

        setup.Provider.Person["email"] = "mallory@example.com";
        await setup.AssertRefusedAsync(setup.Provider.AccessToken(setup.Address), HttpStatusCode.Forbidden, "no rule");
    }

    [Theory]
    [InlineData("{claim: email, matches: '*@example.com'}", true)]
    [InlineData("{claim: email, matches: '*@example.org'}", false)]
    [InlineData("{claim: email, equalTo: ada@example.com}", true)]
    [InlineData("{claim: groups, equalTo: engineering}", false)]
    [InlineData("{claim: groups, contains: all}", true)]
    [InlineData("{claim: groups, contains: engineer}", false)]
    [InlineData("{claim: realm.roles, contains: admin}", true)]
    [InlineData("{claim: 'https://example.com/level', equalTo: '3'}", true)]
    [InlineData("{claim: verified, equalTo: 'true'}", true)]
    [InlineData("{claim: missing, matches: '*'}", false)]
    public async Task Condition_OnAClaim_DecidesWhoFits(string condition, bool fits)
    {
        await using var setup = await SignInSetup.StartAsync($"    - {{name: some, claims: [{condition}], tools: ['*']}}");
        setup.Provider.Person["realm"] = new JsonObject { ["roles"] = new JsonArray("user", "admin") };
        setup.Provider.Person["https://example.com/level"] = 3;
        setup.Provider.Person["verified"] = true;
        var token = setup.Provider.AccessToken(setup.Address);
        await (fits ? setup.AssertTakenAsync(token) : setup.AssertRefusedAsync(token, HttpStatusCode.Forbidden, "no rule under 'signIn.rules'"));
    }

    [Fact]
    public async Task Token_WithoutAFittingRule_IsForbiddenInClearWords()
    {
        await using var setup = await SignInSetup.StartAsync();
        setup.Provider.Person["groups"] = new JsonArray("sales");
        var challenge = await setup.AssertRefusedAsync(setup.Provider.AccessToken(setup.Address), HttpStatusCode.Forbidden, "no rule under 'signIn.rules' in gateway.yaml fits its holder");
        Assert.Equal("", challenge); // To sign in once more would not help.
    }

    [Fact]
    public async Task Token_WithoutAScope_IsToldWhichOne()
    {
        await using var setup = await SignInSetup.StartAsync("    - {name: readers, scopes: [tools.read], tools: ['*']}", ", scopes: [gateway]");
        var audience = setup.Address + "/mcp";

        var challenge = await setup.AssertRefusedAsync(setup.Provider.AccessToken(audience, "gateway"), HttpStatusCode.Forbidden, "lacks a scope");

        Assert.Equal($"Bearer error=\"insufficient_scope\", scope=\"gateway tools.read\", resource_metadata=\"{setup.Address}/.well-known/oauth-protected-resource/mcp\"", challenge);
        await setup.AssertTakenAsync(setup.Provider.AccessToken(audience, "other tools.read gateway"));
    }

    public static TheoryData<string, string> BadTokens => new()
    {
        { "none", "not signed with an algorithm" },
        { "hs256", "not signed with an algorithm" },
        { "expired", "has expired" },
        { "no expiry", "has expired" },
        { "not yet", "not valid yet" },
        { "issuer", "issuer ('iss') is none" },
        { "audience", "not for this endpoint" },
        { "no audience", "not for this endpoint" },
        { "subject", "names nobody" },
        { "key id", "a key that its issuer does not have" },
        { "other key", "signature does not hold" },
        { "no signature", "nor a signed JWT" },
        { "crit", "demands an extension" },
        { "twice", "nor a signed JWT" },
        { "rs512", "not signed with an algorithm" },
        { "embedded key", "signature does not hold" },
    };

    [Theory]
    [MemberData(nameof(BadTokens))]
    public async Task Token_ThatDoesNotHold_IsRefused(string kind, string text)
    {
        await using var setup = await SignInSetup.StartAsync();
        var provider = setup.Provider;
        var claims = provider.AccessClaims(setup.Address + "/mcp");
        var header = new JsonObject { ["alg"] = "RS256", ["kid"] = provider.KeyId };
        byte[] Signed(byte[] data) => provider.Key.SignData(data, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using var other = RSA.Create(2048);
        var token = kind switch
        {
            "none" => FakeIdentityProvider.Assemble(new JsonObject { ["alg"] = "none" }, claims, _ => [1]),
            // The public key, which everybody has, used as the secret of an HMAC.
            "hs256" => FakeIdentityProvider.Assemble(new JsonObject { ["alg"] = "HS256", ["kid"] = provider.KeyId }, claims, data => HMACSHA256.HashData(Encoding.ASCII.GetBytes(provider.Key.ExportSubjectPublicKeyInfoPem()), data)),
            "expired" => provider.Sign(With(claims, "exp", setup.Clock.GetUtcNow().AddSeconds(-31).ToUnixTimeSeconds())),
            "no expiry" => provider.Sign(With(claims, "exp", null)),
            "not yet" => provider.Sign(With(claims, "nbf", setup.Clock.GetUtcNow().AddMinutes(2).ToUnixTimeSeconds())),
            "issuer" => provider.Sign(With(claims, "iss", provider.Issuer + "/other")),
            "audience" => provider.Sign(With(claims, "aud", "https://elsewhere.example.com/mcp")),
            "no audience" => provider.Sign(With(claims, "aud", null)),
            "subject" => provider.Sign(With(claims, "sub", null)),
            "key id" => FakeIdentityProvider.Assemble(With(header, "kid", "another"), claims, Signed),
            "other key" => FakeIdentityProvider.Assemble(header, claims, data => other.SignData(data, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)),
            "no signature" => provider.Sign(claims)[..(provider.Sign(claims).LastIndexOf('.') + 1)],
            "crit" => FakeIdentityProvider.Assemble(With(header, "crit", new JsonArray("exp")), claims, Signed),
            "twice" => Twice(claims, Signed),
            "rs512" => FakeIdentityProvider.Assemble(With(header, "alg", "RS512"), claims, data => provider.Key.SignData(data, HashAlgorithmName.SHA512, RSASignaturePadding.Pkcs1)),
            "embedded key" => FakeIdentityProvider.Assemble(With(header, "jwk", Public(other)), claims, data => other.SignData(data, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)),
            _ => throw new ArgumentOutOfRangeException(nameof(kind)),
        };

        var challenge = await setup.AssertRefusedAsync(token, HttpStatusCode.Unauthorized, text);

        Assert.Equal($"Bearer error=\"invalid_token\", resource_metadata=\"{setup.Address}/.well-known/oauth-protected-resource/mcp\"", challenge);
        Assert.DoesNotContain(setup.Gateway.Logs.Lines, line => line.Message.Contains(token, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("/mcp", "v1/models", false)]
    [InlineData("/v1", "mcp", false)]
    [InlineData("/v1", "v1/models", true)]
    [InlineData("", "v1/models", true)]
    [InlineData("/", "mcp", true)]
    [InlineData("/mcpx", "mcp", false)]
    public async Task Token_ForOneEndpoint_IsOfNoUseAtAnother(string audience, string path, bool isTaken)
    {
        await using var setup = await SignInSetup.StartAsync();
        var token = setup.Provider.AccessToken(setup.Address + audience);
        if (path == "mcp")
        {
            await (isTaken ? setup.AssertTakenAsync(token) : setup.AssertRefusedAsync(token, HttpStatusCode.Unauthorized, "not for this endpoint"));
            return;
        }
        using var client = setup.NewClient(token);
        using var response = await client.GetAsync(path, TestContext.Current.CancellationToken);
        Assert.Equal(isTaken ? HttpStatusCode.OK : HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Theory]
    [InlineData("api://gateway", "mcp", true)]
    [InlineData("https://hub.example.com/mcp", "mcp", true)]
    [InlineData("https://hub.example.com/v1", "mcp", false)]
    [InlineData("api://another", "mcp", false)]
    public async Task Audiences_OfTheConfiguration_CountForWhatTheyName(string audience, string path, bool isTaken)
    {
        await using var setup = await SignInSetup.StartAsync(issuer: ", audiences: [\"api://gateway\", \"https://hub.example.com/mcp\", \"https://hub.example.com/v1\"]");
        var token = setup.Provider.AccessToken(audience);
        await (isTaken ? setup.AssertTakenAsync(token, path) : setup.AssertRefusedAsync(token, HttpStatusCode.Unauthorized, "not for this endpoint", path));
    }

    [Fact]
    public async Task Token_InTheDifferenceOfClocks_HoldsAndThenEnds()
    {
        await using var setup = await SignInSetup.StartAsync();
        var token = setup.Provider.AccessToken(setup.Address);
        await setup.AssertTakenAsync(token);
        setup.Clock.Advance(TimeSpan.FromMinutes(10) + TimeSpan.FromSeconds(29));
        await setup.AssertTakenAsync(token);
        setup.Clock.Advance(TimeSpan.FromSeconds(2));
        await setup.AssertRefusedAsync(token, HttpStatusCode.Unauthorized, "has expired");
    }

    [Fact]
    public async Task Provider_Away_KeepsThoseInWhoseKeyIsKnown()
    {
        await using var setup = await SignInSetup.StartAsync();
        await setup.AssertTakenAsync(setup.Provider.AccessToken(setup.Address));
        setup.Provider.IsDown = true;

        setup.Clock.Advance(TimeSpan.FromHours(2));
        await setup.AssertTakenAsync(setup.Provider.AccessToken(setup.Address));
        setup.Clock.Advance(TimeSpan.FromHours(20));
        await setup.AssertTakenAsync(setup.Provider.AccessToken(setup.Address));

        // Of a key that nobody here has seen, nobody can tell whether it is the provider's: that is no reason to send the client away.
        setup.Provider.ChangeKey();
        using var response = await setup.ListAsync(setup.Provider.AccessToken(setup.Address));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.NotNull(response.Headers.RetryAfter);
    }

    [Fact]
    public async Task Provider_NeverReached_IsNoRefusal()
    {
        await using var setup = await SignInSetup.StartAsync();
        setup.Provider.IsDown = true;
        using (var response = await setup.ListAsync(setup.Provider.AccessToken(setup.Address)))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        }
        setup.Provider.IsDown = false;
        setup.Clock.Advance(TimeSpan.FromSeconds(15));
        await setup.AssertTakenAsync(setup.Provider.AccessToken(setup.Address));
    }

    [Fact]
    public async Task Provider_WithANewKey_IsAskedOnceAndNotByEveryUnknownKey()
    {
        await using var setup = await SignInSetup.StartAsync();
        await setup.AssertTakenAsync(setup.Provider.AccessToken(setup.Address));
        setup.Provider.ChangeKey();
        setup.Clock.Advance(TimeSpan.FromSeconds(15));

        await setup.AssertTakenAsync(setup.Provider.AccessToken(setup.Address));
        var asked = setup.Provider.Requests.Count(path => path == "/jwks");
        for (var i = 0; i < 20; i++)
        {
            var header = new JsonObject { ["alg"] = "RS256", ["kid"] = $"made-up-{i}" };
            await setup.AssertRefusedAsync(FakeIdentityProvider.Assemble(header, setup.Provider.AccessClaims(setup.Address), _ => [1, 2, 3]), HttpStatusCode.Unauthorized, "does not have");
        }

        Assert.Equal(2, asked);
        Assert.Equal(asked, setup.Provider.Requests.Count(path => path == "/jwks"));
    }

    [Fact]
    public async Task Provider_ThatShowsNoKeys_DoesNotTakeTheKnownOnesAway()
    {
        await using var setup = await SignInSetup.StartAsync();
        await setup.AssertTakenAsync(setup.Provider.AccessToken(setup.Address));
        setup.Provider.ShowsKey = false;
        setup.Clock.Advance(TimeSpan.FromHours(2));
        // Asks anew in the background, and again at once for a key that it does not know.
        await setup.AssertTakenAsync(setup.Provider.AccessToken(setup.Address));
        var header = new JsonObject { ["alg"] = "RS256", ["kid"] = "another" };
        using (var unknown = await setup.ListAsync(FakeIdentityProvider.Assemble(header, setup.Provider.AccessClaims(setup.Address), _ => [1])))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, unknown.StatusCode);
        }
        await setup.AssertTakenAsync(setup.Provider.AccessToken(setup.Address));
    }

    [Fact]
    public async Task Provider_WithMetadataOfRfc8414Only_IsUnderstood()
    {
        await using var setup = await SignInSetup.StartAsync();
        setup.Provider.MetadataPath = "/.well-known/oauth-authorization-server";
        await setup.AssertTakenAsync(setup.Provider.AccessToken(setup.Address));
    }

    [Fact]
    public async Task JwksUri_InTheConfiguration_NeedsNoMetadata()
    {
        var clock = new Microsoft.Extensions.Time.Testing.FakeTimeProvider(TimeProvider.System.GetUtcNow());
        var provider = await FakeIdentityProvider.StartAsync(clock, TestContext.Current.CancellationToken);
        provider.MetadataPath = "/nowhere";
        await using var setup = await SignInSetup.StartAsync(issuer: $", jwksUri: \"{provider.Issuer}/jwks\"", provider: provider, clock: clock);
        await setup.AssertTakenAsync(provider.AccessToken(setup.Address));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Token_SignedWithAnEllipticCurve_HoldsUnlessItsKeySaysOtherwise(bool fits)
    {
        using var curve = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var point = curve.ExportParameters(includePrivateParameters: false).Q;
        await using var setup = await SignInSetup.StartAsync();
        setup.Provider.MoreKeys = new JsonArray(new JsonObject
        {
            ["kty"] = "EC",
            ["crv"] = "P-256",
            ["kid"] = "curve",
            ["alg"] = fits ? "ES256" : "ES384",
            ["x"] = System.Buffers.Text.Base64Url.EncodeToString(point.X),
            ["y"] = System.Buffers.Text.Base64Url.EncodeToString(point.Y),
        });
        var token = FakeIdentityProvider.Assemble(
            new JsonObject { ["alg"] = "ES256", ["kid"] = "curve" }, setup.Provider.AccessClaims(setup.Address), data => curve.SignData(data, HashAlgorithmName.SHA256));
        await (fits ? setup.AssertTakenAsync(token) : setup.AssertRefusedAsync(token, HttpStatusCode.Unauthorized, "does not have"));
    }

    [Fact]
    public async Task Key_ThatIsShort_IsNoKey()
    {
        using var weak = RSA.Create(1024);
        await using var setup = await SignInSetup.StartAsync();
        var shown = Public(weak);
        shown["kid"] = "weak";
        setup.Provider.MoreKeys = new JsonArray(shown);
        var token = FakeIdentityProvider.Assemble(
            new JsonObject { ["alg"] = "RS256", ["kid"] = "weak" }, setup.Provider.AccessClaims(setup.Address), data => weak.SignData(data, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));
        await setup.AssertRefusedAsync(token, HttpStatusCode.Unauthorized, "does not have");
    }

    [Fact]
    public async Task Key_OfTheGateway_WorksBesideTokens()
    {
        await using var setup = await SignInSetup.StartAsync();
        await setup.AssertTakenAsync(setup.Gateway.VirtualKey);
        var challenge = await setup.AssertRefusedAsync("sk-gw-abc", HttpStatusCode.Unauthorized, "checksum does not match");
        Assert.Contains("resource_metadata=", challenge, StringComparison.Ordinal);
        Assert.Empty(setup.Provider.Requests);
    }

    [Fact]
    public async Task Token_InAnotherHeader_IsNoToken()
    {
        await using var setup = await SignInSetup.StartAsync();
        using var client = setup.NewClient(null);
        client.DefaultRequestHeaders.Add("x-api-key", setup.Provider.AccessToken(setup.Address));
        using var response = await SignInSetup.ListAsync(client);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Empty(setup.Provider.Requests);
    }

    [Fact]
    public async Task Rule_TakenAway_ShutsOutFromTheNextRequestOn()
    {
        await using var setup = await SignInSetup.StartAsync();
        var token = setup.Provider.AccessToken(setup.Address);
        await setup.AssertTakenAsync(token);

        await ReconfigureAsync(setup, "    - {name: engineers, claims: [{claim: groups, contains: directors}], tools: ['*']}");

        await setup.AssertRefusedAsync(token, HttpStatusCode.Forbidden, "no rule");
    }

    internal static async Task ReconfigureAsync(SignInSetup setup, string rules, string? server = null)
    {
        await File.WriteAllTextAsync(Path.Combine(setup.Gateway.Folder, "gateway.yaml"), SignInSetup.Configuration(setup.Provider.Issuer, rules, server: server), TestContext.Current.CancellationToken);
        await ((Shared.Snapshots.SnapshotLoader)setup.Gateway.Services.GetService(typeof(Shared.Snapshots.SnapshotLoader))!).ReloadAsync(TestContext.Current.CancellationToken);
    }

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    private static JsonObject With(JsonObject source, string name, JsonNode? value)
    {
        var changed = (JsonObject)source.DeepClone();
        if (value is null)
        {
            changed.Remove(name);
        }
        else
        {
            changed[name] = value;
        }
        return changed;
    }

    private static string Twice(JsonObject claims, Func<byte[], byte[]> sign)
    {
        var text = claims.ToJsonString();
        var doubled = text[..^1] + ",\"sub\":\"root\"}";
        var part = $"{System.Buffers.Text.Base64Url.EncodeToString("""{"alg":"RS256","kid":"key-1"}"""u8)}.{System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(doubled))}";
        return $"{part}.{System.Buffers.Text.Base64Url.EncodeToString(sign(Encoding.ASCII.GetBytes(part)))}";
    }

    private static JsonObject Public(RSA key)
    {
        var parameters = key.ExportParameters(includePrivateParameters: false);
        return new JsonObject { ["kty"] = "RSA", ["n"] = System.Buffers.Text.Base64Url.EncodeToString(parameters.Modulus), ["e"] = System.Buffers.Text.Base64Url.EncodeToString(parameters.Exponent) };
    }
}
