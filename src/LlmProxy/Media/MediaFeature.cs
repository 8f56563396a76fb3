using LlmProxy.Errors;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Shared.Http;

namespace LlmProxy.Media;

/// <summary>Registration of the endpoints for rankings, pictures, audio, files and batches, and of the realtime relay.</summary>
internal static class MediaFeature
{
    // Those of OpenAI's other endpoints.
    private static readonly string[] Roots = ["/v1", "/openai", "/openai/v1"];

    public static IServiceCollection AddMedia(this IServiceCollection services)
    {
        services.AddSingleton<MediaTargets>();
        services.AddSingleton<ProviderPipelines>();
        services.AddSingleton<MediaSender>();
        services.AddSingleton<MediaRelay>();
        services.AddSingleton<FilesRelay>();
        services.AddSingleton<RealtimeRelay>();
        return services;
    }

    public static void MapMedia(this IEndpointRouteBuilder app)
    {
        var relay = app.ServiceProvider.GetRequiredService<MediaRelay>();
        foreach (var endpoint in MediaEndpoint.All)
        {
            var answer = relay.For(endpoint);
            foreach (var path in Roots.Select(root => root + endpoint.Family.Path).Concat(endpoint.Aliases))
            {
                app.MapPost(path, answer).ForCaller(CallerKind.VirtualKey, OpenAiErrorFormat.Instance);
            }
        }
        MapFiles(app, app.ServiceProvider.GetRequiredService<FilesRelay>());
        var sockets = app.CreateApplicationBuilder().UseWebSockets(new WebSocketOptions { KeepAliveInterval = TimeSpan.FromSeconds(30), KeepAliveTimeout = TimeSpan.FromSeconds(30) });
        sockets.Run(app.ServiceProvider.GetRequiredService<RealtimeRelay>().AnswerAsync);
        var realtime = sockets.Build();
        foreach (var root in Roots)
        {
            Map(app, root + "/realtime", "GET", realtime);
        }
    }

    private static void MapFiles(IEndpointRouteBuilder app, FilesRelay files)
    {
        foreach (var root in Roots)
        {
            Map(app, root + "/files", "GET", context => files.ListAsync(context, FilesRelay.FileKind));
            Map(app, root + "/files", "POST", files.UploadAsync);
            Map(app, root + "/files/{id}", "GET", context => files.GetAsync(context, FilesRelay.FileKind));
            Map(app, root + "/files/{id}", "DELETE", files.DeleteAsync);
            Map(app, root + "/files/{id}/content", "GET", files.ContentAsync);
            Map(app, root + "/batches", "GET", context => files.ListAsync(context, FilesRelay.BatchKind));
            Map(app, root + "/batches", "POST", files.CreateBatchAsync);
            Map(app, root + "/batches/{id}", "GET", context => files.GetAsync(context, FilesRelay.BatchKind));
            Map(app, root + "/batches/{id}/cancel", "POST", files.CancelBatchAsync);
        }
    }

    private static void Map(IEndpointRouteBuilder app, string path, string method, RequestDelegate answer) =>
        app.MapMethods(path, [method], answer).ForCaller(CallerKind.VirtualKey, OpenAiErrorFormat.Instance);
}
