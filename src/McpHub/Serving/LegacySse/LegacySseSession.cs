using System.Collections.Concurrent;
using ModelContextProtocol.Server;

namespace McpHub.Serving;

/// <summary>A client on the HTTP+SSE of 2024-11-05: the one stream on which it hears everything, and the messages of it that are being dealt with.</summary>
/// <param name="id">What its messages name.</param>
/// <param name="keyId">The key that opened the stream.</param>
/// <param name="transport">The stream.</param>
internal sealed class LegacySseSession(string id, string keyId, SseResponseStreamTransport transport) : IDisposable
{
    /// <summary>
    /// The most messages that are dealt with at once. A POST is answered before its message is dealt with, so that nothing else keeps a client from sending without end.
    /// </summary>
    public const int MostPending = 64;

    private readonly ConcurrentDictionary<ServedPost, byte> pending = new();
    private readonly TaskCompletionSource<ServedPost> first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource ending = new();
    private int count;
    private volatile bool isOver;

    public string Id { get; } = id;

    public string KeyId { get; } = keyId;

    public SseResponseStreamTransport Transport { get; } = transport;

    /// <summary>The message that opens the session.</summary>
    public Task<ServedPost> First => first.Task;

    /// <summary>Completes when the session that it opens can be spoken to.</summary>
    public TaskCompletionSource Running { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Cancelled when the session ends from outside.</summary>
    public CancellationToken Ending => ending.Token;

    /// <summary>Ends the session.</summary>
    public void End()
    {
        if (!isOver)
        {
            // Whoever ends it is not to wait for all that ends with it.
            _ = ending.CancelAsync();
        }
    }

    /// <summary>Opens the session. False: it is open already.</summary>
    public bool TryOpen(ServedPost post) => first.TrySetResult(post);

    /// <summary>Keeps a message until it is dealt with. False: there are too many, or the session is over.</summary>
    public bool TryKeep(ServedPost post)
    {
        if (Interlocked.Increment(ref count) > MostPending || isOver || !pending.TryAdd(post, 0))
        {
            Interlocked.Decrement(ref count);
            return false;
        }
        if (isOver)
        {
            Release(post);
        }
        return true;
    }

    /// <summary>A message has been dealt with.</summary>
    public void Release(ServedPost post)
    {
        if (pending.TryRemove(post, out _))
        {
            Interlocked.Decrement(ref count);
            post.Dispose();
        }
    }

    public void Dispose()
    {
        isOver = true;
        Running.TrySetResult();
        foreach (var post in pending.Keys)
        {
            Release(post);
        }
        ending.Dispose();
    }
}
