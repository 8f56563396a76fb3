using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Shared.Http;

/// <summary>What the middleware needs to know of an endpoint, looked up once for each endpoint.</summary>
internal sealed class EndpointFacts
{
    private static readonly ConditionalWeakTable<Endpoint, EndpointFacts> Known = [];

    private readonly ConcurrentDictionary<string, string> names = new(StringComparer.Ordinal);

    private EndpointFacts(string route, CallerKind? caller, IErrorFormat? errors, string? queryCredential = null)
    {
        QueryCredential = queryCredential;
        Route = route;
        Caller = caller;
        Errors = errors ?? ProblemFormat.Instance;
        Plane = PlaneOf(route);
    }

    /// <summary>A request that no endpoint takes.</summary>
    public static EndpointFacts Unmatched { get; } = new("", null, null);

    /// <summary>The route's template, or "".</summary>
    public string Route { get; }

    /// <summary>Whose credential it wants; null: it says nothing and is denied.</summary>
    public CallerKind? Caller { get; }

    /// <summary>How its errors look.</summary>
    public IErrorFormat Errors { get; }

    /// <summary>The parameter of the query in which the credential may stand; null: none.</summary>
    public string? QueryCredential { get; }

    /// <summary>The part of the gateway that answers: <c>llm</c>, <c>mcp</c>, <c>admin</c> or <c>host</c>.</summary>
    public string Plane { get; }

    /// <summary>The facts of an endpoint.</summary>
    public static EndpointFacts Of(Endpoint? endpoint) =>
        endpoint is null ? Unmatched : Known.GetValue(endpoint, static found => new EndpointFacts(
            (found as RouteEndpoint)?.RoutePattern.RawText ?? "",
            found.Metadata.GetMetadata<RequiredCaller>()?.Kind,
            found.Metadata.GetMetadata<IErrorFormat>(),
            found.Metadata.GetMetadata<QueryCredential>()?.Parameter));

    /// <summary>The name of a request's span: <c>{method} {route}</c>. Unknown methods share one name, so that a caller cannot grow the table.</summary>
    public string SpanName(string method) =>
        names.GetOrAdd(IsCommon(method) ? method : "HTTP", static (verb, route) => route.Length == 0 ? verb : $"{verb} {route}", Route);

    private static bool IsCommon(string method) =>
        HttpMethods.IsGet(method) || HttpMethods.IsPost(method) || HttpMethods.IsDelete(method) || HttpMethods.IsPut(method) || HttpMethods.IsOptions(method) || HttpMethods.IsHead(method) || HttpMethods.IsPatch(method);

    private static string PlaneOf(string route) => route.TrimStart('/').Split('/', 2)[0] switch
    {
        "v1" or "v2" or "v1beta" or "v1beta1" or "openai" or "anthropic" or "genai" or "bedrock" => "llm",
        "mcp" => "mcp",
        "admin" => "admin",
        _ => "host",
    };
}
