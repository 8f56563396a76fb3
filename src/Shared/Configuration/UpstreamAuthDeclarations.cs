using Shared.Configuration.Schemas;
using Shared.Snapshots;

namespace Shared.Configuration;

/// <summary>How the gateway signs in at a server over HTTP. A single word stands for the mode.</summary>
[Shorthand(nameof(Mode))]
internal sealed record UpstreamAuthDeclaration : Declaration
{
    /// <summary>How an access token is had.</summary>
    public UpstreamAuthMode Mode { get; init; }

    /// <summary>Whose token a call carries.</summary>
    [DefaultText("`user` with `tokenExchange`, otherwise `shared`")]
    public UpstreamSubject? Per { get; init; }

    /// <summary>Whose token the server's lists are read with, where each user or key has its own.</summary>
    public UpstreamListing ListAs { get; init; }

    /// <summary>The client id that the gateway is registered under at the authorization server.</summary>
    public string? ClientId { get; init; }

    /// <summary>Its secret.</summary>
    public Secret? ClientSecret { get; init; }

    /// <summary>A private key in PEM form (PKCS#8), with which the gateway signs that it is the client.</summary>
    public Secret? PrivateKey { get; init; }

    /// <summary>The id under which the authorization server knows the key.</summary>
    public string? KeyId { get; init; }

    /// <summary>The algorithm that the key signs with.</summary>
    [Choices("ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")]
    [DefaultText("as the key's kind implies: `RS256`, or `ES256`, `ES384`, `ES512` by its curve")]
    public string? Algorithm { get; init; }

    /// <summary>How the gateway proves to the token endpoint that it is the client.</summary>
    [Choices("none", "client_secret_basic", "client_secret_post", "private_key_jwt")]
    [DefaultText("as the authorization server's metadata allows")]
    public string? TokenAuthMethod { get; init; }

    /// <summary>An <c>https://</c> address of a document that describes the gateway as a client, used as its id by authorization servers that take one.</summary>
    [DefaultText("the gateway's own, where `server.publicUrl` is `https://`")]
    public Uri? ClientMetadataUrl { get; init; }

    /// <summary>The authorization server, exactly as it names itself. One that is named here may be at a private address.</summary>
    [DefaultText("what the tool server's metadata names")]
    public string? Issuer { get; init; }

    /// <summary>The authorization endpoint, for a server without metadata; with <c>tokenUrl</c>.</summary>
    public Uri? AuthorizationUrl { get; init; }

    /// <summary>The token endpoint, for a server without metadata.</summary>
    public Uri? TokenUrl { get; init; }

    /// <summary>Scopes to ask for.</summary>
    [DefaultText("what the tool server asks for")]
    public IReadOnlyList<string> Scopes { get; init; } = [];

    /// <summary>The resource that tokens are asked for (RFC 8707); an empty text sends none.</summary>
    [DefaultText("what the tool server's metadata names, or its `url`")]
    public string? Resource { get; init; }

    /// <summary>The <c>audience</c> of a token exchange.</summary>
    public string? Audience { get; init; }

    /// <summary>What is exchanged for the server's token, with <c>tokenExchange</c>.</summary>
    public ExchangeSubject Subject { get; init; }

    /// <summary>The company's identity provider: with <c>tokenExchange</c> it turns the caller's token into a grant for the authorization server (identity assertion grant).</summary>
    public IdentityProviderDeclaration? IdentityProvider { get; init; }

    /// <summary>The file of a signed JWT that the platform renews, with <c>jwtBearer</c>; read for each token.</summary>
    public string? AssertionFile { get; init; }

    /// <summary>Headers of the client's request that go on to the server with a call. None other does.</summary>
    public IReadOnlyList<PassedHeaderDeclaration> PassHeaders { get; init; } = [];
}

/// <summary>A header of the client's request that goes on to the server. A single word stands for its name.</summary>
[Shorthand(nameof(Name))]
internal sealed record PassedHeaderDeclaration : Declaration
{
    /// <summary>The header as the client sends it; none that the gateway's own key can stand in.</summary>
    public required string Name { get; init; } = "";

    /// <summary>The header as the server gets it.</summary>
    [DefaultText("the same")]
    public string? As { get; init; }

    /// <summary>The value as the server gets it, with <c>{value}</c> for the client's, such as <c>Bearer {value}</c>.</summary>
    [DefaultText("the client's")]
    public string? Format { get; init; }
}

/// <summary>The identity provider of an identity assertion grant.</summary>
internal sealed record IdentityProviderDeclaration : Declaration
{
    /// <summary>Its token endpoint.</summary>
    public required Uri TokenUrl { get; init; } = null!;

    /// <summary>The client id that the gateway has there.</summary>
    public required string ClientId { get; init; } = "";

    /// <summary>Its secret; sent in the form.</summary>
    public Secret? ClientSecret { get; init; }
}
