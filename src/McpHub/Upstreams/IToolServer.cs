using Shared.Http;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>One call of a tool, on its way to the tool's server.</summary>
internal sealed class UpstreamCall
{
    /// <summary>Who calls; only the built-in tools look at it.</summary>
    public required GatewayRequest Caller { get; init; }

    /// <summary>The upstream's own name.</summary>
    public required string Tool { get; init; }

    /// <summary>The caller's <c>params</c>.</summary>
    public required ToolParams Params { get; init; }

    /// <summary>W3C trace context for the upstream's side of the trace.</summary>
    public required string TraceParent { get; init; }

    /// <summary>Its vendor part, or null.</summary>
    public string? TraceState { get; init; }

    /// <summary>Receives raw progress parameters with the caller's token, in order; null: none wanted.</summary>
    public Func<ReadOnlyMemory<byte>, ValueTask>? OnProgress { get; init; }

    /// <summary>Whether the server may have got it. Set before it is sent.</summary>
    public bool WasSent { get; set; }
}

/// <summary>A connected tool server: an upstream over some transport, or the gateway's own tools.</summary>
internal interface IToolServer : IAsyncDisposable
{
    /// <summary>Raised when the server says that its tools changed. Handlers return at once.</summary>
    event Action? ToolsChanged;

    /// <summary>Completes when the connection is lost.</summary>
    Task<UpstreamException> Lost { get; }

    /// <summary>The revision that was agreed on.</summary>
    string ProtocolVersion { get; }

    /// <summary>How the server introduced itself: a raw JSON object; empty: it did not.</summary>
    ReadOnlyMemory<byte> ServerInfo => default;

    /// <summary>Whether the loss of the connection is only seen when something is asked of it.</summary>
    bool WantsProbes => false;

    /// <summary>Asks for a sign of life; any answer is one.</summary>
    /// <exception cref="UpstreamException">There is no answer.</exception>
    Task ProbeAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>The end of what the server wrote about itself; "": nothing. For admins only.</summary>
    string LastWords { get; }

    /// <summary>The raw definitions of all its tools.</summary>
    /// <exception cref="UpstreamException">It cannot be had.</exception>
    Task<IReadOnlyList<ReadOnlyMemory<byte>>> ListToolsAsync(CancellationToken cancellationToken);

    /// <summary>Calls a tool; the answer is raw.</summary>
    /// <exception cref="UpstreamException">There is no answer.</exception>
    /// <exception cref="OperationCanceledException">The caller left; the upstream was told.</exception>
    ValueTask<ToolCallOutcome> CallAsync(UpstreamCall call, CancellationToken cancellationToken);
}
