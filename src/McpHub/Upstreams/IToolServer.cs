using McpHub.Catalog;
using Shared.Http;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>One request of a caller on its way to a server: a call of a tool, or anything else that a client asks of one server.</summary>
internal sealed class UpstreamCall
{
    /// <summary>The method.</summary>
    public string Method { get; init; } = "tools/call";

    /// <summary>Who calls; only the built-in tools look at it.</summary>
    public required GatewayRequest Caller { get; init; }

    /// <summary>The upstream's own name of the tool or prompt, or its address of the resource; "": the request names none.</summary>
    public required string Tool { get; init; }

    /// <summary>The caller's <c>params</c>.</summary>
    public required ToolParams Params { get; init; }

    /// <summary>W3C trace context for the upstream's side of the trace.</summary>
    public required string TraceParent { get; init; }

    /// <summary>Its vendor part, or null.</summary>
    public string? TraceState { get; init; }

    /// <summary>Receives raw progress parameters with the caller's token, in order; null: none wanted.</summary>
    public Func<ReadOnlyMemory<byte>, ValueTask>? OnProgress { get; init; }

    /// <summary>The client behind the call; null: nobody can be asked or told anything.</summary>
    public IClientPeer? Peer { get; init; }

    /// <summary>The arguments that the request repeats in headers; null: none.</summary>
    public ParameterHeaders? Headers { get; init; }

    /// <summary>The least severe log messages that the caller wants while the request runs; null: none.</summary>
    public string? LogLevel { get; init; }

    /// <summary>The time that the tool's own rules allow; stands still while the caller is asked something. Null: they allow what the server does.</summary>
    public Deadline? Outer { get; set; }

    /// <summary>The same request with other parameters.</summary>
    public UpstreamCall With(ToolParams parameters) => new()
    {
        Method = Method,
        Caller = Caller,
        Tool = Tool,
        Params = parameters,
        TraceParent = TraceParent,
        TraceState = TraceState,
        OnProgress = OnProgress,
        Peer = Peer,
        Headers = Headers,
        LogLevel = LogLevel,
        Outer = Outer,
        WasSent = WasSent,
    };

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

    /// <summary>What should be looked at although it works; null: nothing. For admins only.</summary>
    string? Warning => null;

    /// <summary>What could be no tool, and why, beside the definitions that the catalog refuses.</summary>
    IReadOnlyList<QuarantinedTool> Unusable => [];

    /// <summary>Raised when the server says that a resource changed, with its address. Handlers return at once.</summary>
    event Action<string>? ResourceUpdated
    {
        add { }
        remove { }
    }

    /// <summary>What the server offers: the raw <c>capabilities</c> object; empty: it did not say.</summary>
    ReadOnlyMemory<byte> Capabilities => default;

    /// <summary>What the server tells models of its use; null: nothing.</summary>
    string? Instructions => null;

    /// <summary>The raw definitions of all its tools.</summary>
    /// <exception cref="UpstreamException">It cannot be had.</exception>
    Task<IReadOnlyList<ReadOnlyMemory<byte>>> ListToolsAsync(CancellationToken cancellationToken);

    /// <summary>The raw items of one of its other lists; empty where it has none.</summary>
    /// <exception cref="UpstreamException">It cannot be had.</exception>
    Task<IReadOnlyList<ReadOnlyMemory<byte>>> ListAsync(ListKind kind, CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<ReadOnlyMemory<byte>>>([]);

    /// <summary>Asks for something on the hub's own behalf, within the time allowed for connecting.</summary>
    /// <exception cref="UpstreamException">There is no answer.</exception>
    ValueTask<ToolCallOutcome> AskAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken) =>
        ValueTask.FromResult(RpcError.Of(RpcError.MethodNotFound, "Method not found"));

    /// <summary>Tells the server something.</summary>
    /// <exception cref="UpstreamException">It could not be told.</exception>
    ValueTask NotifyAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>Says which resources the hub wants to hear of, all of them, on a connection whose revision has a stream for that. Others are told with a request each.</summary>
    void Watch(IReadOnlyCollection<string> resources)
    {
    }

    /// <summary>Makes a request of a caller; the answer is raw.</summary>
    /// <exception cref="UpstreamException">There is no answer.</exception>
    /// <exception cref="OperationCanceledException">The caller left; the upstream was told.</exception>
    ValueTask<ToolCallOutcome> CallAsync(UpstreamCall call, CancellationToken cancellationToken);
}
