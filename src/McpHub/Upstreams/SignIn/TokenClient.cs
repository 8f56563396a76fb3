using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Shared.Configuration;
using Shared.Snapshots;

namespace McpHub.Upstreams.SignIn;

/// <summary>What a token endpoint gave.</summary>
internal sealed record TokenReply(Secret AccessToken, Secret? RefreshToken, TimeSpan? Lifetime, IReadOnlyList<string>? Scopes);

/// <summary>Asks token endpoints (RFC 6749 section 3.2), proving to be the client in the way that was agreed on.</summary>
internal sealed class TokenClient(OAuthHttp http, ToolManifest manifest, TimeProvider clock)
{
    public const string TokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    public const string JwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";

    private const string AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    private const int MaxToken = 32 * 1024;
    private static readonly TimeSpan AssertionLife = TimeSpan.FromMinutes(2);

    /// <summary>Asks for a token.</summary>
    /// <param name="endpoint">The token endpoint.</param>
    /// <param name="issuer">The authorization server, for which an assertion is signed.</param>
    /// <param name="client">The client; null: none, as with an assertion that says who asks.</param>
    /// <param name="form">The parameters; those without a value are left out.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="SignInException">There is none.</exception>
    public async Task<TokenReply> AskAsync(Uri endpoint, string issuer, OAuthClient? client, IEnumerable<KeyValuePair<string, string?>> form, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, endpoint);
        var parameters = form.Where(pair => !string.IsNullOrEmpty(pair.Value)).Select(pair => KeyValuePair.Create(pair.Key, pair.Value!)).ToList();
        switch (client?.Method)
        {
            case "client_secret_basic":
                // RFC 6749 section 2.3.1: both are form-encoded before they are joined.
                var pair = $"{WebUtility.UrlEncode(client.Id)}:{WebUtility.UrlEncode(client.Secret!.Reveal())}";
                request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(pair)));
                break;
            case "client_secret_post":
                parameters.Add(KeyValuePair.Create("client_id", client.Id));
                parameters.Add(KeyValuePair.Create("client_secret", client.Secret!.Reveal()));
                break;
            case "private_key_jwt":
                parameters.Add(KeyValuePair.Create("client_id", client.Id));
                parameters.Add(KeyValuePair.Create("client_assertion_type", AssertionType));
                parameters.Add(KeyValuePair.Create("client_assertion", Assertion(client.Id, issuer)));
                break;
            case not null:
                parameters.Add(KeyValuePair.Create("client_id", client.Id));
                break;
        }
        request.Content = new FormUrlEncodedContent(parameters);
        var reply = await http.SendAsync(request, manifest, cancellationToken);
        return reply.IsSuccess ? Read(reply, endpoint) : throw Refused(reply, endpoint);
    }

    /// <summary>Lists the scopes of a parameter.</summary>
    public static string? Join(IReadOnlyList<string> scopes) => scopes.Count == 0 ? null : string.Join(' ', scopes);

    private string Assertion(string clientId, string issuer)
    {
        var now = clock.GetUtcNow();
        var auth = manifest.Auth!;
        return SigningKey.Sign(auth.PrivateKey!.Reveal(), auth.Algorithm, auth.KeyId, new JsonObject
        {
            ["iss"] = clientId,
            ["sub"] = clientId,
            ["aud"] = issuer,
            ["jti"] = Guid.NewGuid().ToString("N"),
            ["iat"] = now.ToUnixTimeSeconds(),
            ["exp"] = (now + AssertionLife).ToUnixTimeSeconds(),
        });
    }

    private static TokenReply Read(OAuthReply reply, Uri endpoint)
    {
        if (reply.Text("access_token") is not { Length: > 0 and <= MaxToken } token || !token.All(c => c is > ' ' and < '\u007f'))
        {
            throw new SignInException($"{OAuthHttp.Shown(endpoint)} gave no access token that can be used.");
        }
        if (reply.Text("token_type") is { } type && !type.Equals("Bearer", StringComparison.OrdinalIgnoreCase) && !type.Equals("N_A", StringComparison.OrdinalIgnoreCase))
        {
            throw new SignInException($"{OAuthHttp.Shown(endpoint)} gave a token of a type other than Bearer.");
        }
        return new TokenReply(
            new Secret(token),
            reply.Text("refresh_token") is { Length: > 0 and <= MaxToken } refresh ? new Secret(refresh) : null,
            LifetimeOf(reply.Json!.Value),
            reply.Text("scope")?.Split(' ', StringSplitOptions.RemoveEmptyEntries));
    }

    // A number as the standard has it, or a text as some servers do.
    private static TimeSpan? LifetimeOf(JsonElement json) =>
        json.TryGetProperty("expires_in", out var value) && (value.ValueKind == JsonValueKind.Number ? value.TryGetDouble(out var seconds)
            : double.TryParse(value.ValueKind == JsonValueKind.String ? value.GetString() : null, System.Globalization.CultureInfo.InvariantCulture, out seconds))
        && seconds is > 0 and < 1e9 ? TimeSpan.FromSeconds(seconds) : null;

    private static SignInException Refused(OAuthReply reply, Uri endpoint)
    {
        var error = reply.Text("error") is { Length: > 0 and <= 60 } code && code.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.' or ':' or '/') ? code : null;
        var isTransient = (int)reply.Status >= 500 || reply.Status is HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout || error is "temporarily_unavailable" or "slow_down" or "server_error";
        return new SignInException($"{OAuthHttp.Shown(endpoint)} answered with HTTP status {OAuthHttp.Shown(reply.Status)}{(error is null ? "" : $" ({error})")}.", isTransient, error) { RetryAfter = reply.RetryAfter };
    }
}
