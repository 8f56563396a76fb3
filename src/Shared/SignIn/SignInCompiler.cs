using System.Collections.Immutable;
using Shared.Configuration;
using Shared.Egress;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Shared.SignIn;

/// <summary>Checks <c>signIn</c> of <c>gateway.yaml</c>.</summary>
internal sealed class SignInCompiler(OwnerCompiler owners, ICollection<ConfigError> errors)
{
    private static readonly ImmutableArray<string> Asymmetric = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"];
    private static readonly ImmutableArray<string> Usual = ["RS256", "PS256", "ES256"];

    /// <summary>Compiles the settings.</summary>
    /// <param name="declaration">What is declared.</param>
    /// <param name="publicUrl">The gateway's address as <c>server</c> declares it; null: it does not.</param>
    /// <returns>The settings; null where no issuer is named, so that nobody can sign in.</returns>
    public SignInSettings? Compile(SignInDeclaration declaration, Uri? publicUrl)
    {
        if (declaration.Issuers.Count == 0)
        {
            if (declaration.Rules.Count > 0 || declaration.AuthorizationServer is not null)
            {
                errors.Add(declaration.Error("issuers", "is required: without an issuer nobody can sign in"));
            }
            return null;
        }
        if (declaration.PublicUrl is { } url && (url.AbsolutePath != "/" || url.Query.Length > 0 || url.Fragment.Length > 0 || !IsSafe(url)))
        {
            errors.Add(declaration.Error("publicUrl", $"expected scheme, host and port alone, such as https://gateway.example.com (http:// on this machine only), found '{url.OriginalString}'"));
        }
        var issuers = declaration.Issuers.ToImmutableDictionary(pair => pair.Key, pair => IssuerOf(pair.Key, pair.Value));
        foreach (var twin in declaration.Issuers.Values.Where(issuer => issuer.Issuer is not null).GroupBy(issuer => issuer.Issuer.OriginalString, StringComparer.Ordinal).SelectMany(group => group.Skip(1)))
        {
            errors.Add(twin.Error("issuer", $"'{twin.Issuer.OriginalString}' is declared twice"));
        }
        if (declaration.Rules.Count == 0)
        {
            errors.Add(declaration.Error("rules", "is required: without a rule everybody who signs in is refused"));
        }
        var rules = declaration.Rules.Select(rule => RuleOf(rule, issuers)).ToImmutableArray();
        foreach (var twin in declaration.Rules.GroupBy(rule => rule.Name, StringComparer.Ordinal).SelectMany(group => group.Skip(1)))
        {
            errors.Add(twin.Error("name", $"there are two rules named '{twin.Name}'; callers' ids are made of the name"));
        }
        return new SignInSettings
        {
            PublicUrl = (declaration.PublicUrl ?? (publicUrl is { AbsolutePath: "/" } && IsSafe(publicUrl) ? publicUrl : null))?.GetLeftPart(UriPartial.Authority),
            Issuers = issuers,
            Rules = rules,
            AuthorizationServer = declaration.AuthorizationServer is { } server ? ServerOf(server, issuers) : null,
            Scopes = [.. issuers.Values.SelectMany(issuer => issuer.Scopes).Concat(rules.SelectMany(rule => rule.Scopes)).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)],
        };
    }

    /// <summary>Whether what is sent there cannot be read on the way.</summary>
    public static bool IsSafe(Uri url) => url.Scheme == Uri.UriSchemeHttps || (url.Scheme == Uri.UriSchemeHttp && url.IsLoopback);

    /// <summary>Whether a text can be a scope (RFC 6749, section 3.3).</summary>
    public static bool IsScope(string text) => text.Length is > 0 and <= 128 && text.All(c => c is >= '!' and <= '~' and not '"' and not '\\');

    private TokenIssuer IssuerOf(string name, IssuerDeclaration declaration)
    {
        Names.Check(name, declaration, errors);
        if (declaration.Issuer is { } issuer && (!IsSafe(issuer) || issuer.Query.Length > 0 || issuer.Fragment.Length > 0))
        {
            errors.Add(declaration.Error("issuer", $"expected an https:// address without query (http:// on this machine only), found '{issuer.OriginalString}'"));
        }
        if (declaration.JwksUri is { } jwks && !IsSafe(jwks))
        {
            errors.Add(declaration.Error("jwksUri", "expected an https:// address (http:// on this machine only)"));
        }
        for (var i = 0; i < declaration.Algorithms.Count; i++)
        {
            if (!Asymmetric.Contains(declaration.Algorithms[i]))
            {
                errors.Add(declaration.Error("algorithms", i, $"expected one of {string.Join(", ", Asymmetric)}, found '{declaration.Algorithms[i]}'"));
            }
        }
        CheckScopes(declaration, "scopes", declaration.Scopes);
        return new TokenIssuer
        {
            Name = name,
            Issuer = declaration.Issuer?.OriginalString ?? "",
            Audiences = [.. declaration.Audiences.Select(audience => audience.TrimEnd('/'))],
            Scopes = [.. declaration.Scopes],
            JwksUri = declaration.JwksUri,
            Algorithms = declaration.Algorithms.Count == 0 ? Usual : [.. declaration.Algorithms],
            ClockSkew = declaration.ClockSkew,
        };
    }

    private SignInRule RuleOf(SignInRuleDeclaration declaration, ImmutableDictionary<string, TokenIssuer> issuers)
    {
        Names.Check(declaration.Name, declaration, errors, "name");
        CheckIssuer(declaration, declaration.Issuer, issuers);
        CheckScopes(declaration, "scopes", declaration.Scopes);
        if (declaration.UserClaim is not null && (declaration.User ?? declaration.Team ?? declaration.Customer) is not null)
        {
            errors.Add(declaration.Error("userClaim", "names the caller's user; leave 'user', 'team' and 'customer' out, or this"));
        }
        var limits = new LimitCompiler(OwnerKind.Key, declaration.Name, errors);
        limits.Budgets(declaration.Budgets);
        limits.RateLimits(declaration.RateLimits);
        limits.Concurrency(declaration.Concurrency);
        var (parent, grants) = owners.Bind(declaration);
        return new SignInRule
        {
            Name = declaration.Name,
            Issuer = declaration.Issuer,
            Claims = [.. declaration.Claims.Select(ConditionOf)],
            Scopes = [.. declaration.Scopes],
            UserClaim = declaration.UserClaim,
            Parent = parent,
            Grants = grants,
            Limits = declaration,
        };
    }

    private ClaimCondition ConditionOf(ClaimConditionDeclaration declaration)
    {
        (ClaimComparison Comparison, string? Text)[] given =
            [(ClaimComparison.Equals, declaration.EqualTo), (ClaimComparison.Contains, declaration.Contains), (ClaimComparison.Matches, declaration.Matches)];
        var one = given.Where(part => part.Text is not null).ToList();
        if (one.Count != 1)
        {
            errors.Add(declaration.Error("", "expected exactly one of 'equalTo', 'contains' and 'matches'"));
            // Fits nobody.
            return new ClaimCondition("", ClaimComparison.Equals, "");
        }
        return new ClaimCondition(declaration.Claim, one[0].Comparison, one[0].Text!);
    }

    private AuthorizationServerSettings? ServerOf(AuthorizationServerDeclaration declaration, ImmutableDictionary<string, TokenIssuer> issuers)
    {
        CheckIssuer(declaration, declaration.Issuer, issuers);
        CheckScopes(declaration, "providerScopes", declaration.ProviderScopes);
        for (var i = 0; i < declaration.RedirectHosts.Count; i++)
        {
            var host = declaration.RedirectHosts[i];
            if (!HostNames.IsPattern(host) && !(host.EndsWith(':') && Uri.CheckSchemeName(host[..^1])))
            {
                errors.Add(declaration.Error("redirectHosts", i, $"expected a host such as 'claude.ai' or '*.example.com', or a scheme such as 'cursor:', found '{host}'"));
            }
        }
        return !issuers.TryGetValue(declaration.Issuer, out var provider) ? null : new AuthorizationServerSettings
        {
            Provider = provider,
            ClientId = declaration.ClientId,
            ClientSecret = declaration.ClientSecret,
            ProviderScopes = declaration.ProviderScopes.Count == 0 ? ["openid", "profile", "email"] : [.. declaration.ProviderScopes.Prepend("openid").Distinct(StringComparer.Ordinal)],
            RedirectHosts = [.. declaration.RedirectHosts],
            Registration = declaration.Registration,
            AccessTokenLifetime = declaration.AccessTokenLifetime,
            SignInLifetime = declaration.SignInLifetime,
            IdleLifetime = declaration.IdleLifetime,
            UnverifiedLifetime = declaration.UnverifiedLifetime,
        };
    }

    private void CheckIssuer(Declaration declaration, string? name, ImmutableDictionary<string, TokenIssuer> issuers)
    {
        if (name is not null && !issuers.ContainsKey(name))
        {
            errors.Add(declaration.Error("issuer", $"there is no issuer '{name}' under issuers; {Nearest.Hint(name, [.. issuers.Keys])}"));
        }
    }

    private void CheckScopes(Declaration declaration, string member, IReadOnlyList<string> scopes)
    {
        for (var i = 0; i < scopes.Count; i++)
        {
            if (!IsScope(scopes[i]))
            {
                errors.Add(declaration.Error(member, i, $"'{scopes[i]}' cannot be a scope: expected printable characters without spaces, quotes and backslashes"));
            }
        }
    }
}
