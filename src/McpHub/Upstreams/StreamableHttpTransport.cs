using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Microsoft.Extensions.Logging;
using McpHub.Upstreams.SignIn;
using Shared.Snapshots;

namespace McpHub.Upstreams;

/// <summary>
/// Streamable HTTP, all revisions: each message is a POST, answered with JSON or an event stream; a session of the older revisions may push on a GET stream.
/// </summary>
internal sealed class StreamableHttpTransport : IRpcTransport
{
    /// <summary>How often the events of one request are taken up again after a server closed the stream without an answer.</summary>
    private const int MostResumptions = 20;

    private const int MaxErrorBytes = 64 * 1024;

    private static readonly MediaTypeHeaderValue Json = new("application/json");
    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(2);

    private readonly ToolManifest manifest;
    private readonly HttpMessageInvoker client;
    private readonly IUpstreamCredentials? credentials;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private readonly TaskCompletionSource<UpstreamException> lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource stopping = new();
    private MessageSink sink = null!;
    private string? session;
    private string? version;
    private bool isModern;
    private Task listening = Task.CompletedTask;
    private bool refusesHandshake;

    /// <param name="manifest">The server.</param>
    /// <param name="client">Connects to it.</param>
    /// <param name="credentials">What requests are signed with, beside the manifest's headers; null: nothing.</param>
    /// <param name="clock">The time.</param>
    /// <param name="logger">The log.</param>
    public StreamableHttpTransport(ToolManifest manifest, HttpMessageInvoker client, IUpstreamCredentials? credentials, TimeProvider clock, ILogger logger) =>
        (this.manifest, this.client, this.credentials, this.clock, this.logger) = (manifest, client, credentials, clock, logger);

    public Task<UpstreamException> Lost => lost.Task;

    public bool HasExchanges => true;

    public string LastWords => "";

    /// <summary>
    /// Whether the POST of the handshake was answered the way that servers of revision 2024-11-05 answer it, so that HTTP+SSE is worth a try
    /// (specification 2025-11-25, basic/transports, backwards compatibility).
    /// </summary>
    public bool MayBeOlder => refusesHandshake;

    public Task StartAsync(MessageSink sink, CancellationToken cancellationToken)
    {
        this.sink = sink;
        return Task.CompletedTask;
    }

    public void Agreed(string protocolVersion, bool isModern) => (version, this.isModern) = (protocolVersion, isModern);

    public void Listen()
    {
        if (!isModern)
        {
            listening = new ServerStream(manifest, client, NewRequestAsync, sink, LoseSession, clock, logger).RunAsync(stopping.Token);
        }
    }

    public async ValueTask SendAsync(ReadOnlyMemory<byte> message, Outgoing about, CancellationToken cancellationToken)
    {
        try
        {
            for (var attempt = 0; ; attempt++)
            {
                var credential = credentials is null ? default : await credentials.FindAsync(about.Request?.Call, cancellationToken);
                using var request = NewRequest(HttpMethod.Post, credential);
                request.Content = new ReadOnlyMemoryContent(message);
                request.Content.Headers.ContentType = Json;
                request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
                if (isModern && about.Method.Length > 0)
                {
                    request.Headers.TryAddWithoutValidation("Mcp-Method", about.Method);
                    if (about.Name is not null)
                    {
                        request.Headers.TryAddWithoutValidation("Mcp-Name", HeaderText.Encode(about.Name));
                    }
                    foreach (var (name, value) in about.Headers?.Of(about.Arguments) ?? [])
                    {
                        request.Headers.TryAddWithoutValidation(name, value);
                    }
                }
                using var response = await client.SendAsync(request, cancellationToken);
                if (!response.IsSuccessStatusCode)
                {
                    if (credentials is not null && UpstreamCredential.IsRefusal(response) && await credentials.TryRenewAsync(credential, response, attempt, cancellationToken))
                    {
                        continue;
                    }
                    await RefusedAsync(response, about, cancellationToken);
                    return;
                }
                if (about.Method == "initialize" && response.Headers.NonValidated.TryGetValues("Mcp-Session-Id", out var ids))
                {
                    session = ids.ToString();
                }
                if (about.Request is { } pending)
                {
                    await ReceiveAsync(response, pending, cancellationToken);
                }
                return;
            }
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw HttpFailures.Of(manifest, exception);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await listening;
        if (session is not null && !lost.Task.IsCompleted)
        {
            using var patience = new CancellationTokenSource(Farewell, clock);
            try
            {
                using var request = await NewRequestAsync(HttpMethod.Delete, patience.Token);
                using var response = await client.SendAsync(request, patience.Token);
            }
            catch (Exception exception) when (exception is HttpRequestException or UpstreamException or OperationCanceledException)
            {
                logger.FarewellFailed(manifest.Id, exception.GetType().Name);
            }
        }
    }

    private async ValueTask<HttpRequestMessage> NewRequestAsync(HttpMethod method, CancellationToken cancellationToken) =>
        NewRequest(method, credentials is null ? default : await credentials.FindAsync(null, cancellationToken));

    private HttpRequestMessage NewRequest(HttpMethod method, UpstreamCredential credential)
    {
        var request = new HttpRequestMessage(method, manifest.Url);
        foreach (var (name, value) in manifest.Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        credential.Sign(request);
        if (version is not null)
        {
            request.Headers.TryAddWithoutValidation("MCP-Protocol-Version", version);
        }
        if (session is not null)
        {
            request.Headers.TryAddWithoutValidation("Mcp-Session-Id", session);
        }
        return request;
    }

    private UpstreamException LoseSession()
    {
        var exception = new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.SessionLost, $"Tool server '{manifest.Id}' lost its session.", wasSent: false);
        lost.TrySetResult(exception);
        return exception;
    }

    /// <summary>Handles an error status: a lost session, a JSON-RPC error under it, or nothing that says more.</summary>
    private async ValueTask RefusedAsync(HttpResponseMessage response, Outgoing about, CancellationToken cancellationToken)
    {
        var status = (int)response.StatusCode;
        refusesHandshake |= about.Method == "initialize" && status is >= 400 and < 500 and not (401 or 403 or 407 or 408 or 429);
        if (response.StatusCode == HttpStatusCode.NotFound && session is not null)
        {
            throw LoseSession();
        }
        if (about.Request is { } request && IsJson(response))
        {
            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            using var text = new PooledBytes(4096);
            while (text.Length <= MaxErrorBytes && await text.ReadFromAsync(body, cancellationToken) > 0)
            {
            }
            if (text.Length <= MaxErrorBytes && TryTakeError(text.Written.Span, status, request))
            {
                return;
            }
        }
        if (about.Request is { } asked && IsEventStream(response))
        {
            // Some say an error in an event, under the status that belongs to it.
            await ReadEventsAsync(response, asked, new EventPosition(), cancellationToken);
            if (asked.Answer.IsCompleted)
            {
                return;
            }
        }
        throw new UpstreamException(RpcError.UpstreamUnavailable, string.Create(CultureInfo.InvariantCulture, $"http_{status}"),
            string.Create(CultureInfo.InvariantCulture, $"Tool server '{manifest.Id}' answered with HTTP status {status}."), wasSent: status >= 500);
    }

    /// <summary>Takes an error under an error status as the answer to the request that it came back on, whatever id it has.</summary>
    private bool TryTakeError(ReadOnlySpan<byte> text, int status, PendingRequest request)
    {
        if (!RpcFrame.TryRead(text, out var frame) || !frame.IsResponse || frame.Error.IsEmpty)
        {
            return false;
        }
        // Servers built on the first TypeScript SDK say so what others say with 404: an error that belongs to no request.
        if (status == 400 && session is not null && frame.IsErrorWithoutId && JsonMembers.FindNumber(frame.Error, "code"u8) is -32000 or -32001)
        {
            throw LoseSession();
        }
        request.Complete(frame.ToOutcome());
        return true;
    }

    private async ValueTask ReceiveAsync(HttpResponseMessage response, PendingRequest pending, CancellationToken cancellationToken)
    {
        if (!IsEventStream(response))
        {
            await ReadJsonAsync(response, pending, cancellationToken);
        }
        else
        {
            var position = new EventPosition();
            await ReadEventsAsync(response, pending, position, cancellationToken);
            for (var i = 0; !pending.Answer.IsCompleted && !isModern && position.LastId is not null && i < MostResumptions; i++)
            {
                await Task.Delay(position.Retry ?? TimeSpan.FromSeconds(1), clock, cancellationToken);
                await ResumeAsync(pending, position, cancellationToken);
            }
        }
        if (!pending.Answer.IsCompleted)
        {
            throw new UpstreamException(RpcError.UpstreamInvalid, UpstreamReasons.InvalidResponse, $"Tool server '{manifest.Id}' closed its response without a result.");
        }
    }

    private async ValueTask ReadEventsAsync(HttpResponseMessage response, PendingRequest pending, EventPosition position, CancellationToken cancellationToken)
    {
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        try
        {
            if (!await EventReader.ReadAsync(body, manifest.MaxMessageBytes, position, message => sink(message, pending), () => pending.Answer.IsCompleted, cancellationToken))
            {
                throw TooLarge();
            }
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException && position.LastId is not null && !isModern)
        {
            // The rest can be had on another stream.
            logger.ListeningBroke(manifest.Id, exception.GetType().Name);
        }
    }

    /// <summary>Takes the events of a request up again where the server, or the network, left off (2025-11-25, basic/transports, resumability).</summary>
    private async ValueTask ResumeAsync(PendingRequest pending, EventPosition position, CancellationToken cancellationToken)
    {
        using var request = NewRequest(HttpMethod.Get, credentials is null ? default : await credentials.FindAsync(pending.Call, cancellationToken));
        request.Headers.TryAddWithoutValidation("Accept", "text/event-stream");
        request.Headers.TryAddWithoutValidation("Last-Event-ID", position.LastId);
        using var response = await client.SendAsync(request, cancellationToken);
        if (!response.IsSuccessStatusCode || !IsEventStream(response))
        {
            throw Broken(null);
        }
        await ReadEventsAsync(response, pending, position, cancellationToken);
    }

    private async ValueTask ReadJsonAsync(HttpResponseMessage response, PendingRequest pending, CancellationToken cancellationToken)
    {
        var length = response.Content.Headers.ContentLength;
        if (length > manifest.MaxMessageBytes)
        {
            throw TooLarge();
        }
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var message = new PooledBytes(length is { } known ? (int)known + 1 : 4096);
        while (await message.ReadFromAsync(body, cancellationToken) > 0)
        {
            if (message.Length > manifest.MaxMessageBytes)
            {
                throw TooLarge();
            }
        }
        sink(message.Written.Span, pending);
    }

    private static bool IsEventStream(HttpResponseMessage response) => HasType(response, "text/event-stream");

    private static bool IsJson(HttpResponseMessage response) => HasType(response, "application/json");

    private static bool HasType(HttpResponseMessage response, string type) =>
        response.Content.Headers.NonValidated.TryGetValues("Content-Type", out var values) && values.ToString().StartsWith(type, StringComparison.OrdinalIgnoreCase);

    private UpstreamException Broken(Exception? inner) =>
        new(RpcError.UpstreamUnavailable, UpstreamReasons.Broken, $"The connection to tool server '{manifest.Id}' broke.", wasSent: true, inner);

    private UpstreamException TooLarge() => new(RpcError.UpstreamInvalid, UpstreamReasons.TooLarge,
        string.Create(CultureInfo.InvariantCulture, $"Tool server '{manifest.Id}' sent a message of more than {manifest.MaxMessageBytes} bytes."));
}
