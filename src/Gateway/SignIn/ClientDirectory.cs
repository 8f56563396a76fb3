using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Shared.Egress;
using Shared.SignIn;

namespace Gateway.SignIn;

/// <summary>
/// Knows clients: by the metadata document that their id is the address of, or by an id that the gateway gave them when they registered, which holds
/// all there is to know, signed, so that registering takes no room here.
/// </summary>
internal sealed class ClientDirectory(SignInConnections connections, SignInSecrets secrets, TimeProvider clock)
{
    /// <summary>How long a registration holds.</summary>
    public static readonly TimeSpan RegistrationLifetime = TimeSpan.FromDays(365);

    /// <summary>How long a document is taken as it was read.</summary>
    public static readonly TimeSpan DocumentLifetime = TimeSpan.FromHours(1);

    /// <summary>The most bytes of a document.</summary>
    public const int MaxDocumentBytes = 16 * 1024;

    /// <summary>The most characters of an id.</summary>
    public const int LongestId = 4096;

    private const string RegisteredPrefix = "dcr-";
    private const string Purpose = "registered client";
    private const int MostDocuments = 1000;
    private const int LongestRegistration = 2048;

    private static readonly TimeSpan FailureLifetime = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, (OAuthClient? Client, string Problem, DateTimeOffset Until)> documents = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim fetches = new(64);

    /// <summary>The client of an id, or what is wrong.</summary>
    public async Task<(OAuthClient? Client, string Problem)> FindAsync(string id, CancellationToken cancellationToken)
    {
        if (id.Length is 0 or > LongestId)
        {
            return (null, "'client_id' is missing or too long.");
        }
        if (id.StartsWith(RegisteredPrefix, StringComparison.Ordinal))
        {
            return FindRegistered(id);
        }
        if (!id.StartsWith("https://", StringComparison.Ordinal))
        {
            return (null, "The client is not known here. 'client_id' is the https:// address of its metadata document, or an id that it got by registering here.");
        }
        if (ProblemOf(id) is { } problem)
        {
            return (null, problem);
        }
        if (documents.TryGetValue(id, out var known) && clock.GetUtcNow() < known.Until)
        {
            return (known.Client, known.Problem);
        }
        await fetches.WaitAsync(cancellationToken);
        try
        {
            var (client, wrong) = await FetchAsync(id, cancellationToken);
            if (documents.Count >= MostDocuments)
            {
                documents.Clear();
            }
            documents[id] = (client, wrong, clock.GetUtcNow() + (client is null ? FailureLifetime : DocumentLifetime));
            return (client, wrong);
        }
        finally
        {
            fetches.Release();
        }
    }

    /// <summary>Registers a client.</summary>
    /// <param name="metadata">What it says of itself (RFC 7591, section 2).</param>
    /// <returns>The client and when it was registered, or what is wrong.</returns>
    public (OAuthClient? Client, DateTimeOffset At, OAuthError? Error) Register(JsonElement metadata)
    {
        var (redirects, problem) = RedirectsOf(metadata);
        if (redirects is null)
        {
            return (null, default, new OAuthError("invalid_redirect_uri", problem));
        }
        if (!Supports(metadata, "grant_types", "authorization_code") || !Supports(metadata, "response_types", "code"))
        {
            return (null, default, new OAuthError("invalid_client_metadata", "'grant_types' must hold 'authorization_code', and 'response_types' 'code'."));
        }
        var now = clock.GetUtcNow();
        var name = OAuthClient.Shown(TextOf(metadata, "client_name"), "an unnamed client");
        var content = new JsonObject
        {
            ["n"] = name,
            ["r"] = new JsonArray([.. redirects.Select(redirect => (JsonNode)redirect)]),
            ["e"] = (now + RegistrationLifetime).ToUnixTimeSeconds(),
        };
        var bytes = JsonSerializer.SerializeToUtf8Bytes(content);
        return bytes.Length > LongestRegistration
            ? (null, default, new OAuthError("invalid_client_metadata", $"'redirect_uris' and 'client_name' have more than {LongestRegistration} characters together."))
            : (new OAuthClient(RegisteredPrefix + secrets.Sign(Purpose, bytes), name, redirects, null), now, null);
    }

    private (OAuthClient? Client, string Problem) FindRegistered(string id)
    {
        if (!secrets.TryVerify(Purpose, id.AsSpan(RegisteredPrefix.Length), out var content))
        {
            return (null, "The client is not registered here. It must register anew.");
        }
        using var document = JsonDocument.Parse(content);
        var root = document.RootElement;
        return clock.GetUtcNow().ToUnixTimeSeconds() >= root.GetProperty("e").GetInt64()
            ? (null, "The client's registration has expired. It must register anew.")
            : (new OAuthClient(id, root.GetProperty("n").GetString()!, [.. root.GetProperty("r").EnumerateArray().Select(item => item.GetString()!)], null), "");
    }

    // What the draft on client id metadata documents demands of the address.
    private static string? ProblemOf(string id) =>
        !Uri.TryCreate(id, UriKind.Absolute, out var url) || url.Scheme != Uri.UriSchemeHttps || url.UserInfo.Length > 0 || id.Contains('#', StringComparison.Ordinal)
            || url.AbsolutePath is "" or "/" || id.Split('?')[0].Split('/').Any(part => part is "." or "..") || id.Any(c => c is <= ' ' or > '~' or '\\')
            ? "'client_id' is no address of a metadata document: expected https:// with a path, without fragment, credentials and dot segments."
            : null;

    private async Task<(OAuthClient? Client, string Problem)> FetchAsync(string id, CancellationToken cancellationToken)
    {
        JsonReply reply;
        try
        {
            reply = await connections.GetAsync(new Uri(id), EgressTrust.Remote, MaxDocumentBytes, cancellationToken);
        }
        catch (SignInUnavailableException)
        {
            // Why is not told: it would tell a stranger what the gateway can reach.
            return (null, "The client's metadata document, which 'client_id' is the address of, cannot be fetched.");
        }
        if (reply.Status != HttpStatusCode.OK || reply.Body is not { } body)
        {
            return (null, "The client's metadata document, which 'client_id' is the address of, cannot be fetched.");
        }
        if (TextOf(body, "client_id") != id)
        {
            return (null, "The client's metadata document names another 'client_id' than its address.");
        }
        if (body.TryGetProperty("client_secret", out _) || TextOf(body, "token_endpoint_auth_method") is not (null or "none"))
        {
            return (null, "The client's metadata document must not ask for a secret or a key: 'token_endpoint_auth_method' must be 'none'.");
        }
        var (redirects, problem) = RedirectsOf(body);
        var host = new Uri(id).IdnHost;
        return redirects is null ? (null, $"The client's metadata document: {problem}") : (new OAuthClient(id, OAuthClient.Shown(TextOf(body, "client_name"), host), redirects, host), "");
    }

    private static (IReadOnlyList<string>? Redirects, string Problem) RedirectsOf(JsonElement metadata)
    {
        if (!metadata.TryGetProperty("redirect_uris", out var list) || list.ValueKind != JsonValueKind.Array || list.GetArrayLength() is 0 or > OAuthClient.MaxRedirects)
        {
            return (null, $"'redirect_uris' must be a list of 1 to {OAuthClient.MaxRedirects} addresses.");
        }
        List<string> redirects = [];
        foreach (var item in list.EnumerateArray())
        {
            var address = item.ValueKind == JsonValueKind.String ? item.GetString() : null;
            if (OAuthClient.ProblemOf(address) is { } problem)
            {
                return (null, $"'redirect_uris[{redirects.Count}]': {problem}.");
            }
            redirects.Add(address!);
        }
        return (redirects, "");
    }

    private static bool Supports(JsonElement metadata, string member, string value) =>
        !metadata.TryGetProperty(member, out var list) || (list.ValueKind == JsonValueKind.Array && list.EnumerateArray().Any(item => item.ValueKind == JsonValueKind.String && item.GetString() == value));

    private static string? TextOf(JsonElement metadata, string member) =>
        metadata.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
