using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace Shared.Telemetry;

/// <summary>The gateway's source of spans. Without a listener a span costs one comparison.</summary>
public static class GatewayTracing
{
    /// <summary>Name of the source and of the meter.</summary>
    public const string Name = "Gateway";

    /// <summary>The source that the planes start their spans from.</summary>
    public static ActivitySource Source { get; } = new(Name);

    internal static Activity? StartServer(EndpointFacts endpoint, string method, ActivityContext parent)
    {
        if (!Source.HasListeners())
        {
            return null;
        }
        if (parent == default)
        {
            // Whatever the server runs under (its own request activity) must not become the parent of the client's span.
            Activity.Current = null;
        }
        return Source.StartActivity(endpoint.SpanName(method), ActivityKind.Server, parent);
    }

    internal static void End(Activity? activity, HttpContext context, GatewayRequest request, EndpointFacts endpoint)
    {
        if (activity is null)
        {
            return;
        }
        var status = context.Response.StatusCode;
        activity.SetTag("http.request.method", context.Request.Method);
        activity.SetTag("http.response.status_code", status);
        activity.SetTag("url.scheme", context.Request.Scheme);
        activity.SetTag("url.path", context.Request.Path.Value);
        activity.SetTag("gateway.request.id", request.RequestId);
        activity.SetTag("gateway.overhead_ms", request.Overhead.TotalMilliseconds);
        if (endpoint.Route.Length > 0)
        {
            activity.SetTag("http.route", endpoint.Route);
        }
        if (request.Key is { } key)
        {
            activity.SetTag("gateway.key.id", key.Id);
        }
        if (status >= 500)
        {
            activity.SetTag("error.type", status.ToString(System.Globalization.CultureInfo.InvariantCulture));
            activity.SetStatus(ActivityStatusCode.Error);
        }
    }
}
