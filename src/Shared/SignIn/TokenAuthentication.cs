using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Shared.Configuration;
using Shared.Http;
using Shared.VirtualKeys;

namespace Shared.SignIn;

/// <summary>Finds out who sends a request without a key of the gateway's, and tells a client that has nothing where to get it (RFC 6750, RFC 9728).</summary>
internal sealed class TokenAuthentication(TokenValidator validator, SignInGrants grants, SignedInCallers callers, ILogger<TokenAuthentication> logger)
{
    /// <summary>Where the metadata of resources are.</summary>
    public const string MetadataPath = "/.well-known/oauth-protected-resource";

    private static readonly GatewayError Unavailable = new(
        StatusCodes.Status503ServiceUnavailable, "sign_in_unavailable", "The token cannot be checked now, as its issuer does not answer. Try again shortly.")
    {
        RetryAfter = IssuerSource.AskAgainAfter,
        Retryable = true,
    };

    /// <summary>Sets the caller, or says why there is none, and adds the header that tells a client what to do.</summary>
    /// <param name="context">The request.</param>
    /// <param name="request">The same, as the gateway sees it.</param>
    /// <param name="error">Why it has no caller yet.</param>
    public async ValueTask<GatewayError?> AuthenticateAsync(HttpContext context, GatewayRequest request, GatewayError error)
    {
        var settings = request.Snapshot.SignIn!;
        var place = new Place(Resources.BaseOf(context, settings), Resources.PathOf(context.Request.Path.Value ?? ""));
        if (TokenOf(context.Request.Headers) is not { } token)
        {
            Challenge(context, settings, place, null, []);
            return error;
        }
        try
        {
            var (shown, problem) = grants.IsToken(token) ? CheckOwn(settings, token, place) : await CheckAsync(settings, token, place, context.RequestAborted);
            if (shown is null)
            {
                logger.TokenRefused(problem);
                Challenge(context, settings, place, "invalid_token", []);
                return Credential.Refused("invalid_token", problem);
            }
            var refusal = Admit(context, request, settings, place, shown);
            if (refusal is null && !grants.IsToken(token))
            {
                // A token of the provider's own can be exchanged there for others; the gateway's mean nothing to anybody else.
                request.SignInToken = new Secret(token);
            }
            return refusal;
        }
        catch (SignInUnavailableException)
        {
            return Unavailable;
        }
    }

    private GatewayError? Admit(HttpContext context, GatewayRequest request, SignInSettings settings, Place place, Shown shown)
    {
        var missing = shown.RequiredScopes.Except(shown.Identity.Scopes, StringComparer.Ordinal).ToList();
        var entry = request.Snapshot.Part<SignInTable>().CallerOf(shown.Identity, out var ruleScopes);
        if (missing.Count > 0 || (entry is null && ruleScopes is not null))
        {
            IReadOnlyCollection<string> wanted = [.. shown.RequiredScopes.Concat(ruleScopes ?? []).Distinct(StringComparer.Ordinal)];
            Challenge(context, settings, place, "insufficient_scope", wanted);
            return new GatewayError(StatusCodes.Status403Forbidden, "insufficient_scope", $"The token lacks a scope. Needed: {string.Join(' ', wanted)}.");
        }
        if (entry is null)
        {
            return new GatewayError(StatusCodes.Status403Forbidden, "no_sign_in_rule",
                "The token is valid, but no rule under 'signIn.rules' in gateway.yaml fits its holder. Ask an admin of the gateway for access.");
        }
        if (shown.SignIn is { } signIn)
        {
            callers.Note(entry.Key.Id, signIn, shown.Identity, () => grants.Find(signIn)?.Identity);
        }
        else
        {
            callers.Note(entry.Key.Id, shown.Identity, shown.Until);
        }
        request.Key = entry.Key;
        context.User = entry.Principal;
        return null;
    }

    private async ValueTask<(Shown? Shown, string Problem)> CheckAsync(SignInSettings settings, string token, Place place, CancellationToken cancellationToken)
    {
        var (valid, problem) = await validator.ValidateAsync(settings, token, cancellationToken);
        return valid is null ? (null, problem)
            : !Resources.IsFor(valid.Audiences, valid.Issuer.Audiences, place.Address, place.Path) ? (null, $"The token is not for this endpoint ('aud'): {place.Address}{place.Path}.")
            : (new Shown(valid.Identity, valid.Issuer.Scopes, valid.Expires, null), "");
    }

    private (Shown? Shown, string Problem) CheckOwn(SignInSettings settings, string token, Place place)
    {
        if (settings.AuthorizationServer is not { } server)
        {
            return (null, "The gateway issues no tokens any more.");
        }
        if (grants.Check(token, out var problem) is not { } grant)
        {
            return (null, problem);
        }
        if (grant.Identity.Issuer != server.Provider.Issuer)
        {
            return (null, "The sign-in is of a provider that the gateway does not use any more.");
        }
        return place.Address is not null && Resources.PathOf(place.Address, grant.Resource) is { } covered && Resources.Covers(covered, place.Path)
            ? (new Shown(grant.Identity, [], grant.Expires, grant.Id), "")
            : (null, $"The token is for {grant.Resource}, not for this endpoint: {place.Address}{place.Path}.");
    }

    /// <summary>The token of the one header that carries tokens; null: there is none, or it is a key of the gateway's.</summary>
    private static string? TokenOf(IHeaderDictionary headers) =>
        headers.Authorization.Count > 0 && Credential.Find(headers, out var token) is null
        && !token.StartsWith(KeyToken.VirtualKeyPrefix, StringComparison.Ordinal) && !token.StartsWith(KeyToken.AdminKeyPrefix, StringComparison.Ordinal) ? token : null;

    private static void Challenge(HttpContext context, SignInSettings settings, Place place, string? error, IReadOnlyCollection<string> scopes)
    {
        var wanted = scopes.Count > 0 ? scopes : settings.Scopes;
        List<string> parts = [];
        if (error is not null)
        {
            parts.Add($"error=\"{error}\"");
        }
        if (wanted.Count > 0)
        {
            parts.Add($"scope=\"{string.Join(' ', wanted)}\"");
        }
        if (place.Address is not null)
        {
            parts.Add($"resource_metadata=\"{place.Address}{MetadataPath}{place.Path}\"");
        }
        context.Response.Headers.WWWAuthenticate = parts.Count == 0 ? "Bearer" : $"Bearer {string.Join(", ", parts)}";
    }

    private sealed record Place(string? Address, string Path);

    private sealed record Shown(Identity Identity, IReadOnlyCollection<string> RequiredScopes, DateTimeOffset Until, string? SignIn);
}
