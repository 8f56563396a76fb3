using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Shared.Snapshots;
using Shared.VirtualKeys;
using TestSupport;

namespace Gateway.Tests;

public sealed class AuthenticationTests
{
    [Theory]
    [InlineData("Authorization", "Bearer ")]
    [InlineData("authorization", "bearer ")]
    [InlineData("x-api-key", "")]
    [InlineData("api-key", "")]
    [InlineData("x-goog-api-key", "")]
    public async Task VirtualKey_InAnyAcceptedHeader_IsTheCaller(string header, string scheme)
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await SendAsync(gateway, "/test/key", (header, scheme + gateway.VirtualKey));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(gateway.VirtualKey.Split('-')[2], await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task VirtualKey_SameInTwoHeaders_IsOneCredential()
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await SendAsync(gateway, "/test/key", ("Authorization", $"Bearer {gateway.VirtualKey}"), ("x-api-key", gateway.VirtualKey));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task VirtualKey_TwoDifferentValues_IsRefused()
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await SendAsync(gateway, "/test/key", ("Authorization", $"Bearer {gateway.VirtualKey}"), ("x-api-key", KeyToken.NewVirtualKey().Token));
        await AssertRefusedAsync(response, "ambiguous_api_key", "exactly one");
    }

    [Fact]
    public async Task Credential_Missing_SaysHowToSendOne()
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await SendAsync(gateway, "/test/key");
        await AssertRefusedAsync(response, "missing_api_key", "Authorization: Bearer");
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.ToString());
    }

    [Fact]
    public async Task Credential_OfAnotherScheme_IsRefused()
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await SendAsync(gateway, "/test/key", ("Authorization", $"Basic {gateway.VirtualKey}"));
        await AssertRefusedAsync(response, "invalid_api_key", "'Bearer <key>'");
    }

    [Fact]
    public async Task SignatureOfAws_BesideTheKey_IsPassedOver()
    {
        await using var gateway = await Hosts.StartAsync();
        const string Signature = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=00";

        using var taken = await SendAsync(gateway, "/test/key", ("Authorization", Signature), ("x-api-key", gateway.VirtualKey));
        using var alone = await SendAsync(gateway, "/test/key", ("Authorization", Signature));

        Assert.Equal(HttpStatusCode.OK, taken.StatusCode);
        Assert.DoesNotContain("AKIDEXAMPLE", await AssertRefusedAsync(alone, "invalid_api_key", "sk-gw-"));
    }

    [Fact]
    public async Task Credential_OfSomebodyElse_IsRefusedWithoutEcho()
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await SendAsync(gateway, "/test/key", ("Authorization", "Bearer sk-proj-abcdef"));
        Assert.DoesNotContain("abcdef", await AssertRefusedAsync(response, "invalid_api_key", "sk-gw-"));
    }

    [Fact]
    public async Task VirtualKey_Mistyped_IsToldApartFromUnknown()
    {
        await using var gateway = await Hosts.StartAsync();
        var mistyped = gateway.VirtualKey[..^1] + (gateway.VirtualKey[^1] == 'a' ? 'b' : 'a');
        using var response = await SendAsync(gateway, "/test/key", ("Authorization", $"Bearer {mistyped}"));
        await AssertRefusedAsync(response, "malformed_api_key", "checksum does not match: was it cut or mistyped?");
    }

    [Fact]
    public async Task VirtualKey_Unknown_AndRightIdWithWrongSecret_LookTheSame()
    {
        await using var gateway = await Hosts.StartAsync();
        var known = gateway.VirtualKey.Split('-')[2];
        var stranger = KeyToken.NewVirtualKey();
        using var unknown = await SendAsync(gateway, "/test/key", ("Authorization", $"Bearer {stranger.Token}"));
        using var guessed = await SendAsync(gateway, "/test/key", ("Authorization", $"Bearer {WithId(known)}"));
        var first = await AssertRefusedAsync(unknown, "unknown_api_key", stranger.Id);
        var second = await AssertRefusedAsync(guessed, "unknown_api_key", known);
        Assert.Equal(first.Replace(stranger.Id, "", StringComparison.Ordinal), second.Replace(known, "", StringComparison.Ordinal));
    }

    [Fact]
    public async Task VirtualKey_AfterItsExpiry_IsRefusedFromThatMomentOn()
    {
        var clock = new FakeTimeProvider(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
        await using var gateway = await Hosts.StartAsync(new TestGatewayOptions { Clock = clock });
        var key = await MakeAsync(gateway, """{"name":"short","expiresAt":"2026-01-02T00:00:00Z"}""");

        using var before = await SendAsync(gateway, "/test/key", ("Authorization", $"Bearer {key.Token}"));
        clock.Advance(TimeSpan.FromDays(1));
        using var after = await SendAsync(gateway, "/test/key", ("Authorization", $"Bearer {key.Token}"));

        Assert.Equal(HttpStatusCode.OK, before.StatusCode);
        await AssertRefusedAsync(after, "expired_api_key", "expired at 2026-01-02 00:00:00Z");
    }

    [Fact]
    public async Task VirtualKey_Revoked_IsToldSo()
    {
        await using var gateway = await Hosts.StartAsync();
        var key = await MakeAsync(gateway, """{"name":"gone"}""");
        using var revocation = await gateway.AdminClient.DeleteAsync($"/admin/v1/keys/{key.Id}", TestContext.Current.CancellationToken);

        using var response = await SendAsync(gateway, "/test/key", ("Authorization", $"Bearer {key.Token}"));

        Assert.Equal(HttpStatusCode.NoContent, revocation.StatusCode);
        await AssertRefusedAsync(response, "revoked_api_key", "was revoked at");
    }

    [Fact]
    public async Task Logs_OfAcceptedAndRefusedKeys_HoldNoSecret()
    {
        await using var gateway = await Hosts.StartAsync();
        var stranger = KeyToken.NewVirtualKey().Token;
        using var accepted = await SendAsync(gateway, "/test/key", ("Authorization", $"Bearer {gateway.VirtualKey}"));
        using var refused = await SendAsync(gateway, "/test/key", ("x-api-key", stranger));

        Assert.Contains(gateway.Logs.Lines, line => line.Message.Contains("unknown_api_key", StringComparison.Ordinal));
        foreach (var secret in new[] { gateway.VirtualKey, stranger, gateway.AdminKey }.Select(token => token.Split('-')[3]))
        {
            Assert.DoesNotContain(gateway.Logs.Lines, line => line.Message.Contains(secret, StringComparison.Ordinal));
        }
    }

    [Theory]
    [InlineData("/test/key", true)]
    [InlineData("/admin/v1/keys", false)]
    public async Task Key_OfTheOtherKind_IsRefused(string path, bool sendAdminKey)
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await SendAsync(gateway, path, ("Authorization", $"Bearer {(sendAdminKey ? gateway.AdminKey : gateway.VirtualKey)}"));
        await AssertRefusedAsync(response, "wrong_key_kind", sendAdminKey ? "a virtual key" : "an admin key");
    }

    private static async Task<IssuedKey> MakeAsync(TestGateway gateway, string declaration)
    {
        var key = gateway.Services.GetRequiredService<KeyStore>().Create(declaration, "test");
        await gateway.Services.GetRequiredService<SnapshotLoader>().ReloadAsync(TestContext.Current.CancellationToken);
        return key;
    }

    private static async Task<HttpResponseMessage> SendAsync(TestGateway gateway, string path, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        return await gateway.Anonymous.SendAsync(request, TestContext.Current.CancellationToken);
    }

    private static async Task<string> AssertRefusedAsync(HttpResponseMessage response, string code, string text)
    {
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = await response.JsonAsync();
        Assert.Equal(code, problem.GetProperty("code").GetString());
        Assert.Equal(response.Header("x-request-id"), problem.GetProperty("requestId").GetString());
        var detail = problem.GetProperty("detail").GetString()!;
        Assert.Contains(text, detail, StringComparison.Ordinal);
        return detail;
    }

    /// <summary>A well-formed token of an id with a secret of nobody's.</summary>
    private static string WithId(string id)
    {
        var secret = KeyToken.NewVirtualKey().Token.Split('-')[3][..32];
        return KeyToken.WithChecksum($"{KeyToken.VirtualKeyPrefix}{id}-{secret}");
    }
}
