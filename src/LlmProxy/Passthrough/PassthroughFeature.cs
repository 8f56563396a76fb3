using LlmProxy.Dialects;
using LlmProxy.Errors;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Shared.Http;

namespace LlmProxy.Passthrough;

/// <summary>Registration of the relay for paths below a vendor's root that are nobody else's.</summary>
internal static class PassthroughFeature
{
    // Whose format errors have there.
    private static readonly (string Root, string Dialect)[] Roots =
        [("openai", DialectIds.OpenAiChat), ("anthropic", DialectIds.Anthropic), ("genai", DialectIds.Gemini), ("bedrock", DialectIds.Bedrock)];

    private static readonly string[] Methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

    public static IServiceCollection AddPassthrough(this IServiceCollection services) => services.AddSingleton<PassthroughRelay>();

    /// <summary>Maps what is left below the roots, behind every other endpoint.</summary>
    public static void MapPassthrough(this IEndpointRouteBuilder app)
    {
        var relay = app.ServiceProvider.GetRequiredService<PassthroughRelay>();
        foreach (var (root, dialect) in Roots)
        {
            var errors = DialectSet.Find(dialect)?.Errors ?? OpenAiErrorFormat.Instance;
            app.MapMethods($"/{root}/{{**path}}", Methods, (RequestDelegate)(context => relay.RelayAsync(context, root, errors))).WithOrder(int.MaxValue).ForCaller(CallerKind.VirtualKey, errors);
        }
    }
}
