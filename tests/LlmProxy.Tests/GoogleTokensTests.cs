using System.Net;
using LlmProxy.Providers.Google;
using Microsoft.Extensions.Time.Testing;
using Shared.Configuration;
using Shared.Snapshots;

namespace LlmProxy.Tests;

/// <summary>The kind of Google's credentials whose token service has a fixed address, which a test cannot lead to this machine: what is sent there.</summary>
public sealed class GoogleTokensTests
{
    private readonly FakeTimeProvider clock = new(TimeProvider.System.GetUtcNow());

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task AuthorizedUser_ItsRefreshTokenIsExchangedAnewEachTime(bool isOfGcloud)
    {
        const string Json = """{"type":"authorized_user","client_id":"the-client","client_secret":"of-the-client","refresh_token":"1//refresh"}""";
        using var folder = new TestSupport.TemporaryFolder();
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "application_default_credentials.json"), Json, TestContext.Current.CancellationToken);
        var service = new Service();
        var tokens = new GoogleTokens(new ProviderCredentials { Json = isOfGcloud ? null : new Secret(Json) }, name => name == "CLOUDSDK_CONFIG" ? folder.Path : null, () => service, clock);

        var first = await tokens.AcquireAsync(TestContext.Current.CancellationToken);
        var second = await tokens.AcquireAsync(TestContext.Current.CancellationToken);

        Assert.Equal("token-1", first.Value);
        Assert.Equal(clock.GetUtcNow().AddSeconds(3599), first.ExpiresAt);
        Assert.Equal("token-2", second.Value);
        Assert.All(service.Asked, asked =>
        {
            Assert.Equal("https://oauth2.googleapis.com/token", asked.Address);
            Assert.Contains("grant_type=refresh_token", asked.Body, StringComparison.Ordinal);
            Assert.Contains("refresh_token=1%2F%2Frefresh", asked.Body, StringComparison.Ordinal);
            Assert.Contains("client_secret=of-the-client", asked.Body, StringComparison.Ordinal);
        });
    }

    private sealed class Service : HttpMessageHandler
    {
        public List<(string Address, string Body)> Asked { get; } = [];

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Asked.Add((request.RequestUri!.ToString(), await request.Content!.ReadAsStringAsync(cancellationToken)));
            return new HttpResponseMessage(HttpStatusCode.OK)
            {
                Content = new StringContent($$"""{"access_token":"token-{{Asked.Count}}","token_type":"Bearer","expires_in":3599}""", System.Text.Encoding.UTF8, "application/json"),
            };
        }
    }
}
