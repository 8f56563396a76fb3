using System.Buffers;
using McpHub.Upstreams;
using Shared.Tools;

namespace McpHub.Serving;

/// <summary>The client of a session, on the response to one of its calls: it is asked and told there, in the bytes that the server sent.</summary>
internal sealed class PostPeer(ClientSession session, PostStream stream) : IClientPeer
{
    private static readonly TimeSpan WordPatience = TimeSpan.FromSeconds(5);

    public string? SessionId => session.Id;

    public ReadOnlyMemory<byte> Capabilities => session.Capabilities;

    public IClientPeer Session => session.Peer;

    public bool IsOpen => !session.HasEnded;

    public async ValueTask<ToolCallOutcome> AskAsync(string method, ReadOnlyMemory<byte> parameters, Func<ReadOnlyMemory<byte>, ValueTask> onProgress, CancellationToken cancellationToken)
    {
        using var progress = new QuestionProgress(session, parameters, onProgress);
        return await AskAsync(method, progress.Params, cancellationToken);
    }

    public async ValueTask<ToolCallOutcome> AskAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken)
    {
        var (id, answer) = session.BeginAsking();
        try
        {
            byte[] head = [.. "{\"jsonrpc\":\"2.0\",\"id\":\""u8, .. System.Text.Encoding.ASCII.GetBytes(id), .. "\",\"method\":"u8, .. RawJson.String(method)];
            if (!await stream.SayAsync(Message(head, parameters), cancellationToken))
            {
                return await session.Peer.AskAsync(method, parameters, cancellationToken);
            }
            return await answer.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException) when (!answer.IsCompleted)
        {
            using var patience = new CancellationTokenSource(WordPatience);
            byte[] given = [.. "{\"requestId\":\""u8, .. System.Text.Encoding.ASCII.GetBytes(id), .. "\"}"u8];
            await NotifyAsync("notifications/cancelled", given, patience.Token);
            throw;
        }
        finally
        {
            session.EndAsking(id);
        }
    }

    public async ValueTask NotifyAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken)
    {
        if (method == "notifications/message" && !session.WantsLog(JsonMembers.FindString(parameters.Span, "level"u8)))
        {
            return;
        }
        byte[] head = [.. "{\"jsonrpc\":\"2.0\",\"method\":"u8, .. RawJson.String(method)];
        await stream.SayAsync(Message(head, parameters), cancellationToken);
    }

    private static ReadOnlyMemory<byte> Message(ReadOnlySpan<byte> head, ReadOnlyMemory<byte> parameters)
    {
        var message = new ArrayBufferWriter<byte>(head.Length + parameters.Length + 16);
        message.Write(head);
        if (!parameters.IsEmpty)
        {
            message.Write(",\"params\":"u8);
            message.Write(parameters.Span);
        }
        message.Write("}"u8);
        return message.WrittenMemory;
    }
}
