using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Shared.SignIn;
using Shared.Snapshots;
using Shared.Telemetry;

namespace Shared.Http;

/// <summary>
/// The outermost middleware: gives each request its id, trace, snapshot and caller, its reply the headers that every reply carries, and its failure a
/// form that the caller understands. On every request's path, so it looks things up once and decides without I/O.
/// </summary>
internal sealed class GatewayRequestsMiddleware(
    RequestDelegate next, SnapshotStore snapshots, Perimeter perimeter, CallerAuthentication authentication, UnmatchedRequests unmatched, RequestFailures failures,
    GatewayMetrics metrics, TimeProvider clock, ILogger<GatewayRequestsMiddleware> logger)
{
    /// <summary>Kestrel's own limit stands this far above ours, so that the endpoint, which knows its caller's format, answers first.</summary>
    private const long BodyLimitSlack = 64 * 1024;

    private static readonly GatewayError Starting = new(StatusCodes.Status503ServiceUnavailable, "starting", "The gateway has no configuration yet. Try again shortly.")
    {
        RetryAfter = TimeSpan.FromSeconds(1),
        Retryable = true,
    };

    public async Task InvokeAsync(HttpContext context)
    {
        var endpoint = EndpointFacts.Of(context.GetEndpoint());
        var origin = TraceOrigin.Of(context.Request.Headers);
        using var activity = GatewayTracing.StartServer(endpoint, context.Request.Method, origin.Parent);
        var request = new GatewayRequest(
            RequestIds.Choose(context.Request.Headers["x-request-id"], clock),
            snapshots.HasCurrent ? snapshots.Current : Snapshot.Empty,
            activity?.TraceId ?? origin.TraceId)
        {
            TraceParent = activity?.Id ?? origin.TraceParent,
            TraceState = origin.TraceState,
            Perimeter = perimeter,
        };
        context.Features.Set(request);
        context.Response.OnStarting(SendHeaders, context);
        try
        {
            await AnswerAsync(context, request, endpoint);
        }
        catch (Exception exception)
        {
            await failures.HandleAsync(context, request, endpoint, exception);
        }
        finally
        {
            metrics.Record(endpoint, context.Response.StatusCode, request);
            GatewayTracing.End(activity, context, request, endpoint);
        }
    }

    private Task AnswerAsync(HttpContext context, GatewayRequest request, EndpointFacts endpoint)
    {
        perimeter.TakeForwarded(context);
        if (perimeter.Check(context) is { } outsider)
        {
            return RefuseAsync(context, request, endpoint, outsider);
        }
        if (perimeter.AnswersPreflight(context))
        {
            return Task.CompletedTask;
        }
        if (endpoint.Caller is not { } kind)
        {
            return unmatched.AnswerAsync(context);
        }
        if (kind != CallerKind.Anonymous && !snapshots.HasCurrent)
        {
            return RefuseAsync(context, request, endpoint, Starting);
        }
        if (authentication.Authenticate(context, request, kind, endpoint.QueryCredential) is { } error)
        {
            if (kind == CallerKind.VirtualKey && request.Snapshot.SignIn is not null)
            {
                return SignInAsync(context, request, endpoint, error);
            }
            context.Response.Headers.WWWAuthenticate = "Bearer";
            return RefuseAsync(context, request, endpoint, error);
        }
        return ServeAsync(context, request);
    }

    /// <summary>Whoever sends no key of the gateway's may have signed in.</summary>
    private async Task SignInAsync(HttpContext context, GatewayRequest request, EndpointFacts endpoint, GatewayError error)
    {
        if (await context.RequestServices.GetRequiredService<TokenAuthentication>().AuthenticateAsync(context, request, error) is { } refusal)
        {
            await RefuseAsync(context, request, endpoint, refusal);
            return;
        }
        await ServeAsync(context, request);
    }

    private Task ServeAsync(HttpContext context, GatewayRequest request)
    {
        if (!request.Snapshot.Settings.PassedHeaders.IsEmpty)
        {
            request.KeepHeaders(context.Request.Headers);
        }
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } body)
        {
            body.MaxRequestBodySize = request.Snapshot.Settings.MaxBodyBytes + BodyLimitSlack;
        }
        return next(context);
    }

    private Task RefuseAsync(HttpContext context, GatewayRequest request, EndpointFacts endpoint, GatewayError error)
    {
        logger.RequestRefused(request.RequestId, endpoint.Route, error.Status, error.Code);
        return endpoint.Errors.WriteAsync(context, error);
    }

    private static Task SendHeaders(object state)
    {
        var context = (HttpContext)state;
        var request = GatewayRequest.Of(context);
        var headers = context.Response.Headers;
        headers["x-request-id"] = request.RequestId;
        headers["x-gateway-overhead-ms"] = Milliseconds(request.Overhead);
        request.Perimeter?.AddCorsHeaders(context);
        return Task.CompletedTask;
    }

    private static string Milliseconds(TimeSpan time)
    {
        var (whole, fraction) = Math.DivRem(Math.Max(0, time.Ticks / TimeSpan.TicksPerMicrosecond), 1000);
        return string.Create(null, stackalloc char[32], $"{whole}.{fraction:D3}");
    }
}
