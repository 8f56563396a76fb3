using Microsoft.Extensions.DependencyInjection.Extensions;
using Shared.Http;
using Shared.Telemetry;
using Shared.Tools;

namespace Gateway.Admin;

/// <summary>The admin API under <c>/admin/v1</c>: keys, usage and the states of tool servers. Every endpoint wants an admin key.</summary>
internal static class AdminFeature
{
    public static IServiceCollection AddAdminApi(this IServiceCollection services)
    {
        services.AddSingleton<IAdminAuthenticator, StoredAdminKeys>();
        services.AddSingleton<KeyAdministration>();
        services.TryAddSingleton<IToolServerStates, NoToolServers>();
        services.AddSingleton<IReadinessCheck, ToolServersCheck>();
        return services;
    }

    public static IEndpointRouteBuilder MapAdminApi(this IEndpointRouteBuilder app)
    {
        var admin = app.MapGroup("/admin/v1");
        admin.ForCaller(CallerKind.Admin, ProblemFormat.Instance);
        admin.MapGet("/keys", KeyEndpoints.ListAsync);
        admin.MapPost("/keys", KeyEndpoints.CreateAsync);
        admin.MapGet("/keys/{id}", KeyEndpoints.FindAsync);
        admin.MapDelete("/keys/{id}", KeyEndpoints.RevokeAsync);
        admin.MapDataEndpoints();
        return app;
    }
}
