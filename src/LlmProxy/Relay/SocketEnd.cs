using System.Net.WebSockets;
using Shared.Http;

namespace LlmProxy.Relay;

/// <summary>Why a WebSocket is closed.</summary>
/// <param name="Status">The status for the other side.</param>
/// <param name="Error">What was wrong; null: nothing.</param>
internal sealed record SocketEnd(WebSocketCloseStatus Status, GatewayError? Error)
{
    /// <summary>How long the other side is given to close in its turn.</summary>
    public static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(5);

    /// <summary>What the other side said, where it closed first.</summary>
    public string? Reason { get; init; }

    // What stands for "none came" may not be sent.
    private WebSocketCloseStatus SendableStatus => (int)Status is 1004 or 1005 or 1006 or 1015 or < 1000 ? WebSocketCloseStatus.NormalClosure : Status;

    /// <summary>The end that a message is which is none; null: it is one.</summary>
    /// <param name="kind">How the reading of it ended.</param>
    /// <param name="socket">Where it came from.</param>
    /// <param name="tooLarge">What a message that is too large is told.</param>
    public static SocketEnd? Of(MessageKind kind, WebSocket socket, GatewayError tooLarge) => kind switch
    {
        MessageKind.Close => new SocketEnd(socket.CloseStatus ?? WebSocketCloseStatus.NormalClosure, null) { Reason = socket.CloseStatusDescription },
        MessageKind.TooLarge => new SocketEnd(WebSocketCloseStatus.MessageTooBig, tooLarge),
        MessageKind.OutOfMemory => new SocketEnd(WebSocketCloseStatus.MessageTooBig, GatewayError.BodyMemoryExhausted),
        _ => null,
    };

    /// <summary>Closes a socket from this side, or cuts it off where it takes nothing more.</summary>
    public async Task CloseAsync(WebSocket socket)
    {
        if (socket.State is not (WebSocketState.Open or WebSocketState.CloseReceived))
        {
            return;
        }
        using var patience = new CancellationTokenSource(CloseTimeout);
        try
        {
            await socket.CloseOutputAsync(SendableStatus, Error?.Code ?? (SendableStatus == WebSocketCloseStatus.Empty ? null : Reason), patience.Token);
        }
        catch (Exception exception) when (exception is WebSocketException or OperationCanceledException or IOException or ObjectDisposedException)
        {
            socket.Abort();
        }
    }
}
