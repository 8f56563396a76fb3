using System.Diagnostics;

namespace Shared.Telemetry;

/// <summary>
/// Sends <c>traceparent</c> and <c>tracestate</c> with outgoing calls, and nothing else: baggage may hold what a client told the gateway in confidence,
/// and no upstream has a claim to it.
/// </summary>
internal sealed class TraceContextPropagator : DistributedContextPropagator
{
    private static readonly string[] Names = ["traceparent", "tracestate"];

    /// <inheritdoc/>
    public override IReadOnlyCollection<string> Fields => Names;

    /// <inheritdoc/>
    public override void Inject(Activity? activity, object? carrier, PropagatorSetterCallback? setter)
    {
        if (activity is not { IdFormat: ActivityIdFormat.W3C, Id: { } id } || setter is null)
        {
            return;
        }
        setter(carrier, "traceparent", id);
        if (activity.TraceStateString is { Length: > 0 } state)
        {
            setter(carrier, "tracestate", state);
        }
    }

    /// <inheritdoc/>
    public override void ExtractTraceIdAndState(object? carrier, PropagatorGetterCallback? getter, out string? traceId, out string? traceState)
    {
        (traceId, traceState) = (null, null);
        if (getter is not null)
        {
            getter(carrier, "traceparent", out traceId, out _);
            getter(carrier, "tracestate", out traceState, out _);
        }
    }

    /// <inheritdoc/>
    public override IEnumerable<KeyValuePair<string, string?>>? ExtractBaggage(object? carrier, PropagatorGetterCallback? getter) => null;
}
