using System.Buffers;
using System.Net.WebSockets;
using System.Text.Json;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Microsoft.Extensions.Logging;
using Shared.Http;

namespace LlmProxy.Media;

/// <summary>
/// One realtime session: events go both ways as they came, each looked at for what it asks for or tells of. Ends when either side does, or when the key no longer holds or
/// has nothing left to pay the next response from.
/// </summary>
internal sealed class RealtimeSession(
    WebSocket client, WebSocket provider, TargetPlan target, string publicName, RealtimeBilling billing, Func<string, bool> mayTranscribe, Func<bool> keyHolds, BodyMemory memory, TimeProvider clock, ILogger logger) : IDisposable
{
    /// <summary>The largest event, in bytes; OpenAI takes up to 15 MB of audio in one.</summary>
    public const int MaxEventBytes = 24 * 1024 * 1024;

    /// <summary>How often it is asked whether the key still holds.</summary>
    private static readonly TimeSpan CheckEvery = TimeSpan.FromSeconds(2);

    /// <summary>The key was revoked, has expired, or is gone.</summary>
    public static GatewayError KeyIsOver { get; } = new(401, "invalid_api_key", "The key was revoked, has expired, or no longer exists.");

    private static readonly GatewayError NoText = new(400, "invalid_event", "An event is a JSON object in a text message.");

    private static readonly GatewayError TooLarge = new(413, "request_too_large", $"An event exceeds {MaxEventBytes} bytes.");

    private readonly SemaphoreSlim toClient = new(1);
    private readonly SemaphoreSlim toProvider = new(1);
    private string? transcriptionModel;

    /// <summary>Relays until the end.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var keyEnded = new TaskCompletionSource<SocketEnd>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var check = clock.CreateTimer(_ => CheckKey(keyEnded), null, CheckEvery, CheckEvery);
        var up = PumpAsync(client, TakeFromClientAsync, over.Token);
        var down = PumpAsync(provider, TakeFromProviderAsync, over.Token);
        var first = await Task.WhenAny(up, down, keyEnded.Task);
        var end = await first;
        if (end.Error is { } error)
        {
            await SayAsync(error, null, cancellationToken);
        }
        await end.CloseAsync(client);
        await (end.Error is null ? end : new SocketEnd(WebSocketCloseStatus.NormalClosure, null)).CloseAsync(provider);
        // Each side now says that it has ended, or is cut off. What a provider still tells of responses until then is charged.
        over.CancelAfter(SocketEnd.CloseTimeout);
        await Task.WhenAll(up, down);
    }

    public void Dispose()
    {
        toClient.Dispose();
        toProvider.Dispose();
    }

    private void CheckKey(TaskCompletionSource<SocketEnd> ended)
    {
        if (!keyHolds())
        {
            ended.TrySetResult(new SocketEnd(WebSocketCloseStatus.PolicyViolation, KeyIsOver));
        }
    }

    private async Task<SocketEnd> PumpAsync(WebSocket source, Func<ReadOnlyMemory<byte>, WebSocketMessageType, CancellationToken, ValueTask<SocketEnd?>> take, CancellationToken cancellationToken)
    {
        using var buffer = new MessageBuffer(memory, MaxEventBytes);
        try
        {
            while (true)
            {
                var kind = await buffer.ReadAsync(source, cancellationToken);
                if (SocketEnd.Of(kind, source, TooLarge) is { } over)
                {
                    return over;
                }
                if (await take(buffer.Bytes, kind == MessageKind.Text ? WebSocketMessageType.Text : WebSocketMessageType.Binary, cancellationToken) is { } end)
                {
                    return end;
                }
            }
        }
        catch (Exception exception) when (exception is WebSocketException or OperationCanceledException or IOException or ObjectDisposedException)
        {
            // Broken off, or ended by the other direction, which says why.
            return new SocketEnd(WebSocketCloseStatus.EndpointUnavailable, null);
        }
    }

    private async ValueTask<SocketEnd?> TakeFromClientAsync(ReadOnlyMemory<byte> bytes, WebSocketMessageType type, CancellationToken cancellationToken)
    {
        ClientEvent read = default;
        if (type != WebSocketMessageType.Text || !RealtimeEvents.TryRead(bytes.Span, out read) || read.Type is null || read.IsAmbiguous)
        {
            await SayAsync(read.IsAmbiguous ? NoText with { Message = "The event names something twice that routes or bills it. Send it once." } : NoText, read.EventId, cancellationToken);
            return null;
        }
        if (Refuse(read) is { } refusal)
        {
            await SayAsync(refusal, read.EventId, cancellationToken);
            return null;
        }
        if (read.Transcribes)
        {
            transcriptionModel = read.TranscriptionModel ?? transcriptionModel;
        }
        if (read.Model.Exists && read.ModelName != target.Model)
        {
            await SendSplicedAsync(bytes, read.Model.Offset, read.Model.End, cancellationToken);
            return null;
        }
        await SendAsync(provider, toProvider, bytes, type, cancellationToken);
        return null;
    }

    private GatewayError? Refuse(in ClientEvent read)
    {
        if (read.Model.Exists && read.ModelName != target.Model && read.ModelName != publicName)
        {
            return new GatewayError(400, "model_not_changeable", $"The session's model is '{publicName}' and cannot be changed. Open another session.") { Field = "session.model" };
        }
        if (read.Transcribes && read.TranscriptionModel is { } model && !mayTranscribe(model))
        {
            return new GatewayError(404, "model_not_found", $"The model '{model}' does not exist, or this key may not use it.") { Field = "transcription.model" };
        }
        if (billing.IsHard && !billing.IsFixed && (read.Unbounded ?? (read.Transcribes ? "transcription" : null)) is { } member)
        {
            return new GatewayError(400, "unbounded_cost",
                $"'{member}' makes the cost of this session boundless, and the key has a hard budget. Leave it out, or ask an admin for a route with a fixed 'reservation'.") { Field = member };
        }
        return read.Type == "response.create" ? billing.Ask() : null;
    }

    private async ValueTask<SocketEnd?> TakeFromProviderAsync(ReadOnlyMemory<byte> bytes, WebSocketMessageType type, CancellationToken cancellationToken)
    {
        GatewayError? spent = null;
        if (type == WebSocketMessageType.Text && RealtimeEvents.TryRead(bytes.Span, out ServerEvent read))
        {
            switch (read.Type)
            {
                case "response.created" when !billing.Start(read.ResponseId ?? ""):
                    await SendAsync(provider, toProvider, "{\"type\":\"response.cancel\"}"u8.ToArray(), WebSocketMessageType.Text, cancellationToken);
                    return new SocketEnd(WebSocketCloseStatus.PolicyViolation, new GatewayError(429, "budget_exceeded", "Nothing is left to pay this response from."));
                case "response.done":
                    // Charged before the event leaves: whoever sees it finds the budget as it now is.
                    spent = billing.End(read.ResponseId ?? "", read.Usage, read.Status);
                    break;
                case "conversation.item.input_audio_transcription.completed":
                    billing.Transcribed(transcriptionModel ?? target.Model, read.Usage);
                    break;
            }
        }
        await SendAsync(client, toClient, bytes, type, cancellationToken);
        if (spent is not null)
        {
            logger.SessionSpent(publicName, spent.Code);
            return new SocketEnd(WebSocketCloseStatus.PolicyViolation, spent);
        }
        return null;
    }

    private async ValueTask SendSplicedAsync(ReadOnlyMemory<byte> bytes, int start, int end, CancellationToken cancellationToken)
    {
        await toProvider.WaitAsync(cancellationToken);
        try
        {
            await provider.SendAsync(bytes[..start], WebSocketMessageType.Text, endOfMessage: false, cancellationToken);
            await provider.SendAsync(target.ModelJson, WebSocketMessageType.Text, endOfMessage: false, cancellationToken);
            await provider.SendAsync(bytes[end..], WebSocketMessageType.Text, endOfMessage: true, cancellationToken);
        }
        finally
        {
            toProvider.Release();
        }
    }

    /// <summary>Tells the client of something that is wrong, as the provider does.</summary>
    private async ValueTask SayAsync(GatewayError error, string? eventId, CancellationToken cancellationToken)
    {
        var output = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(output))
        {
            json.WriteStartObject();
            json.WriteString("type"u8, "error"u8);
            json.WriteString("event_id"u8, $"event_gw_{Guid.NewGuid():N}");
            json.WriteStartObject("error"u8);
            json.WriteString("type"u8, error.Status switch { 401 => "authentication_error", 429 => error.Code == "budget_exceeded" ? "insufficient_quota" : "rate_limit_error", >= 500 => "server_error", _ => "invalid_request_error" });
            json.WriteString("code"u8, error.Code);
            json.WriteString("message"u8, error.Message);
            json.WriteString("param"u8, error.Field);
            json.WriteString("event_id"u8, eventId);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        try
        {
            await SendAsync(client, toClient, output.WrittenMemory, WebSocketMessageType.Text, cancellationToken);
        }
        catch (Exception exception) when (exception is WebSocketException or IOException or ObjectDisposedException or OperationCanceledException)
        {
            // Nobody is there to be told: the pump that reads the client finds that out by itself.
            client.Abort();
        }
    }

    private static async ValueTask SendAsync(WebSocket socket, SemaphoreSlim turn, ReadOnlyMemory<byte> bytes, WebSocketMessageType type, CancellationToken cancellationToken)
    {
        await turn.WaitAsync(cancellationToken);
        try
        {
            await socket.SendAsync(bytes, type, endOfMessage: true, cancellationToken);
        }
        finally
        {
            turn.Release();
        }
    }
}
