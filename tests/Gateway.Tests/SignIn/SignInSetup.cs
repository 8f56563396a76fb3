using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Shared.SignIn;
using TestSupport;

namespace Gateway.Tests.SignIn;

/// <summary>A gateway that takes tokens of a provider beside it, on one clock.</summary>
internal sealed class SignInSetup : IAsyncDisposable
{
    private bool isStopped;

    private SignInSetup(FakeIdentityProvider provider, TestGateway gateway, FakeTimeProvider clock) => (Provider, Gateway, Clock) = (provider, gateway, clock);

    public FakeIdentityProvider Provider { get; }

    public TestGateway Gateway { get; }

    public FakeTimeProvider Clock { get; }

    /// <summary>The gateway's address without a slash at its end.</summary>
    public string Address => Gateway.BaseAddress.ToString().TrimEnd('/');

    /// <summary>Starts both.</summary>
    /// <param name="rules">The rules, indented by four; null: engineers may use the built-in tools and the simulator.</param>
    /// <param name="issuer">More members of the issuer, each after a comma.</param>
    /// <param name="server">Whether the gateway is an authorization server, and its further members, each after a comma; null: it is none.</param>
    /// <param name="more">Further text of gateway.yaml.</param>
    /// <param name="builder">Changes of the host.</param>
    /// <param name="dataFolder">The data folder; null: one of its own.</param>
    /// <param name="provider">The provider; null: a new one.</param>
    /// <param name="clock">The clock; null: a new one, at the machine's time.</param>
    public static async Task<SignInSetup> StartAsync(
        string? rules = null, string issuer = "", string? server = null, string more = "", Action<WebApplicationBuilder>? builder = null, string? dataFolder = null,
        FakeIdentityProvider? provider = null, FakeTimeProvider? clock = null)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        clock ??= new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        provider ??= await FakeIdentityProvider.StartAsync(clock, cancellationToken);
        var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = Configuration(provider.Issuer, rules, issuer, server) + more,
            Environment = new Dictionary<string, string> { ["PROVIDER_SECRET"] = FakeIdentityProvider.ClientSecret },
            Clock = clock,
            Builder = builder,
            DataFolder = dataFolder,
        }, cancellationToken);
        return new SignInSetup(provider, gateway, clock);
    }

    public static string Configuration(string issuerAddress, string? rules = null, string issuer = "", string? server = null) => $$"""
        signIn:
          issuers:
            company: {issuer: "{{issuerAddress}}"{{issuer}}}
          rules:
        {{rules ?? "    - {name: engineers, claims: [{claim: groups, contains: engineering}], tools: ['gateway/*'], models: ['simulator/*']}"}}
        {{(server is null ? "" : $"  authorizationServer: {{issuer: company, clientId: {FakeIdentityProvider.ClientId}, clientSecret: \"${{env:PROVIDER_SECRET}}\"{server}}}")}}

        """;

    /// <summary>Has somebody be signed in, without the way there.</summary>
    /// <returns>The id of the sign-in.</returns>
    public static string AddGrant(TestGateway gateway)
    {
        using var claims = JsonDocument.Parse("""{"email":"ada@example.com"}""");
        var now = TimeProvider.System.GetUtcNow();
        var grant = new SignInGrant
        {
            Id = SignInGrants.NewId(),
            Identity = new Identity("company", "https://login.example.com", "ada-1", claims.RootElement.Clone(), []),
            ClientId = "client",
            ClientName = "Client",
            Resource = "https://gateway.example.com/mcp",
            CreatedAt = now,
            RotatedAt = now,
            ExpiresAt = now.AddDays(1),
            IdleUntil = now.AddDays(1),
        };
        Assert.True(gateway.Services.GetRequiredService<SignInGrants>().TryAdd(grant));
        return grant.Id;
    }

    /// <summary>A client that sends a token.</summary>
    public HttpClient NewClient(string? token) => Gateway.NewClient(token);

    /// <summary>The list of tools as a token sees it, or why it does not.</summary>
    public async Task<HttpResponseMessage> ListAsync(string? token, string path = "mcp")
    {
        using var client = NewClient(token);
        return await ListAsync(client, path);
    }

    public static async Task<HttpResponseMessage> ListAsync(HttpClient client, string path = "mcp")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = new StringContent("""
                {"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}
                """, Encoding.UTF8, "application/json"),
        };
        request.Headers.Add("Accept", "application/json, text/event-stream");
        request.Headers.Add("MCP-Protocol-Version", "2026-07-28");
        request.Headers.Add("Mcp-Method", "tools/list");
        return await client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    /// <summary>Asserts that a token is refused, and with what.</summary>
    public async Task<string> AssertRefusedAsync(string token, HttpStatusCode status, string text, string path = "mcp")
    {
        using var response = await ListAsync(token, path);
        var body = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Equal(status, response.StatusCode);
        Assert.Contains(text, body, StringComparison.Ordinal);
        Assert.DoesNotContain(token, body, StringComparison.Ordinal);
        return response.Headers.WwwAuthenticate.ToString();
    }

    /// <summary>Asserts that a token is taken.</summary>
    public async Task AssertTakenAsync(string token, string path = "mcp")
    {
        using var response = await ListAsync(token, path);
        Assert.True(response.StatusCode == HttpStatusCode.OK, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    /// <summary>Stops the gateway before the rest.</summary>
    public ValueTask StopGatewayAsync()
    {
        var first = !isStopped;
        isStopped = true;
        return first ? Gateway.DisposeAsync() : ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await StopGatewayAsync();
        await Provider.DisposeAsync();
    }
}
