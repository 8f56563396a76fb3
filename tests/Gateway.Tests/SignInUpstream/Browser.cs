using System.Net;
using Gateway.Tests.Tools;
using TestSupport;

namespace Gateway.Tests.SignInUpstream;

/// <summary>What a person's browser does with a link: cookies of each host, redirects followed one by one.</summary>
internal sealed class Browser : IDisposable
{
    private readonly HttpClient client = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, CookieContainer = new CookieContainer() });

    /// <summary>The last page.</summary>
    public string Page { get; private set; } = "";

    /// <summary>The last page's headers.</summary>
    public HttpResponseMessage Last { get; private set; } = null!;

    /// <summary>Opens a link and presses the button; the status of the page where that ends.</summary>
    public async Task<HttpStatusCode> SignInAsync(string link)
    {
        await GoAsync(HttpMethod.Get, new Uri(link));
        if (Last.StatusCode != HttpStatusCode.OK)
        {
            return Last.StatusCode;
        }
        await LeaveAsync(link);
        return await FollowAsync();
    }

    /// <summary>Presses the button only: the browser is then at the authorization server's address, not yet there.</summary>
    public Task LeaveAsync(string link) => GoAsync(HttpMethod.Post, new Uri(link));

    /// <summary>Follows redirects to their end.</summary>
    public async Task<HttpStatusCode> FollowAsync()
    {
        for (var hops = 0; hops < 10 && Last.Headers.Location is { } next; hops++)
        {
            await GoAsync(HttpMethod.Get, new Uri(Last.RequestMessage!.RequestUri!, next));
        }
        return Last.StatusCode;
    }

    public async Task GoAsync(HttpMethod method, Uri address)
    {
        using var request = new HttpRequestMessage(method, address);
        Last = await client.SendAsync(request, TestContext.Current.CancellationToken);
        Page = await Last.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
    }

    public void Dispose() => client.Dispose();
}

/// <summary>Gateways with one protected tool server.</summary>
internal static class Protected
{
    public static string Manifest(FakeProtectedServer server, string auth) => $$"""
        apiVersion: hub/v1
        kind: ToolManifest
        metadata: {id: far, title: Far away}
        upstream:
          url: "{{server.Endpoint}}"
          auth: {{auth}}
        expose: {prefix: far}
        """;

    public static Task<TestGateway> StartAsync(FakeProtectedServer server, string auth, TestGatewayOptions? options = null) => StartAsync(Manifest(server, auth), options);

    public static async Task<TestGateway> StartAsync(string manifest, TestGatewayOptions? options = null)
    {
        var gateway = await TestGateway.StartAsync(
            (options ?? new TestGatewayOptions()) with { Manifests = new Dictionary<string, string> { ["far.yaml"] = manifest } }, TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, "far", state => state.State != "connecting");
        return gateway;
    }
}
