namespace Shared.Tools;

/// <summary>A tool server's circuit breaker as it is now.</summary>
/// <param name="State"><c>closed</c>: calls go through; <c>open</c>: they fail at once; <c>halfOpen</c>: trial calls show whether the server is back.</param>
/// <param name="FailuresInRow">The failures since the last answer.</param>
/// <param name="RetryAt">When the next trial call may be made; null: now.</param>
public sealed record ToolServerBreaker(string State, int FailuresInRow, DateTimeOffset? RetryAt);

/// <summary>How the calls of one tool went, since the gateway started or its server's manifest last changed.</summary>
public sealed record ToolHealth
{
    /// <summary>Calls that were made and are over.</summary>
    public long Calls { get; init; }

    /// <summary>Those that brought no result: a JSON-RPC error, or no answer.</summary>
    public long Failures { get; init; }

    /// <summary>Those whose result says that the tool failed (<c>isError</c>).</summary>
    public long ToolErrors { get; init; }

    /// <summary>Calls that were not made because the circuit was open.</summary>
    public long Refused { get; init; }

    /// <summary>Why the last failure failed, as a short code; null: there was none.</summary>
    public string? LastError { get; init; }

    /// <summary>Its JSON-RPC error code; 0: none.</summary>
    public int LastErrorCode { get; init; }

    /// <summary>When it was.</summary>
    public DateTimeOffset? LastErrorAt { get; init; }

    /// <summary>How long calls take, on average.</summary>
    public TimeSpan MeanLatency { get; init; }

    /// <summary>How long the longest took.</summary>
    public TimeSpan MaxLatency { get; init; }
}
