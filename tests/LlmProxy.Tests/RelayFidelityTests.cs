using System.Net;
using System.Security.Cryptography;
using System.Text;
using LlmProxy.Tests.Hosting;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests;

public sealed class RelayFidelityTests
{
    public static TheoryData<string> Vectors =>
    [
        """{"model":"fast","messages":[{"role":"user","content":"hi"}]}""",
        "  { \"model\" :\t\"fast\" ,\r\n\"messages\" : [ ] , \"x\":1e400 }\n\n",
        """{"model":"fast","dup":1,"dup":2,"nested":{"model":"other","model":"third"},"lone":"\ud800","esc":"\u0041\/\b"}""",
        """{"lone\udc00name":true,"messages":[{"role":"user","content":"\ud83d","model":"x"}],"model":"fast","big":123456789012345678901234567890.5e-700}""",
        """{"model":"f\u0061st","mod\u0065l2":"x","messages":[{"role":"user","content":[{"type":"text","text":"é漢😀"}]}]}""",
        """{"model":"fast","stream":false,"stream_options":null,"max_tokens":null,"n":null,"temperature":0.10000000000000000001}""",
    ];

    [Theory]
    [MemberData(nameof(Vectors))]
    public async Task Post_NoEditDue_UpstreamReceivesTheVeryBytes(string body)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, "fast");
        var bytes = Encoding.UTF8.GetBytes(body);

        using var response = await host.PostAsync(bytes);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var received = Assert.Single(fake.Requests);
        Assert.Equal(SHA256.HashData(bytes), SHA256.HashData(received.Body));
        Assert.Equal("/v1/chat/completions", received.Path);
        Assert.Equal(bytes.Length.ToString(System.Globalization.CultureInfo.InvariantCulture), received.Headers["Content-Length"]);
    }

    [Fact]
    public async Task Post_InvalidUtf8InUnroutedText_PassesByteForByte()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, "fast");
        byte[] bytes = [.. "{\"model\":\"fast\",\"user\":\""u8, 0xFF, 0xC0, .. "\"}"u8];

        using var response = await host.PostAsync(bytes);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(bytes, Assert.Single(fake.Requests).Body);
    }

    [Fact]
    public async Task Post_Answer_ComesBackByteForByteWithGatewayHeaders()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, "small");
        var reply = FakeReply.Completion("Hi") with
        {
            Headers = new Dictionary<string, string>
            {
                ["openai-processing-ms"] = "12", ["openai-organization"] = "org-secret", ["x-ratelimit-remaining-requests"] = "7", ["Set-Cookie"] = "a=b", ["Server"] = "fake", ["x-request-id"] = "up-1",
            },
        };
        fake.Enqueue(reply);

        using var response = await host.PostAsync("""{"model":"fast","messages":[]}""");

        Assert.Equal(reply.Pieces[0].Bytes, await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        Assert.Equal(reply.Pieces[0].Bytes.Length, response.Content.Headers.ContentLength);
        Assert.Equal("application/json", response.Content.Headers.ContentType?.ToString());
        Assert.Equal("1", response.Header("x-gateway-attempts"));
        Assert.Equal("fake", response.Header("x-gateway-provider"));
        Assert.Equal("small", response.Header("x-gateway-model"));
        Assert.Equal("12", response.Header("openai-processing-ms"));
        Assert.Equal("7", response.Header("x-ratelimit-remaining-requests"));
        Assert.Equal("up-1", response.Header("x-upstream-request-id"));
        Assert.Null(response.Header("openai-organization"));
        Assert.Null(response.Header("Set-Cookie"));
        Assert.NotEqual("fake", response.Header("Server"));
    }

    [Fact]
    public async Task Post_Headers_CarryTheProvidersCredentialAndNotTheClients()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, "small");

        using var response = await host.PostAsync("""{"model":"fast","messages":[]}""");

        var headers = Assert.Single(fake.Requests).Headers;
        Assert.Equal("Bearer sk-upstream", headers["Authorization"]);
        Assert.Equal("identity", headers["Accept-Encoding"]);
        Assert.Equal("idem-1", headers["Idempotency-Key"]);
        Assert.StartsWith(ProxyHost.TraceParent[..36], headers["traceparent"], StringComparison.Ordinal); // the same trace; the span is ours where somebody listens
        Assert.False(headers.ContainsKey("X-Stainless-Lang"));
        Assert.DoesNotContain(headers.Values, value => value.Contains("sk-gw-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Post_ForwardedHeaderIsNoAscii_IsLeftOutAndTheCallServed()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, "small");

        using var response = await host.PostAsync("""{"model":"fast","messages":[]}"""u8.ToArray(), idempotencyKey: "schlüssel");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.False(Assert.Single(fake.Requests).Headers.ContainsKey("Idempotency-Key"));
    }

    [Fact]
    public async Task Post_ModelOfTargetDiffers_OnlyTheModelIsReplaced()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, "fast");

        using var response = await host.PostAsync("""{ "a":1e400, "model" : "fake\/big\"one" , "z":"\ud800"}""");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("""{ "a":1e400, "model" : "big\"one" , "z":"\ud800"}""", Encoding.UTF8.GetString(Assert.Single(fake.Requests).Body));
    }

    [Fact]
    public async Task Post_RouteDefaults_AreAddedOnlyWhereTheRequestLacksThem()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        var route = new Route { Name = "fast", Targets = [new Target("fake", "fast")], Defaults = System.Collections.Immutable.ImmutableDictionary<string, string>.Empty.Add("temperature", "0.2").Add("seed", "7") };
        await using var host = await ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake)], Routes = [route] });

        using var response = await host.PostAsync("""{"model":"fast","s\u0065ed":1,"messages":[]}""");

        Assert.Equal("""{"model":"fast","temperature":0.2,"s\u0065ed":1,"messages":[]}""", Encoding.UTF8.GetString(Assert.Single(fake.Requests).Body));
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake, string targetModel) => ProxyHost.StartAsync(new ProxySetup
    {
        Providers = [ProxyHost.Provider(fake)],
        Routes = [new Route { Name = "fast", Targets = [new Target("fake", targetModel)] }],
    });
}
