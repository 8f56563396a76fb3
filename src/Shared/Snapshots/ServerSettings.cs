using System.Collections.Immutable;
using System.Net;

namespace Shared.Snapshots;

/// <summary>Where the gateway listens and whom it answers: <c>server</c> in <c>gateway.yaml</c>, checked. Holds from start to end.</summary>
public sealed record ServerSettings
{
    /// <summary>The host of the address under which browsers reach the gateway: one of its own names; null: none is given.</summary>
    public string? PublicHost { get; init; }

    /// <summary>Addresses to listen on; empty: the default.</summary>
    public ImmutableArray<string> Urls { get; init; } = [];

    /// <summary>The certificate; null: none, so that nothing can be listened on with TLS.</summary>
    public TlsFiles? Tls { get; init; }

    /// <summary>Whether a proxy that speaks TLS stands in front.</summary>
    public bool BehindProxy { get; init; }

    /// <summary>Proxies whose forwarded headers are believed; empty: those on this machine.</summary>
    public ImmutableArray<IPNetwork> TrustedProxies { get; init; } = [];

    /// <summary>Names under which the gateway is called; empty: none was named.</summary>
    public ImmutableArray<string> AllowedHosts { get; init; } = [];

    /// <summary>Origins that may be sent, beside the gateway's own and those of <see cref="CorsOrigins"/>.</summary>
    public ImmutableArray<string> AllowedOrigins { get; init; } = [];

    /// <summary>Origins of pages that may call the gateway from a browser.</summary>
    public ImmutableArray<string> CorsOrigins { get; init; } = [];

    /// <summary>How long a browser may remember what it was told of an origin.</summary>
    public TimeSpan CorsMaxAge { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>The most connections at once.</summary>
    public int MaxConnections { get; init; } = 10_000;
}

/// <summary>Where a certificate and its key are.</summary>
/// <param name="Certificate">File of the certificate, PEM or PKCS#12.</param>
/// <param name="Key">PEM file of the key; null where <paramref name="Certificate"/> is PKCS#12.</param>
/// <param name="Password">The key's password; null: none.</param>
public sealed record TlsFiles(string Certificate, string? Key, string? Password)
{
    /// <inheritdoc/>
    public override string ToString() => Key is null ? Certificate : $"{Certificate}, {Key}";
}
