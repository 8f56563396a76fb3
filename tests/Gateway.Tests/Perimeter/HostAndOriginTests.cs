using System.Net;
using System.Net.Http.Json;
using TestSupport;

namespace Gateway.Tests.Perimeter;

/// <summary>Requests that a web page may have sent: to a name that it made lead here (DNS rebinding), or from an origin that nobody listed.</summary>
public sealed class HostAndOriginTests
{
    [Theory]
    [InlineData("127.0.0.1:1", HttpStatusCode.OK)]
    [InlineData("localhost", HttpStatusCode.OK)]
    [InlineData("LOCALHOST:8080", HttpStatusCode.OK)]
    [InlineData("[::1]:8080", HttpStatusCode.OK)]
    [InlineData("127.9.9.9", HttpStatusCode.OK)]
    [InlineData("", HttpStatusCode.OK)]
    [InlineData("evil.example", HttpStatusCode.MisdirectedRequest)]
    [InlineData("evil.example:8080", HttpStatusCode.MisdirectedRequest)]
    [InlineData("localhost.evil.example", HttpStatusCode.MisdirectedRequest)]
    [InlineData("127.0.0.1.evil.example", HttpStatusCode.MisdirectedRequest)]
    [InlineData("10.0.0.1", HttpStatusCode.MisdirectedRequest)]
    [InlineData("gateway.example.com", HttpStatusCode.MisdirectedRequest)]
    public async Task Host_OnLoopback_MustBeThisMachine(string host, HttpStatusCode status)
    {
        await using var gateway = await TestGateway.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(status, (await RawHttp.SendAsync(gateway.BaseAddress, $"GET /health/live HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).Status);
    }

    [Theory]
    [InlineData("gateway.example.com", HttpStatusCode.OK)]
    [InlineData("Gateway.Example.com.:443", HttpStatusCode.OK)]
    [InlineData("a.example.org", HttpStatusCode.OK)]
    [InlineData("192.168.1.5:8080", HttpStatusCode.OK)]
    [InlineData("localhost", HttpStatusCode.OK)]
    [InlineData("example.org", HttpStatusCode.MisdirectedRequest)]
    [InlineData("other.example.com", HttpStatusCode.MisdirectedRequest)]
    public async Task Host_Listed_IsTaken(string host, HttpStatusCode status)
    {
        await using var gateway = await StartAsync("server: {allowedHosts: [gateway.example.com, '*.example.org', 192.168.1.5]}");
        Assert.Equal(status, (await RawHttp.SendAsync(gateway.BaseAddress, $"GET /health/live HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).Status);
    }

    [Theory]
    [InlineData("POST", "/mcp", "\"jsonrpc\"")]
    [InlineData("POST", "/v1/chat/completions", "\"host_not_allowed\"")]
    [InlineData("GET", "/admin/v1/keys", "\"host_not_allowed\"")]
    public async Task Host_Forged_IsRefusedInTheCallersFormatBeforeItsKeyIsLookedAt(string method, string path, string expected)
    {
        await using var gateway = await TestGateway.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        var answer = await RawHttp.SendAsync(gateway.BaseAddress, $"{method} {path} HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        Assert.Equal(HttpStatusCode.MisdirectedRequest, answer.Status);
        Assert.Contains(expected, answer.Body, StringComparison.Ordinal);
        Assert.Contains("server.allowedHosts", answer.Body, StringComparison.Ordinal);
        Assert.Contains("x-request-id:", answer.Head, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("/mcp", "https://evil.example", HttpStatusCode.Forbidden)]
    [InlineData("/v1/models", "https://evil.example", HttpStatusCode.Forbidden)]
    [InlineData("/admin/v1/keys", "https://evil.example", HttpStatusCode.Forbidden)]
    [InlineData("/health/live", "https://evil.example", HttpStatusCode.Forbidden)]
    [InlineData("/v1/models", "null", HttpStatusCode.Forbidden)]
    [InlineData("/v1/models", "http://localhost:3000", HttpStatusCode.Forbidden)]
    [InlineData("/v1/models", "https://app.example.com.evil.example", HttpStatusCode.Forbidden)]
    [InlineData("/v1/models", "http://app.example.com", HttpStatusCode.Forbidden)]
    [InlineData("/v1/models", "https://app.example.com", HttpStatusCode.OK)]
    [InlineData("/v1/models", "https://a.pages.example", HttpStatusCode.OK)]
    [InlineData("/v1/models", "https://evil.example/.pages.example", HttpStatusCode.Forbidden)]
    [InlineData("/v1/models", "app://obsidian.md", HttpStatusCode.OK)]
    [InlineData("/v1/models", "own", HttpStatusCode.OK)]
    public async Task Origin_NotListed_IsRefused(string path, string origin, HttpStatusCode status)
    {
        await using var gateway = await StartAsync("server: {allowedOrigins: ['app://obsidian.md'], cors: {origins: ['https://app.example.com', 'https://*.pages.example']}}");
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative));
        request.Headers.Add("Origin", origin == "own" ? gateway.BaseAddress.GetLeftPart(UriPartial.Authority) : origin);
        using var response = await gateway.Client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(status, response.StatusCode);
        if (status == HttpStatusCode.Forbidden)
        {
            Assert.Contains("server.cors.origins", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
            Assert.False(response.Headers.Contains("Access-Control-Allow-Origin"));
        }
    }

    [Fact]
    public async Task Origin_OfARebindingPageThatNamesItselfAsHost_IsRefusedWhereAnyHostIsTaken()
    {
        await using var gateway = await StartAsync("server: {behindProxy: true}");
        // Nobody said what the gateway is called, so the name is taken; but that does not make its pages the gateway's own.
        Assert.Equal(HttpStatusCode.OK, (await RawHttp.SendAsync(gateway.BaseAddress, "GET /health/live HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")).Status);
        var answer = await RawHttp.SendAsync(gateway.BaseAddress, "GET /health/live HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\nConnection: close\r\n\r\n");
        Assert.Equal(HttpStatusCode.Forbidden, answer.Status);
    }

    [Fact]
    public async Task Preflight_OfAListedOrigin_IsAnsweredWithoutAKey()
    {
        await using var gateway = await StartAsync("server: {cors: {origins: ['https://app.example.com'], maxAge: 5m}}");
        using var response = await gateway.Anonymous.SendAsync(Preflight("/mcp", "https://app.example.com"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.Equal("https://app.example.com", response.Header("Access-Control-Allow-Origin"));
        Assert.Contains("POST", response.Header("Access-Control-Allow-Methods"), StringComparison.Ordinal);
        Assert.Equal("authorization, mcp-session-id, x-stainless-os", response.Header("Access-Control-Allow-Headers"));
        Assert.Equal("300", response.Header("Access-Control-Max-Age"));
        Assert.False(response.Headers.Contains("Access-Control-Allow-Credentials"));
    }

    [Theory]
    [InlineData("server: {cors: {origins: ['https://app.example.com']}}", "https://evil.example", HttpStatusCode.Forbidden)]
    [InlineData("server: {allowedOrigins: ['https://app.example.com']}", "https://app.example.com", HttpStatusCode.MethodNotAllowed)]
    [InlineData("", "https://app.example.com", HttpStatusCode.Forbidden)]
    public async Task Preflight_OfAnyOther_IsNot(string configuration, string origin, HttpStatusCode status)
    {
        await using var gateway = await StartAsync(configuration);
        using var response = await gateway.Anonymous.SendAsync(Preflight("/v1/chat/completions", origin), TestContext.Current.CancellationToken);
        Assert.Equal(status, response.StatusCode);
        Assert.False(response.Headers.Contains("Access-Control-Allow-Origin"));
    }

    [Fact]
    public async Task Answer_ToAListedOrigin_MayBeReadByThePage()
    {
        await using var gateway = await StartAsync("server: {cors: {origins: ['https://app.example.com']}}");
        foreach (var client in new[] { gateway.Client, gateway.Anonymous })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("v1/chat/completions", UriKind.Relative)) { Content = JsonContent.Create(new { model = "simulator/echo", messages = new[] { new { role = "user", content = "Hi" } } }) };
            request.Headers.Add("Origin", "https://app.example.com");
            using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(client == gateway.Client ? HttpStatusCode.OK : HttpStatusCode.Unauthorized, response.StatusCode);
            Assert.Equal("https://app.example.com", response.Header("Access-Control-Allow-Origin"));
            Assert.Contains("Mcp-Session-Id", response.Header("Access-Control-Expose-Headers"), StringComparison.Ordinal);
            Assert.Contains("Origin", response.Headers.Vary);
        }
        using var plain = await gateway.Client.GetAsync(new Uri("v1/models", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.False(plain.Headers.Contains("Access-Control-Allow-Origin"));
        Assert.Contains("Origin", plain.Headers.Vary);
    }

    private static Task<TestGateway> StartAsync(string configuration) => TestGateway.StartAsync(new TestGatewayOptions { Configuration = configuration }, TestContext.Current.CancellationToken);

    private static HttpRequestMessage Preflight(string path, string origin)
    {
        var request = new HttpRequestMessage(HttpMethod.Options, new Uri(path, UriKind.Relative));
        request.Headers.Add("Origin", origin);
        request.Headers.Add("Access-Control-Request-Method", "POST");
        request.Headers.Add("Access-Control-Request-Headers", "authorization, mcp-session-id, x-stainless-os");
        return request;
    }
}
