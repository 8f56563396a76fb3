using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using McpHub.Upstreams.SignIn;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;

namespace McpHub.Upstreams;

/// <summary>
/// HTTP with server-sent events as revision 2024-11-05 has it (specification 2024-11-05, basic/transports): a GET opens the one stream on which the server says everything,
/// its first event names the address that messages are posted to. The stream is the connection: when it ends, so does the session.
/// </summary>
internal sealed class SseTransport : IRpcTransport
{
    private const int MaxEndpointLength = 4096;
    private const int MaxDrainedBytes = 64 * 1024;

    private static readonly MediaTypeHeaderValue Json = new("application/json");

    private readonly ToolManifest manifest;
    private readonly HttpMessageInvoker client;
    private readonly IUpstreamCredentials? credentials;
    private readonly ILogger logger;
    private readonly TaskCompletionSource<UpstreamException> lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<Uri> endpoint = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource stopping = new();
    private Task reading = Task.CompletedTask;
    private string? version;

    /// <param name="manifest">The server.</param>
    /// <param name="client">Connects to it.</param>
    /// <param name="credentials">What requests are signed with, beside the manifest's headers; null: nothing.</param>
    /// <param name="logger">The log.</param>
    public SseTransport(ToolManifest manifest, HttpMessageInvoker client, IUpstreamCredentials? credentials, ILogger logger) =>
        (this.manifest, this.client, this.credentials, this.logger) = (manifest, client, credentials, logger);

    public Task<UpstreamException> Lost => lost.Task;

    public bool HasExchanges => false;

    public string LastWords => "";

    public async Task StartAsync(MessageSink sink, CancellationToken cancellationToken)
    {
        reading = Task.Run(() => ReadAsync(sink), CancellationToken.None);
        // Whichever comes first: the address, or the end of the stream before it.
        if (await Task.WhenAny(endpoint.Task, lost.Task).WaitAsync(cancellationToken) == lost.Task)
        {
            throw await lost.Task;
        }
    }

    public void Agreed(string protocolVersion, bool isModern) => version = protocolVersion;

    public void Listen()
    {
        // The stream is open from the start.
    }

    public async ValueTask SendAsync(ReadOnlyMemory<byte> message, Outgoing about, CancellationToken cancellationToken)
    {
        var address = await endpoint.Task.WaitAsync(cancellationToken);
        try
        {
            using var response = await SendAsync(credential =>
            {
                var request = NewRequest(HttpMethod.Post, address, credential);
                request.Content = new ReadOnlyMemoryContent(message);
                request.Content.Headers.ContentType = Json;
                return request;
            }, about.Request?.Call, cancellationToken);
            if (!response.IsSuccessStatusCode)
            {
                throw response.StatusCode == HttpStatusCode.NotFound ? LoseSession() : Refused(response.StatusCode);
            }
            await DrainAsync(response, cancellationToken);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw HttpFailures.Of(manifest, exception);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await reading;
    }

    /// <summary>Makes a request, once more where its refusal gives another token.</summary>
    private async Task<HttpResponseMessage> SendAsync(Func<UpstreamCredential, HttpRequestMessage> build, UpstreamCall? call, CancellationToken cancellationToken)
    {
        for (var attempt = 0; ; attempt++)
        {
            var credential = credentials is null ? default : await credentials.FindAsync(call, cancellationToken);
            using var request = build(credential);
            var response = await client.SendAsync(request, cancellationToken);
            try
            {
                if (credentials is null || !UpstreamCredential.IsRefusal(response) || !await credentials.TryRenewAsync(credential, response, attempt, cancellationToken))
                {
                    return response;
                }
            }
            catch
            {
                response.Dispose();
                throw;
            }
            response.Dispose();
        }
    }

    private HttpRequestMessage NewRequest(HttpMethod method, Uri address, UpstreamCredential credential)
    {
        var request = new HttpRequestMessage(method, address);
        foreach (var (name, value) in manifest.Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        credential.Sign(request);
        if (version is not null)
        {
            request.Headers.TryAddWithoutValidation("MCP-Protocol-Version", version);
        }
        return request;
    }

    /// <summary>Reads the stream to its end, which is the end of the connection.</summary>
    private async Task ReadAsync(MessageSink sink)
    {
        try
        {
            lost.TrySetResult(await ReadToEndAsync(sink));
        }
        catch (UpstreamException exception)
        {
            // There is no token for it.
            lost.TrySetResult(exception);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            logger.ListeningBroke(manifest.Id, exception.GetType().Name);
            lost.TrySetResult(stopping.IsCancellationRequested
                ? new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Closed, $"The connection to tool server '{manifest.Id}' was closed.", wasSent: true, exception)
                : HttpFailures.Of(manifest, exception));
        }
        catch (Exception exception)
        {
            // A defect of ours must end the connection, or its calls would wait for ever.
            logger.ReadingFailed(manifest.Id, exception);
            lost.TrySetResult(new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Internal, $"The connection to tool server '{manifest.Id}' was closed.", wasSent: true, exception));
        }
    }

    private async Task<UpstreamException> ReadToEndAsync(MessageSink sink)
    {
        using var response = await SendAsync(credential =>
        {
            var request = NewRequest(HttpMethod.Get, manifest.Url!, credential);
            request.Headers.TryAddWithoutValidation("Accept", "text/event-stream");
            request.Headers.TryAddWithoutValidation("Cache-Control", "no-store");
            return request;
        }, null, stopping.Token);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            return Refused(response.StatusCode);
        }
        if (response.Content.Headers.ContentType?.MediaType != "text/event-stream")
        {
            return new UpstreamException(RpcError.UpstreamInvalid, UpstreamReasons.InvalidResponse, $"Tool server '{manifest.Id}' answers without an event stream; it does not speak HTTP+SSE at this address.", wasSent: false);
        }
        await using var body = await response.Content.ReadAsStreamAsync(stopping.Token);
        var position = new EventPosition();
        UpstreamException? wrong = null;
        var isWhole = await EventReader.ReadAsync(body, manifest.MaxMessageBytes, position, data => wrong ??= Take(position.Type, data, sink), () => wrong is not null, stopping.Token);
        return wrong ?? (isWhole
            ? new UpstreamException(RpcError.UpstreamUnavailable, endpoint.Task.IsCompleted ? UpstreamReasons.Broken : UpstreamReasons.InvalidResponse, endpoint.Task.IsCompleted
                ? $"Tool server '{manifest.Id}' closed its event stream."
                : $"Tool server '{manifest.Id}' closed its event stream before it named an address for messages.")
            : new UpstreamException(RpcError.UpstreamInvalid, UpstreamReasons.TooLarge,
                string.Create(CultureInfo.InvariantCulture, $"Tool server '{manifest.Id}' sent a message of more than {manifest.MaxMessageBytes} bytes.")));
    }

    /// <summary>Takes an event. Not null: the connection must end.</summary>
    private UpstreamException? Take(string? type, ReadOnlySpan<byte> data, MessageSink sink)
    {
        if (type is null or "" or "message")
        {
            // What is said before the address is known answers nothing of ours.
            if (endpoint.Task.IsCompleted)
            {
                sink(data, null);
            }
            return null;
        }
        if (type != "endpoint" || endpoint.Task.IsCompleted)
        {
            // Only the first address counts: a server cannot send us elsewhere in the middle of a session.
            return null;
        }
        if (AddressIn(data) is not { } address)
        {
            return new UpstreamException(RpcError.UpstreamInvalid, UpstreamReasons.EndpointRefused,
                $"Tool server '{manifest.Id}' named an address for messages that is not of its own origin; nothing was sent there.", wasSent: false);
        }
        endpoint.TrySetResult(address);
        return null;
    }

    /// <summary>The address for messages; null: it is none of the server's own origin. Credentials of the manifest go there, so scheme, host and port must be those that the manifest names.</summary>
    private Uri? AddressIn(ReadOnlySpan<byte> data)
    {
        if (data.Length > MaxEndpointLength || data.ContainsAnyExceptInRange((byte)'!', (byte)'~') || data.Contains((byte)'\\'))
        {
            return null;
        }
        var from = manifest.Url!;
        return Uri.TryCreate(from, Encoding.ASCII.GetString(data), out var address)
            && address.Scheme == from.Scheme && address.Host.Equals(from.Host, StringComparison.OrdinalIgnoreCase) && address.Port == from.Port
            && address.UserInfo.Length == 0 && address.Scheme is "http" or "https" ? address : null;
    }

    private UpstreamException LoseSession()
    {
        var exception = new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.SessionLost, $"Tool server '{manifest.Id}' lost its session.", wasSent: false);
        lost.TrySetResult(exception);
        return exception;
    }

    private UpstreamException Refused(HttpStatusCode status) => new(RpcError.UpstreamUnavailable, string.Create(CultureInfo.InvariantCulture, $"http_{(int)status}"),
        string.Create(CultureInfo.InvariantCulture, $"Tool server '{manifest.Id}' answered with HTTP status {(int)status}."), wasSent: (int)status >= 500);

    /// <summary>Reads what little there is, so that the connection can be used again.</summary>
    private static async Task DrainAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var buffer = new PooledBytes(256);
        while (buffer.Length <= MaxDrainedBytes && await buffer.ReadFromAsync(body, cancellationToken) > 0)
        {
        }
    }
}
