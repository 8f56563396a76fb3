using System.Collections.Immutable;
using System.Text;
using System.Text.Json.Nodes;
using Shared.Snapshots;

namespace McpHub.OpenApi;

/// <summary>Fills the security schemes of a document in with the credentials of a manifest.</summary>
internal sealed class Credentials
{
    // What HTTP itself is made of belongs to nobody but the client.
    private static readonly string[] Reserved =
    [
        "Host", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "TE", "Trailer", "Expect", "Proxy-Authorization", "Proxy-Connection", "Cookie",
        "Accept-Encoding", "traceparent", "tracestate",
    ];

    // Null: the sign-in of the manifest gives it.
    private readonly Dictionary<string, AppliedCredential?> bySchemes = new(StringComparer.Ordinal);
    private readonly HashSet<string> missing = new(StringComparer.Ordinal);

    /// <param name="root">The document.</param>
    /// <param name="references">Follows its references.</param>
    /// <param name="source">The manifest's credentials.</param>
    /// <param name="signsIn">Whether requests carry a token that the manifest's sign-in gives: it serves every scheme of bearer tokens.</param>
    /// <exception cref="DocumentException">A credential belongs to no scheme, or to one of another kind.</exception>
    public Credentials(JsonObject root, LocalReferences references, OpenApiSource source, bool signsIn)
    {
        var schemes = (root["components"] as JsonObject)?["securitySchemes"] as JsonObject ?? [];
        if (signsIn)
        {
            foreach (var (name, scheme) in schemes)
            {
                if (references.Follow(scheme) is JsonObject known && IsBearer(known))
                {
                    bySchemes[name] = null;
                }
            }
        }
        foreach (var (name, credential) in source.Credentials.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            if (!schemes.TryGetPropertyValue(name, out var scheme) || references.Follow(scheme) is not JsonObject known)
            {
                throw new DocumentException($"upstream.credentials names the security scheme {DocumentException.Show(name)}, which the document does not have{(schemes.Count == 0 ? "" : $"; it has {string.Join(", ", schemes.Take(10).Select(pair => DocumentException.Show(pair.Key)))}")}.");
            }
            bySchemes[name] = Apply(name, known, credential);
        }
    }

    /// <summary>Schemes that some operation needs and the manifest has no credential for, in order.</summary>
    public IReadOnlyList<string> Missing => [.. missing.Order(StringComparer.Ordinal)];

    /// <summary>Every secret text of a manifest's credentials, in each form in which it is sent.</summary>
    public static IEnumerable<string> SecretsOf(OpenApiSource source)
    {
        foreach (var credential in source.Credentials.Values)
        {
            if (credential.Secret is { Length: > 0 } secret)
            {
                yield return secret;
            }
            if (credential.Username is { } user)
            {
                yield return Basic(user, credential.Password);
                if (credential.Password is { Length: > 0 } password)
                {
                    yield return password;
                }
            }
        }
    }

    /// <summary>Whether a header may be set by what a document says.</summary>
    public static bool MaySet(string header) =>
        header.Length > 0 && header.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal)) && !Reserved.Contains(header, StringComparer.OrdinalIgnoreCase);

    /// <summary>What an operation is called with: the first of its alternatives that the manifest has all credentials for.</summary>
    public ImmutableArray<AppliedCredential> For(JsonNode? security)
    {
        if (security is not JsonArray alternatives || alternatives.Count == 0)
        {
            return [];
        }
        var wanted = alternatives.OfType<JsonObject>().Select(alternative => alternative.Select(pair => pair.Key).ToList()).ToList();
        // One with a credential is better than the empty one, which only says that none is needed.
        var found = wanted.Find(names => names.Count > 0 && names.TrueForAll(bySchemes.ContainsKey));
        if (found is null && wanted.Count > 0 && wanted.TrueForAll(names => names.Count > 0))
        {
            missing.UnionWith(wanted[0].Where(name => !bySchemes.ContainsKey(name)));
        }
        return [.. (found ?? []).Select(name => bySchemes[name]).OfType<AppliedCredential>()];
    }

    private static bool IsBearer(JsonObject scheme) => LocalReferences.Text(scheme["type"]) switch
    {
        "oauth2" or "openIdConnect" => true,
        "http" => "bearer".Equals(LocalReferences.Text(scheme["scheme"]), StringComparison.OrdinalIgnoreCase),
        _ => false,
    };

    private static string Basic(string user, string? password) => Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{password}"));

    private static AppliedCredential Apply(string name, JsonObject scheme, OpenApiCredential credential)
    {
        var type = LocalReferences.Text(scheme["type"]) ?? "";
        var http = type == "http" ? LocalReferences.Text(scheme["scheme"])?.ToLowerInvariant() ?? "" : "";
        if (type == "http" && http == "basic")
        {
            return new AppliedCredential(ParameterPlace.Header, "Authorization", "Basic " + (credential.Username is { } user ? Basic(user, credential.Password)
                : throw new DocumentException($"The credential of the security scheme {DocumentException.Show(name)} must be a username and a password.")));
        }
        var secret = credential.Secret ?? throw new DocumentException($"The credential of the security scheme {DocumentException.Show(name)} must be a secret.");
        if (IsBearer(scheme))
        {
            return new AppliedCredential(ParameterPlace.Header, "Authorization", "Bearer " + secret);
        }
        if (type != "apiKey")
        {
            throw new DocumentException($"The security scheme {DocumentException.Show(name)} is of a kind that is not supported ({DocumentException.Show($"{type} {http}".Trim())}); use upstream.headers.");
        }
        var member = LocalReferences.Text(scheme["name"]) ?? "";
        return (LocalReferences.Text(scheme["in"]), member) switch
        {
            ("header", _) when MaySet(member) => new AppliedCredential(ParameterPlace.Header, member, secret),
            ("query", { Length: > 0 }) => new AppliedCredential(ParameterPlace.Query, member, secret),
            ("cookie", { Length: > 0 }) when MaySet(member) => new AppliedCredential(ParameterPlace.Cookie, member, secret),
            _ => throw new DocumentException($"The security scheme {DocumentException.Show(name)} says of no header, query parameter or cookie that can be set."),
        };
    }
}
