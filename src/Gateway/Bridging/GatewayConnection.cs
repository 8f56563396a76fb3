using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using McpHub.Upstreams;

namespace Gateway.Bridging;

/// <summary>Speaks Streamable HTTP to the gateway, and knows what any answer of it means.</summary>
internal sealed class GatewayConnection : IDisposable
{
    /// <summary>The largest message, of either side.</summary>
    public const int MaxMessageBytes = 64 * 1024 * 1024;

    private const int MaxErrorBytes = 64 * 1024;

    private static readonly MediaTypeHeaderValue Json = new("application/json");
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10);

    private readonly Uri address;
    private readonly BridgeOptions options;
    private readonly HttpMessageInvoker client;

    public GatewayConnection(Uri address, BridgeOptions options)
    {
        (this.address, this.options) = (address, options);
        // The address is the user's own word, so no egress policy stands between.
        client = new HttpMessageInvoker(new SocketsHttpHandler { ConnectTimeout = ConnectTimeout, AllowAutoRedirect = false, UseCookies = false, UseProxy = !address.IsLoopback });
    }

    /// <summary>Sends a request.</summary>
    /// <returns>A successful response whose body is not read yet.</returns>
    /// <exception cref="BridgeException">There is none.</exception>
    /// <exception cref="SessionLostException">The gateway does not know the session.</exception>
    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, ReadOnlyMemory<byte> body, Action<HttpRequestHeaders> describe, CancellationToken cancellationToken)
    {
        var (key, problem) = options.ReadKey();
        if (key is null)
        {
            throw new BridgeException((int)HttpStatusCode.Unauthorized, problem!);
        }
        var request = new HttpRequestMessage(method, address);
        request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + key);
        describe(request.Headers);
        if (method == HttpMethod.Post)
        {
            request.Content = new ReadOnlyMemoryContent(body);
            request.Content.Headers.ContentType = Json;
        }
        HttpResponseMessage response;
        try
        {
            response = await client.SendAsync(request, cancellationToken);
        }
        catch (HttpRequestException exception)
        {
            throw Unavailable(exception);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new BridgeException(BridgeException.Unavailable, $"No gateway answers at {McpAddress.BaseOf(address)}: no connection within {ConnectTimeout.TotalSeconds:0} seconds.");
        }
        if (response.IsSuccessStatusCode)
        {
            return response;
        }
        using (response)
        {
            throw await RefusedAsync(response, request.Headers.Contains(BridgeSession.Header), cancellationToken);
        }
    }

    /// <summary>An answer that stopped before its end.</summary>
    public BridgeException Broken(Exception exception) =>
        new(BridgeException.Unavailable, $"The connection to the gateway at {McpAddress.BaseOf(address)} broke before its answer was complete ({exception.Message}); the request may have been carried out.");

    /// <summary>The gateway closed its answer without a result.</summary>
    public static BridgeException NoAnswer() => new(BridgeException.Invalid, "The gateway closed its response without an answer; the request may have been carried out.");

    /// <summary>A message beyond what the bridge holds.</summary>
    public static BridgeException TooLarge() =>
        new(BridgeException.Invalid, string.Create(CultureInfo.InvariantCulture, $"The gateway sent a message of more than {MaxMessageBytes} bytes."));

    /// <summary>What answers is no MCP server.</summary>
    public BridgeException NotMcp() =>
        new(BridgeException.Invalid, $"What answers at {address} is not a gateway: its reply is neither JSON nor an event stream.");

    /// <summary>Whether a response has a type, whatever its parameters are.</summary>
    public static bool HasType(HttpResponseMessage response, string type) =>
        response.Content.Headers.NonValidated.TryGetValues("Content-Type", out var values) && values.ToString().StartsWith(type, StringComparison.OrdinalIgnoreCase);

    /// <inheritdoc/>
    public void Dispose() => client.Dispose();

    private BridgeException Unavailable(HttpRequestException exception)
    {
        var connected = exception.HttpRequestError is not (HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError);
        return connected ? Broken(exception)
            : new BridgeException(BridgeException.Unavailable, $"No gateway answers at {McpAddress.BaseOf(address)}: {exception.Message} Is it running? Another address is given with --url.");
    }

    /// <summary>Says what an error status means. The gateway's own words go to the client as they are.</summary>
    private async Task<Exception> RefusedAsync(HttpResponseMessage response, bool hasSession, CancellationToken cancellationToken)
    {
        if (response.StatusCode == HttpStatusCode.NotFound && hasSession)
        {
            return new SessionLostException();
        }
        var status = (int)response.StatusCode;
        if (response.Headers.Location is { } elsewhere)
        {
            return new BridgeException(status, string.Create(CultureInfo.InvariantCulture, $"{McpAddress.BaseOf(address)} sends callers on to {elsewhere} (HTTP status {status}); give the gateway's own address with --url."));
        }
        var words = string.Create(CultureInfo.InvariantCulture, $"The gateway at {McpAddress.BaseOf(address)} answered with HTTP status {status}.");
        if (!HasType(response, "application/json"))
        {
            return new BridgeException(status, words);
        }
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            using var text = new PooledBytes(4096);
            while (text.Length <= MaxErrorBytes && await text.ReadFromAsync(body, cancellationToken) > 0)
            {
            }
            var isError = RpcFrame.TryRead(text.Written.Span, out var frame) && frame.IsResponse && !frame.Error.IsEmpty && text.Length <= MaxErrorBytes;
            return isError
                ? new BridgeException(status, JsonMembers.FindString(frame.Error, "message"u8) ?? words) { Error = frame.Error.ToArray() }
                : new BridgeException(status, words);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            return Broken(exception);
        }
    }
}

/// <summary>The gateway does not know the session (any more).</summary>
internal sealed class SessionLostException() : Exception("The gateway does not know the session.");
