using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Shared.Http;
using TestSupport;

namespace Gateway.Tests.Perimeter;

public sealed class ForwardedHeadersTests
{
    [Theory]
    [InlineData("", "127.0.0.1 http 127.0.0.1")]
    [InlineData("server: {behindProxy: true}", "9.9.9.9 https gateway.example.com")]
    [InlineData("server: {behindProxy: true, trustedProxies: [127.0.0.1]}", "9.9.9.9 https gateway.example.com")]
    [InlineData("server: {behindProxy: true, trustedProxies: [127.0.0.0/8, 9.9.9.9]}", "6.6.6.6 https gateway.example.com")]
    [InlineData("server: {behindProxy: true, trustedProxies: [10.0.0.0/8]}", "127.0.0.1 http 127.0.0.1")]
    public async Task Forwarded_IsBelievedOfTrustedProxiesOnly(string configuration, string expected)
    {
        await using var gateway = await StartAsync(configuration);
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("test/client", UriKind.Relative));
        // The first address is the client's own claim; the proxy appended the second one.
        request.Headers.Add("X-Forwarded-For", "6.6.6.6, 9.9.9.9");
        request.Headers.Add("X-Forwarded-Proto", "https, https");
        request.Headers.Add("X-Forwarded-Host", "gateway.example.com, gateway.example.com");
        using var response = await gateway.Anonymous.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(expected, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task ForwardedHost_NotListed_IsRefused()
    {
        await using var gateway = await StartAsync("server: {behindProxy: true, allowedHosts: [gateway.example.com]}");
        foreach (var (host, status) in new[] { ("gateway.example.com", 200), ("evil.example", 421) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("test/client", UriKind.Relative));
            request.Headers.Add("X-Forwarded-For", "9.9.9.9");
            request.Headers.Add("X-Forwarded-Host", host);
            using var response = await gateway.Anonymous.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(status, (int)response.StatusCode);
        }
    }

    [Fact]
    public async Task Headers_OfTheGatewaysOwn_SentByAClientGoNowhere()
    {
        await using var provider = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions { Configuration = $"providers: {{fake: {{baseUrl: '{provider.BaseAddress}', models: [m]}}}}\nprices: [{{provider: fake, model: m, input: 0, output: 0, source: test}}]" }, TestContext.Current.CancellationToken);
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("v1/chat/completions", UriKind.Relative))
        {
            Content = new StringContent("""{"model":"fake/m","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}""", System.Text.Encoding.UTF8, "application/json"),
        };
        string[] forged = ["x-gateway-provider", "x-gateway-model", "x-gateway-overhead-ms", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "x-ratelimit-remaining-requests", "x-upstream-request-id", "cookie", "x-amz-security-token"];
        foreach (var name in forged)
        {
            request.Headers.TryAddWithoutValidation(name, "forged");
        }
        request.Headers.TryAddWithoutValidation("tracestate", new string('a', 600));
        request.Headers.TryAddWithoutValidation("traceparent", "00-" + new string('0', 32) + "-" + new string('0', 16) + "-01");

        using var response = await gateway.Client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        var received = Assert.Single(provider.Requests).Headers;
        Assert.DoesNotContain(received, header => forged.Contains(header.Key, StringComparer.OrdinalIgnoreCase));
        Assert.DoesNotContain("tracestate", received.Keys, StringComparer.OrdinalIgnoreCase);
        Assert.Matches("^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]$", received["traceparent"]);
        Assert.DoesNotContain(gateway.VirtualKey, string.Join(' ', received.Values), StringComparison.Ordinal);
        Assert.Equal("fake", response.Header("x-gateway-provider"));
        Assert.DoesNotContain(response.Headers, header => header.Value.Contains("forged"));
    }

    [Theory]
    [InlineData("server: {behindProxy: true}", 401)]
    [InlineData("", 200)]
    public async Task Metrics_BehindAProxy_WantAnAdminKey(string configuration, int status)
    {
        await using var gateway = await StartAsync(configuration);
        using var anonymous = await gateway.Anonymous.GetAsync(new Uri("metrics", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal(status, (int)anonymous.StatusCode);
        using var admin = await gateway.AdminClient.GetAsync(new Uri("metrics", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal(200, (int)admin.StatusCode);
    }

    private static Task<TestGateway> StartAsync(string configuration) => TestGateway.StartAsync(
        new TestGatewayOptions
        {
            Configuration = configuration,
            Endpoints = app => app.MapGet("/test/client", context => context.Response.WriteAsync($"{Shared.Http.Perimeter.ClientAddressOf(context)} {context.Request.Scheme} {context.Request.Host.Host}"))
                .ForCaller(CallerKind.Anonymous, ProblemFormat.Instance),
        },
        TestContext.Current.CancellationToken);
}
