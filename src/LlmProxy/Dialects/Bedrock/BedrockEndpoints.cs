using LlmProxy.Routing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Shared.Http;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Amazon Bedrock's addresses, below a root of their own.</summary>
internal static class BedrockEndpoints
{
    /// <summary>Names longer than this are no models; an ARN has at most 2048 characters, but none that long names one.</summary>
    private const int MaxModelLength = 512;

    /// <summary>Maps <c>POST /bedrock/model/{modelId}/converse</c>, <c>/converse-stream</c>, <c>/invoke</c> and <c>/invoke-with-response-stream</c>. A model's name may hold colons, slashes and percent-encoded characters.</summary>
    public static IEndpointRouteBuilder MapBedrock(this IEndpointRouteBuilder app)
    {
        var endpoint = app.ServiceProvider.GetRequiredService<ModelEndpoint>();
        app.MapPost("/bedrock/model/{**rest}", (RequestDelegate)(context => CallAsync(context, endpoint))).ForCaller(CallerKind.VirtualKey, BedrockErrorFormat.Instance);
        return app;
    }

    private static async Task CallAsync(HttpContext context, ModelEndpoint endpoint)
    {
        var rest = (string?)context.Request.RouteValues["rest"] ?? "";
        var slash = rest.LastIndexOf('/');
        var model = slash > 0 ? Uri.UnescapeDataString(rest[..slash]) : "";
        var action = rest[(slash + 1)..];
        if (model.Length is 0 or > MaxModelLength || action is not ("converse" or "converse-stream" or "invoke" or "invoke-with-response-stream"))
        {
            await BedrockErrorFormat.Instance.WriteAsync(context, new GatewayError(StatusCodes.Status404NotFound, "not_found",
                "This address names no model and method. Use /bedrock/model/{modelId}/converse, /converse-stream, /invoke or /invoke-with-response-stream."));
            return;
        }
        if (action.StartsWith("converse", StringComparison.Ordinal))
        {
            await endpoint.CreateAsync(context, EndpointFamily.Converse!, new AddressedCall(model, action == "converse-stream"));
            return;
        }
        var headers = context.Request.Headers;
        await endpoint.CreateAsync(context, EndpointFamily.InvokeAny, new AddressedCall(model, action != "invoke")
        {
            ServiceTier = headers.TryGetValue(BedrockInvokeFamily.TierHeader, out var tier) && tier.Count == 1 ? tier.ToString() : null,
            UnboundedHeader = headers.ContainsKey(BedrockInvokeFamily.GuardrailHeader) ? BedrockInvokeFamily.GuardrailHeader : null, // billed by what it reads
        });
    }
}
