using System.Buffers;
using System.Net.WebSockets;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Dialects.Responses.Socket;

/// <summary>
/// One connection: messages of a lane (<c>stream_id</c>) are answered one after the other, those of different lanes at the same time. What is being made is cancelled when the client
/// leaves.
/// </summary>
internal sealed class ResponsesSocket(ResponsesSockets server, HttpContext context, WebSocket client) : IDisposable
{
    /// <summary>How long a connection lasts, as OpenAI's do.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromMinutes(60);

    /// <summary>The most lanes at work at the same time.</summary>
    public const int MaxLanes = 16;

    /// <summary>The most messages that wait for their turn in a lane.</summary>
    public const int MaxWaiting = 16;

    /// <summary>How often it is asked whether the key still holds.</summary>
    private static readonly TimeSpan CheckEvery = TimeSpan.FromSeconds(2);

    private static readonly GatewayError NoText = new(400, "invalid_json", "A message is a JSON object in a text message, and this is none.");

    private static readonly GatewayError KeyIsOver = new(401, "invalid_api_key", "The key was revoked, has expired, or no longer exists.");

    private static readonly GatewayError LifeIsOver = new(400, "websocket_connection_limit_reached", $"A connection lasts {Life.TotalMinutes} minutes. Open another one, and send the whole conversation or the last stored response's id.");

    private static readonly GatewayError TooMuch = new(429, "too_many_requests", $"At most {MaxLanes} lanes of a connection are served at a time, and {MaxWaiting} messages wait in each. Wait for a response, or open another connection.") { Retryable = true };

    private readonly Lock gate = new();
    private readonly Dictionary<string, Lane> lanes = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim sending = new(1);
    private readonly TaskCompletionSource<SocketEnd> ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<string> kept = [];
    private SocketEnd? ending;

    /// <summary>The scope of what is kept for this connection alone: no key's id holds a space.</summary>
    private string Scope { get; } = "connection " + Guid.NewGuid().ToString("N");

    /// <summary>Serves until either side closes the connection.</summary>
    public async Task RunAsync()
    {
        var opened = GatewayRequest.Of(context);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        using var work = CancellationTokenSource.CreateLinkedTokenSource(over.Token);
        await using var check = server.Clock.CreateTimer(_ => CheckKey(opened), null, CheckEvery, CheckEvery);
        await using var limit = server.Clock.CreateTimer(_ => EndWhenIdle(new SocketEnd(WebSocketCloseStatus.NormalClosure, LifeIsOver)), null, Life, Timeout.InfiniteTimeSpan);
        var reading = ReadAsync(opened.Snapshot.Settings.MaxBodyBytes, work.Token, over.Token);
        var end = await await Task.WhenAny(reading, ended.Task);
        if (end.Error is { } error)
        {
            await SendErrorAsync(error, null, over.Token);
        }
        await end.CloseAsync(client);
        await work.CancelAsync();
        over.CancelAfter(SocketEnd.CloseTimeout); // so long the client may take to close in its turn
        await reading;
        await Task.WhenAll(Working());
        foreach (var id in kept)
        {
            server.Store.Remove(Scope, id);
        }
    }

    /// <summary>Ends the connection as soon as no response is being made; until then, nothing new is begun.</summary>
    public void EndWhenIdle(SocketEnd end)
    {
        lock (gate)
        {
            ending ??= end;
            if (lanes.Count == 0)
            {
                ended.TrySetResult(ending);
            }
        }
    }

    public void Dispose() => sending.Dispose();

    private void CheckKey(GatewayRequest opened)
    {
        if (server.Keys.Find(opened) is null)
        {
            ended.TrySetResult(new SocketEnd(WebSocketCloseStatus.PolicyViolation, KeyIsOver));
        }
    }

    private async Task<SocketEnd> ReadAsync(long maxBytes, CancellationToken working, CancellationToken cancellationToken)
    {
        using var buffer = new MessageBuffer(server.Memory, maxBytes);
        try
        {
            while (true)
            {
                var kind = await buffer.ReadAsync(client, cancellationToken);
                if (SocketEnd.Of(kind, client, GatewayError.BodyTooLarge(maxBytes)) is { } end)
                {
                    return end;
                }
                JsonText? lane = null;
                SocketMessage? message = null;
                var error = kind == MessageKind.Text ? SocketMessage.TryRead(buffer.Bytes, out lane, out message) : NoText;
                error ??= message!.IsSteering ? null : Begin(message, working);
                if (error is not null)
                {
                    await SendErrorAsync(error, lane, cancellationToken);
                }
                else if (message!.IsSteering)
                {
                    await SendAsync(Unsteered(message), cancellationToken);
                }
                buffer.Release();
            }
        }
        catch (Exception exception) when (exception is WebSocketException or OperationCanceledException or IOException or ObjectDisposedException)
        {
            return new SocketEnd(WebSocketCloseStatus.EndpointUnavailable, null); // broken off, or ended from this side
        }
    }

    /// <summary>Has a message answered, now or when its turn comes.</summary>
    private GatewayError? Begin(SocketMessage message, CancellationToken cancellationToken)
    {
        if (message.IsNotice)
        {
            return null;
        }
        lock (gate)
        {
            if (ending is not null)
            {
                return ending.Error ?? GatewayError.BodyMemoryExhausted with { Code = "shutting_down", Message = "The gateway is being stopped. Open another connection." };
            }
            var name = message.Lane?.ToString() ?? "";
            var isNew = !lanes.TryGetValue(name, out var lane);
            if (isNew ? lanes.Count == MaxLanes : lane!.Waiting.Count == MaxWaiting)
            {
                return TooMuch;
            }
            if (!server.Memory.TryTake(message.Body.Length))
            {
                return GatewayError.BodyMemoryExhausted;
            }
            if (!isNew)
            {
                lane!.Waiting.Enqueue(message);
                return null;
            }
            lane = new Lane();
            lanes.Add(name, lane);
            lane.Work = Task.Run(() => WorkAsync(name, lane, message, cancellationToken), CancellationToken.None);
            return null;
        }
    }

    private async Task WorkAsync(string name, Lane lane, SocketMessage? message, CancellationToken cancellationToken)
    {
        while (message is not null)
        {
            try
            {
                await AnswerAsync(message, cancellationToken);
            }
            finally
            {
                server.Memory.Return(message.Body.Length);
            }
            message = Next(name, lane, cancellationToken);
        }
    }

    private SocketMessage? Next(string name, Lane lane, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            if (!cancellationToken.IsCancellationRequested && lane.Waiting.TryDequeue(out var next))
            {
                return next;
            }
            foreach (var left in lane.Waiting)
            {
                server.Memory.Return(left.Body.Length);
            }
            lanes.Remove(name);
            if (lanes.Count == 0 && ending is not null)
            {
                ended.TrySetResult(ending);
            }
            return null;
        }
    }

    private Task[] Working()
    {
        lock (gate)
        {
            return [.. lanes.Values.Select(lane => lane.Work)];
        }
    }

    private async Task AnswerAsync(SocketMessage message, CancellationToken cancellationToken)
    {
        using var request = server.Requests.Begin(context, message.TraceParent, message.TraceState);
        if (request is null)
        {
            ended.TrySetResult(new SocketEnd(WebSocketCloseStatus.PolicyViolation, KeyIsOver));
            return;
        }
        try
        {
            var turn = new SocketTurn(server, request, message, Scope);
            await turn.RunAsync((bytes, token) => SendAsync(bytes, token), cancellationToken);
            if (turn.KeptId is { } id)
            {
                lock (gate)
                {
                    kept.Add(id);
                }
            }
        }
        catch (Exception exception) when (cancellationToken.IsCancellationRequested || client.State != WebSocketState.Open)
        {
            // Nobody is there any more, and the reader has found that out or will; but what is no consequence of it is told.
            if (exception is not (WebSocketException or IOException or ObjectDisposedException or OperationCanceledException))
            {
                server.Logger.SocketRequestFailed(request.Request.RequestId, exception);
            }
        }
        catch (Exception exception)
        {
            server.Logger.SocketRequestFailed(request.Request.RequestId, exception);
            await SendErrorAsync(new GatewayError(500, "internal_error", "The gateway failed. The request's id tells its log entry.") { Retryable = true }, message.Lane, cancellationToken);
        }
    }

    /// <summary>Says that a response cannot be steered, and gives the input back, as OpenAI does where a model cannot be.</summary>
    private static ReadOnlyMemory<byte> Unsteered(SocketMessage message)
    {
        var output = new ArrayBufferWriter<byte>();
        var json = new JsonObjectWriter(output);
        json.Text("type"u8, "response.steer.failed");
        json.Number("sequence_number"u8, 0);
        json.Name("error"u8);
        var error = new JsonObjectWriter(output);
        error.Text("type"u8, "invalid_request_error");
        error.Text("code"u8, "steering_not_supported");
        error.Text("message"u8, "The gateway steers no responses. Send the input with the next 'response.create'.");
        error.End();
        json.Name("steer"u8);
        var steer = new JsonObjectWriter(output);
        steer.Raw("previous_response_id"u8, message.SteeredId.Raw);
        steer.Raw("input"u8, message.Steered.Raw);
        steer.End();
        json.End();
        return output.WrittenMemory;
    }

    private async Task SendErrorAsync(GatewayError error, JsonText? lane, CancellationToken cancellationToken)
    {
        try
        {
            await SendAsync(SocketErrors.Write(error, lane), cancellationToken);
        }
        catch (Exception exception) when (exception is WebSocketException or IOException or ObjectDisposedException or OperationCanceledException)
        {
            client.Abort(); // nobody is there to be told
        }
    }

    private async ValueTask SendAsync(ReadOnlyMemory<byte> message, CancellationToken cancellationToken)
    {
        await sending.WaitAsync(cancellationToken);
        try
        {
            await client.SendAsync(message, WebSocketMessageType.Text, endOfMessage: true, cancellationToken);
        }
        finally
        {
            sending.Release();
        }
    }

    private sealed class Lane
    {
        public Queue<SocketMessage> Waiting { get; } = new();

        public Task Work { get; set; } = Task.CompletedTask;
    }
}
