using Shared.Configuration.Schemas;

namespace Shared.Configuration;

/// <summary>Where the gateway listens and whom it answers. Read at start only.</summary>
internal sealed record ServerDeclaration : Declaration
{
    /// <summary>Addresses to listen on, such as <c>http://127.0.0.1:8080</c> or <c>https://0.0.0.0:8443</c>; <c>--urls</c> wins.</summary>
    [OneOrMany]
    public IReadOnlyList<string> Urls { get; init; } = [];

    /// <summary>The certificate of <c>https://</c> addresses.</summary>
    public TlsDeclaration? Tls { get; init; }

    /// <summary>Whether a proxy that speaks TLS stands in front, so that addresses beyond this machine may be listened on without TLS.</summary>
    public bool BehindProxy { get; init; }

    /// <summary>Addresses and networks of the proxies whose <c>X-Forwarded-For</c>, <c>-Proto</c> and <c>-Host</c> are believed; needs <c>behindProxy</c>.</summary>
    public IReadOnlyList<string> TrustedProxies { get; init; } = [];

    /// <summary>Names under which the gateway is called, without ports, such as <c>gateway.example.com</c> or <c>*.example.com</c>. This machine's own names are always among them.</summary>
    public IReadOnlyList<string> AllowedHosts { get; init; } = [];

    /// <summary>Origins that may be sent in the header <c>Origin</c>, such as <c>https://app.example.com</c>; the gateway's own and those of <c>cors</c> are always among them.</summary>
    public IReadOnlyList<string> AllowedOrigins { get; init; } = [];

    /// <summary>
    /// The address under which browsers reach the gateway, such as <c>https://gateway.example.com</c>: links to sign in lead there, and authorization servers send people back there.
    /// </summary>
    [DefaultText("the first address that is listened on")]
    public Uri? PublicUrl { get; init; }

    /// <summary>Which web pages may call the gateway from a browser.</summary>
    public CorsDeclaration Cors { get; init; } = new();

    /// <summary>The most connections at once; further ones are closed at once.</summary>
    [Bounds("1", "1000000")]
    public int MaxConnections { get; init; } = 10_000;

    /// <summary>
    /// Whether MCP clients are served that know nothing newer than the HTTP+SSE of 2024-11-05, at <c>/mcp/sse</c>. Unlike the rest of <c>server</c> it takes effect without a
    /// restart, for streams that are opened from then on.
    /// </summary>
    public bool LegacySse { get; init; }
}

/// <summary>A certificate: two PEM files, or one PKCS#12 file. Paths are relative to the folder of <c>gateway.yaml</c>. Renewed files are taken up without a restart.</summary>
internal sealed record TlsDeclaration : Declaration
{
    /// <summary>PEM file of the certificate, followed by those that lead to its root.</summary>
    public string? Certificate { get; init; }

    /// <summary>PEM file of its private key.</summary>
    public string? Key { get; init; }

    /// <summary>PKCS#12 file of certificate and key, in place of the two.</summary>
    public string? Pfx { get; init; }

    /// <summary>Password of the key, where it has one.</summary>
    public Secret? Password { get; init; }
}

/// <summary>Cross-origin resource sharing: what browsers are told of pages that may call the gateway.</summary>
internal sealed record CorsDeclaration : Declaration
{
    /// <summary>Origins of the pages, such as <c>https://app.example.com</c> or <c>https://*.example.com</c>.</summary>
    public IReadOnlyList<string> Origins { get; init; } = [];

    /// <summary>How long a browser may remember the answer.</summary>
    [Bounds("0s", "1d")]
    public TimeSpan MaxAge { get; init; } = TimeSpan.FromMinutes(10);
}

/// <summary>Which addresses the gateway may connect to: exceptions from the policy.</summary>
internal sealed record EgressDeclaration : Declaration
{
    /// <summary>Host names (<c>db.internal</c>, <c>*.internal</c>), addresses and networks (<c>10.0.0.0/8</c>) that are connected to although the policy would refuse them.</summary>
    public IReadOnlyList<string> Allow { get; init; } = [];

    /// <summary>The same, refused whatever else says.</summary>
    public IReadOnlyList<string> Deny { get; init; } = [];
}
