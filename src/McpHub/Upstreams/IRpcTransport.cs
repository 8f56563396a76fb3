using McpHub.Catalog;

namespace McpHub.Upstreams;

/// <summary>Takes each message that arrives. Returns at once, so that no slow caller holds up the others; the bytes are only valid during the call.</summary>
/// <param name="message">The message.</param>
/// <param name="exchange">The request on whose own stream it came in, so that all that it says belongs to that request; null: it came in on a stream for everybody.</param>
internal delegate void MessageSink(ReadOnlySpan<byte> message, PendingRequest? exchange);

/// <summary>Takes a piece of what arrives; the bytes are only valid during the call.</summary>
internal delegate void BytesSink(ReadOnlySpan<byte> bytes);

/// <summary>What a transport needs to know of a message beside its bytes: streamable HTTP repeats it in headers.</summary>
/// <param name="Method">The method; "" for an answer of ours.</param>
/// <param name="Name">The tool or prompt, or the address of a resource, that the request names; null: none.</param>
/// <param name="Request">What waits for the answer; null: none is expected.</param>
internal readonly record struct Outgoing(string Method, string? Name, PendingRequest? Request)
{
    /// <summary>The arguments that the request repeats in headers; null: none.</summary>
    public ParameterHeaders? Headers { get; init; }

    /// <summary>The arguments, raw.</summary>
    public ReadOnlyMemory<byte> Arguments { get; init; }
}

/// <summary>Carries messages to and from one upstream.</summary>
internal interface IRpcTransport : IAsyncDisposable
{
    /// <summary>Completes when the transport can carry nothing more.</summary>
    Task<UpstreamException> Lost { get; }

    /// <summary>Whether each request has an exchange of its own, so that requests under way may still be answered when the connection as a whole is lost.</summary>
    bool HasExchanges { get; }

    /// <summary>The end of what the server wrote about itself; "": nothing. For admins only: it may hold anything.</summary>
    string LastWords { get; }

    /// <summary>Begins to deliver messages.</summary>
    /// <exception cref="UpstreamException">The upstream cannot be reached.</exception>
    Task StartAsync(MessageSink sink, CancellationToken cancellationToken);

    /// <summary>Sends a message. A transport with exchanges returns when the request was answered; others when the message is on its way.</summary>
    /// <exception cref="UpstreamException">It could not be sent, or the exchange ended without an answer.</exception>
    ValueTask SendAsync(ReadOnlyMemory<byte> message, Outgoing about, CancellationToken cancellationToken);

    /// <summary>Tells the transport which revision was agreed on, before anything else is sent.</summary>
    void Agreed(string protocolVersion, bool isModern);

    /// <summary>The handshake is over: where the revision has a stream for what the server says by itself, it may be opened.</summary>
    void Listen();
}
