using System.Text.Json;
using System.Text.Json.Nodes;
using Shared.Configuration;

namespace McpHub.Upstreams.SignIn;

/// <summary>As which client the gateway is known to an authorization server.</summary>
/// <param name="Id">The client id.</param>
/// <param name="Secret">Its secret, or null.</param>
/// <param name="Method">How it proves itself at the token endpoint: <c>none</c>, <c>client_secret_basic</c>, <c>client_secret_post</c> or <c>private_key_jwt</c>.</param>
/// <param name="IsRegistered">Whether the gateway registered by itself, and may do so again.</param>
internal sealed record OAuthClient(string Id, Secret? Secret, string Method, bool IsRegistered)
{
    /// <summary>The address that people are sent back to, as it was registered; null: it is not bound to one.</summary>
    public string? RedirectUri { get; init; }

    /// <summary>Until when the secret holds; null: for good.</summary>
    public DateTimeOffset? SecretExpiresAt { get; init; }

    public JsonObject ToJson() => new()
    {
        ["id"] = Id,
        ["secret"] = Secret?.Reveal(),
        ["method"] = Method,
        ["registered"] = IsRegistered,
        ["redirectUri"] = RedirectUri,
        ["secretExpiresAt"] = SecretExpiresAt?.ToUnixTimeSeconds(),
    };

    public static OAuthClient Of(JsonElement json) => new(
        json.GetProperty("id").GetString()!,
        json.GetProperty("secret").GetString() is { } secret ? new Secret(secret) : null,
        json.GetProperty("method").GetString()!,
        json.GetProperty("registered").GetBoolean())
    {
        RedirectUri = json.GetProperty("redirectUri").GetString(),
        SecretExpiresAt = json.GetProperty("secretExpiresAt") is { ValueKind: JsonValueKind.Number } at ? DateTimeOffset.FromUnixTimeSeconds(at.GetInt64()) : null,
    };
}

/// <summary>What somebody was granted at a tool server. Kept sealed.</summary>
internal sealed record Grant
{
    /// <summary>The address of the tool server that it is for. The manifest may be given another one: then this grant is not sent there.</summary>
    public required string Server { get; init; }

    /// <summary>The authorization server.</summary>
    public required string Issuer { get; init; }

    /// <summary>Where it is renewed.</summary>
    public required Uri TokenEndpoint { get; init; }

    /// <summary>The client that it was granted to.</summary>
    public required OAuthClient Client { get; init; }

    /// <summary>The resource that it was asked for, or null.</summary>
    public string? Resource { get; init; }

    /// <summary>The access token; null: somebody must sign in.</summary>
    public Secret? AccessToken { get; init; }

    /// <summary>The refresh token, or null.</summary>
    public Secret? RefreshToken { get; init; }

    /// <summary>When the access token was had.</summary>
    public required DateTimeOffset ObtainedAt { get; init; }

    /// <summary>When it expires; null: the authorization server did not say.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>The scopes that were asked for and those that were granted.</summary>
    public required IReadOnlyList<string> Scopes { get; init; }

    /// <summary>How long before its end a token is renewed: a fifth of its life, at most this.</summary>
    public static readonly TimeSpan LongestLead = TimeSpan.FromMinutes(5);

    public bool IsValidAt(DateTimeOffset now) => AccessToken is not null && (ExpiresAt is not { } end || now < end);

    public bool IsDueAt(DateTimeOffset now)
    {
        if (ExpiresAt is not { } end)
        {
            return false;
        }
        var lead = (end - ObtainedAt) / 5;
        return now >= end - (lead < LongestLead ? lead : LongestLead);
    }

    public Secret ToSecret() => new(new JsonObject
    {
        ["server"] = Server,
        ["issuer"] = Issuer,
        ["tokenEndpoint"] = TokenEndpoint.OriginalString,
        ["client"] = Client.ToJson(),
        ["resource"] = Resource,
        ["accessToken"] = AccessToken?.Reveal(),
        ["refreshToken"] = RefreshToken?.Reveal(),
        ["obtainedAt"] = ObtainedAt.ToUnixTimeMilliseconds(),
        ["expiresAt"] = ExpiresAt?.ToUnixTimeMilliseconds(),
        ["scopes"] = new JsonArray([.. Scopes.Select(scope => (JsonNode)scope)]),
    }.ToJsonString());

    public static Grant Of(Secret content)
    {
        using var document = JsonDocument.Parse(content.Reveal());
        var json = document.RootElement;
        return new Grant
        {
            Server = json.GetProperty("server").GetString()!,
            Issuer = json.GetProperty("issuer").GetString()!,
            TokenEndpoint = new Uri(json.GetProperty("tokenEndpoint").GetString()!),
            Client = OAuthClient.Of(json.GetProperty("client")),
            Resource = json.GetProperty("resource").GetString(),
            AccessToken = json.GetProperty("accessToken").GetString() is { } access ? new Secret(access) : null,
            RefreshToken = json.GetProperty("refreshToken").GetString() is { } refresh ? new Secret(refresh) : null,
            ObtainedAt = DateTimeOffset.FromUnixTimeMilliseconds(json.GetProperty("obtainedAt").GetInt64()),
            ExpiresAt = json.GetProperty("expiresAt") is { ValueKind: JsonValueKind.Number } at ? DateTimeOffset.FromUnixTimeMilliseconds(at.GetInt64()) : null,
            Scopes = [.. json.GetProperty("scopes").EnumerateArray().Select(scope => scope.GetString()!)],
        };
    }
}
