using System.Buffers;
using LlmProxy.Dialects.Responses.Store;
using LlmProxy.InProcess;
using LlmProxy.Neutral;
using Shared.Http;

namespace LlmProxy.Dialects.Responses.Socket;

/// <summary>One request over a connection: it takes the way of one that was posted, and each event of its answer becomes a message.</summary>
internal sealed class SocketTurn(ResponsesSockets server, ConnectionRequest request, SocketMessage message, string scope)
{
    private readonly ResponseKeeper keeper = new(server.Store, request.Request.Key!.Id, server.Clock, scope);
    private readonly ArrayBufferWriter<byte> outgoing = new();
    private readonly ArrayBufferWriter<byte> items = new();
    private string? id;

    /// <summary>The id of the response that is kept for the connection; null: none is.</summary>
    public string? KeptId { get; private set; }

    /// <summary>Has the request answered.</summary>
    /// <param name="send">Sends a message to the client.</param>
    /// <param name="cancellationToken">Cancels it, when the client leaves.</param>
    public async Task RunAsync(Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask> send, CancellationToken cancellationToken)
    {
        await using var call = new InProcessCall(request.Context, context => message.Generates ? server.Endpoints.CreateAsync(context, keeper) : server.Endpoints.PrepareAsync(context, keeper),
            message.Body, cancellationToken);
        await call.BeginsAsync(cancellationToken);
        if (call.Status >= 400)
        {
            call.Headers["x-request-id"] = request.Request.RequestId;
            await send(SocketErrors.Write(call.Status, await call.ReadAllAsync(cancellationToken), call.Headers, message.Lane), cancellationToken);
            return;
        }
        var events = new AnswerEvents();
        while (true)
        {
            var read = await call.Answer.ReadAsync(cancellationToken);
            events.Add(read.Buffer);
            call.Answer.AdvanceTo(read.Buffer.End);
            while (Take(events))
            {
                await send(outgoing.WrittenMemory, cancellationToken);
            }
            if (read.IsCompleted)
            {
                break;
            }
        }
        if (!message.IsStored && id is not null)
        {
            keeper.KeepForConnection(message.Body, id, items.WrittenSpan);
            KeptId = id;
        }
    }

    /// <summary>The next event as a message; false: more must come first.</summary>
    private bool Take(AnswerEvents events)
    {
        outgoing.ResetWrittenCount();
        while (events.TryRead(out _, out var data))
        {
            if (data.IsEmpty || data[0] != (byte)'{')
            {
                continue; // the end of the stream, which no message tells
            }
            if (!message.IsStored)
            {
                Collect(data);
            }
            if (message.Lane is { } lane)
            {
                outgoing.Write("{\"stream_id\":"u8);
                outgoing.WriteText(lane);
                outgoing.Write(","u8);
                data = data[1..];
            }
            outgoing.Write(data);
            return true;
        }
        return false;
    }

    /// <summary>Collects what a later request goes on from: of reasoning, what a provider that stores nothing can read again.</summary>
    private void Collect(ReadOnlySpan<byte> data)
    {
        if (data.IndexOf("\"response.output_item.done\""u8) >= 0 && JsonMembers.Of(data.ToArray()) is var done && done.Take("type"u8).Is("response.output_item.done"u8))
        {
            var item = done.Take("item"u8);
            var members = JsonMembers.Of(item.Raw);
            if (!members.Take("type"u8).Is("reasoning"u8) || members.Take("encrypted_content"u8).Exists)
            {
                items.Write(items.WrittenCount > 0 ? ","u8 : default);
                items.Write(item.Raw.Span);
            }
        }
        else if ((data.IndexOf("\"response.completed\""u8) >= 0 || data.IndexOf("\"response.incomplete\""u8) >= 0) && JsonMembers.Of(data.ToArray()) is var last
            && last.Take("type"u8) is var type && (type.Is("response.completed"u8) || type.Is("response.incomplete"u8)))
        {
            id = JsonMembers.Of(last.Take("response"u8).Raw).Take("id"u8) is { IsText: true } named ? named.Text.ToString() : null;
        }
    }
}
