using System.Net;
using Shared.Configuration;
using Shared.Egress;
using Shared.Http;

namespace Shared.Snapshots;

/// <summary>Checks <c>server</c> of <c>gateway.yaml</c>.</summary>
internal static class ServerCompiler
{
    public static ServerSettings Compile(ServerDeclaration server, string gatewayFile, ICollection<ConfigError> errors)
    {
        var proxies = new List<IPNetwork>();
        for (var i = 0; i < server.TrustedProxies.Count; i++)
        {
            if (Networks.TryParse(server.TrustedProxies[i], out var network, out var problem))
            {
                proxies.Add(network);
            }
            else
            {
                errors.Add(server.Error("trustedProxies", i, problem ?? $"expected an address or a network such as 10.0.0.0/8, found '{server.TrustedProxies[i]}'"));
            }
        }
        if (proxies.Count > 0 && !server.BehindProxy)
        {
            errors.Add(server.Error("trustedProxies", "has a meaning only with 'behindProxy: true'"));
        }
        for (var i = 0; i < server.AllowedHosts.Count; i++)
        {
            if (!HostNames.IsPattern(server.AllowedHosts[i]) && !IPAddress.TryParse(server.AllowedHosts[i].Trim('[', ']'), out _))
            {
                errors.Add(server.Error("allowedHosts", i, $"expected a name without scheme and port, such as 'gateway.example.com' or '*.example.com', found '{server.AllowedHosts[i]}'"));
            }
        }
        if (server.PublicUrl is { } address && (address.Query.Length > 0 || address.Fragment.Length > 0))
        {
            errors.Add(server.Error("publicUrl", "expected an address without query and fragment"));
        }
        CheckOrigins(server, "allowedOrigins", server.AllowedOrigins, errors);
        CheckOrigins(server.Cors, "origins", server.Cors.Origins, errors);
        return new ServerSettings
        {
            Urls = [.. server.Urls],
            Tls = server.Tls is null ? null : TlsOf(server.Tls, gatewayFile, errors),
            BehindProxy = server.BehindProxy,
            TrustedProxies = [.. proxies],
            PublicHost = server.PublicUrl?.IdnHost,
            AllowedHosts = [.. server.AllowedHosts],
            AllowedOrigins = [.. server.AllowedOrigins],
            CorsOrigins = [.. server.Cors.Origins],
            CorsMaxAge = server.Cors.MaxAge,
            MaxConnections = server.MaxConnections,
        };
    }

    private static void CheckOrigins(Declaration declaration, string member, IReadOnlyList<string> origins, ICollection<ConfigError> errors)
    {
        for (var i = 0; i < origins.Count; i++)
        {
            if (OriginList.ProblemOf(origins[i]) is { } problem)
            {
                errors.Add(declaration.Error(member, i, problem));
            }
        }
    }

    private static TlsFiles? TlsOf(TlsDeclaration tls, string gatewayFile, ICollection<ConfigError> errors)
    {
        var folder = Path.GetDirectoryName(gatewayFile) ?? "";
        var password = tls.Password?.Reveal();
        if (tls.Pfx is { } pfx)
        {
            if (tls.Certificate is not null || tls.Key is not null)
            {
                errors.Add(tls.Error("pfx", "holds certificate and key; leave 'certificate' and 'key' out, or this"));
            }
            return new TlsFiles(Path.Combine(folder, pfx), null, password);
        }
        if (tls.Certificate is null || tls.Key is null)
        {
            errors.Add(tls.Error("", "expected 'certificate' and 'key' (PEM files), or 'pfx' (a PKCS#12 file)"));
            return null;
        }
        return new TlsFiles(Path.Combine(folder, tls.Certificate), Path.Combine(folder, tls.Key), password);
    }
}
