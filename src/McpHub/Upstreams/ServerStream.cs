using System.Net;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;

namespace McpHub.Upstreams;

/// <summary>
/// Keeps a GET stream open for what a server says by itself. One that offers none answers 405, and nothing is missing: its tools are looked at now and then.
/// </summary>
internal sealed class ServerStream(ToolManifest manifest, HttpMessageInvoker client, Func<HttpMethod, CancellationToken, ValueTask<HttpRequestMessage>> newRequest, MessageSink sink, Func<UpstreamException> loseSession, TimeProvider clock, ILogger logger)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly EventPosition position = new();
    private TimeSpan pause = FirstPause;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (await OpenAsync(cancellationToken))
            {
                await Task.Delay(position.Retry is { } wanted && wanted > pause ? wanted : pause, clock, cancellationToken);
                pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, LongestPause.Ticks));
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The connection is closed.
        }
    }

    /// <summary>Opens the stream and reads it to its end. False: there is none to be had.</summary>
    private async Task<bool> OpenAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var request = await newRequest(HttpMethod.Get, cancellationToken);
            request.Headers.TryAddWithoutValidation("Accept", "text/event-stream");
            if (position.LastId is not null)
            {
                request.Headers.TryAddWithoutValidation("Last-Event-ID", position.LastId);
            }
            using var response = await client.SendAsync(request, cancellationToken);
            if (response.StatusCode == HttpStatusCode.NotFound && request.Headers.Contains("Mcp-Session-Id"))
            {
                loseSession();
                return false;
            }
            // A token that ended while the stream was open is renewed by whoever makes the next request.
            if ((int)response.StatusCode >= 500 || response.StatusCode == HttpStatusCode.TooManyRequests || (manifest.Auth is not null && response.StatusCode == HttpStatusCode.Unauthorized))
            {
                return true;
            }
            if (response.StatusCode != HttpStatusCode.OK || response.Content.Headers.ContentType?.MediaType != "text/event-stream")
            {
                return false;
            }
            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            var isWhole = await EventReader.ReadAsync(body, manifest.MaxMessageBytes, position, message =>
            {
                pause = FirstPause;
                sink(message, null);
            }, null, cancellationToken);
            if (!isWhole)
            {
                logger.ListeningBroke(manifest.Id, UpstreamReasons.TooLarge);
            }
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or UpstreamException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            logger.ListeningBroke(manifest.Id, exception.GetType().Name);
        }
        return true;
    }
}
