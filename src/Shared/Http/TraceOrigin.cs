using System.Diagnostics;
using Microsoft.AspNetCore.Http;

namespace Shared.Http;

/// <summary>The trace that a request belongs to, and what is said of it to upstreams.</summary>
/// <param name="Parent">The client's span; default where it sent none.</param>
/// <param name="TraceId">The client's trace, or a new one.</param>
/// <param name="TraceParent">Value of <c>traceparent</c> towards upstreams.</param>
/// <param name="TraceState">Value of <c>tracestate</c> towards upstreams, or null.</param>
internal readonly record struct TraceOrigin(ActivityContext Parent, ActivityTraceId TraceId, string TraceParent, string? TraceState)
{
    /// <summary>W3C allows 512 characters of <c>tracestate</c>; longer ones are dropped, as it says.</summary>
    private const int MaxTraceStateLength = 512;

    /// <summary>Reads the W3C headers. Ones that are malformed or sent twice count as not sent.</summary>
    public static TraceOrigin Of(IHeaderDictionary headers)
    {
        if (headers.TraceParent is [{ } sent])
        {
            var state = headers.TraceState.Count == 0 ? null : headers.TraceState.ToString();
            state = state is { Length: > 0 and <= MaxTraceStateLength } ? state : null;
            if (ActivityContext.TryParse(sent, state, isRemote: true, out var parent))
            {
                // Where nothing records here, the client's own span stays the parent of the upstream's.
                return new TraceOrigin(parent, parent.TraceId, sent, state);
            }
        }
        return NewTrace();
    }

    private static TraceOrigin NewTrace()
    {
        var trace = ActivityTraceId.CreateRandom();
        // Marked as sampled: an instrumented upstream follows its caller's decision, and "no" from a gateway that records nothing would lose its traces.
        return new TraceOrigin(default, trace, $"00-{trace.ToHexString()}-{ActivitySpanId.CreateRandom().ToHexString()}-01", null);
    }
}
