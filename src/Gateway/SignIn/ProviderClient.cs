using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Shared.SignIn;

namespace Gateway.SignIn;

/// <summary>What the provider said of a person.</summary>
/// <param name="Identity">Who it is; null: nothing new.</param>
/// <param name="ProviderToken">What the provider takes for news of the account; null: it gave nothing.</param>
internal sealed record ProviderAnswer(Identity? Identity, string? ProviderToken);

/// <summary>The gateway as a client of the company's provider (OpenID Connect: code, PKCE, nonce).</summary>
internal sealed class ProviderClient(IssuerDirectory issuers, SignInConnections connections, TokenValidator validator, ILogger<ProviderClient> logger)
{
    /// <summary>The address at which a person signs in.</summary>
    /// <exception cref="SignInUnavailableException">The provider cannot be asked where that is.</exception>
    public async Task<string> SignInAddressAsync(AuthorizationServerSettings settings, string callback, string state, string nonce, string challenge, CancellationToken cancellationToken)
    {
        var endpoint = (await issuers.Of(settings.Provider).MetadataAsync(cancellationToken)).AuthorizationEndpoint
            ?? throw new SignInUnavailableException($"the metadata of {settings.Provider.Issuer} name no 'authorization_endpoint' at a safe address");
        (string Name, string Value)[] query =
        [
            ("response_type", "code"), ("client_id", settings.ClientId), ("redirect_uri", callback), ("scope", string.Join(' ', settings.ProviderScopes)),
            ("state", state), ("nonce", nonce), ("code_challenge", challenge), ("code_challenge_method", "S256"),
        ];
        var text = string.Join('&', query.Select(part => $"{part.Name}={Uri.EscapeDataString(part.Value)}"));
        return endpoint.AbsoluteUri + (endpoint.Query.Length > 0 ? "&" : "?") + text;
    }

    /// <summary>Whether an answer that names its issuer (RFC 9207), or fails to, is the provider's.</summary>
    /// <exception cref="SignInUnavailableException">Nobody can tell now.</exception>
    public async Task<bool> IsFromAsync(AuthorizationServerSettings settings, string? issuer, CancellationToken cancellationToken) =>
        issuer is null ? !(await issuers.Of(settings.Provider).MetadataAsync(cancellationToken)).NamesItself : issuer == settings.Provider.Issuer;

    /// <summary>Exchanges the provider's code; null: it gave none that holds for it.</summary>
    /// <exception cref="SignInUnavailableException">The provider does not answer.</exception>
    public async Task<ProviderAnswer?> RedeemAsync(AuthorizationServerSettings settings, string callback, string code, PendingSignIn pending, CancellationToken cancellationToken)
    {
        var reply = await AskAsync(settings, [new("grant_type", "authorization_code"), new("code", code), new("redirect_uri", callback), new("code_verifier", pending.Verifier)], cancellationToken);
        if (reply is not { Status: HttpStatusCode.OK, Body: { } body } || Claims.Text(body, "id_token") is not { } token)
        {
            return null;
        }
        var identity = await IdentityOfAsync(settings, token, claims => Claims.Text(claims, "nonce") == pending.Nonce, cancellationToken);
        return identity is null ? null : new ProviderAnswer(identity, Claims.Text(body, "refresh_token"));
    }

    /// <summary>Asks whether an account still exists and what it is now; null: it does not.</summary>
    /// <exception cref="SignInUnavailableException">The provider does not answer.</exception>
    public async Task<ProviderAnswer?> RenewAsync(AuthorizationServerSettings settings, SignInGrant grant, CancellationToken cancellationToken)
    {
        var reply = await AskAsync(settings, [new("grant_type", "refresh_token"), new("refresh_token", grant.ProviderToken!.Reveal())], cancellationToken);
        if (reply is not { Status: HttpStatusCode.OK, Body: { } body })
        {
            return null;
        }
        Identity? identity = null;
        if (Claims.Text(body, "id_token") is { } token)
        {
            identity = await IdentityOfAsync(settings, token, claims => Claims.Text(claims, "sub") == grant.Identity.Subject, cancellationToken);
            if (identity is null)
            {
                return null;
            }
        }
        return new ProviderAnswer(identity, Claims.Text(body, "refresh_token") ?? grant.ProviderToken.Reveal());
    }

    private async Task<JsonReply> AskAsync(AuthorizationServerSettings settings, List<KeyValuePair<string, string>> form, CancellationToken cancellationToken)
    {
        var source = issuers.Of(settings.Provider);
        var metadata = await source.MetadataAsync(cancellationToken);
        var endpoint = metadata.TokenEndpoint ?? throw new SignInUnavailableException($"the metadata of {settings.Provider.Issuer} name no 'token_endpoint' at a safe address");
        AuthenticationHeaderValue? authorization = null;
        if (metadata.SecretInForm)
        {
            form.AddRange([new("client_id", settings.ClientId), new("client_secret", settings.ClientSecret.Reveal())]);
        }
        else
        {
            var pair = $"{Uri.EscapeDataString(settings.ClientId)}:{Uri.EscapeDataString(settings.ClientSecret.Reveal())}";
            authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.ASCII.GetBytes(pair)));
        }
        var reply = await connections.PostAsync(endpoint, form, authorization, source.TrustIn(endpoint), cancellationToken);
        if (reply.Status is not (HttpStatusCode.OK or HttpStatusCode.BadRequest))
        {
            // 400 is about this person; all else is about the gateway or the provider.
            logger.ProviderRefused(settings.Provider.Issuer, (int)reply.Status, reply.Body is { } body ? OAuthClient.Shown(Claims.Text(body, "error"), "") : "");
            throw new SignInUnavailableException($"the token endpoint of {settings.Provider.Issuer} answered with {(int)reply.Status}");
        }
        if (reply.Status == HttpStatusCode.BadRequest && reply.Body is { } refusal && Claims.Text(refusal, "error") is { } error and not "invalid_grant")
        {
            logger.ProviderRefused(settings.Provider.Issuer, 400, OAuthClient.Shown(error, ""));
            throw new SignInUnavailableException($"the token endpoint of {settings.Provider.Issuer} refused with '{error}'");
        }
        return reply;
    }

    private async Task<Identity?> IdentityOfAsync(AuthorizationServerSettings settings, string token, Func<JsonElement, bool> isExpected, CancellationToken cancellationToken)
    {
        var (valid, problem) = await validator.ValidateAsync(settings.Provider, token, cancellationToken);
        if (valid is null || !valid.Audiences.Contains(settings.ClientId) || !isExpected(valid.Identity.Claims)
            || (Claims.Text(valid.Identity.Claims, "azp") is { } party ? party != settings.ClientId : valid.Audiences.Count > 1))
        {
            logger.IdTokenRefused(settings.Provider.Issuer, problem.Length > 0 ? problem : "it is for another client, or an answer to another request");
            return null;
        }
        return valid.Identity;
    }
}

internal static partial class ProviderLog
{
    [LoggerMessage(LogLevel.Warning, "Sign-in: the token endpoint of {Issuer} refused the gateway with {Status} {Error}: are 'clientId' and 'clientSecret' right?")]
    public static partial void ProviderRefused(this ILogger logger, string issuer, int status, string error);

    [LoggerMessage(LogLevel.Warning, "Sign-in: an ID token of {Issuer} was refused: {Problem}")]
    public static partial void IdTokenRefused(this ILogger logger, string issuer, string problem);
}
