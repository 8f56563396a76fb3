using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Shared.Configuration;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.Upstreams.SignIn;

/// <summary>
/// Decides as which client the gateway comes to an authorization server: as the one that the manifest names, as the address of a document about it, or as one that it
/// registers by itself (RFC 7591). What was registered is kept under its authorization server, and never shown to another one.
/// </summary>
internal sealed class ClientRegistration(OAuthHttp http, ToolManifest manifest, UpstreamGrants store, TimeProvider clock)
{
    private UpstreamAuth Auth => manifest.Auth!;

    /// <exception cref="SignInException">There is no way to be a client there.</exception>
    public async Task<OAuthClient> FindAsync(Authority authority, string redirectUri, string? ownDocument, CancellationToken cancellationToken)
    {
        if (Auth.ClientId is not null)
        {
            return Named(authority);
        }
        if (authority.TakesClientMetadata && (Auth.ClientMetadataUrl ?? ownDocument) is { } document)
        {
            return new OAuthClient(document, null, Auth.PrivateKey is not null && (Auth.TokenAuthMethod ?? "private_key_jwt") == "private_key_jwt" ? "private_key_jwt" : "none", IsRegistered: false);
        }
        if (Kept(authority.Issuer) is { } kept && kept.RedirectUri == redirectUri && (kept.SecretExpiresAt is not { } end || clock.GetUtcNow() < end))
        {
            return kept;
        }
        if (authority.RegistrationEndpoint is not { } endpoint)
        {
            throw new SignInException($"The authorization server {authority.Issuer} lets no client register by itself; register the gateway there, with the redirect address {redirectUri}, and set 'auth.clientId' in the manifest.");
        }
        var registered = await RegisterAsync(endpoint, authority, redirectUri, cancellationToken);
        store.WriteClient(manifest.Id, authority.Issuer, new Secret(registered.ToJson().ToJsonString()));
        return registered;
    }

    /// <summary>The client that the manifest names.</summary>
    /// <exception cref="SignInException">The authorization server is another one than before, and the manifest does not say that it is the right one.</exception>
    public OAuthClient Named(Authority authority)
    {
        if (Auth.Issuer is null && Auth.TokenUrl is null)
        {
            RequireKnown(authority.Issuer);
        }
        return new OAuthClient(Auth.ClientId!, Auth.ClientSecret, MethodOf(authority.TokenAuthMethods), IsRegistered: false);
    }

    /// <summary>Forgets a registration that the authorization server does not know any more.</summary>
    public void Forget(string issuer) => store.WriteClient(manifest.Id, issuer, null);

    // The secret was given for one authorization server. Where the manifest does not name it, it is the one that was seen first.
    private void RequireKnown(string issuer)
    {
        const string Bound = "bound to";
        if (store.FindClient(manifest.Id, Bound) is not { } known)
        {
            store.WriteClient(manifest.Id, Bound, new Secret($"{Auth.ClientId}\n{issuer}"));
        }
        else if (known.Reveal().Split('\n') is [var client, var before] && client == Auth.ClientId && before != issuer)
        {
            throw new SignInException($"The tool server now names the authorization server {issuer}; '{Auth.ClientId}' was used with {before}. If that is right, set 'auth.issuer' in the manifest.");
        }
        else if (known.Reveal() != $"{Auth.ClientId}\n{issuer}")
        {
            store.WriteClient(manifest.Id, Bound, new Secret($"{Auth.ClientId}\n{issuer}"));
        }
    }

    private OAuthClient? Kept(string issuer)
    {
        if (store.FindClient(manifest.Id, issuer) is not { } content)
        {
            return null;
        }
        using var document = JsonDocument.Parse(content.Reveal());
        return OAuthClient.Of(document.RootElement);
    }

    private string MethodOf(IReadOnlyList<string>? supported)
    {
        if (Auth.TokenAuthMethod is { } wanted)
        {
            return wanted;
        }
        if (Auth.PrivateKey is not null && (Auth.ClientSecret is null || (supported?.Contains("private_key_jwt") ?? false)))
        {
            return "private_key_jwt";
        }
        return Auth.ClientSecret is null ? "none" : OfSecret(supported);
    }

    private static string OfSecret(IReadOnlyList<string>? supported) =>
        supported is null || supported.Contains("client_secret_basic") || !supported.Contains("client_secret_post") ? "client_secret_basic" : "client_secret_post";

    private async Task<OAuthClient> RegisterAsync(Uri endpoint, Authority authority, string redirectUri, CancellationToken cancellationToken)
    {
        var supported = authority.TokenAuthMethods;
        var method = supported is null || supported.Contains("client_secret_basic") || supported.Contains("client_secret_post") ? OfSecret(supported) : "none";
        using var request = new HttpRequestMessage(HttpMethod.Post, endpoint);
        request.Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes((JsonNode)Describe(redirectUri, method)));
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        var reply = await http.SendAsync(request, manifest, cancellationToken);
        if (!reply.IsSuccess || reply.Text("client_id") is not { Length: > 0 and <= 2048 } id)
        {
            throw new SignInException($"The authorization server {authority.Issuer} refused to register the gateway as a client (HTTP status {OAuthHttp.Shown(reply.Status)}); register it there by hand, with the redirect address {redirectUri}, and set 'auth.clientId' in the manifest.",
                isTransient: (int)reply.Status >= 500);
        }
        var secret = reply.Text("client_secret") is { Length: > 0 } text ? new Secret(text) : null;
        var given = reply.Text("token_endpoint_auth_method");
        return new OAuthClient(id, secret, secret is null ? "none" : given is "client_secret_basic" or "client_secret_post" or "none" ? given : method, IsRegistered: true)
        {
            RedirectUri = redirectUri,
            SecretExpiresAt = reply.Json!.Value.TryGetProperty("client_secret_expires_at", out var at) && at.TryGetInt64(out var seconds) && seconds > 0 ? DateTimeOffset.FromUnixTimeSeconds(seconds) : null,
        };
    }

    /// <summary>How the gateway describes itself as a client (RFC 7591 section 2).</summary>
    public static JsonObject Describe(string redirectUri, string method) => new()
    {
        ["client_name"] = "Agent Gateway",
        ["redirect_uris"] = new JsonArray(redirectUri),
        ["grant_types"] = new JsonArray("authorization_code", "refresh_token"),
        ["response_types"] = new JsonArray("code"),
        ["token_endpoint_auth_method"] = method,
        ["application_type"] = new Uri(redirectUri) is { Scheme: "http", IsLoopback: true } ? "native" : "web",
    };
}
