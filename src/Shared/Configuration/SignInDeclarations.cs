using Shared.Configuration.Schemas;

namespace Shared.Configuration;

/// <summary>How people sign in with an account of the company instead of a key, and what they may then do.</summary>
internal sealed record SignInDeclaration : Declaration
{
    /// <summary>The address under which clients reach the gateway, scheme, host and port without a path, such as <c>https://gateway.example.com</c>.</summary>
    [DefaultText("`server.publicUrl`, else that of each request, where its host is one of the gateway's own names")]
    public Uri? PublicUrl { get; init; }

    /// <summary>Whose access tokens are accepted, by a name of one's own. Empty: sign-in is off.</summary>
    [Pattern("^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
    public IReadOnlyDictionary<string, IssuerDeclaration> Issuers { get; init; } = new Dictionary<string, IssuerDeclaration>();

    /// <summary>Who may do what. The first rule that fits a caller counts; a caller whom none fits is refused.</summary>
    public IReadOnlyList<SignInRuleDeclaration> Rules { get; init; } = [];

    /// <summary>Lets clients sign in that the company's provider does not know: the gateway is an authorization server to them, and one client of the provider's.</summary>
    public AuthorizationServerDeclaration? AuthorizationServer { get; init; }
}

/// <summary>An entry under <c>signIn.issuers</c>: an OpenID Connect provider, or another issuer of access tokens in the form of JWTs.</summary>
internal sealed record IssuerDeclaration : Declaration
{
    /// <summary>The issuer exactly as its tokens name it in <c>iss</c>; <c>https://</c>, or <c>http://</c> on this machine.</summary>
    public required Uri Issuer { get; init; } = null!;

    /// <summary>What its tokens may hold in <c>aud</c>. An address of the gateway's counts for what lies below it, anything else for every endpoint.</summary>
    [DefaultText("the address of the endpoint, and those above it")]
    public IReadOnlyList<string> Audiences { get; init; } = [];

    /// <summary>Scopes that a token must hold, all of them.</summary>
    public IReadOnlyList<string> Scopes { get; init; } = [];

    /// <summary>Where its keys are.</summary>
    [DefaultText("as its metadata says (RFC 8414, OpenID Connect Discovery)")]
    public Uri? JwksUri { get; init; }

    /// <summary>Algorithms that its tokens may be signed with, asymmetric ones only.</summary>
    [Choices("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")]
    [DefaultText("`RS256`, `PS256`, `ES256`")]
    public IReadOnlyList<string> Algorithms { get; init; } = [];

    /// <summary>How far its clock may be off.</summary>
    [Bounds("0s", "5m")]
    public TimeSpan ClockSkew { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>An item under <c>signIn.rules</c>: what callers may do whom it fits. Its budgets and limits hang on each of them.</summary>
internal sealed record SignInRuleDeclaration : OwnerDeclaration
{
    /// <summary>Its name. A caller's id is made of it, so that a rule of another name begins its budgets anew.</summary>
    public required string Name { get; init; } = "";

    /// <summary>The name of the issuer under <c>issuers</c> whose callers it fits.</summary>
    [DefaultText("any")]
    public string? Issuer { get; init; }

    /// <summary>What must hold of a caller's claims, all of it. A rule without any fits everybody whom the issuer knows.</summary>
    public IReadOnlyList<ClaimConditionDeclaration> Claims { get; init; } = [];

    /// <summary>Scopes that the token must hold beside the issuer's, all of them.</summary>
    public IReadOnlyList<string> Scopes { get; init; } = [];

    /// <summary>A claim that holds the id of an entry under <c>users</c>, such as <c>email</c>: the caller is that user's. A caller for whom there is none is not fitted.</summary>
    public string? UserClaim { get; init; }

    /// <summary>Id of the user whom the callers belong to. A rule names at most one of userClaim, user, team and customer.</summary>
    public string? User { get; init; }

    /// <summary>Id of the team that the callers belong to without a user between.</summary>
    public string? Team { get; init; }

    /// <summary>Id of the customer that the callers belong to without a user or team between.</summary>
    public string? Customer { get; init; }
}

/// <summary>A condition on a claim; of a claim with several values one must meet it.</summary>
[ExactlyOne(nameof(EqualTo), nameof(Contains), nameof(Matches))]
internal sealed record ClaimConditionDeclaration : Declaration
{
    /// <summary>The claim: its name, or a path of names joined by dots, such as <c>realm_access.roles</c>. A name that itself holds dots is looked for first.</summary>
    public required string Claim { get; init; } = "";

    /// <summary>The claim is this very text, number or truth value, and no list.</summary>
    public string? EqualTo { get; init; }

    /// <summary>The claim is a list, or a text of words, and this is among them.</summary>
    public string? Contains { get; init; }

    /// <summary>A value of the claim matches this glob: <c>*</c> stands for any run of characters, <c>?</c> for one.</summary>
    public string? Matches { get; init; }
}

/// <summary>The gateway as an authorization server: it knows clients by their metadata documents or lets them register, and sends people to the company's provider.</summary>
internal sealed record AuthorizationServerDeclaration : Declaration
{
    /// <summary>The name of the provider under <c>issuers</c> at which people sign in.</summary>
    public required string Issuer { get; init; } = "";

    /// <summary>The id by which the provider knows the gateway. Register <c>/oauth/callback</c> of the gateway's address as its redirect URI.</summary>
    public required string ClientId { get; init; } = "";

    /// <summary>The secret that goes with it.</summary>
    public required Secret ClientSecret { get; init; } = new("");

    /// <summary>Scopes that the provider is asked for.</summary>
    [DefaultText("`openid`, `profile`, `email`")]
    public IReadOnlyList<string> ProviderScopes { get; init; } = [];

    /// <summary>Hosts to which clients may have people sent back, such as <c>claude.ai</c> or <c>*.example.com</c>; <c>localhost</c> stands for this machine's own addresses, and <c>cursor:</c> for that scheme.</summary>
    [DefaultText("any")]
    public IReadOnlyList<string> RedirectHosts { get; init; } = [];

    /// <summary>Whether clients may register themselves (RFC 7591).</summary>
    public bool Registration { get; init; } = true;

    /// <summary>How long an access token holds.</summary>
    [Bounds("1m", "24h")]
    public TimeSpan AccessTokenLifetime { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>How long a sign-in holds that is renewed; then the person signs in anew.</summary>
    [Bounds("5m", "365d")]
    public TimeSpan SignInLifetime { get; init; } = TimeSpan.FromDays(30);

    /// <summary>How long a sign-in holds that is not renewed.</summary>
    [Bounds("5m", "365d")]
    public TimeSpan IdleLifetime { get; init; } = TimeSpan.FromDays(7);

    /// <summary>How long a sign-in holds where the provider gives no refresh token, so that nobody can ask it whether the account still exists.</summary>
    [Bounds("5m", "30d")]
    public TimeSpan UnverifiedLifetime { get; init; } = TimeSpan.FromHours(12);
}
