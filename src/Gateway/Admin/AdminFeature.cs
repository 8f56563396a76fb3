using Gateway.Admin.OpenApi;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Shared.Http;
using Shared.Telemetry;
using Shared.Tools;

namespace Gateway.Admin;

/// <summary>The admin API under <c>/admin/v1</c>. Every endpoint wants an admin key, but for the document that describes them and the page that shows it.</summary>
internal static class AdminFeature
{
    public static IServiceCollection AddAdminApi(this IServiceCollection services)
    {
        services.AddSingleton<IAdminAuthenticator, StoredAdminKeys>();
        services.AddSingleton<ConfigurationChanges>();
        services.AddSingleton<KeyAdministration>();
        services.TryAddSingleton<IToolServerStates, NoToolServers>();
        services.TryAddSingleton<IKeyTools, NoToolServers>();
        services.AddSingleton<IReadinessCheck, ToolServersCheck>();
        return services;
    }

    public static IEndpointRouteBuilder MapAdminApi(this IEndpointRouteBuilder app)
    {
        var admin = app.MapGroup("/admin/v1");
        admin.ForCaller(CallerKind.Admin, ProblemFormat.Instance);
        admin.MapKeyOperations();
        admin.MapEntityOperations();
        admin.MapHistoryOperations();
        admin.MapDataEndpoints();
        admin.MapSignInOperations();
        admin.MapDefinitionEndpoints();
        app.MapApiDescription();
        return app;
    }
}
