using System.Collections.Immutable;
using System.Net;
using System.Text;
using System.Text.Json;
using LlmProxy.Tests.Hosting;
using Shared.Budgets;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests;

public sealed class BadInputTests
{
    [Theory]
    [InlineData("", "invalid_json", null)]
    [InlineData("[]", "invalid_json", null)]
    [InlineData("{\"model\":\"fake/m\"", "invalid_json", null)]
    [InlineData("{\"model\":\"fake/m\"} {}", "invalid_json", null)]
    [InlineData("{\"model\":\"fake/m\"}x", "invalid_json", null)]
    [InlineData("{\"model\":\"fake/m\",}", "invalid_json", null)]
    [InlineData("{\"model\":\"fake/m\",\"x\":NaN}", "invalid_json", null)]
    [InlineData("{}", "missing_required_parameter", "model")]
    [InlineData("{\"model\":7}", "invalid_type", "model")]
    [InlineData("{\"model\":\"\\ud800\"}", "invalid_type", "model")]
    [InlineData("{\"model\":\"fake/m\",\"model\":\"fake/m\"}", "duplicate_member", "model")]
    [InlineData("{\"model\":\"fake/m\",\"mod\\u0065l\":\"fake/x\"}", "duplicate_member", "model")]
    [InlineData("{\"model\":\"fake/m\",\"n\":1,\"\\u006e\":2}", "duplicate_member", "n")]
    [InlineData("{\"model\":\"fake/m\",\"max_tokens\":1,\"max\\u005ftokens\":2}", "duplicate_member", "max_tokens")]
    [InlineData("{\"model\":\"fake/m\",\"stream\":\"yes\"}", "invalid_type", "stream")]
    [InlineData("{\"model\":\"fake/m\",\"max_tokens\":-1}", "invalid_type", "max_tokens")]
    [InlineData("{\"model\":\"fake/m\",\"max_tokens\":1.5}", "invalid_type", "max_tokens")]
    [InlineData("{\"model\":\"fake/m\",\"max_completion_tokens\":\"9\"}", "invalid_type", "max_completion_tokens")]
    [InlineData("{\"model\":\"fake/m\",\"max_tokens\":1e400}", "invalid_type", "max_tokens")]
    [InlineData("{\"model\":\"fake/m\",\"n\":0}", "invalid_type", "n")]
    [InlineData("{\"model\":\"fake/m\",\"n\":99999999999999999999}", "invalid_type", "n")]
    [InlineData("{\"model\":\"fake/m\",\"messages\":\"hi\"}", "invalid_type", "messages")]
    [InlineData("{\"model\":\"fake/m\",\"messages\":[\"hi\"]}", "invalid_type", "messages")]
    [InlineData("{\"model\":\"fake/m\",\"stream_options\":true}", "invalid_type", "stream_options")]
    [InlineData("{\"model\":\"fake/m\",\"stream_options\":{\"include_usage\":1}}", "invalid_type", "stream_options")]
    [InlineData("{\"model\":\"fake/m\",\"stream_options\":{\"include_usage\":true,\"include_usage\":false}}", "invalid_type", "stream_options")]
    [InlineData("{\"model\":\"fake/m\",\"service_tier\":{}}", "invalid_type", "service_tier")]
    [InlineData("{\"model\":\"fake/m\",\"tools\":{}}", "invalid_type", "tools")]
    public async Task Post_BadBody_IsA400ThatNamesTheMember(string body, string code, string? member)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);

        using var response = await host.PostAsync(body);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = JsonDocument.Parse(await response.TextAsync()).RootElement.GetProperty("error");
        Assert.Equal(["message", "type", "param", "code"], error.EnumerateObject().Select(property => property.Name));
        Assert.Equal((code, member), (error.GetProperty("code").GetString(), error.GetProperty("param").GetString()));
        Assert.Equal("false", response.Header("x-should-retry"));
        Assert.Empty(fake.Requests);
        await host.RequestEndedAsync();
        Assert.Equal(0, host.Memory.Held);
        Assert.Equal(0, host.Ledger.Begun);
    }

    [Fact]
    public async Task Post_NestedTooDeep_IsA400()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);

        using var bomb = await host.PostAsync("{\"model\":\"fake/m\",\"x\":" + new string('[', 100_000));
        using var deep = await host.PostAsync("{\"model\":\"fake/m\",\"x\":" + new string('[', 120) + new string(']', 120) + "}");

        Assert.Equal(HttpStatusCode.BadRequest, bomb.StatusCode);
        Assert.Equal(HttpStatusCode.OK, deep.StatusCode);
    }

    [Fact]
    public async Task Post_BodyTooLarge_Is413WithKnownAndUnknownLength()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, new GatewaySettings { MaxBodyBytes = 1000 });
        var body = "{\"model\":\"fake/m\",\"x\":\"" + new string('x', 1000) + "\"}";

        using var response = await host.PostAsync(body);
        using var chunked = await host.PostAsync(Encoding.UTF8.GetBytes(body), isChunked: true);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Contains("\"code\":\"request_too_large\"", await response.TextAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, chunked.StatusCode);
        Assert.Equal(0, host.Memory.Held);
    }

    [Fact]
    public async Task Post_BodyMemoryExhausted_Is503WithRetryAfter()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, new GatewaySettings { BodyMemoryBytes = 100_000 });
        Assert.True(host.Memory.TryTake(99_900));

        using var refused = await host.PostAsync("{\"model\":\"fake/m\"}");
        host.Memory.Return(99_900);
        using var served = await host.PostAsync("{\"model\":\"fake/m\"}");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Equal("1", refused.Header("Retry-After"));
        Assert.Null(refused.Header("x-should-retry"));
        Assert.Equal(HttpStatusCode.OK, served.StatusCode);
    }

    [Fact]
    public async Task Post_AnswerDoesNotFitIntoBodyMemory_Is503()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, new GatewaySettings { BodyMemoryBytes = 50_000 });
        fake.Enqueue(FakeReply.Completion(new string('x', 60_000)));

        using var response = await host.PostAsync("{\"model\":\"fake/m\"}");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        await host.RequestEndedAsync();
        Assert.Equal(0, host.Memory.Held);
    }

    [Theory]
    [InlineData("nosuch")]
    [InlineData("nosuch/m")]
    [InlineData("fake/secret")]
    [InlineData("/m")]
    [InlineData("fake/")]
    public async Task Post_UnknownOrForbiddenModel_LookTheSame(string model)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);

        using var response = await host.PostAsync($$"""{"model":"{{model}}"}""");
        var error = JsonDocument.Parse(await response.TextAsync()).RootElement.GetProperty("error");

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal(("model_not_found", "model", $"The model '{model}' does not exist, or this key may not use it. GET /v1/models lists those that it may use."),
            (error.GetProperty("code").GetString(), error.GetProperty("param").GetString(), error.GetProperty("message").GetString()));
    }

    [Fact]
    public async Task Post_RateLimit_IsReportedInHeadersAndRefusedWithRetryAfter()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(fake)],
            RateLimits = [new RateLimit { Id = "key:key/rpm", Unit = RateUnit.Requests, Limit = 1, Window = Window.Rolling(TimeSpan.FromMinutes(1)) }],
            Clock = new WatchedClock(),
        });

        using var served = await host.PostAsync("""{"model":"fake/m"}""");
        using var refused = await host.PostAsync("""{"model":"fake/m"}""");

        Assert.Equal(("1", "0", "1m1s"), (served.Header("x-ratelimit-limit-requests"), served.Header("x-ratelimit-remaining-requests"), served.Header("x-ratelimit-reset-requests")));
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.NotNull(refused.Header("Retry-After"));
        Assert.Contains("\"code\":\"rate_limit_exceeded\"", await refused.TextAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_BodyOfAnUnknownEncoding_Is415()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        using var invoker = new HttpMessageInvoker(new SocketsHttpHandler());
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(host.Address, "/v1/chat/completions")) { Content = new ByteArrayContent(Encoding.ASCII.GetBytes("x")) };
        request.Content.Headers.ContentEncoding.Add("compress");

        using var response = await invoker.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Fact]
    public async Task Get_Models_ListsRoutesAndModelsThatTheKeyMayUse()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(fake) with { Models = ["b", "a/x", "secret"] }],
            Routes = [new Route { Name = "fast", Targets = [new Target("fake", "a/x")] }, new Route { Name = "hidden", Targets = [new Target("fake", "b")] }],
            Models = ["fake/*", "fast", "!fake/secret"],
        });

        using var list = await host.GetAsync("/v1/models");
        using var one = await host.GetAsync("/v1/models/fake/a/x");
        using var escaped = await host.GetAsync("/v1/models/fake%2Fa%2Fx");
        using var unlisted = await host.GetAsync("/v1/models/fake/new");
        using var hidden = await host.GetAsync("/v1/models/hidden");

        var data = JsonDocument.Parse(await list.TextAsync()).RootElement.GetProperty("data");
        Assert.Equal(["fake/a/x", "fake/b", "fast"], data.EnumerateArray().Select(model => model.GetProperty("id").GetString()));
        Assert.Equal("""{"id":"fake/a/x","object":"model","created":0,"owned_by":"fake"}""", await one.TextAsync());
        Assert.Equal(await one.TextAsync(), await escaped.TextAsync());
        Assert.Equal(HttpStatusCode.OK, unlisted.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, hidden.StatusCode);
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake, GatewaySettings? settings = null) => ProxyHost.StartAsync(new ProxySetup
    {
        Providers = [ProxyHost.Provider(fake)],
        Models = ImmutableArray.Create("*", "!fake/secret"),
        Settings = settings ?? new GatewaySettings(),
    });
}
