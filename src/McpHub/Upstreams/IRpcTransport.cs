namespace McpHub.Upstreams;

/// <summary>Takes each message that arrives, one after the other on each stream; the bytes are only valid during the call.</summary>
internal delegate ValueTask MessageSink(ReadOnlyMemory<byte> message);

/// <summary>What a transport needs to know of a message beside its bytes: streamable HTTP repeats it in headers.</summary>
/// <param name="Method">The method.</param>
/// <param name="Name">The tool, for <c>tools/call</c>; null otherwise.</param>
/// <param name="ExpectsAnswer">Whether it is a request.</param>
internal readonly record struct Outgoing(string Method, string? Name, bool ExpectsAnswer);

/// <summary>Carries messages to and from one upstream.</summary>
internal interface IRpcTransport : IAsyncDisposable
{
    /// <summary>Completes when the transport can carry nothing more, with a short reason.</summary>
    Task<string> Lost { get; }

    /// <summary>Begins to deliver messages.</summary>
    /// <exception cref="UpstreamException">The upstream cannot be reached.</exception>
    Task StartAsync(MessageSink sink, CancellationToken cancellationToken);

    /// <summary>Sends a message. Where the transport answers on the same exchange, the sink has had the answer when this returns.</summary>
    /// <exception cref="UpstreamException">It could not be sent, or the exchange broke.</exception>
    ValueTask SendAsync(ReadOnlyMemory<byte> message, Outgoing about, CancellationToken cancellationToken);

    /// <summary>Tells the transport what the handshake agreed on.</summary>
    void Agreed(string protocolVersion, bool isModern);
}
