using Shared.Http;

namespace Shared.Tools;

/// <summary>
/// The hub's tools for a caller, in process: the same view, admission and ledger as over <c>/mcp</c>. JSON goes in and out as it is.
/// </summary>
public interface IToolAccess
{
    /// <summary>The caller's tools, as the JSON array that stands under <c>tools</c> in a tools/list result, UTF-8.</summary>
    ReadOnlyMemory<byte> List(GatewayRequest caller);

    /// <summary>Calls a tool. Never throws for what the tool or its server did wrong; only for cancellation.</summary>
    /// <param name="caller">Who calls.</param>
    /// <param name="call">What is called.</param>
    /// <param name="cancellationToken">Cancels the upstream call, too.</param>
    ValueTask<ToolCallOutcome> CallAsync(GatewayRequest caller, ToolCall call, CancellationToken cancellationToken);
}

/// <summary>One call of a tool.</summary>
/// <param name="Name">The exposed name.</param>
/// <param name="Params">The whole <c>params</c> object as the caller sent it, UTF-8. The name and the progress token in it are replaced on the way up; everything else, unknown members included, goes on as it is.</param>
/// <param name="OnProgress">Receives the raw <c>params</c> of each progress notification, with the caller's own token, in order, all before the result; null: not wanted.</param>
public sealed record ToolCall(string Name, ReadOnlyMemory<byte> Params, Func<ReadOnlyMemory<byte>, ValueTask>? OnProgress = null)
{
    /// <summary>The client behind the call; null: nobody can be asked or told anything.</summary>
    public IClientPeer? Peer { get; init; }

    /// <summary>The least severe log messages that the client wants while the call runs; null: none.</summary>
    public string? LogLevel { get; init; }
}

/// <summary>What came of a call: either a result or a JSON-RPC error, raw.</summary>
/// <param name="Result">The <c>result</c> value, UTF-8; empty when there is an error.</param>
/// <param name="Error">The <c>error</c> value (<c>code</c>, <c>message</c>, perhaps <c>data</c>), UTF-8; empty when there is a result.</param>
public readonly record struct ToolCallOutcome(ReadOnlyMemory<byte> Result, ReadOnlyMemory<byte> Error)
{
    /// <summary>Whether the upstream or the gateway answered with an error.</summary>
    public bool IsError => !Error.IsEmpty;
}
