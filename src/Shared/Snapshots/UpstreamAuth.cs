using System.Collections.Immutable;
using Shared.Configuration;

namespace Shared.Snapshots;

/// <summary>How the gateway gets the token that it sends to a tool server.</summary>
public enum UpstreamAuthMode
{
    /// <summary>It sends none but what <c>headers</c> hold.</summary>
    None,

    /// <summary>It signs in as itself, without anybody (RFC 6749 section 4.4).</summary>
    ClientCredentials,

    /// <summary>A person signs in by browser (authorization code with PKCE).</summary>
    Oauth,

    /// <summary>It exchanges the caller's token, or its own word for who calls, for one of the server's (RFC 8693).</summary>
    TokenExchange,

    /// <summary>It presents a JWT that the platform issued to it (RFC 7523 section 2.1).</summary>
    JwtBearer,
}

/// <summary>Whose token a call carries.</summary>
public enum UpstreamSubject
{
    /// <summary>One for everybody.</summary>
    Shared,

    /// <summary>Each user's own; a key without a user counts as a user of its own.</summary>
    User,

    /// <summary>Each virtual key's own.</summary>
    Key,
}

/// <summary>Whose token a server's lists are read with, where users or keys have their own.</summary>
public enum UpstreamListing
{
    /// <summary>The shared one, which an admin signs in for; without it, that of whoever signed in first.</summary>
    FirstSignedIn,

    /// <summary>The shared one only; without it, none.</summary>
    Shared,
}

/// <summary>What is exchanged for a server's token.</summary>
public enum ExchangeSubject
{
    /// <summary>The token that the caller signed in to the gateway with; for a caller with a key, the gateway's word.</summary>
    CallerOrGateway,

    /// <summary>The caller's token only; a caller with a key is refused.</summary>
    Caller,

    /// <summary>The gateway's word for who calls: a JWT that it signs. Its keys are at <c>/oauth/upstream/jwks.json</c>.</summary>
    Gateway,
}

/// <summary>A header of clients that goes on to a server.</summary>
/// <param name="Name">As clients send it.</param>
/// <param name="As">As the server gets it.</param>
/// <param name="Format">The value with <c>{value}</c> for the client's; null: as it is.</param>
public sealed record PassedHeader(string Name, string As, string? Format);

/// <summary>The identity provider of an identity assertion grant.</summary>
/// <param name="TokenUrl">Its token endpoint.</param>
/// <param name="ClientId">The gateway's client id there.</param>
/// <param name="ClientSecret">Its secret, or null.</param>
public sealed record IdentityProvider(Uri TokenUrl, string ClientId, Secret? ClientSecret);

/// <summary>How the gateway signs in at a tool server: <c>upstream.auth</c> of a manifest, compiled.</summary>
public sealed record UpstreamAuth
{
    /// <summary>How a token is had.</summary>
    public UpstreamAuthMode Mode { get; init; }

    /// <summary>Whose token a call carries.</summary>
    public UpstreamSubject Per { get; init; }

    /// <summary>Whose token lists are read with.</summary>
    public UpstreamListing ListAs { get; init; }

    /// <summary>The client id that was registered beforehand, or null.</summary>
    public string? ClientId { get; init; }

    /// <summary>Its secret, or null.</summary>
    public Secret? ClientSecret { get; init; }

    /// <summary>Its private key in PEM form, or null.</summary>
    public Secret? PrivateKey { get; init; }

    /// <summary>The key's id, or null.</summary>
    public string? KeyId { get; init; }

    /// <summary>The key's algorithm; null: as its kind implies.</summary>
    public string? Algorithm { get; init; }

    /// <summary>How the client proves itself at the token endpoint; null: as the metadata allows.</summary>
    public string? TokenAuthMethod { get; init; }

    /// <summary>The address of a client id metadata document, or null.</summary>
    public string? ClientMetadataUrl { get; init; }

    /// <summary>The authorization server; null: as discovered.</summary>
    public string? Issuer { get; init; }

    /// <summary>The authorization endpoint; null: as discovered.</summary>
    public Uri? AuthorizationUrl { get; init; }

    /// <summary>The token endpoint; null: as discovered.</summary>
    public Uri? TokenUrl { get; init; }

    /// <summary>Scopes to ask for; empty: what the server asks for.</summary>
    public ImmutableArray<string> Scopes { get; init; } = [];

    /// <summary>The resource to ask for; null: as discovered; "": none.</summary>
    public string? Resource { get; init; }

    /// <summary>The audience of a token exchange, or null.</summary>
    public string? Audience { get; init; }

    /// <summary>What is exchanged.</summary>
    public ExchangeSubject Subject { get; init; }

    /// <summary>The identity provider, or null.</summary>
    public IdentityProvider? IdentityProvider { get; init; }

    /// <summary>The file of the assertion, or null.</summary>
    public string? AssertionFile { get; init; }

    /// <summary>Clients' headers that go on.</summary>
    public ImmutableArray<PassedHeader> PassHeaders { get; init; } = [];

    /// <summary>Changes with anything of the above.</summary>
    public required string Signature { get; init; }
}
