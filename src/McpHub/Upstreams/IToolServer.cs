using Shared.Http;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>What is sent for one call of a tool.</summary>
/// <param name="Caller">Who calls; only the built-in tools look at it.</param>
/// <param name="Tool">The upstream's own name.</param>
/// <param name="Params">The caller's raw <c>params</c>.</param>
/// <param name="TraceParent">W3C trace context for the upstream's side of the trace.</param>
/// <param name="TraceState">Its vendor part, or null.</param>
/// <param name="OnProgress">Receives raw progress parameters with the caller's token, in order; null: none wanted.</param>
internal sealed record UpstreamCall(GatewayRequest Caller, string Tool, ReadOnlyMemory<byte> Params, string TraceParent, string? TraceState, Func<ReadOnlyMemory<byte>, ValueTask>? OnProgress);

/// <summary>A connected tool server: an upstream over some transport, or the gateway's own tools.</summary>
internal interface IToolServer : IAsyncDisposable
{
    /// <summary>Raised when the server says that its tools changed.</summary>
    event Action? ToolsChanged;

    /// <summary>Completes when the connection is lost, with a short reason.</summary>
    Task<string> Lost { get; }

    /// <summary>The revision that was agreed on.</summary>
    string ProtocolVersion { get; }

    /// <summary>The raw definitions of all its tools.</summary>
    /// <exception cref="UpstreamException">It cannot be had.</exception>
    Task<IReadOnlyList<ReadOnlyMemory<byte>>> ListToolsAsync(CancellationToken cancellationToken);

    /// <summary>Calls a tool; the answer is raw.</summary>
    /// <exception cref="UpstreamException">There is no answer.</exception>
    /// <exception cref="OperationCanceledException">The caller left; the upstream was told.</exception>
    ValueTask<ToolCallOutcome> CallAsync(UpstreamCall call, CancellationToken cancellationToken);
}

/// <summary>An upstream failed. The message may be shown to callers: it names no address and quotes nothing that the upstream said.</summary>
/// <param name="code">JSON-RPC error code for callers.</param>
/// <param name="reason">A short code for the ledger and for metrics.</param>
/// <param name="message">What happened.</param>
/// <param name="wasSent">Whether the request may have been executed.</param>
/// <param name="inner">What lies behind it; for the log only.</param>
internal sealed class UpstreamException(int code, string reason, string message, bool wasSent = true, Exception? inner = null) : Exception(message, inner)
{
    public int Code { get; } = code;

    public string Reason { get; } = reason;

    public bool WasSent { get; } = wasSent;
}
