using System.Net;
using Shared.Snapshots;

namespace McpHub.Upstreams.SignIn;

/// <summary>Where tokens for a tool server are had.</summary>
internal sealed record Authority
{
    /// <summary>The authorization server, exactly as it names itself.</summary>
    public required string Issuer { get; init; }

    /// <summary>Where a person signs in; null: nowhere.</summary>
    public Uri? AuthorizationEndpoint { get; init; }

    /// <summary>Where tokens are had.</summary>
    public required Uri TokenEndpoint { get; init; }

    /// <summary>Where a client registers by itself; null: nowhere.</summary>
    public Uri? RegistrationEndpoint { get; init; }

    /// <summary>How clients may prove themselves at the token endpoint; null: it does not say, which means <c>client_secret_basic</c> (RFC 8414 section 2).</summary>
    public IReadOnlyList<string>? TokenAuthMethods { get; init; }

    /// <summary>Scopes that the authorization server knows; null: it does not say.</summary>
    public IReadOnlyList<string>? Scopes { get; init; }

    /// <summary>Scopes that the tool server's metadata names; null: it does not say.</summary>
    public IReadOnlyList<string>? ResourceScopes { get; init; }

    /// <summary>Whether the address of a document serves as a client id.</summary>
    public bool TakesClientMetadata { get; init; }

    /// <summary>Whether its redirects carry <c>iss</c> (RFC 9207).</summary>
    public bool SendsIssuer { get; init; }

    /// <summary>The resource that tokens are asked for; null: none.</summary>
    public string? Resource { get; init; }
}

/// <summary>
/// Finds the authorization server of a tool server: protected resource metadata (RFC 9728), then authorization server metadata (RFC 8414, OpenID Connect Discovery), in the
/// order that the specification demands (2026-07-28, basic/authorization); a server of revision 2025-03-26 without the first is its own.
/// </summary>
internal sealed class Discovery(OAuthHttp http, ToolManifest manifest)
{
    private const int MostIssuers = 5;

    private const string ResourceSuffix = "/.well-known/oauth-protected-resource";

    private UpstreamAuth Auth => manifest.Auth!;

    /// <exception cref="SignInException">It cannot be found, or what was found contradicts itself.</exception>
    public async Task<Authority> FindAsync(Challenge challenge, CancellationToken cancellationToken)
    {
        if (Auth.TokenUrl is { } token)
        {
            return new Authority
            {
                Issuer = Auth.Issuer ?? token.GetLeftPart(UriPartial.Authority),
                AuthorizationEndpoint = Auth.AuthorizationUrl,
                TokenEndpoint = token,
                Resource = Auth.Resource ?? ResourceOf(manifest.Address!),
            };
        }
        var resource = await ResourceAsync(challenge, cancellationToken);
        if (resource is not { } found)
        {
            return await LegacyAsync(cancellationToken);
        }
        var resourceName = Auth.Resource ?? found.Text("resource");
        var named = found.Texts("authorization_servers") is { Count: > 0 } list ? list : null;
        if (Auth.Issuer is { } wanted)
        {
            if (named is not null && !named.Any(issuer => IsSame(issuer, wanted)))
            {
                throw new SignInException($"The tool server's metadata name {string.Join(", ", named.Take(MostIssuers).Select(Shorten))} as authorization server, but the manifest's 'auth.issuer' is {wanted}.");
            }
            named = [wanted];
        }
        if (named is null)
        {
            throw new SignInException("The tool server's metadata name no authorization server; set 'auth.issuer' in the manifest.");
        }
        SignInException? first = null;
        foreach (var issuer in named.Take(MostIssuers))
        {
            try
            {
                var metadata = await MetadataAsync(issuer, cancellationToken)
                    ?? throw new SignInException($"The authorization server {Shorten(issuer)} has no metadata, neither of OAuth nor of OpenID Connect; set 'auth.authorizationUrl' and 'auth.tokenUrl' in the manifest.");
                return metadata with { Resource = resourceName, ResourceScopes = found.Texts("scopes_supported") };
            }
            catch (SignInException exception)
            {
                first ??= exception;
            }
        }
        throw first!;
    }

    /// <summary>The tool server as a resource: its address without fragment, and without a slash that is all of its path.</summary>
    internal static string ResourceOf(Uri url) => url.AbsolutePath == "/" && url.Query.Length == 0 ? url.GetLeftPart(UriPartial.Authority) : url.GetLeftPart(UriPartial.Query);

    /// <summary>The addresses of an issuer's metadata, in the order in which they are tried.</summary>
    internal static IEnumerable<Uri> MetadataAddresses(Uri issuer)
    {
        var (origin, path) = (issuer.GetLeftPart(UriPartial.Authority), issuer.AbsolutePath.TrimEnd('/'));
        yield return new Uri($"{origin}/.well-known/oauth-authorization-server{path}");
        yield return new Uri($"{origin}/.well-known/openid-configuration{path}");
        if (path.Length > 0)
        {
            yield return new Uri($"{origin}{path}/.well-known/openid-configuration");
        }
    }

    private async Task<OAuthReply?> ResourceAsync(Challenge challenge, CancellationToken cancellationToken)
    {
        var (origin, path) = (manifest.Address!.GetLeftPart(UriPartial.Authority), manifest.Address.AbsolutePath.TrimEnd('/'));
        List<Uri> places = [];
        if (challenge.ResourceMetadata is { } told)
        {
            places.Add(told);
        }
        places.Add(new Uri($"{origin}{ResourceSuffix}{path}"));
        places.Add(new Uri($"{origin}{ResourceSuffix}"));
        foreach (var place in places.Distinct())
        {
            var reply = await http.GetAsync(place, manifest, cancellationToken);
            if (reply is { IsSuccess: true, Json: not null })
            {
                Validate(reply, place);
                return reply;
            }
            RequireAnswer(reply, place);
        }
        return null;
    }

    private void Validate(OAuthReply reply, Uri place)
    {
        // Whoever can answer for another resource could have tokens for it sent here.
        if (reply.Text("resource") is not { } resource || !Uri.TryCreate(resource, UriKind.Absolute, out var uri) || !Covers(uri, manifest.Address!))
        {
            throw new SignInException($"The metadata at {OAuthHttp.Shown(place)} are of another resource ({Shorten(reply.Text("resource") ?? "none")}) than {OAuthHttp.Shown(manifest.Address!)}.");
        }
    }

    /// <summary>Whether a resource is the server, or a part of its address above it.</summary>
    internal static bool Covers(Uri resource, Uri server)
    {
        if (resource.Scheme != server.Scheme || !resource.IdnHost.Equals(server.IdnHost, StringComparison.OrdinalIgnoreCase) || resource.Port != server.Port)
        {
            return false;
        }
        var (above, path) = (resource.AbsolutePath.TrimEnd('/') + "/", server.AbsolutePath.TrimEnd('/') + "/");
        return path.StartsWith(above, StringComparison.Ordinal);
    }

    // Revision 2025-03-26: the tool server's own origin is the authorization server, with metadata or with fixed paths.
    private async Task<Authority> LegacyAsync(CancellationToken cancellationToken)
    {
        var origin = manifest.Address!.GetLeftPart(UriPartial.Authority);
        var issuer = Auth.Issuer ?? origin;
        if (await MetadataAsync(issuer, cancellationToken, isLegacy: Auth.Issuer is null) is { } metadata)
        {
            return metadata with { Resource = Auth.Resource ?? ResourceOf(manifest.Address) };
        }
        if (Auth.Issuer is not null)
        {
            throw new SignInException($"The authorization server {Shorten(issuer)} has no metadata, neither of OAuth nor of OpenID Connect; set 'auth.authorizationUrl' and 'auth.tokenUrl' in the manifest.");
        }
        return new Authority
        {
            Issuer = origin,
            AuthorizationEndpoint = new Uri($"{origin}/authorize"),
            TokenEndpoint = new Uri($"{origin}/token"),
            RegistrationEndpoint = new Uri($"{origin}/register"),
            Resource = Auth.Resource ?? ResourceOf(manifest.Address),
        };
    }

    private async Task<Authority?> MetadataAsync(string issuer, CancellationToken cancellationToken, bool isLegacy = false)
    {
        if (!Uri.TryCreate(issuer, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.Query.Length > 0 || uri.Fragment.Length > 0)
        {
            throw new SignInException($"The authorization server's name {Shorten(issuer)} is no address.");
        }
        foreach (var place in MetadataAddresses(uri))
        {
            var reply = await http.GetAsync(place, manifest, cancellationToken);
            if (reply is { IsSuccess: true, Json: not null })
            {
                return Read(reply, issuer, place, isLegacy);
            }
            RequireAnswer(reply, place);
        }
        return null;
    }

    private Authority Read(OAuthReply reply, string issuer, Uri place, bool isLegacy)
    {
        // RFC 8414 section 3.3. A single slash after the host makes no other address of it. Where nobody named an issuer, any of the server's own origin is the server's word for itself.
        if (reply.Text("issuer") is not { } named || !(IsSame(named, issuer) || (isLegacy && Uri.TryCreate(named, UriKind.Absolute, out var own) && own.GetLeftPart(UriPartial.Authority) == issuer)))
        {
            throw new SignInException($"The metadata at {OAuthHttp.Shown(place)} are of another authorization server ({Shorten(reply.Text("issuer") ?? "none")}) than {Shorten(issuer)}.");
        }
        var authorization = Endpoint(reply, "authorization_endpoint");
        if (Auth.Mode == UpstreamAuthMode.Oauth)
        {
            if (authorization is null)
            {
                throw new SignInException($"The authorization server {Shorten(issuer)} has no authorization endpoint.");
            }
            if (reply.Texts("code_challenge_methods_supported") is not { } methods || !methods.Contains("S256"))
            {
                throw new SignInException($"The authorization server {Shorten(issuer)} does not say that it takes PKCE with S256, which the protocol demands. If it does, set 'auth.authorizationUrl' and 'auth.tokenUrl' in the manifest.");
            }
        }
        return new Authority
        {
            Issuer = named,
            AuthorizationEndpoint = authorization,
            TokenEndpoint = Endpoint(reply, "token_endpoint") ?? throw new SignInException($"The authorization server {Shorten(issuer)} has no token endpoint."),
            RegistrationEndpoint = Endpoint(reply, "registration_endpoint"),
            TokenAuthMethods = reply.Texts("token_endpoint_auth_methods_supported"),
            Scopes = reply.Texts("scopes_supported"),
            TakesClientMetadata = reply.IsTrue("client_id_metadata_document_supported"),
            SendsIssuer = reply.IsTrue("authorization_response_iss_parameter_supported"),
        };
    }

    private Uri? Endpoint(OAuthReply reply, string member)
    {
        if (reply.Text(member) is not { } text)
        {
            return null;
        }
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
        {
            throw new SignInException($"The authorization server's '{member}' is no address.");
        }
        OAuthHttp.RequireSafe(uri, manifest);
        return uri;
    }

    /// <summary>A document that is not there leads on to the next place; a server in trouble does not, as it would be taken for one that has none.</summary>
    private static void RequireAnswer(OAuthReply reply, Uri place)
    {
        if ((int)reply.Status >= 500 || reply.Status == HttpStatusCode.TooManyRequests)
        {
            throw new SignInException($"{OAuthHttp.Shown(place)} answered with HTTP status {OAuthHttp.Shown(reply.Status)}.", isTransient: true) { RetryAfter = reply.RetryAfter };
        }
    }

    private static bool IsSame(string one, string other) => one == other
        || (one.TrimEnd('/') == other.TrimEnd('/') && Math.Abs(one.Length - other.Length) == 1 && Uri.TryCreate(one, UriKind.Absolute, out var uri) && uri.AbsolutePath == "/");

    private static string Shorten(string text) => text.Length <= 200 ? text : text[..200] + "…";
}
