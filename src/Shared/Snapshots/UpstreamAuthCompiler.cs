using System.Security.Cryptography;
using System.Text;
using Shared.Configuration;
using Shared.Http;

namespace Shared.Snapshots;

/// <summary>Compiles <c>upstream.auth</c> of a manifest.</summary>
internal sealed class UpstreamAuthCompiler(ICollection<ConfigError> errors)
{
    private static readonly string[] Methods = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
    private static readonly string[] Algorithms = ["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

    /// <summary>Headers that belong to a connection or to the protocol, and cookies, which belong to the gateway's own address.</summary>
    private static readonly HashSet<string> Reserved = new(
        ["Connection", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "TE", "Trailer", "Upgrade", "Host", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Cookie", "Accept", "Expect", "Last-Event-ID", "MCP-Protocol-Version"],
        StringComparer.OrdinalIgnoreCase);

    /// <summary>The compiled form; null: the manifest says nothing.</summary>
    public UpstreamAuth? Compile(ManifestDeclaration manifest)
    {
        if (manifest.Upstream.Auth is not { Node: not null } auth || (manifest.Upstream.Url ?? manifest.Upstream.BaseUrl) is null)
        {
            return null;
        }
        Check(auth, manifest);
        var per = auth.Per ?? (auth.Mode == UpstreamAuthMode.TokenExchange ? UpstreamSubject.User : UpstreamSubject.Shared);
        return new UpstreamAuth
        {
            Mode = auth.Mode,
            Per = per,
            ListAs = auth.ListAs,
            ClientId = auth.ClientId,
            ClientSecret = auth.ClientSecret,
            PrivateKey = auth.PrivateKey,
            KeyId = auth.KeyId,
            Algorithm = auth.Algorithm,
            TokenAuthMethod = auth.TokenAuthMethod,
            ClientMetadataUrl = auth.ClientMetadataUrl?.OriginalString,
            Issuer = auth.Issuer,
            AuthorizationUrl = auth.AuthorizationUrl,
            TokenUrl = auth.TokenUrl,
            Scopes = [.. auth.Scopes],
            Resource = auth.Resource,
            Audience = auth.Audience,
            Subject = auth.Subject,
            IdentityProvider = auth.IdentityProvider is { TokenUrl: not null } provider ? new IdentityProvider(provider.TokenUrl, provider.ClientId, provider.ClientSecret) : null,
            AssertionFile = auth.AssertionFile,
            PassHeaders = [.. auth.PassHeaders.Select(header => new PassedHeader(header.Name, header.As ?? header.Name, header.Format))],
            Signature = SignatureOf(auth, per),
        };
    }

    private void Check(UpstreamAuthDeclaration auth, ManifestDeclaration manifest)
    {
        var mode = auth.Mode;
        Only(auth, "clientId", auth.ClientId is not null, mode != UpstreamAuthMode.None, "a mode other than 'none'");
        Only(auth, "per", auth.Per is not (null or UpstreamSubject.Shared), mode is UpstreamAuthMode.Oauth or UpstreamAuthMode.TokenExchange, "the modes 'oauth' and 'tokenExchange'");
        Only(auth, "audience", auth.Audience is not null, mode == UpstreamAuthMode.TokenExchange, "the mode 'tokenExchange'");
        Only(auth, "identityProvider", auth.IdentityProvider is not null, mode == UpstreamAuthMode.TokenExchange, "the mode 'tokenExchange'");
        Only(auth, "assertionFile", auth.AssertionFile is not null, mode == UpstreamAuthMode.JwtBearer, "the mode 'jwtBearer'");
        Only(auth, "clientMetadataUrl", auth.ClientMetadataUrl is not null, mode == UpstreamAuthMode.Oauth, "the mode 'oauth'");
        Only(auth, "authorizationUrl", auth.AuthorizationUrl is not null, mode == UpstreamAuthMode.Oauth && auth.TokenUrl is not null, "the mode 'oauth', together with 'tokenUrl'");
        if (mode == UpstreamAuthMode.Oauth && auth.TokenUrl is not null && auth.AuthorizationUrl is null)
        {
            errors.Add(auth.Error("tokenUrl", "needs 'authorizationUrl' beside it; without both, they are taken from the server's metadata"));
        }
        if (mode == UpstreamAuthMode.ClientCredentials && (auth.ClientId is null || (auth.ClientSecret is null && auth.PrivateKey is null)))
        {
            errors.Add(auth.Error("mode", "'clientCredentials' needs a 'clientId', and a 'clientSecret' or a 'privateKey'"));
        }
        if (mode == UpstreamAuthMode.TokenExchange && auth.ClientId is null)
        {
            errors.Add(auth.Error("mode", "'tokenExchange' needs a 'clientId'"));
        }
        if (mode == UpstreamAuthMode.TokenExchange && auth.Per == UpstreamSubject.Shared && auth.Subject != ExchangeSubject.Gateway)
        {
            errors.Add(auth.Error("per", "'shared' would give one caller's token to all others; use 'user' or 'key', or 'subject: gateway'"));
        }
        if (mode == UpstreamAuthMode.JwtBearer && auth.AssertionFile is null)
        {
            errors.Add(auth.Error("mode", "'jwtBearer' needs an 'assertionFile'"));
        }
        if (auth.AssertionFile is not null && manifest.FromAdminApi)
        {
            errors.Add(auth.Error("assertionFile", "the admin API may not name files of this machine; declare the server in a file"));
        }
        if (auth.ClientSecret is not null && auth.ClientId is null)
        {
            errors.Add(auth.Error("clientSecret", "needs the 'clientId' that it belongs to"));
        }
        CheckChoice(auth, "tokenAuthMethod", auth.TokenAuthMethod, Methods);
        CheckChoice(auth, "algorithm", auth.Algorithm, Algorithms);
        if (auth.TokenAuthMethod is "client_secret_basic" or "client_secret_post" && auth.ClientSecret is null && auth.ClientId is not null)
        {
            errors.Add(auth.Error("tokenAuthMethod", $"'{auth.TokenAuthMethod}' needs a 'clientSecret'"));
        }
        if (auth.TokenAuthMethod == "private_key_jwt" && auth.PrivateKey is null)
        {
            errors.Add(auth.Error("tokenAuthMethod", "'private_key_jwt' needs a 'privateKey'"));
        }
        if (auth.ClientMetadataUrl is { } document && (document.Scheme != Uri.UriSchemeHttps || document.AbsolutePath == "/" || document.Fragment.Length > 0))
        {
            errors.Add(auth.Error("clientMetadataUrl", "expected an https:// address with a path, such as https://gateway.example.com/client.json"));
        }
        if (auth.Issuer is { } issuer && (!Uri.TryCreate(issuer, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.Query.Length > 0 || uri.Fragment.Length > 0))
        {
            errors.Add(auth.Error("issuer", $"expected an http:// or https:// address without query and fragment, found '{issuer}'"));
        }
        for (var i = 0; i < auth.Scopes.Count; i++)
        {
            if (auth.Scopes[i].Length == 0 || !auth.Scopes[i].All(c => c is '!' or (>= '#' and <= '[') or (>= ']' and <= '~')))
            {
                errors.Add(auth.Error("scopes", i, $"'{auth.Scopes[i]}' cannot be a scope: expected one word without quotes and backslashes"));
            }
        }
        if (auth.PrivateKey is { } key && manifest.Enabled && !IsKey(key.Reveal()))
        {
            errors.Add(auth.Error("privateKey", "expected a private RSA or EC key in PEM form ('-----BEGIN PRIVATE KEY-----'), for example as ${file:/run/secrets/client.pem}"));
        }
        foreach (var header in auth.PassHeaders)
        {
            CheckHeader(header, mode, manifest);
        }
    }

    private void CheckHeader(PassedHeaderDeclaration header, UpstreamAuthMode mode, ManifestDeclaration manifest)
    {
        var target = header.As ?? header.Name;
        foreach (var (member, name) in new[] { ("name", header.Name), ("as", target) })
        {
            if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal)))
            {
                errors.Add(header.Error(member, $"'{name}' cannot be a header's name"));
            }
            else if (Reserved.Contains(name) || name.StartsWith("Mcp-", StringComparison.OrdinalIgnoreCase) || name.StartsWith("X-Forwarded-", StringComparison.OrdinalIgnoreCase))
            {
                errors.Add(header.Error(member, $"'{name}' belongs to the connection or the protocol, and is never passed on"));
            }
        }
        if (Credential.IsHeader(header.Name))
        {
            errors.Add(header.Error("name", $"'{header.Name}' is where clients put the gateway's own key, which never leaves the gateway; let clients send the server's credential in a header of its own, such as {{name: X-Upstream-Token, as: {header.Name}}}"));
        }
        if (target.Equals("Authorization", StringComparison.OrdinalIgnoreCase) && mode != UpstreamAuthMode.None)
        {
            errors.Add(header.Error("as", "'Authorization' is set by the mode; leave the mode at 'none' to pass the client's on"));
        }
        if (manifest.Upstream.Headers.Keys.Contains(target, StringComparer.OrdinalIgnoreCase))
        {
            errors.Add(header.Error("as", $"'{target}' stands under 'headers' as well"));
        }
        if (header.Format is { } format && (!format.Contains("{value}", StringComparison.Ordinal) || !Names.CanBeSent(new Secret(format))))
        {
            errors.Add(header.Error("format", "expected a text with {value} in it, such as 'Bearer {value}'"));
        }
    }

    private void CheckChoice(UpstreamAuthDeclaration auth, string member, string? value, string[] choices)
    {
        if (value is not null && !choices.Contains(value))
        {
            errors.Add(auth.Error(member, $"unknown value '{value}'; {Nearest.Hint(value, choices)}"));
        }
    }

    private void Only(UpstreamAuthDeclaration auth, string member, bool given, bool allowed, string where)
    {
        if (given && !allowed)
        {
            errors.Add(auth.Error(member, $"has a meaning only with {where}"));
        }
    }

    private static bool IsKey(string pem)
    {
        foreach (var make in new Func<AsymmetricAlgorithm>[] { RSA.Create, ECDsa.Create })
        {
            using var key = make();
            try
            {
                key.ImportFromPem(pem);
                return true;
            }
            catch (Exception exception) when (exception is ArgumentException or CryptographicException)
            {
                // The other kind, or none.
            }
        }
        return false;
    }

    // What was declared, as one text; secrets only by their hash.
    private static string SignatureOf(UpstreamAuthDeclaration auth, UpstreamSubject per)
    {
        var text = new StringBuilder();
        void Add(params object?[] parts)
        {
            foreach (var part in parts)
            {
                text.Append(part is Secret secret ? secret.Fingerprint() : part).Append('\u001f');
            }
        }
        Add(auth.Mode, per, auth.ListAs, auth.ClientId, auth.ClientSecret, auth.PrivateKey, auth.KeyId, auth.Algorithm, auth.TokenAuthMethod, auth.ClientMetadataUrl, auth.Issuer, auth.AuthorizationUrl, auth.TokenUrl);
        Add(string.Join(' ', auth.Scopes), auth.Resource, auth.Audience, auth.Subject, auth.IdentityProvider?.TokenUrl, auth.IdentityProvider?.ClientId, auth.IdentityProvider?.ClientSecret, auth.AssertionFile);
        foreach (var header in auth.PassHeaders)
        {
            Add(header.Name, header.As, header.Format);
        }
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }
}
