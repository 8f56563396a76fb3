using System.Net;
using System.Net.Http.Headers;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;

namespace McpHub.Upstreams;

/// <summary>
/// Streamable HTTP, all revisions: each message is a POST, answered with JSON or an event stream; a session of the older revisions may push on a GET stream.
/// </summary>
internal sealed class StreamableHttpTransport(ToolManifest manifest, HttpMessageInvoker client, TimeProvider clock, ILogger logger) : IRpcTransport
{
    private static readonly MediaTypeHeaderValue Json = new("application/json");
    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(2);

    private readonly TaskCompletionSource<string> lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource stopping = new();
    private MessageSink sink = null!;
    private string? session;
    private string? version;
    private bool isModern;
    private Task listening = Task.CompletedTask;

    public Task<string> Lost => lost.Task;

    public Task StartAsync(MessageSink sink, CancellationToken cancellationToken)
    {
        this.sink = sink;
        return Task.CompletedTask;
    }

    public void Agreed(string protocolVersion, bool isModern)
    {
        version = protocolVersion;
        this.isModern = isModern;
        if (!isModern)
        {
            listening = ListenAsync();
        }
    }

    public async ValueTask SendAsync(ReadOnlyMemory<byte> message, Outgoing about, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, manifest.Url) { Content = new ReadOnlyMemoryContent(message) };
        request.Content.Headers.ContentType = Json;
        var headers = request.Headers;
        headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        AddCommonHeaders(headers);
        if (isModern)
        {
            headers.TryAddWithoutValidation("Mcp-Method", about.Method);
            if (about.Name is not null)
            {
                headers.TryAddWithoutValidation("Mcp-Name", HeaderText.Encode(about.Name));
            }
        }
        try
        {
            using var response = await client.SendAsync(request, cancellationToken);
            Check(response, about);
            if (response.Headers.NonValidated.TryGetValues("Mcp-Session-Id", out var ids) && session is null)
            {
                session = ids.ToString();
            }
            if (about.ExpectsAnswer)
            {
                await ReceiveAsync(response, cancellationToken);
            }
        }
        catch (HttpRequestException exception)
        {
            var connected = exception.HttpRequestError is not (HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError);
            throw new UpstreamException(RpcError.UpstreamUnavailable, connected ? "broken" : "unreachable",
                connected ? $"The connection to tool server '{manifest.Id}' broke." : $"Tool server '{manifest.Id}' cannot be reached.", connected, exception);
        }
        catch (IOException exception)
        {
            throw new UpstreamException(RpcError.UpstreamUnavailable, "broken", $"The connection to tool server '{manifest.Id}' broke.", wasSent: true, exception);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await listening;
        if (session is not null)
        {
            using var patience = new CancellationTokenSource(Farewell, clock);
            using var request = new HttpRequestMessage(HttpMethod.Delete, manifest.Url);
            AddCommonHeaders(request.Headers);
            try
            {
                using var response = await client.SendAsync(request, patience.Token);
            }
            catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException)
            {
                logger.FarewellFailed(manifest.Id, exception.GetType().Name);
            }
        }
    }

    private void AddCommonHeaders(HttpRequestHeaders headers)
    {
        foreach (var (name, value) in manifest.Headers)
        {
            headers.TryAddWithoutValidation(name, value);
        }
        if (version is not null)
        {
            headers.TryAddWithoutValidation("MCP-Protocol-Version", version);
        }
        if (session is not null)
        {
            headers.TryAddWithoutValidation("Mcp-Session-Id", session);
        }
    }

    private void Check(HttpResponseMessage response, Outgoing about)
    {
        if (response.IsSuccessStatusCode)
        {
            return;
        }
        if (response.StatusCode == HttpStatusCode.NotFound && session is not null)
        {
            lost.TrySetResult("session_lost");
            throw new UpstreamException(RpcError.UpstreamUnavailable, "session_lost", $"Tool server '{manifest.Id}' lost its session.", wasSent: false);
        }
        if (about.ExpectsAnswer && response.Content.Headers.ContentType?.MediaType == "application/json")
        {
            return; // a JSON-RPC error under an error status, as the newest revision answers
        }
        throw new UpstreamException(RpcError.UpstreamUnavailable, $"http_{(int)response.StatusCode}",
            $"Tool server '{manifest.Id}' answered with HTTP status {(int)response.StatusCode}.", wasSent: (int)response.StatusCode >= 500);
    }

    private async ValueTask ReceiveAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var type = response.Content.Headers.NonValidated.TryGetValues("Content-Type", out var values) ? values.ToString() : "";
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        if (type.StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase))
        {
            await EventReader.ReadAsync(body, manifest.MaxMessageBytes, (data, _) => sink(data), cancellationToken);
            return;
        }
        if (response.Content.Headers.ContentLength > manifest.MaxMessageBytes)
        {
            throw TooLarge();
        }
        using var message = new PooledBytes(response.Content.Headers.ContentLength is { } length ? (int)length + 1 : 4096);
        while (await message.ReadFromAsync(body, cancellationToken) > 0)
        {
            if (message.Length > manifest.MaxMessageBytes)
            {
                throw TooLarge();
            }
        }
        await sink(message.Written);
    }

    private UpstreamException TooLarge() =>
        new(RpcError.UpstreamInvalid, "message_too_large", $"Tool server '{manifest.Id}' answered with more than {manifest.MaxMessageBytes} bytes.");

    /// <summary>Keeps a GET stream open for what the server says of itself. Servers that offer none answer 405, and nothing is missing.</summary>
    private async Task ListenAsync()
    {
        var pause = TimeSpan.FromSeconds(1);
        string? lastEvent = null;
        try
        {
            while (true)
            {
                try
                {
                    using var request = new HttpRequestMessage(HttpMethod.Get, manifest.Url);
                    request.Headers.TryAddWithoutValidation("Accept", "text/event-stream");
                    AddCommonHeaders(request.Headers);
                    if (lastEvent is not null)
                    {
                        request.Headers.TryAddWithoutValidation("Last-Event-ID", lastEvent);
                    }
                    using var response = await client.SendAsync(request, stopping.Token);
                    if (response.StatusCode == HttpStatusCode.NotFound && session is not null)
                    {
                        lost.TrySetResult("session_lost");
                        return;
                    }
                    if (response.StatusCode != HttpStatusCode.OK || response.Content.Headers.ContentType?.MediaType != "text/event-stream")
                    {
                        return;
                    }
                    await using var body = await response.Content.ReadAsStreamAsync(stopping.Token);
                    await EventReader.ReadAsync(body, manifest.MaxMessageBytes, (data, id) =>
                    {
                        (lastEvent, pause) = (id ?? lastEvent, TimeSpan.FromSeconds(1));
                        return data.IsEmpty ? ValueTask.CompletedTask : sink(data);
                    }, stopping.Token);
                }
                catch (Exception exception) when (exception is HttpRequestException or IOException or UpstreamException)
                {
                    logger.ListeningBroke(manifest.Id, exception.GetType().Name);
                }
                await Task.Delay(pause, clock, stopping.Token);
                pause = TimeSpan.FromSeconds(Math.Min(pause.TotalSeconds * 2, 30));
            }
        }
        catch (OperationCanceledException)
        {
            // The connection is closed.
        }
    }
}
