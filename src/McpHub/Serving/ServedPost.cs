using Shared.Http;

namespace McpHub.Serving;

/// <summary>
/// The POST that is being served, handed to the SDK's handlers by the flow of execution: in a session they would else see the request that opened it.
/// Keeps the body until the last of its users, which may outlive the HTTP request, has let go.
/// </summary>
/// <param name="request">The caller of this very POST.</param>
/// <param name="body">Its body; disposed with the last reference.</param>
/// <param name="message">What the body says.</param>
/// <param name="aborted">Cancelled when the client closes the connection or the stream.</param>
internal sealed class ServedPost(GatewayRequest request, PooledBody body, RpcMessage message, CancellationToken aborted) : IDisposable
{
    private static readonly AsyncLocal<ServedPost?> Flowing = new();
    private int references = 1;

    /// <summary>The POST on whose behalf the code runs; null outside of one.</summary>
    public static ServedPost? Current => Flowing.Value;

    /// <summary>The caller, the snapshot and the trace of this POST.</summary>
    public GatewayRequest Request { get; } = request;

    /// <summary>What the body says. Its memory is valid while a reference is held.</summary>
    public RpcMessage Message { get; } = message;

    /// <summary>Cancelled when the client closes the connection or the stream.</summary>
    public CancellationToken Aborted { get; } = aborted;

    /// <summary>The body as received. Valid while a reference is held.</summary>
    public ReadOnlyMemory<byte> Bytes => body.Bytes;

    /// <summary>Makes this the current POST of the flow of execution from here on.</summary>
    public void Enter() => Flowing.Value = this;

    /// <summary>Forgets the current POST in the flow of execution from here on, which else would keep its snapshot alive as long as it lasts.</summary>
    public static void Leave() => Flowing.Value = null;

    /// <summary>Takes a reference, to be given back with <see cref="Dispose"/>. False: the body is gone, because the client left before anybody looked at it.</summary>
    public bool TryRetain()
    {
        var seen = Volatile.Read(ref references);
        while (seen > 0)
        {
            var before = Interlocked.CompareExchange(ref references, seen + 1, seen);
            if (before == seen)
            {
                return true;
            }
            seen = before;
        }
        return false;
    }

    /// <summary>Gives one reference back.</summary>
    public void Dispose()
    {
        if (Interlocked.Decrement(ref references) == 0)
        {
            body.Dispose();
        }
    }
}
