using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Gateway.Tests.Admin;
using Gateway.Tests.Tools;
using Microsoft.AspNetCore.Builder;
using Shared.Configuration;
using Shared.Http;
using TestSupport;

namespace Gateway.Tests.SignInUpstream;

/// <summary>Tokens that nobody has to sign in for, and headers of clients.</summary>
public sealed class TokensWithoutPeopleTests
{
    [Fact]
    public async Task ClientCredentials_WithASecret_AreProvenByBasicAuthentication()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(server, "{mode: clientCredentials, clientId: 'the:gateway', clientSecret: \"${env:FAR_SECRET}\", scopes: [read, write]}",
            new TestGatewayOptions { Environment = new Dictionary<string, string> { ["FAR_SECRET"] = "hush hush" } });

        await ToolCaller.WaitForAsync(gateway, "far", state => state.State == "connected");
        Assert.Contains("you are the gateway", await ToolCaller.CallAsync(gateway.Client, "far__whoami"), StringComparison.Ordinal);

        var request = Assert.Single(server.TokenRequests);
        Assert.Equal("Basic " + Convert.ToBase64String("the%3Agateway:hush+hush"u8), request.Authorization);
        Assert.Equal("read write", request.Form["scope"]);
        Assert.DoesNotContain("hush hush", string.Join('\n', gateway.Logs.Lines.Select(line => line.Message)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(400, "invalid_client", "token_refused", "(invalid_client)")]
    [InlineData(503, "", "token_unavailable", "HTTP status 503")]
    public async Task ClientCredentials_ThatAreRefused_SayWhy(int status, string error, string reason, string words)
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        (server.TokenStatus, server.TokenError) = (status, error);
        await using var gateway = await Protected.StartAsync(server, "{mode: clientCredentials, clientId: a, clientSecret: b}");

        await ToolCaller.WaitForAsync(gateway, "far", state => state.Problem == reason);

        await gateway.Logs.WaitForAsync(words);
    }

    [Fact]
    public async Task ClientCredentials_RefusedByTheServerWithANewToken_AreNotTriedForEver()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Protected.StartAsync(server, "{mode: clientCredentials, clientId: a, clientSecret: b}");
        await ToolCaller.WaitForAsync(gateway, "far", state => state.State == "connected");
        var before = server.Asked("client_credentials");
        server.RevokeAccess();
        server.CallScope = "never granted";
        // The fake grants what is asked for, so one step up would do; a server that wants another thing each time must not go on for ever.
        server.TokenGate = Task.Run(() => server.CallScope = "and another", TestContext.Current.CancellationToken);

        var refused = await ToolCaller.CallAsync(gateway.Client, "far__whoami");

        Assert.Contains("HTTP status 403", refused, StringComparison.Ordinal);
        Assert.InRange(server.Asked("client_credentials") - before, 1, 4);
    }

    [Fact]
    public async Task TokenExchange_OfTheGatewaysWord_CanBeVerifiedWithItsKeys()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        string? verified = null;
        TestGateway? running = null;
        server.SubjectOf = token =>
        {
            verified ??= token;
            return JsonDocument.Parse(Part(token, 1)).RootElement.GetProperty("sub").GetString();
        };
        await using var gateway = await Protected.StartAsync(server, "{mode: tokenExchange, clientId: a, clientSecret: b, audience: far}", new TestGatewayOptions { Configuration = "users: {ann: {}}\n" });
        running = gateway;
        var made = await gateway.DeclareAsync("POST", "/keys", """{"name":"agent","user":"ann","tools":["*"]}""");
        using var ann = gateway.NewClient(made.Text("token"));
        await ToolCaller.WaitForAsync(gateway, "far", state => state.State == "connected");

        Assert.Contains("you are user:ann", await ToolCaller.CallAsync(ann, "far__whoami"), StringComparison.Ordinal);

        var request = server.TokenRequests[^1];
        Assert.Equal(("urn:ietf:params:oauth:token-type:jwt", "far"), (request.Form["subject_token_type"], request.Form["audience"]));
        using var keys = JsonDocument.Parse(await running.Anonymous.GetStringAsync(new Uri("/oauth/upstream/jwks.json", UriKind.Relative), TestContext.Current.CancellationToken));
        var key = Assert.Single(keys.RootElement.GetProperty("keys").EnumerateArray());
        using var ec = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = new ECPoint { X = Bytes(key.GetProperty("x").GetString()!), Y = Bytes(key.GetProperty("y").GetString()!) } });
        var parts = request.Form["subject_token"].Split('.');
        Assert.True(ec.VerifyData(Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), Bytes(parts[2]), HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation));
        var claims = JsonDocument.Parse(Part(request.Form["subject_token"], 1)).RootElement;
        Assert.Equal(gateway.BaseAddress.ToString().TrimEnd('/'), claims.GetProperty("iss").GetString());
        Assert.Equal(server.Issuer, claims.GetProperty("aud").GetString());
        Assert.False(key.TryGetProperty("d", out _));
    }

    [Fact]
    public async Task TokenExchange_OfCallersOnly_RefusesAKey()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        server.ListsAreOpen = true;
        await using var gateway = await Protected.StartAsync(server, "{mode: tokenExchange, subject: caller, clientId: a, clientSecret: b}");
        await ToolCaller.WaitForAsync(gateway, "far", state => state.State == "connected");

        Assert.Contains("this one came with a key", await ToolCaller.CallAsync(gateway.Client, "far__whoami"), StringComparison.Ordinal);
        Assert.Empty(server.TokenRequests);
    }

    [Fact]
    public async Task TokenExchange_OfTheCallersSignIn_GivesEachCallerATokenOfItsOwn()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        server.ListsAreOpen = true;
        server.SubjectOf = token => token.StartsWith("signed in as ", StringComparison.Ordinal) ? token["signed in as ".Length..] : null;
        await using var gateway = await Protected.StartAsync(server, "{mode: tokenExchange, subject: caller, clientId: a, clientSecret: b}", SignedIn);
        await ToolCaller.WaitForAsync(gateway, "far", state => state.State == "connected");
        using var ann = await CallerAsync(gateway, "ann");
        using var bob = await CallerAsync(gateway, "bob");

        Assert.Contains("you are ann", await ToolCaller.CallAsync(ann, "far__whoami"), StringComparison.Ordinal);
        Assert.Contains("you are bob", await ToolCaller.CallAsync(bob, "far__whoami"), StringComparison.Ordinal);
        Assert.Contains("you are ann", await ToolCaller.CallAsync(ann, "far__whoami"), StringComparison.Ordinal);

        Assert.Equal(2, server.Asked("urn:ietf:params:oauth:grant-type:token-exchange"));
        Assert.DoesNotContain(server.Received, request => request.Headers.Values.Any(value => value.Contains("signed in as", StringComparison.Ordinal)));
        Assert.DoesNotContain("signed in as", string.Join('\n', gateway.Logs.Lines.Select(line => line.Message)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task IdentityAssertion_OfTheCompanysProvider_IsTurnedIntoATokenOfTheServers()
    {
        await using var provider = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        server.ListsAreOpen = true;
        provider.SubjectOf = token => token.StartsWith("signed in as ", StringComparison.Ordinal) ? token["signed in as ".Length..] : null;
        server.SubjectOf = assertion => provider.Secrets.Contains(assertion) ? "whom the provider vouches for" : null;
        await using var gateway = await Protected.StartAsync(server,
            $"{{mode: tokenExchange, subject: caller, clientId: a, clientSecret: b, identityProvider: {{tokenUrl: '{provider.Issuer}/token', clientId: c, clientSecret: d}}}}", SignedIn);
        await ToolCaller.WaitForAsync(gateway, "far", state => state.State == "connected");
        using var ann = await CallerAsync(gateway, "ann");

        Assert.Contains("you are whom the provider vouches for", await ToolCaller.CallAsync(ann, "far__whoami"), StringComparison.Ordinal);

        var asked = Assert.Single(provider.TokenRequests).Form;
        Assert.Equal(("urn:ietf:params:oauth:token-type:id-jag", server.Issuer, server.Endpoint.ToString()), (asked["requested_token_type"], asked["audience"], asked["resource"]));
        Assert.Equal(("urn:ietf:params:oauth:token-type:id_token", "c", "d"), (asked["subject_token_type"], asked["client_id"], asked["client_secret"]));
        Assert.Equal("urn:ietf:params:oauth:grant-type:jwt-bearer", Assert.Single(server.TokenRequests).Form["grant_type"]);
    }

    [Fact]
    public async Task Headers_OfClients_GoOnOnlyWhereNamed_AndNeverTheGatewaysKey()
    {
        await using var server = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Manifests = new Dictionary<string, string>
            {
                ["far.yaml"] = ToolCaller.Http("far", server.Endpoint, ", auth: {passHeaders: [X-Tenant, {name: X-Far-Token, as: Authorization, format: 'Bearer {value}'}, X-Other]}"),
            },
        }, TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, "far", state => state.State == "connected");
        using var client = gateway.NewClient(gateway.VirtualKey);
        client.DefaultRequestHeaders.Add("X-Tenant", "acme");
        client.DefaultRequestHeaders.Add("X-Far-Token", "of the far end");
        client.DefaultRequestHeaders.Add("X-Not-Named", "stays");
        client.DefaultRequestHeaders.Add("X-Other", $"Bearer {gateway.VirtualKey}");

        Assert.Contains("ok", await ToolCaller.CallAsync(client, "far__echo"), StringComparison.Ordinal);

        Assert.Equal("acme", server.LastHeaders["X-Tenant"]);
        Assert.Equal("Bearer of the far end", server.LastHeaders["Authorization"]);
        Assert.False(server.LastHeaders.ContainsKey("X-Not-Named"));
        Assert.False(server.LastHeaders.ContainsKey("X-Far-Token"));
        Assert.DoesNotContain("sk-gw-", string.Join('\n', server.LastHeaders.Values), StringComparison.Ordinal);

        // The next caller's are its own.
        Assert.Contains("ok", await ToolCaller.CallAsync(gateway.Client, "far__echo"), StringComparison.Ordinal);
        Assert.False(server.LastHeaders.ContainsKey("X-Tenant"));
        Assert.False(server.LastHeaders.ContainsKey("Authorization"));
    }

    [Theory]
    [InlineData("Authorization")]
    [InlineData("x-api-key")]
    [InlineData("API-Key")]
    [InlineData("X-Goog-Api-Key")]
    [InlineData("Cookie")]
    [InlineData("Mcp-Session-Id")]
    public async Task Header_ThatTheKeyStandsIn_CannotBeNamed(string header)
    {
        await using var gateway = await TestGateway.StartAsync(AdminSession.Loopback, TestContext.Current.CancellationToken);

        var refused = await gateway.AdminAsync("PUT", "/manifests/far", Declared($$"""{"passHeaders":["{{header}}"]}"""));

        Assert.Equal(400, refused.Status);
        Assert.Equal("upstream.auth.passHeaders[0]", refused.Text("field"));
    }

    [Theory]
    [InlineData("""{"mode":"clientCredentials"}""", "upstream.auth.mode", "needs a 'clientId'")]
    [InlineData("""{"mode":"tokenExchange","per":"shared","clientId":"a"}""", "upstream.auth.per", "one caller's token to all others")]
    [InlineData("""{"mode":"oauth","tokenUrl":"https://as.example/token"}""", "upstream.auth.tokenUrl", "needs 'authorizationUrl'")]
    [InlineData("""{"mode":"oauth","audience":"x"}""", "upstream.auth.audience", "only with the mode 'tokenExchange'")]
    [InlineData("""{"mode":"jwtBearer","assertionFile":"/etc/passwd"}""", "upstream.auth.assertionFile", "may not name files")]
    [InlineData("""{"mode":"oauth","clientMetadataUrl":"http://x.example/c.json"}""", "upstream.auth.clientMetadataUrl", "https://")]
    [InlineData("""{"mode":"oauth","scopes":["a b"]}""", "upstream.auth.scopes[0]", "cannot be a scope")]
    [InlineData("""{"mode":"clientCredentials","clientId":"a","privateKey":"no key"}""", "upstream.auth.privateKey", "PEM")]
    [InlineData("""{"mode":"oauth","tokenAuthMethod":"client_secret"}""", "upstream.auth.tokenAuthMethod", "unknown value")]
    [InlineData("""{"mode":"clientCredentials","clientId":"a","clientSecret":"b","tokenUrl":"http://10.0.0.1/token"}""", "upstream.auth.tokenUrl", "which only a file may name")]
    public async Task Auth_ThatMakesNoSense_IsRefusedByField(string auth, string field, string words)
    {
        await using var gateway = await TestGateway.StartAsync(AdminSession.Loopback, TestContext.Current.CancellationToken);

        var refused = await gateway.AdminAsync("PUT", "/manifests/far", Declared(auth));

        Assert.Equal(400, refused.Status);
        Assert.Equal(field, refused.Text("field"));
        Assert.Contains(words, refused.Text("detail"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Secrets_GivenToTheAdminApi_AreSealedAndNotSentElsewhere()
    {
        await using var server = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await TestGateway.StartAsync(AdminSession.Loopback, TestContext.Current.CancellationToken);
        string Manifest(string auth) => $$$"""{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"far"},"upstream":{"url":"{{{server.Endpoint}}}","auth":{{{auth}}}},"expose":{"prefix":"far"}}""";

        await gateway.DeclareAsync("PUT", "/manifests/far", Manifest("""{"mode":"clientCredentials","clientId":"a","clientSecret":"far-secret"}"""));

        await ToolCaller.WaitForAsync(gateway, "far", state => state.State == "connected");
        var shown = await gateway.AdminAsync("GET", "/manifests/far");
        Assert.DoesNotContain("far-secret", $"{shown.Body}", StringComparison.Ordinal);
        Assert.Contains("${secret:manifest.far.auth.clientSecret}", $"{shown.Body}", StringComparison.Ordinal);
        var moved = await gateway.AdminAsync("PATCH", "/manifests/far", """{"upstream":{"auth":{"tokenUrl":"https://thief.example/token"}}}""");
        Assert.Equal((400, "credential_required"), (moved.Status, moved.Text("code")));
    }

    // Stands in for the sign-in of callers: a header says who somebody is.
    private static TestGatewayOptions SignedIn { get; } = new()
    {
        Configuration = "users: {ann: {}, bob: {}}\n",
        Endpoints = app => app.Use((context, next) =>
        {
            if (context.Request.Headers["x-signed-in"] is [{ } user])
            {
                GatewayRequest.Of(context).SignInToken = new Secret($"signed in as {user}");
            }
            return next(context);
        }),
    };

    private static async Task<HttpClient> CallerAsync(TestGateway gateway, string user)
    {
        var made = await gateway.DeclareAsync("POST", "/keys", $$"""{"name":"of {{user}}","user":"{{user}}","tools":["*"]}""");
        var client = gateway.NewClient(made.Text("token"));
        client.DefaultRequestHeaders.Add("x-signed-in", user);
        return client;
    }

    private static string Declared(string auth) => $$$"""{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"far"},"upstream":{"url":"http://127.0.0.1:9/mcp","auth":{{{auth}}}}}""";

    private static string Part(string token, int index) => Encoding.UTF8.GetString(Bytes(token.Split('.')[index]));

    private static byte[] Bytes(string text) => System.Buffers.Text.Base64Url.DecodeFromChars(text);
}
