using System.Net.Http.Headers;
using TestSupport;

namespace Gateway.Tests.SignIn;

public sealed class LoadingTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Gateway_ThatNobodySignsInTo_LoadsNothingForIt(bool isConfigured)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "not run: what a process has loaded is read from /proc");
        using var folder = new TemporaryFolder();
        await using var provider = await FakeIdentityProvider.StartAsync(TimeProvider.System, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "gateway.yaml"), isConfigured ? SignInSetup.Configuration(provider.Issuer) : "", TestContext.Current.CancellationToken);
        await using var gateway = await GatewayProcess.ServeAsync(folder.Path, cancellationToken: TestContext.Current.CancellationToken);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = gateway.BaseAddress };

        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", gateway.VirtualKey);
        using var withKey = await client.GetAsync("v1/models", TestContext.Current.CancellationToken);
        Assert.True(withKey.IsSuccessStatusCode);
        Assert.False(await HasLoadedAsync(gateway), "A key was checked with what tokens are checked with.");
        Assert.Empty(provider.Requests);

        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", provider.AccessToken(gateway.BaseAddress.ToString()));
        using var withToken = await client.GetAsync("v1/models", TestContext.Current.CancellationToken);
        Assert.Equal(isConfigured, withToken.IsSuccessStatusCode);
        Assert.Equal(isConfigured, await HasLoadedAsync(gateway));
    }

    private static async Task<bool> HasLoadedAsync(GatewayProcess gateway) =>
        (await File.ReadAllTextAsync($"/proc/{gateway.Id}/maps", TestContext.Current.CancellationToken)).Contains("Microsoft.IdentityModel", StringComparison.Ordinal);
}
