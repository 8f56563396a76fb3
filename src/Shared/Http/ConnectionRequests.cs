using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Shared.Snapshots;
using Shared.Telemetry;

namespace Shared.Http;

/// <summary>
/// Makes requests of the messages of a connection that stays open: each has an id, a place in a trace and measurements of its own, and the configuration and the key as they are when
/// it comes.
/// </summary>
public sealed class ConnectionRequests
{
    // What belongs to the connection and not to what is asked over it, and whatever a credential may stand in.
    private static readonly HashSet<string> Own = new(["Connection", "Upgrade", "Host", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Cookie", "Origin",
        "x-request-id", "traceparent", "tracestate"], StringComparer.OrdinalIgnoreCase);

    private readonly SnapshotStore snapshots;
    private readonly LiveKeys keys;
    private readonly GatewayMetrics metrics;
    private readonly TimeProvider clock;

    internal ConnectionRequests(SnapshotStore snapshots, LiveKeys keys, GatewayMetrics metrics, TimeProvider clock) =>
        (this.snapshots, this.keys, this.metrics, this.clock) = (snapshots, keys, metrics, clock);

    /// <summary>Begins a request.</summary>
    /// <param name="connection">The request that opened the connection; its caller is that of the messages.</param>
    /// <param name="traceParent">The <c>traceparent</c> that the message names; null: it is part of the connection's own trace.</param>
    /// <param name="traceState">The <c>tracestate</c> that goes with it.</param>
    /// <returns>The request; null: the connection's key was revoked, has expired, or is gone.</returns>
    public ConnectionRequest? Begin(HttpContext connection, string? traceParent = null, string? traceState = null)
    {
        var opened = GatewayRequest.Of(connection);
        if (keys.Find(opened) is not { } key)
        {
            return null;
        }
        var context = new DefaultHttpContext { RequestServices = connection.RequestServices };
        context.Request.Method = HttpMethods.Post;
        (context.Request.Scheme, context.Request.Host, context.Request.Path) = (connection.Request.Scheme, connection.Request.Host, connection.Request.Path);
        foreach (var (name, value) in connection.Request.Headers)
        {
            if (!Own.Contains(name) && !Credential.IsHeader(name) && !name.StartsWith("Sec-WebSocket-", StringComparison.OrdinalIgnoreCase))
            {
                context.Request.Headers[name] = value;
            }
        }
        context.Request.Headers.TraceParent = traceParent ?? opened.TraceParent;
        context.Request.Headers.TraceState = (traceParent is null ? opened.TraceState : traceState) ?? StringValues.Empty;
        var endpoint = EndpointFacts.Of(connection.GetEndpoint());
        var origin = TraceOrigin.Of(context.Request.Headers);
        var activity = GatewayTracing.StartServer(endpoint, context.Request.Method, origin.Parent);
        var request = new GatewayRequest(RequestIds.New(clock), snapshots.Current, activity?.TraceId ?? origin.TraceId)
        {
            TraceParent = activity?.Id ?? origin.TraceParent,
            TraceState = origin.TraceState,
            Key = key,
            SignInToken = opened.SignInToken,
            Perimeter = opened.Perimeter,
        };
        context.Features.Set(request);
        return new ConnectionRequest(context, request, endpoint, activity, metrics);
    }
}

/// <summary>One request of a connection's. Dispose it when it is answered: its span and its measurements end then.</summary>
public sealed class ConnectionRequest : IDisposable
{
    private readonly EndpointFacts endpoint;
    private readonly Activity? activity;
    private readonly GatewayMetrics metrics;

    internal ConnectionRequest(DefaultHttpContext context, GatewayRequest request, EndpointFacts endpoint, Activity? activity, GatewayMetrics metrics) =>
        (Context, Request, this.endpoint, this.activity, this.metrics) = (context, request, endpoint, activity, metrics);

    /// <summary>Carries the request; its body and where its answer goes are the caller's to set.</summary>
    public DefaultHttpContext Context { get; }

    /// <summary>The request.</summary>
    public GatewayRequest Request { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        metrics.Record(endpoint, Context.Response.StatusCode, Request);
        GatewayTracing.End(activity, Context, Request, endpoint);
        activity?.Dispose();
    }
}
