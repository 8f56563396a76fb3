using System.Buffers;
using System.Net.WebSockets;
using Shared.Http;

namespace LlmProxy.Relay;

/// <summary>How the reading of a message ended.</summary>
internal enum MessageKind
{
    Text,
    Binary,

    /// <summary>The other side closes the connection.</summary>
    Close,

    /// <summary>The message is larger than allowed.</summary>
    TooLarge,

    /// <summary>There is no memory for it now.</summary>
    OutOfMemory,
}

/// <summary>Holds one message of a WebSocket while it comes in, in pooled memory.</summary>
/// <param name="memory">What the bytes count against.</param>
/// <param name="maxBytes">The largest message; a little more may be held before that is known.</param>
internal sealed class MessageBuffer(BodyMemory memory, long maxBytes) : IDisposable
{
    private const int FirstBytes = 16 * 1024;

    private byte[] buffer = [];
    private long charged;
    private int filled;

    /// <summary>The message, until the next one is read.</summary>
    public ReadOnlyMemory<byte> Bytes => buffer.AsMemory(0, filled);

    /// <summary>Reads the next message.</summary>
    /// <exception cref="WebSocketException">The connection broke.</exception>
    public async ValueTask<MessageKind> ReadAsync(WebSocket source, CancellationToken cancellationToken)
    {
        filled = 0;
        while (true)
        {
            if (filled == buffer.Length && !TryGrow())
            {
                return buffer.Length >= maxBytes ? MessageKind.TooLarge : MessageKind.OutOfMemory;
            }
            var received = await source.ReceiveAsync(buffer.AsMemory(filled), cancellationToken);
            filled += received.Count;
            if (received.MessageType == WebSocketMessageType.Close)
            {
                return MessageKind.Close;
            }
            if (received.EndOfMessage)
            {
                return filled > maxBytes ? MessageKind.TooLarge : received.MessageType == WebSocketMessageType.Text ? MessageKind.Text : MessageKind.Binary;
            }
        }
    }

    /// <summary>Gives the memory back until the next message comes, whose beginning waits for it.</summary>
    public void Release()
    {
        Return();
        memory.Return(charged);
        (charged, filled) = (0, 0);
    }

    public void Dispose() => Release();

    private bool TryGrow()
    {
        var size = Math.Max(FirstBytes, buffer.Length * 2);
        if (buffer.Length >= maxBytes || !memory.TryTake(size - charged))
        {
            return false;
        }
        charged = size;
        var larger = ArrayPool<byte>.Shared.Rent(size);
        buffer.AsSpan(0, filled).CopyTo(larger);
        Return();
        buffer = larger;
        return true;
    }

    private void Return()
    {
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
            buffer = [];
        }
    }
}
