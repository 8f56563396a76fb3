using System.Globalization;
using System.Net;

namespace Gateway.Tests;

public sealed class RequestHeadersTests
{
    [Theory]
    [InlineData("/health/live", HttpStatusCode.OK)]
    [InlineData("/test/key", HttpStatusCode.Unauthorized)]
    [InlineData("/nowhere", HttpStatusCode.NotFound)]
    [InlineData("/test/undeclared", HttpStatusCode.NotFound)]
    [InlineData("/test/body", HttpStatusCode.MethodNotAllowed)]
    [InlineData("/test/broken", HttpStatusCode.InternalServerError)]
    public async Task Reply_OfAnyStatus_CarriesRequestIdAndOverhead(string path, HttpStatusCode status)
    {
        await using var gateway = await Hosts.StartAsync();

        using var response = await gateway.Anonymous.GetAsync(path, TestContext.Current.CancellationToken);

        Assert.Equal(status, response.StatusCode);
        Assert.Matches("^[0-9a-z]{24}$", response.Header("x-request-id"));
        var overhead = response.Header("x-gateway-overhead-ms");
        Assert.Matches(@"^\d+\.\d{3}$", overhead);
        Assert.InRange(double.Parse(overhead, CultureInfo.InvariantCulture), 0.001, 30_000);
    }

    [Fact]
    public async Task RequestId_SentByClient_ComesBack()
    {
        await using var gateway = await Hosts.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/health/live") { Headers = { { "x-request-id", "My-id_1.2" } } };

        using var response = await gateway.Anonymous.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal("My-id_1.2", response.Header("x-request-id"));
    }

    [Theory]
    [InlineData("with space")]
    [InlineData("quote\"")]
    [InlineData("129")]
    public async Task RequestId_NotSane_IsReplaced(string sent)
    {
        await using var gateway = await Hosts.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/health/live");
        request.Headers.TryAddWithoutValidation("x-request-id", sent == "129" ? new string('a', 129) : sent);

        using var response = await gateway.Anonymous.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Matches("^[0-9a-z]{24}$", response.Header("x-request-id"));
    }

    [Fact]
    public async Task RequestId_OfManyRequests_IsUnique()
    {
        await using var gateway = await Hosts.StartAsync();
        var ids = new HashSet<string>();
        for (var i = 0; i < 100; i++)
        {
            using var response = await gateway.Anonymous.GetAsync("/health/live", TestContext.Current.CancellationToken);
            Assert.True(ids.Add(response.Header("x-request-id")));
        }
    }

    [Fact]
    public async Task Reply_Any_NamesNoServer()
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await gateway.Anonymous.GetAsync("/health/live", TestContext.Current.CancellationToken);
        Assert.Empty(response.Headers.Server);
    }
}
