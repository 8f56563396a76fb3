using Shared.Http;
using Shared.Storage;

namespace Gateway.Admin.OpenApi;

/// <summary>An endpoint with what the OpenAPI document says of it, and what follows from that: unknown parameters and wrong media types are refused.</summary>
internal sealed class OperationEndpoint(RequestDelegate handler, Func<Operation> describe)
{
    // Described when first needed: a start needs none of it.
    private readonly Lazy<Operation> operation = new(describe);

    public Operation Operation => operation.Value;

    public async Task RunAsync(HttpContext context)
    {
        try
        {
            CheckQuery(context.Request.Query);
            CheckBody(context.Request);
            await handler(context);
        }
        catch (AdminProblem problem) when (!context.Response.HasStarted)
        {
            await ProblemFormat.Instance.WriteAsync(context, problem.Error);
        }
        catch (StorageException exception) when (!context.Response.HasStarted)
        {
            await ProblemFormat.Instance.WriteAsync(context, new GatewayError(StatusCodes.Status503ServiceUnavailable, "storage_unavailable", exception.Message) { Retryable = true });
        }
    }

    private void CheckQuery(IQueryCollection query)
    {
        foreach (var (name, values) in query)
        {
            if (Operation.AllQuery.FirstOrDefault(parameter => parameter.Name == name) is not { } described)
            {
                var known = string.Join(", ", Operation.AllQuery.Select(parameter => parameter.Name));
                throw AdminProblem.BadParameter(name, $"There is no parameter '{name}' here; {(known.Length == 0 ? "there are none" : $"known are {known}")}.");
            }
            if (values.Count > 1 && !described.Repeatable)
            {
                throw AdminProblem.BadParameter(name, $"The parameter '{name}' stands more than once.");
            }
        }
    }

    private void CheckBody(HttpRequest request)
    {
        if (Operation.Body is null || (Operation.BodyOptional && request.ContentLength is null or 0 && !request.Headers.TransferEncoding.Any()))
        {
            return;
        }
        var type = request.ContentType?.Split(';')[0].Trim();
        if (!Operation.BodyTypes.Contains(type, StringComparer.OrdinalIgnoreCase))
        {
            throw new AdminProblem(new GatewayError(StatusCodes.Status415UnsupportedMediaType, "unsupported_media_type",
                $"The body is {type ?? "of no said type"}; send 'Content-Type: {string.Join("' or '", Operation.BodyTypes)}'.") { Field = "Content-Type" });
        }
    }
}

/// <summary>Mapping of described endpoints.</summary>
internal static class OperationMapping
{
    /// <summary>Maps an endpoint that stands in the OpenAPI document.</summary>
    public static IEndpointConventionBuilder MapOperation(this IEndpointRouteBuilder routes, string method, string pattern, RequestDelegate handler, Func<Operation> describe)
    {
        var endpoint = new OperationEndpoint(handler, describe);
        return routes.MapMethods(pattern, [method], endpoint.RunAsync).WithMetadata(endpoint);
    }
}
