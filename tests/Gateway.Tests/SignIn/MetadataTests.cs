using System.Net;
using System.Text.Json;
using TestSupport;

namespace Gateway.Tests.SignIn;

public sealed class MetadataTests
{
    private const string Resource = ".well-known/oauth-protected-resource";

    [Theory]
    [InlineData("", "")]
    [InlineData("/mcp", "/mcp")]
    [InlineData("/mcp/github", "/mcp/github")]
    [InlineData("/mcp/t/writing", "/mcp/t/writing")]
    [InlineData("/v1", "/v1")]
    public async Task Resource_Described_NamesItselfAndItsIssuers(string suffix, string path)
    {
        await using var setup = await SignInSetup.StartAsync("    - {name: readers, scopes: [tools.read], tools: ['*']}", ", scopes: [gateway]");
        using var response = await setup.Gateway.Anonymous.GetAsync(Resource + suffix, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var metadata = await response.JsonAsync();
        Assert.Equal(setup.Address + path, metadata.GetProperty("resource").GetString());
        Assert.Equal([setup.Provider.Issuer], Texts(metadata, "authorization_servers"));
        Assert.Equal(["gateway", "tools.read"], Texts(metadata, "scopes_supported"));
        Assert.Equal(["header"], Texts(metadata, "bearer_methods_supported"));
        Assert.Empty(setup.Provider.Requests);
    }

    [Theory]
    [InlineData("/admin")]
    [InlineData("/mcp/a/b")]
    [InlineData("/v1/models")]
    public async Task Resource_ThatTakesNoTokens_HasNoMetadata(string suffix)
    {
        await using var setup = await SignInSetup.StartAsync();
        using var response = await setup.Gateway.Anonymous.GetAsync(Resource + suffix, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    [Theory]
    [InlineData("mcp", "/mcp")]
    [InlineData("v1/models", "/v1")]
    [InlineData("v1/chat/completions", "/v1")]
    public async Task Request_WithoutACredential_IsToldWhereToBegin(string path, string resource)
    {
        await using var setup = await SignInSetup.StartAsync();
        using var response = path == "v1/models" ? await setup.Gateway.Anonymous.GetAsync(path, TestContext.Current.CancellationToken) : await SignInSetup.ListAsync(setup.Gateway.Anonymous, path);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal($"Bearer resource_metadata=\"{setup.Address}/{Resource}{resource}\"", response.Headers.WwwAuthenticate.ToString());
    }

    [Fact]
    public async Task PublicUrl_IsTheGatewaysNameWhateverTheRequestSays()
    {
        await using var provider = await FakeIdentityProvider.StartAsync(TimeProvider.System, TestContext.Current.CancellationToken);
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = SignInSetup.Configuration(provider.Issuer).Replace("signIn:", "signIn:\n  publicUrl: https://hub.example.com/", StringComparison.Ordinal),
        }, TestContext.Current.CancellationToken);
        using var response = await gateway.Anonymous.GetAsync(Resource + "/mcp", TestContext.Current.CancellationToken);
        Assert.Equal("https://hub.example.com/mcp", (await response.JsonAsync()).GetProperty("resource").GetString());
        using var client = gateway.NewClient(provider.AccessToken("https://hub.example.com/mcp"));
        using var listed = await SignInSetup.ListAsync(client);
        Assert.Equal(HttpStatusCode.OK, listed.StatusCode);
        using var other = gateway.NewClient(provider.AccessToken(gateway.BaseAddress + "mcp"));
        using var refused = await SignInSetup.ListAsync(other);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    [Fact]
    public async Task Host_ThatMayBeAnybodys_IsNotTakenForTheGatewaysName()
    {
        await using var provider = await FakeIdentityProvider.StartAsync(TimeProvider.System, TestContext.Current.CancellationToken);
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = SignInSetup.Configuration(provider.Issuer) + "server: {behindProxy: true}\n",
            Urls = "http://0.0.0.0:0",
        }, TestContext.Current.CancellationToken);
        var address = new UriBuilder(gateway.BaseAddress) { Host = "127.0.0.1" }.Uri;
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = address };
        client.DefaultRequestHeaders.Host = "evil.example.com";

        using var metadata = await client.GetAsync(Resource + "/mcp", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotFound, metadata.StatusCode);
        Assert.Contains("signIn.publicUrl", await metadata.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        // A token that somebody was given for another service must not open this one by a header.
        client.DefaultRequestHeaders.Authorization = new("Bearer", provider.AccessToken("http://evil.example.com/mcp"));
        using var refused = await SignInSetup.ListAsync(client);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        Assert.Equal("Bearer error=\"invalid_token\"", refused.Headers.WwwAuthenticate.ToString());
    }

    [Fact]
    public async Task Host_WithAnotherPort_IsNotTheGateway()
    {
        // Whoever serves another port of this machine may have been shown a token that is for it.
        await using var setup = await SignInSetup.StartAsync();
        using var client = setup.NewClient(setup.Provider.AccessToken("http://127.0.0.1:9/mcp"));
        client.DefaultRequestHeaders.Host = "127.0.0.1:9";
        using var refused = await SignInSetup.ListAsync(client);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    [Theory]
    [InlineData("gateway.example.com", "https", "https://gateway.example.com")]
    [InlineData("gateway.example.com:8443", "https", null)]
    [InlineData("elsewhere.example.com", "https", null)]
    public async Task Proxy_ThatIsTrusted_SaysWhatTheGatewayIsCalled(string host, string scheme, string? address)
    {
        await using var setup = await SignInSetup.StartAsync(more: "server: {behindProxy: true, allowedHosts: [gateway.example.com]}\n");
        using var request = new HttpRequestMessage(HttpMethod.Get, Resource + "/mcp");
        request.Headers.Add("X-Forwarded-For", "203.0.113.7");
        request.Headers.Add("X-Forwarded-Host", host);
        request.Headers.Add("X-Forwarded-Proto", scheme);
        using var response = await setup.Gateway.Anonymous.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(address is not null, response.IsSuccessStatusCode);
        if (address is not null)
        {
            Assert.Equal(address + "/mcp", (await response.JsonAsync()).GetProperty("resource").GetString());
        }
    }

    [Theory]
    [InlineData(".well-known/oauth-authorization-server")]
    [InlineData(".well-known/openid-configuration")]
    public async Task AuthorizationServer_Described_SaysWhatItTakes(string path)
    {
        await using var setup = await SignInSetup.StartAsync(server: "");
        using var response = await setup.Gateway.Anonymous.GetAsync(path, TestContext.Current.CancellationToken);
        var metadata = await response.JsonAsync();
        Assert.Equal(setup.Address, metadata.GetProperty("issuer").GetString());
        Assert.Equal(["S256"], Texts(metadata, "code_challenge_methods_supported"));
        Assert.Equal(["none"], Texts(metadata, "token_endpoint_auth_methods_supported"));
        Assert.True(metadata.GetProperty("client_id_metadata_document_supported").GetBoolean());
        Assert.True(metadata.GetProperty("authorization_response_iss_parameter_supported").GetBoolean());
        using var resource = await setup.Gateway.Anonymous.GetAsync(Resource + "/mcp", TestContext.Current.CancellationToken);
        Assert.Equal([setup.Address], Texts(await resource.JsonAsync(), "authorization_servers"));
    }

    [Theory]
    [InlineData(Resource)]
    [InlineData(Resource + "/mcp")]
    [InlineData(".well-known/oauth-authorization-server")]
    [InlineData("oauth/authorize")]
    [InlineData("oauth/callback")]
    public async Task Gateway_WithoutSignIn_HasNothingOfIt(string path)
    {
        await using var gateway = await TestGateway.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        using var response = await gateway.Anonymous.GetAsync(path, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        using var unsigned = await SignInSetup.ListAsync(gateway.Anonymous);
        Assert.Equal("Bearer", unsigned.Headers.WwwAuthenticate.ToString());
    }

    [Theory]
    [InlineData("signIn: {issuers: {a: {issuer: 'http://login.example.com'}}, rules: [{name: r}]}", "signIn.issuers.a.issuer")]
    [InlineData("signIn: {issuers: {a: {issuer: 'https://login.example.com', algorithms: [HS256]}}, rules: [{name: r}]}", "signIn.issuers.a.algorithms[0]")]
    [InlineData("signIn: {issuers: {a: {issuer: 'https://login.example.com', algorithms: [none]}}, rules: [{name: r}]}", "signIn.issuers.a.algorithms[0]")]
    [InlineData("signIn: {issuers: {a: {issuer: 'https://login.example.com'}}}", "signIn.rules")]
    [InlineData("signIn: {rules: [{name: r}]}", "signIn.issuers")]
    [InlineData("signIn: {issuers: {a: {issuer: 'https://login.example.com'}}, rules: [{name: r, issuer: b}]}", "signIn.rules[0].issuer")]
    [InlineData("signIn: {issuers: {a: {issuer: 'https://login.example.com'}}, rules: [{name: r}, {name: r}]}", "signIn.rules[1].name")]
    [InlineData("signIn: {issuers: {a: {issuer: 'https://login.example.com'}}, rules: [{name: r, team: none}]}", "signIn.rules[0].team")]
    [InlineData("signIn: {issuers: {a: {issuer: 'https://login.example.com'}}, rules: [{name: r, claims: [{claim: x}]}]}", "signIn.rules[0].claims[0]")]
    [InlineData("signIn: {issuers: {a: {issuer: 'https://login.example.com'}}, rules: [{name: r, claims: [{claim: x, equalTo: a, contains: b}]}]}", "signIn.rules[0].claims[0]")]
    [InlineData("signIn: {publicUrl: 'https://hub.example.com/gw', issuers: {a: {issuer: 'https://login.example.com'}}, rules: [{name: r}]}", "signIn.publicUrl")]
    [InlineData("signIn: {issuers: {a: {issuer: 'https://169.254.1.1'}}, rules: [{name: r}]}", "signIn.issuers.a.issuer")]
    [InlineData("signIn: {issuers: {a: {issuer: 'https://login.example.com'}}, rules: [{name: r}], authorizationServer: {issuer: b, clientId: x, clientSecret: y}}", "signIn.authorizationServer.issuer")]
    [InlineData("signIn: {issuers: {a: {issuer: 'https://login.example.com'}}, rules: [{name: r}], authorizationServer: {issuer: a, clientId: x, clientSecret: y, redirectHosts: ['https://x']}}", "signIn.authorizationServer.redirectHosts[0]")]
    [InlineData("signIn: {issuers: {a: {issuer: 'https://login.example.com'}}, rules: [{name: r, scopes: ['a b']}]}", "signIn.rules[0].scopes[0]")]
    public async Task Configuration_ThatCannotHold_NamesTheMember(string configuration, string member)
    {
        var exception = await Assert.ThrowsAsync<Shared.Configuration.ConfigurationException>(() =>
            TestGateway.StartAsync(new TestGatewayOptions { Configuration = configuration }, TestContext.Current.CancellationToken));
        Assert.Contains(exception.Errors, error => error.Contains($" {member}:", StringComparison.Ordinal));
    }

    private static string[] Texts(JsonElement metadata, string name) => [.. metadata.GetProperty(name).EnumerateArray().Select(item => item.GetString()!)];
}
