using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Shared.Configuration;
using Shared.SignIn;

namespace Gateway.SignIn;

/// <summary>The part of the authorization server that clients meet: codes and refresh tokens for access tokens.</summary>
internal sealed class TokenEndpoint(AuthorizationCodes codes, SignInGrants grants, ProviderClient provider, TimeProvider clock, ILogger<TokenEndpoint> logger)
{
    /// <summary><c>POST /oauth/token</c>.</summary>
    public async Task TokenAsync(HttpContext context, Facade facade)
    {
        if (await OAuthForm.ReadAsync(context) is not { } form)
        {
            await OAuthJson.WriteAsync(context, OAuthError.InvalidRequest("Expected a form (application/x-www-form-urlencoded) in which nothing stands twice."));
            return;
        }
        if (form["client_id"].ToString().Length is 0 or > ClientDirectory.LongestId)
        {
            await OAuthJson.WriteAsync(context, OAuthError.InvalidRequest("'client_id' is required."));
            return;
        }
        try
        {
            await (form["grant_type"].ToString() switch
            {
                "authorization_code" => RedeemAsync(context, facade, form),
                "refresh_token" => RefreshAsync(context, facade, form),
                _ => OAuthJson.WriteAsync(context, new OAuthError("unsupported_grant_type", "'grant_type' must be 'authorization_code' or 'refresh_token'.")),
            });
        }
        catch (SignInUnavailableException exception)
        {
            logger.SignInBroke(exception.Message);
            context.Response.Headers.RetryAfter = "15";
            await OAuthJson.WriteAsync(context, OAuthError.ProviderAway);
        }
    }

    /// <summary><c>POST /oauth/revoke</c> (RFC 7009): ends the sign-in of a token, of which there is one for each client.</summary>
    public async Task RevokeAsync(HttpContext context)
    {
        if (await OAuthForm.ReadAsync(context) is not { } form || form["token"].ToString() is not { Length: > 0 } token)
        {
            await OAuthJson.WriteAsync(context, OAuthError.InvalidRequest("'token' is required, in a form."));
            return;
        }
        if (grants.IdOf(token) is { } id && grants.Find(id) is { } grant && grant.ClientId == form["client_id"])
        {
            grants.Remove(id);
        }
        // A token that is not known is as good as revoked.
        await OAuthJson.WriteAsync(context, StatusCodes.Status200OK, static _ => { });
    }

    private Task RedeemAsync(HttpContext context, Facade facade, IFormCollection form)
    {
        var code = form["code"].ToString();
        var id = SignInGrants.NewId();
        if (codes.Take(code, id) is not { } issued)
        {
            return OAuthJson.WriteAsync(context, OAuthError.InvalidGrant("The code is not known, or its time is over."));
        }
        if (issued.GrantId is { } before)
        {
            // Somebody has a copy of it, and nobody knows which of the two is the client.
            grants.Remove(before);
            return OAuthJson.WriteAsync(context, OAuthError.InvalidGrant("The code was used before. What it was exchanged for has been revoked."));
        }
        var request = issued.Request;
        if (Mismatch(request, form) is { } mismatch)
        {
            return OAuthJson.WriteAsync(context, mismatch);
        }
        var now = clock.GetUtcNow();
        var grant = new SignInGrant
        {
            Id = id,
            Identity = issued.Identity,
            ClientId = request.ClientId,
            ClientName = request.ClientName,
            Resource = request.Resource,
            ProviderToken = issued.ProviderToken is null ? null : new Secret(issued.ProviderToken),
            CreatedAt = now,
            RotatedAt = now,
            ExpiresAt = now + (issued.ProviderToken is null ? facade.Settings.UnverifiedLifetime : facade.Settings.SignInLifetime),
            IdleUntil = now + facade.Settings.IdleLifetime,
        };
        if (!grants.TryAdd(grant))
        {
            return OAuthJson.WriteAsync(context, new OAuthError("temporarily_unavailable", "Too many people are signed in.") { Status = StatusCodes.Status503ServiceUnavailable });
        }
        if (codes.WasReplayed(code))
        {
            grants.Remove(id);
            return OAuthJson.WriteAsync(context, OAuthError.InvalidGrant("The code was used twice at once."));
        }
        return AnswerAsync(context, facade, grant);
    }

    private static OAuthError? Mismatch(SignInRequest request, IFormCollection form)
    {
        var verifier = form["code_verifier"].ToString();
        var challenge = Base64Url.EncodeToString(SHA256.HashData(Encoding.UTF8.GetBytes(verifier)));
        return form["client_id"] != request.ClientId ? OAuthError.InvalidGrant("The code was given to another client.")
            : form["redirect_uri"] != request.Redirect ? OAuthError.InvalidGrant("'redirect_uri' is not the one that the code was asked for with.")
            : verifier.Length is < 43 or > 128 || !CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(challenge), Encoding.ASCII.GetBytes(request.Challenge))
                ? OAuthError.InvalidGrant("'code_verifier' does not belong to the 'code_challenge' (PKCE).")
            : IsOther(form, request.Resource) ? OAuthError.InvalidTarget($"The code is for the resource {request.Resource}.")
            : null;
    }

    private async Task RefreshAsync(HttpContext context, Facade facade, IFormCollection form)
    {
        var token = form["refresh_token"].ToString();
        using var turn = await grants.TakeTurnAsync(token, context.RequestAborted);
        var (state, grant) = grants.TakeRefreshToken(token, form["client_id"].ToString());
        if (grant is null)
        {
            await OAuthJson.WriteAsync(context, OAuthError.InvalidGrant(state == RefreshState.Reused
                ? "The refresh token was used before. The sign-in has been ended; sign in anew."
                : "The refresh token is not known, or its sign-in has ended; sign in anew."));
            return;
        }
        if (IsOther(form, grant.Resource))
        {
            await OAuthJson.WriteAsync(context, OAuthError.InvalidTarget($"The sign-in is for the resource {grant.Resource}."));
            return;
        }
        if (form["scope"].ToString().Split(' ', StringSplitOptions.RemoveEmptyEntries).Except(grant.Identity.Scopes, StringComparer.Ordinal).Except(["offline_access"], StringComparer.Ordinal).Any())
        {
            await OAuthJson.WriteAsync(context, new OAuthError("invalid_scope", "More scopes than were granted need a new sign-in."));
            return;
        }
        if (state == RefreshState.Current)
        {
            grant = await RenewAsync(facade, grant, context.RequestAborted);
        }
        await (grant is null
            ? OAuthJson.WriteAsync(context, OAuthError.InvalidGrant("The company's sign-in provider has ended this sign-in; sign in anew."))
            : AnswerAsync(context, facade, grant));
    }

    private async Task<SignInGrant?> RenewAsync(Facade facade, SignInGrant grant, CancellationToken cancellationToken)
    {
        var identity = grant.Identity;
        var providerToken = grant.ProviderToken;
        if (identity.Issuer != facade.Settings.Provider.Issuer)
        {
            grants.Remove(grant.Id);
            return null;
        }
        if (providerToken is not null)
        {
            if (await provider.RenewAsync(facade.Settings, grant, cancellationToken) is not { } news)
            {
                grants.Remove(grant.Id);
                return null;
            }
            identity = news.Identity is { } told ? told with { Scopes = identity.Scopes } : identity;
            providerToken = news.ProviderToken is null ? null : new Secret(news.ProviderToken);
        }
        var now = clock.GetUtcNow();
        var renewed = grant with
        {
            Identity = identity,
            ProviderToken = providerToken,
            Generation = grant.Generation + 1,
            RotatedAt = now,
            IdleUntil = now + facade.Settings.IdleLifetime,
        };
        return grants.TryUpdate(renewed) ? renewed : null;
    }

    private Task AnswerAsync(HttpContext context, Facade facade, SignInGrant grant)
    {
        var now = clock.GetUtcNow();
        var end = now + facade.Settings.AccessTokenLifetime;
        var expires = end < grant.Expires ? end : grant.Expires;
        return OAuthJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteString("access_token", grants.AccessToken(grant, expires));
            json.WriteString("token_type", "Bearer");
            json.WriteNumber("expires_in", (long)(expires - now).TotalSeconds);
            json.WriteString("refresh_token", grants.RefreshToken(grant));
            json.WriteString("scope", string.Join(' ', grant.Identity.Scopes));
        });
    }

    private static bool IsOther(IFormCollection form, string resource) => form["resource"].ToString() is { Length: > 0 } named && named.TrimEnd('/') != resource;
}
