using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Shared.Egress;

namespace Shared.SignIn;

/// <summary>An issuer or another server that was asked did not answer as it should. The message is for logs and admins.</summary>
internal sealed class SignInUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>What a server answered.</summary>
/// <param name="Status">HTTP status.</param>
/// <param name="Body">The body, if it is a JSON object; else null.</param>
internal sealed record JsonReply(HttpStatusCode Status, JsonElement? Body);

/// <summary>Asks issuers and clients' metadata servers, through the egress policy, within bounds of time and size, following no redirect.</summary>
internal class SignInConnections(EgressPolicy egress) : IDisposable
{
    /// <summary>The most bytes of an answer of an issuer's.</summary>
    public const int MaxIssuerBytes = 512 * 1024;

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    private readonly Lock gate = new();
    private readonly Dictionary<EgressTrust, HttpClient> clients = [];

    /// <summary>Fetches a JSON document.</summary>
    /// <exception cref="SignInUnavailableException">There is no connection, no answer in time, or too much of it.</exception>
    public Task<JsonReply> GetAsync(Uri url, EgressTrust trust, int maxBytes, CancellationToken cancellationToken) =>
        SendAsync(new HttpRequestMessage(HttpMethod.Get, url), trust, maxBytes, cancellationToken);

    /// <summary>Sends a form.</summary>
    /// <param name="url">Where to.</param>
    /// <param name="form">Its fields.</param>
    /// <param name="authorization">The client's credentials; null: they are in the form.</param>
    /// <param name="trust">Whose word the address is.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <exception cref="SignInUnavailableException">There is no connection, no answer in time, or too much of it.</exception>
    public Task<JsonReply> PostAsync(Uri url, IEnumerable<KeyValuePair<string, string>> form, AuthenticationHeaderValue? authorization, EgressTrust trust, CancellationToken cancellationToken)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new FormUrlEncodedContent(form) };
        request.Headers.Authorization = authorization;
        return SendAsync(request, trust, MaxIssuerBytes, cancellationToken);
    }

    public void Dispose()
    {
        foreach (var client in clients.Values)
        {
            client.Dispose();
        }
        GC.SuppressFinalize(this);
    }

    /// <summary>A handler for one kind of addresses.</summary>
    protected virtual SocketsHttpHandler NewHandler(EgressTrust trust) => egress.NewHandler("sign-in", trust);

    private async Task<JsonReply> SendAsync(HttpRequestMessage request, EgressTrust trust, int maxBytes, CancellationToken cancellationToken)
    {
        using var sent = request;
        request.Headers.Accept.ParseAdd("application/json");
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(Deadline);
        try
        {
            using var response = await ClientOf(trust).SendAsync(request, HttpCompletionOption.ResponseHeadersRead, deadline.Token);
            var body = await ReadAsync(response.Content, maxBytes, deadline.Token);
            return new JsonReply(response.StatusCode, Parse(body));
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new SignInUnavailableException($"{request.RequestUri!.GetLeftPart(UriPartial.Path)} did not answer within {Deadline.TotalSeconds} s", exception);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or EgressRefusedException)
        {
            throw new SignInUnavailableException($"{request.RequestUri!.GetLeftPart(UriPartial.Path)} cannot be reached: {exception.Message}", exception);
        }
    }

    private static async Task<byte[]> ReadAsync(HttpContent content, int maxBytes, CancellationToken cancellationToken)
    {
        await using var stream = await content.ReadAsStreamAsync(cancellationToken);
        using var buffer = new MemoryStream();
        var piece = new byte[8192];
        int read;
        while ((read = await stream.ReadAsync(piece, cancellationToken)) > 0)
        {
            if (buffer.Length + read > maxBytes)
            {
                throw new HttpRequestException($"its answer has more than {maxBytes} bytes");
            }
            buffer.Write(piece, 0, read);
        }
        return buffer.ToArray();
    }

    private static JsonElement? Parse(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body, StrictJson.Options);
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private HttpClient ClientOf(EgressTrust trust)
    {
        lock (gate)
        {
            if (!clients.TryGetValue(trust, out var client))
            {
                var handler = NewHandler(trust);
                handler.PooledConnectionLifetime = TimeSpan.FromMinutes(5);
                handler.MaxConnectionsPerServer = 8;
                handler.ConnectTimeout = TimeSpan.FromSeconds(5);
                handler.MaxResponseHeadersLength = 32; // KiB
                clients.Add(trust, client = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan });
            }
            return client;
        }
    }
}

/// <summary>How JSON of others is read.</summary>
internal static class StrictJson
{
    /// <summary>A member that stands twice means different things to different readers, so it is no JSON here.</summary>
    public static JsonDocumentOptions Options { get; } = new() { AllowDuplicateProperties = false, MaxDepth = 32 };
}
