using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Shared.Configuration;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace Shared.Http;

/// <summary>
/// One request on its way through the gateway: who asks, under which snapshot, in which trace, and how long it waited for upstreams.
/// Set as a feature of the <see cref="HttpContext"/> by the outermost middleware.
/// </summary>
public sealed class GatewayRequest
{
    private long upstreamTicks;

    /// <summary>Starts the clock.</summary>
    public GatewayRequest(string requestId, Snapshot snapshot, ActivityTraceId traceId)
    {
        RequestId = requestId;
        Snapshot = snapshot;
        TraceId = traceId;
        StartTimestamp = Stopwatch.GetTimestamp();
    }

    /// <summary>Sent back as <c>x-request-id</c> and kept in the ledger.</summary>
    public string RequestId { get; }

    /// <summary>The snapshot that decides everything about this request.</summary>
    public Snapshot Snapshot { get; }

    /// <summary>The trace that the request belongs to: the client's, or a new one.</summary>
    public ActivityTraceId TraceId { get; }

    /// <summary>The caller; null until it is authenticated.</summary>
    public VirtualKey? Key { get; set; }

    /// <summary>Which part of the hub it came in to; the whole of it unless an endpoint says otherwise.</summary>
    public ToolScope ToolScope { get; set; }

    /// <summary>When the request arrived, in <see cref="Stopwatch"/> ticks.</summary>
    public long StartTimestamp { get; }

    /// <summary>The value of the <c>traceparent</c> header for calls made on behalf of this request, where no <see cref="Activity"/> is running.</summary>
    public required string TraceParent { get; init; }

    /// <summary>The client's <c>tracestate</c>, or null.</summary>
    public string? TraceState { get; init; }

    /// <summary>The access token that the caller signed in with; null: a key, which is never shown to anybody.</summary>
    public Secret? SignInToken { get; set; }

    /// <summary>Those of its headers that some tool server may be passed (<see cref="GatewaySettings.PassedHeaders"/>), by name; null: none of them was sent.</summary>
    public IReadOnlyDictionary<string, string>? PassedHeaders { get; private set; }

    /// <summary>What the request came in by; null in tests of parts.</summary>
    internal Perimeter? Perimeter { get; init; }

    /// <summary>Time spent so far, less the time spent waiting for upstreams: what the gateway itself cost.</summary>
    public TimeSpan Overhead => Stopwatch.GetElapsedTime(0, Stopwatch.GetTimestamp() - StartTimestamp - Volatile.Read(ref upstreamTicks));

    /// <summary>Time since the request arrived.</summary>
    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(StartTimestamp);

    /// <summary>The request that a context carries.</summary>
    /// <exception cref="InvalidOperationException">The middleware is missing.</exception>
    public static GatewayRequest Of(HttpContext context) =>
        context.Features.Get<GatewayRequest>() ?? throw new InvalidOperationException("app.UseGatewayRequests() is missing before this endpoint.");

    /// <summary>
    /// Keeps the headers that may be passed on. They are copied, as the request's own are used again for another request when this one is over; a value that holds a key of
    /// the gateway's is left out, whatever its header.
    /// </summary>
    internal void KeepHeaders(IHeaderDictionary headers)
    {
        foreach (var name in Snapshot.Settings.PassedHeaders)
        {
            if (headers.TryGetValue(name, out var values) && values.ToString() is { Length: > 0 } value && !Credential.IsHeader(name) && !KeyToken.Occurs(value))
            {
                var kept = PassedHeaders as Dictionary<string, string> ?? new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
                kept[name] = value;
                PassedHeaders = kept;
            }
        }
    }

    /// <summary>Counts the time since <paramref name="since"/> (a <see cref="Stopwatch"/> timestamp) as waiting for an upstream.</summary>
    public void CountUpstream(long since) => Interlocked.Add(ref upstreamTicks, Stopwatch.GetTimestamp() - since);
}
