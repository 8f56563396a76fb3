using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Shared.Http;

/// <summary>Answers requests that no endpoint takes, in words that help to find the right one.</summary>
internal sealed class UnmatchedRequests(EndpointDataSource endpoints)
{
    /// <summary>404 for an unknown path, or the status that routing chose (405, 415) for a known one. In the format of the known endpoint whose path is closest.</summary>
    public async Task AnswerAsync(HttpContext context)
    {
        var known = endpoints.Endpoints.OfType<RouteEndpoint>().Where(endpoint => endpoint.Metadata.GetMetadata<RequiredCaller>() is not null).ToList();
        if (context.GetEndpoint() is { RequestDelegate: { } routingAnswer } and not RouteEndpoint)
        {
            // Routing's own endpoint sets the status and the Allow header, and nothing else.
            await routingAnswer(context);
        }
        else
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
        }
        if (!context.Response.HasStarted)
        {
            await Closest(known, context.Request.Path).WriteAsync(context, ErrorFor(context, known));
        }
    }

    private static GatewayError ErrorFor(HttpContext context, List<RouteEndpoint> known) => context.Response.StatusCode switch
    {
        StatusCodes.Status405MethodNotAllowed => new(405, "method_not_allowed", $"This path does not take {context.Request.Method}; it takes {context.Response.Headers.Allow}."),
        StatusCodes.Status404NotFound => new(404, "not_found", $"There is no such path. Known endpoints: {string.Join(", ", known.Select(Describe).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))}."),
        var status => new(status, "not_acceptable", "The path exists, but not for a request of this form."),
    };

    private static string Describe(RouteEndpoint endpoint)
    {
        var methods = endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? [];
        return $"{string.Join('|', methods)} {Path(endpoint)}".TrimStart();
    }

    private static string Path(RouteEndpoint endpoint) => "/" + (endpoint.RoutePattern.RawText ?? "").TrimStart('/');

    private static IErrorFormat Closest(List<RouteEndpoint> known, PathString path)
    {
        var best = known.MaxBy(endpoint => SharedSegments(Path(endpoint), path.Value ?? ""));
        return best is not null && SharedSegments(Path(best), path.Value ?? "") > 0
            ? best.Metadata.GetMetadata<IErrorFormat>() ?? ProblemFormat.Instance
            : ProblemFormat.Instance;
    }

    private static int SharedSegments(string left, string right) =>
        left.Split('/', StringSplitOptions.RemoveEmptyEntries).Zip(right.Split('/', StringSplitOptions.RemoveEmptyEntries)).TakeWhile(pair => pair.First == pair.Second).Count();
}
