using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using LlmProxy.Models;
using LlmProxy.Providers;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Shared.Egress;
using Shared.Http;
using Shared.Snapshots;

namespace LlmProxy;

/// <summary>Registration of the model plane.</summary>
public static class LlmProxyFeature
{
    /// <summary>Adds the relay to model providers. Needs admission (<c>AddAdmission</c>), a ledger, and the process's <see cref="BodyMemory"/>.</summary>
    public static IServiceCollection AddLlmProxy(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddEgress();
        services.AddSingleton<ProviderClients>();
        services.AddSingleton<TargetPipelines>();
        services.AddSingleton<ISnapshotCompiler, RouteTableCompiler>();
        services.AddSingleton<DeadlinePool>();
        services.AddSingleton<AttemptSender>();
        services.AddSingleton<AnswerWriter>();
        services.AddSingleton<FallbackChain>();
        services.AddSingleton<ChatCompletionsEndpoint>();
        return services;
    }

    /// <summary>Maps <c>POST /v1/chat/completions</c>, <c>/v1/completions</c>, <c>/v1/embeddings</c> and <c>/v1/moderations</c>, <c>GET /v1/models</c> and <c>GET /v1/models/{id}</c>, all for virtual keys.</summary>
    /// <exception cref="InvalidOperationException"><see cref="AddLlmProxy"/> was not called.</exception>
    public static IEndpointRouteBuilder MapLlmProxy(this IEndpointRouteBuilder app)
    {
        var completions = app.ServiceProvider.GetService<ChatCompletionsEndpoint>()
            ?? throw new InvalidOperationException("services.AddLlmProxy() is missing before app.MapLlmProxy().");
        foreach (var family in EndpointFamily.All)
        {
            app.MapPost("/v1" + family.Path, completions.For(family)).ForCaller(CallerKind.VirtualKey, OpenAiErrorFormat.Instance);
        }
        app.MapGet("/v1/models", (RequestDelegate)ModelsEndpoint.ListAsync).ForCaller(CallerKind.VirtualKey, OpenAiErrorFormat.Instance);
        app.MapGet("/v1/models/{**id}", (RequestDelegate)ModelsEndpoint.GetAsync).ForCaller(CallerKind.VirtualKey, OpenAiErrorFormat.Instance);
        return app;
    }
}
