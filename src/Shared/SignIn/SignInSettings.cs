using System.Collections.Immutable;
using System.Text.Json;
using Shared.Configuration;
using Shared.Egress;
using Shared.VirtualKeys;

namespace Shared.SignIn;

/// <summary><c>signIn</c> of <c>gateway.yaml</c>, checked. Immutable.</summary>
internal sealed record SignInSettings
{
    /// <summary>The gateway's own address without a slash at its end; null: that of each request.</summary>
    public string? PublicUrl { get; init; }

    /// <summary>Issuers by name.</summary>
    public ImmutableDictionary<string, TokenIssuer> Issuers { get; init; } = ImmutableDictionary<string, TokenIssuer>.Empty;

    /// <summary>Rules in their order.</summary>
    public ImmutableArray<SignInRule> Rules { get; init; } = [];

    /// <summary>The gateway as an authorization server; null: it is none.</summary>
    public AuthorizationServerSettings? AuthorizationServer { get; init; }

    /// <summary>All scopes that decide about anything.</summary>
    public ImmutableArray<string> Scopes { get; init; } = [];

    /// <summary>The issuer of an <c>iss</c> claim, or null.</summary>
    public TokenIssuer? FindIssuer(string issuer) => Issuers.Values.FirstOrDefault(known => known.Issuer == issuer);
}

/// <summary>An issuer of access tokens.</summary>
internal sealed record TokenIssuer
{
    public required string Name { get; init; }

    /// <summary>As its tokens name it.</summary>
    public required string Issuer { get; init; }

    public ImmutableArray<string> Audiences { get; init; } = [];

    public ImmutableArray<string> Scopes { get; init; } = [];

    public Uri? JwksUri { get; init; }

    public ImmutableArray<string> Algorithms { get; init; } = [];

    public TimeSpan ClockSkew { get; init; }
}

/// <summary>What callers may do whom a rule fits.</summary>
internal sealed record SignInRule
{
    public required string Name { get; init; }

    /// <summary>The name of the issuer; null: any.</summary>
    public string? Issuer { get; init; }

    public ImmutableArray<ClaimCondition> Claims { get; init; } = [];

    public ImmutableArray<string> Scopes { get; init; } = [];

    /// <summary>The claim that holds the id of the caller's user; null: <see cref="Parent"/> stands above each.</summary>
    public string? UserClaim { get; init; }

    public Owner? Parent { get; init; }

    public required Grants Grants { get; init; }

    /// <summary>Whose limits hang on each caller.</summary>
    public required OwnerDeclaration Limits { get; init; }
}

/// <summary>How a condition compares.</summary>
internal enum ClaimComparison
{
    Equals,
    Contains,
    Matches,
}

/// <summary>A condition on a claim.</summary>
internal sealed record ClaimCondition(string Claim, ClaimComparison Comparison, string Text)
{
    public bool Holds(JsonElement claims) => Claims.Find(claims, Claim) is { } value && Comparison switch
    {
        ClaimComparison.Equals => Claims.TextOf(value) == Text,
        ClaimComparison.Contains => Claims.Words(value).Contains(Text, StringComparer.Ordinal),
        _ => Claims.Texts(value).Any(text => Glob.IsMatch(Text, text)),
    };
}

/// <summary>The gateway as an authorization server.</summary>
internal sealed record AuthorizationServerSettings
{
    public required TokenIssuer Provider { get; init; }

    public required string ClientId { get; init; }

    public required Secret ClientSecret { get; init; }

    public ImmutableArray<string> ProviderScopes { get; init; } = [];

    /// <summary>Where clients may have people sent back; empty: anywhere.</summary>
    public ImmutableArray<string> RedirectHosts { get; init; } = [];

    public bool Registration { get; init; }

    public TimeSpan AccessTokenLifetime { get; init; }

    public TimeSpan SignInLifetime { get; init; }

    public TimeSpan IdleLifetime { get; init; }

    public TimeSpan UnverifiedLifetime { get; init; }

    /// <summary>Whether people may be sent back to an address, as far as its host goes.</summary>
    public bool TakesRedirect(Uri redirect)
    {
        if (RedirectHosts.IsEmpty)
        {
            return true;
        }
        if (redirect.Scheme is not ("http" or "https"))
        {
            return RedirectHosts.Contains(redirect.Scheme + ":");
        }
        return redirect.IsLoopback ? RedirectHosts.Contains("localhost") : HostNames.Of([.. RedirectHosts.Where(HostNames.IsPattern)]).Hold(redirect.IdnHost);
    }
}
