using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Shared.Egress;
using Shared.Snapshots;

namespace McpHub.Upstreams.SignIn;

/// <summary>What came back for a request: its status, and its body where that is a JSON object.</summary>
internal readonly record struct OAuthReply(HttpStatusCode Status, JsonElement? Json, TimeSpan? RetryAfter)
{
    public bool IsSuccess => (int)Status is >= 200 and < 300;

    public string? Text(string member) => Json is { } json && json.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    public IReadOnlyList<string>? Texts(string member) => Json is { } json && json.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.Array
        ? [.. value.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.String).Select(item => item.GetString()!)]
        : null;

    public bool IsTrue(string member) => Json is { } json && json.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.True;
}

/// <summary>
/// Talks to authorization servers, within the egress policy, without following redirects, and within bounds of size and time. An address that the operator named, or that is on
/// the host that the operator named, is reached as the operator's word; any other as that of a document that was fetched.
/// </summary>
internal sealed class OAuthHttp(EgressPolicy egress, TimeProvider clock) : IDisposable
{
    private const int MaxBytes = 256 * 1024;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly Lazy<HttpMessageInvoker> trusted = new(() => NewClient(egress, EgressTrust.Operator));
    private readonly Lazy<HttpMessageInvoker> remote = new(() => NewClient(egress, EgressTrust.Remote));

    /// <summary>Fetches a document.</summary>
    /// <exception cref="SignInException">There is no answer.</exception>
    public async Task<OAuthReply> GetAsync(Uri address, ToolManifest manifest, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        request.Headers.TryAddWithoutValidation("MCP-Protocol-Version", ProtocolEra.OfferedVersion);
        return await SendAsync(request, manifest, cancellationToken);
    }

    /// <summary>Sends something.</summary>
    /// <exception cref="SignInException">There is no answer.</exception>
    public async Task<OAuthReply> SendAsync(HttpRequestMessage request, ToolManifest manifest, CancellationToken cancellationToken)
    {
        var address = request.RequestUri!;
        RequireSafe(address, manifest);
        request.Headers.TryAddWithoutValidation("Accept", "application/json");
        using var timeout = new CancellationTokenSource(Patience, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            using var response = await (IsTrusted(address, manifest) ? trusted : remote).Value.SendAsync(request, either.Token);
            return new OAuthReply(response.StatusCode, await ReadAsync(response, either.Token), RetryAfterOf(response.Headers.RetryAfter));
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            throw EgressRefusedException.Causes(exception)
                ? new SignInException($"{Shown(address)} is not connected: {EgressRefusedException.ForCallers}", inner: exception)
                : new SignInException($"{Shown(address)} cannot be reached.", isTransient: true, inner: exception);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new SignInException($"{Shown(address)} did not answer in time.", isTransient: true, inner: exception);
        }
    }

    public void Dispose()
    {
        foreach (var made in new[] { trusted, remote }.Where(made => made.IsValueCreated))
        {
            made.Value.Dispose();
        }
    }

    /// <summary>An address as messages show it: without query and fragment.</summary>
    public static string Shown(Uri address) => address.GetLeftPart(UriPartial.Path);

    /// <summary>Whether the gateway would connect there at all: encrypted, or where the manifest itself names an address that is not, or on this machine.</summary>
    /// <exception cref="SignInException">It would not.</exception>
    public static void RequireSafe(Uri address, ToolManifest manifest)
    {
        if (address.Scheme != Uri.UriSchemeHttps && !(address.Scheme == Uri.UriSchemeHttp && (address.IsLoopback || manifest.Address!.Scheme == Uri.UriSchemeHttp)))
        {
            throw new SignInException($"{Shown(address)} is not https://, as addresses that tokens are had from must be.");
        }
        if (address.UserInfo.Length > 0)
        {
            throw new SignInException($"{Shown(address)} holds credentials, which is not allowed.");
        }
    }

    private static bool IsTrusted(Uri address, ToolManifest manifest)
    {
        if (manifest.FromAdminApi)
        {
            return false;
        }
        var auth = manifest.Auth!;
        return IsHost(manifest.Address) || IsHost(auth.TokenUrl) || IsHost(auth.IdentityProvider?.TokenUrl) || (auth.Issuer is { } issuer && IsHost(new Uri(issuer)));

        bool IsHost(Uri? named) => named is not null && named.IdnHost.Equals(address.IdnHost, StringComparison.OrdinalIgnoreCase);
    }

    private static async Task<JsonElement?> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var text = new PooledBytes(4096);
        while (await text.ReadFromAsync(body, cancellationToken) > 0)
        {
            if (text.Length > MaxBytes)
            {
                return null;
            }
        }
        try
        {
            using var document = JsonDocument.Parse(text.Written);
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private TimeSpan? RetryAfterOf(RetryConditionHeaderValue? header) => header?.Delta ?? (header?.Date is { } date ? date - clock.GetUtcNow() : null);

    private static HttpMessageInvoker NewClient(EgressPolicy egress, EgressTrust trust)
    {
        var handler = egress.NewHandler("an authorization server", trust);
        handler.PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1);
        handler.ConnectTimeout = TimeSpan.FromSeconds(10);
        handler.MaxResponseHeadersLength = 64;
        return new HttpMessageInvoker(handler);
    }

    /// <summary>A status as messages show it.</summary>
    public static string Shown(HttpStatusCode status) => ((int)status).ToString(CultureInfo.InvariantCulture);
}
