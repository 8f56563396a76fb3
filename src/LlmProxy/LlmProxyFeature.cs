using LlmProxy.Dialects.Anthropic;
using LlmProxy.Dialects.Bedrock;
using LlmProxy.Dialects.Gemini;
using LlmProxy.Dialects.Responses.Socket;
using LlmProxy.Dialects.Responses.Store;
using LlmProxy.InProcess;
using LlmProxy.Media;
using LlmProxy.Models;
using LlmProxy.Passthrough;
using LlmProxy.Providers;
using LlmProxy.Relay;
using LlmProxy.Routing;
using LlmProxy.Translation;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Shared.Egress;
using Shared.Http;
using Shared.Models;
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
        services.AddSingleton<RequestAuthorizers>();
        services.AddSingleton<TargetPipelines>();
        services.AddSingleton<ISnapshotCompiler, RouteTableCompiler>();
        services.AddSingleton<SignatureMemory>();
        services.AddSingleton<Translator>();
        services.AddSingleton<DeadlinePool>();
        services.AddSingleton<AttemptSender>();
        services.AddSingleton<AnswerWriter>();
        services.AddSingleton<FallbackChain>();
        services.AddSingleton<ModelEndpoint>();
        services.AddSingleton<CountTokensEndpoint>();
        services.AddSingleton<ResponseStore>();
        services.AddSingleton<ProviderResponses>();
        services.AddSingleton<ResponsesEndpoints>();
        services.AddSingleton<ResponsesSockets>();
        services.AddPassthrough();
        services.AddMedia();
        services.AddSingleton<IModelAccess>(provider => new ModelAccess(provider.GetRequiredService<ModelEndpoint>()));
        return services;
    }

    /// <summary>Maps <c>POST /v1/chat/completions</c>, <c>/v1/completions</c>, <c>/v1/embeddings</c> and <c>/v1/moderations</c>, <c>GET /v1/models</c> and <c>GET /v1/models/{id}</c>, all for virtual keys.</summary>
    /// <exception cref="InvalidOperationException"><see cref="AddLlmProxy"/> was not called.</exception>
    public static IEndpointRouteBuilder MapLlmProxy(this IEndpointRouteBuilder app)
    {
        var completions = app.ServiceProvider.GetService<ModelEndpoint>()
            ?? throw new InvalidOperationException("services.AddLlmProxy() is missing before app.MapLlmProxy().");
        // Beside /v1, each vendor's SDK finds its endpoints below a root of their own, with the version in the path and without.
        foreach (var root in new[] { "/v1", "/openai", "/openai/v1" })
        {
            foreach (var family in new EndpointFamily?[] { EndpointFamily.Chat, EndpointFamily.Completions, EndpointFamily.Embeddings, EndpointFamily.Moderations })
            {
                Map(app, root, family, completions);
            }
        }
        foreach (var root in new[] { "/v1", "/anthropic", "/anthropic/v1" })
        {
            Map(app, root, EndpointFamily.Messages, completions);
            app.MapPost(root + "/messages/count_tokens", app.ServiceProvider.GetRequiredService<CountTokensEndpoint>().CountAsync).ForCaller(CallerKind.VirtualKey, AnthropicErrorFormat.Instance);
        }
        foreach (var root in new[] { "/anthropic", "/anthropic/v1" })
        {
            app.MapGet(root + "/models", (RequestDelegate)AnthropicModels.ListAsync).ForCaller(CallerKind.VirtualKey, AnthropicErrorFormat.Instance);
            app.MapGet(root + "/models/{**id}", (RequestDelegate)AnthropicModels.GetAsync).ForCaller(CallerKind.VirtualKey, AnthropicErrorFormat.Instance);
        }
        // Claude Code asks whether its base address is alive before it sends a credential there.
        foreach (var root in new[] { "/", "/anthropic" })
        {
            app.MapMethods(root, [HttpMethods.Head], static _ => Task.CompletedTask).ForCaller(CallerKind.Anonymous, AnthropicErrorFormat.Instance);
        }
        app.MapMedia();
        app.MapGemini();
        app.MapResponses();
        app.MapBedrock();
        app.MapPassthrough();
        foreach (var root in new[] { "/v1", "/openai", "/openai/v1" })
        {
            app.MapGet(root + "/models", (RequestDelegate)ModelsEndpoint.ListAsync).ForCaller(CallerKind.VirtualKey, ModelsErrorFormat.Instance);
            app.MapGet(root + "/models/{**id}", (RequestDelegate)ModelsEndpoint.GetAsync).ForCaller(CallerKind.VirtualKey, ModelsErrorFormat.Instance);
        }
        return app;
    }

    private static void Map(IEndpointRouteBuilder app, string root, EndpointFamily? family, ModelEndpoint endpoint)
    {
        if (family is not null)
        {
            app.MapPost(root + family.Path, endpoint.For(family)).ForCaller(CallerKind.VirtualKey, family.Errors);
        }
    }
}
