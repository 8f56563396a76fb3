namespace Gateway.Bridging;

/// <summary>A message could not be relayed.</summary>
/// <param name="code">The JSON-RPC error code that the client gets.</param>
/// <param name="message">Words for the client's user.</param>
internal sealed class BridgeException(int code, string message) : Exception(message)
{
    /// <summary>The gateway cannot be reached, or broke off. As the hub says it of tool servers.</summary>
    public const int Unavailable = -31503;

    /// <summary>What came back is no answer.</summary>
    public const int Invalid = -31502;

    /// <summary>More is under way than the bridge holds.</summary>
    public const int Busy = -31429;

    /// <summary>The JSON-RPC error code.</summary>
    public int Code => code;

    /// <summary>The gateway's own JSON-RPC error, which takes the place of the others; empty: there is none.</summary>
    public ReadOnlyMemory<byte> Error { get; init; }
}
