namespace Gateway.Admin.OpenApi;

internal static class ApiDescription
{
    public static void MapApiDescription(this IEndpointRouteBuilder app)
    {
    }
}
