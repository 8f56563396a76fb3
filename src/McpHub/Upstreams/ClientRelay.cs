using System.Buffers;
using System.Collections.Concurrent;
using System.Text;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>
/// Takes what a server asks of clients, and what it tells them, to the right one: the caller of the request on whose stream it came in; else the only one whose request is under way;
/// else the owner of the connection, or the only one that uses it. Where more than one could be meant nobody is asked, as an answer might go to the wrong person.
/// </summary>
internal sealed class ClientRelay(ToolManifest manifest, PendingRequests pending, Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask> send, TimeProvider clock, ILogger logger)
{
    /// <summary>How long a client may take to answer.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    // A server that asks faster than it reads answers would otherwise fill the memory with them.
    private const int MostAsked = 64;
    private const int MostTold = 256;
    private static readonly TimeSpan WordPatience = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<string, CancellationTokenSource> asked = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, IClientPeer> users = new(StringComparer.Ordinal);
    private int asking;
    private int telling;

    /// <summary>The client that the whole connection belongs to; null: it is shared.</summary>
    public IClientPeer? Owner { get; init; }

    /// <summary>Notes that a client uses the connection.</summary>
    public void NoteUse(IClientPeer peer)
    {
        if (Owner is null && peer is { SessionId: { } id, Session: { } session } && !users.ContainsKey(id))
        {
            foreach (var (known, user) in users)
            {
                if (!user.IsOpen)
                {
                    users.TryRemove(known, out _);
                }
            }
            users[id] = session;
        }
    }

    /// <summary>Takes a request of the server. Returns at once; the answer follows.</summary>
    public void Ask(RpcFrame frame, PendingRequest? exchange)
    {
        var id = frame.Id.ToArray();
        if (Interlocked.Increment(ref asking) > MostAsked)
        {
            Interlocked.Decrement(ref asking);
            return;
        }
        if (frame.Method == "ping")
        {
            _ = AnswerAsync(id, new ToolCallOutcome("{}"u8.ToArray(), default));
            return;
        }
        var (peer, request) = Find(exchange);
        if (peer is null)
        {
            logger.NobodyToAsk(manifest.Id, frame.Method);
            _ = AnswerAsync(id, RpcError.Of(RpcError.InternalError, "The gateway cannot tell which of its clients is to be asked."));
            return;
        }
        if (LackOf(peer, frame.Method, frame.Params) is { } lack)
        {
            _ = AnswerAsync(id, RpcError.Of(RpcError.MethodNotFound, $"The client cannot be asked: it does not support {lack}."));
            return;
        }
        _ = AskAsync(id, peer, request, frame.Method, frame.Params.ToArray());
    }

    /// <summary>The server wants no answer any more.</summary>
    public void Cancel(ReadOnlySpan<byte> parameters)
    {
        if (asked.TryGetValue(Encoding.UTF8.GetString(JsonMembers.FindRaw(parameters, "requestId"u8)), out var cancellation))
        {
            cancellation.Cancel();
        }
    }

    /// <summary>Takes a notification of the server.</summary>
    public void Tell(string method, ReadOnlySpan<byte> parameters, PendingRequest? exchange)
    {
        var (peer, request) = Find(exchange);
        if (peer is null || request?.Tell(method, parameters) == true)
        {
            return;
        }
        if (Interlocked.Increment(ref telling) > MostTold)
        {
            Interlocked.Decrement(ref telling);
            return;
        }
        _ = TellAsync(peer.Session ?? peer, method, parameters.ToArray());
    }

    /// <summary>What of the things that a question needs a client does not have; null: it has all.</summary>
    public static string? LackOf(IClientPeer? peer, string method, ReadOnlySpan<byte> parameters)
    {
        var wanted = method switch
        {
            "elicitation/create" => !parameters.IsEmpty && JsonMembers.FindString(parameters, "mode"u8) == "url" ? "elicitation.url" : "elicitation.form",
            "sampling/createMessage" => JsonMembers.FindRaw(parameters, "tools"u8).IsEmpty ? "sampling" : "sampling.tools",
            "roots/list" => "roots",
            _ => null,
        };
        return peer is null ? wanted ?? method : wanted is null || peer.Can(wanted) ? null : wanted;
    }

    private (IClientPeer? Peer, PendingRequest? Request) Find(PendingRequest? exchange)
    {
        if (exchange?.Call is { Peer: { } caller })
        {
            return (caller, exchange);
        }
        PendingRequest? found = null;
        foreach (var request in pending.All)
        {
            if (request.Call is not { } call)
            {
                continue;
            }
            if (call.Peer is null || (found?.Call!.Peer is { } other && !IsSame(other, call.Peer)))
            {
                return (Owner, null);
            }
            found = request;
        }
        if (found is not null)
        {
            return (found.Call!.Peer, found);
        }
        if (Owner is not null)
        {
            return (Owner, null);
        }
        var open = users.Values.Where(user => user.IsOpen).Take(2).ToList();
        return (open.Count == 1 ? open[0] : null, null);
    }

    private static bool IsSame(IClientPeer one, IClientPeer other) => ReferenceEquals(one, other) || (one.SessionId is { } id && id == other.SessionId);

    private async Task AskAsync(byte[] id, IClientPeer peer, PendingRequest? request, string method, byte[] parameters)
    {
        using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(request?.Ended ?? CancellationToken.None);
        using var patience = new CancellationTokenSource(Patience, clock);
        await using var late = patience.Token.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), cancellation);
        var key = Encoding.UTF8.GetString(id);
        asked[key] = cancellation;
        request?.Deadline?.Stop();
        request?.Call?.Outer?.Stop();
        var outcome = RpcError.Of(RpcError.InternalError, "The client did not answer.");
        try
        {
            outcome = await peer.AskAsync(method, parameters, TellProgressAsync, cancellation.Token);
        }
        catch (OperationCanceledException)
        {
            logger.NotAnswered(manifest.Id, method);
        }
        catch (Exception exception)
        {
            logger.AskingFailed(manifest.Id, method, exception);
        }
        finally
        {
            asked.TryRemove(KeyValuePair.Create(key, cancellation));
            request?.Deadline?.Start();
            request?.Call?.Outer?.Start();
        }
        await AnswerAsync(id, outcome);
    }

    private async Task TellAsync(IClientPeer peer, string method, byte[] parameters)
    {
        using var patience = new CancellationTokenSource(WordPatience, clock);
        try
        {
            await peer.NotifyAsync(method, parameters, patience.Token);
        }
        catch (Exception exception)
        {
            // A client that cannot be told now misses it.
            logger.NotTold(manifest.Id, exception.GetType().Name);
        }
        finally
        {
            Interlocked.Decrement(ref telling);
        }
    }

    private async Task AnswerAsync(byte[] id, ToolCallOutcome outcome)
    {
        try
        {
            await SendAsync([.. "{\"jsonrpc\":\"2.0\",\"id\":"u8, .. id, .. outcome.IsError ? ",\"error\":"u8 : ",\"result\":"u8], outcome.IsError ? outcome.Error : outcome.Result);
        }
        finally
        {
            Interlocked.Decrement(ref asking);
        }
    }

    /// <summary>Tells the server how far the client is with its question.</summary>
    private async ValueTask TellProgressAsync(ReadOnlyMemory<byte> parameters) => await SendAsync([.. "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":"u8], parameters);

    /// <summary>Sends a message that ends with a value. A server that does not take it now misses it.</summary>
    private async Task SendAsync(byte[] head, ReadOnlyMemory<byte> value)
    {
        var message = new ArrayBufferWriter<byte>(head.Length + value.Length + 16);
        message.Write(head);
        RawJson.WriteCompact(value.Span, message);
        message.Write("}"u8);
        using var patience = new CancellationTokenSource(WordPatience, clock);
        try
        {
            await send(message.WrittenMemory, patience.Token);
        }
        catch (Exception exception) when (exception is UpstreamException or OperationCanceledException)
        {
            logger.NotTold(manifest.Id, exception.GetType().Name);
        }
    }
}
