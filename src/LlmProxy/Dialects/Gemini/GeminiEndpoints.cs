using System.Globalization;
using System.Text.Json;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.Extensions.DependencyInjection;
using Shared.Http;

namespace LlmProxy.Dialects.Gemini;

/// <summary>Google's addresses. Beside the usual headers, the key may stand in the query as <c>key</c>, here alone.</summary>
internal static class GeminiEndpoints
{
    private const int DefaultPage = 50;
    private const int LargestPage = 1000;

    // The roots below which Google's SDKs look for 'models': the API's versions, and the same below the root of their own.
    private static readonly string[] Roots = ["/v1beta", "/v1", "/genai/v1beta", "/genai/v1", "/genai"];

    // In Vertex AI's addresses project and location tell nothing here: the provider's own stand in the configuration.
    private static readonly string[] VertexRoots =
    [
        "/v1/publishers/{publisher}", "/v1beta1/publishers/{publisher}", "/genai/v1/publishers/{publisher}", "/genai/v1beta1/publishers/{publisher}",
        "/v1/projects/{project}/locations/{location}/publishers/{publisher}", "/v1beta1/projects/{project}/locations/{location}/publishers/{publisher}",
        "/genai/v1/projects/{project}/locations/{location}/publishers/{publisher}", "/genai/v1beta1/projects/{project}/locations/{location}/publishers/{publisher}",
    ];

    /// <summary>Maps <c>POST …/models/{model}:{method}</c>, and, but for <c>/v1</c>, where OpenAI's addresses are, the same without <c>models</c> for names that hold a slash, <c>GET …/models</c> and <c>GET …/models/{model}</c>.</summary>
    public static IEndpointRouteBuilder MapGemini(this IEndpointRouteBuilder app)
    {
        var endpoint = app.ServiceProvider.GetRequiredService<ModelEndpoint>();
        RequestDelegate call = context => CallAsync(context, endpoint);
        foreach (var root in Roots.Concat(VertexRoots))
        {
            Declare(app.MapPost(root + "/models/{**rest}", call));
        }
        // Not below /v1, where it would turn every 405 of OpenAI's addresses into a 404.
        foreach (var root in Roots.Where(root => root != "/v1"))
        {
            // For all methods: were it for POST alone, each unknown path there would be answered 405.
            Declare(app.Map(RoutePatternFactory.Parse(root + "/{**rest}", null, new { rest = BareCall.Instance }), call));
        }
        foreach (var root in Roots.Where(root => root != "/v1"))
        {
            Declare(app.MapGet(root + "/models", (RequestDelegate)ListAsync));
            Declare(app.MapGet(root + "/models/{**rest}", (RequestDelegate)GetAsync));
        }
        return app;
    }

    private sealed class BareCall : IRouteConstraint
    {
        public static BareCall Instance { get; } = new();

        public bool Match(HttpContext? httpContext, IRouter? route, string routeKey, RouteValueDictionary values, RouteDirection routeDirection) =>
            (httpContext is null || HttpMethods.IsPost(httpContext.Request.Method)) && values[routeKey] is string rest && GeminiPath.IsBareCall(rest);
    }

    private static void Declare(IEndpointConventionBuilder endpoint) =>
        endpoint.ForCaller(CallerKind.VirtualKey, GeminiErrorFormat.Instance).WithMetadata(new QueryCredential("key"));

    private static async Task CallAsync(HttpContext context, ModelEndpoint endpoint)
    {
        var rest = (string?)context.Request.RouteValues["rest"] ?? "";
        if (!GeminiPath.TryParse(rest, out var model, out var method))
        {
            await GeminiErrorFormat.Instance.WriteAsync(context, new GatewayError(StatusCodes.Status404NotFound, "not_found",
                "This address names no model and method. Use models/{model}:generateContent, :streamGenerateContent, :countTokens, :embedContent or :batchEmbedContents."));
            return;
        }
        if (context.Request.RouteValues["publisher"] is string publisher && publisher != "google")
        {
            model = $"{publisher}/{model}"; // how Google's SDK writes 'vendor/model'
        }
        var isStream = method == GeminiMethod.Stream;
        var family = method switch
        {
            GeminiMethod.CountTokens => EndpointFamily.CountTokens,
            GeminiMethod.Embed => EndpointFamily.EmbedContent,
            GeminiMethod.BatchEmbed => EndpointFamily.BatchEmbedContents,
            _ => EndpointFamily.Generate!,
        };
        await endpoint.CreateAsync(context, family, new AddressedCall(model, isStream) { JsonArray = isStream && !GeminiPath.WantsSse(context.Request.Query) });
    }

    private static async Task ListAsync(HttpContext context)
    {
        var query = context.Request.Query;
        var size = int.TryParse(query["pageSize"], NumberStyles.None, CultureInfo.InvariantCulture, out var asked) && asked > 0 ? Math.Min(asked, LargestPage) : DefaultPage;
        var after = query["pageToken"].ToString();
        var request = GatewayRequest.Of(context);
        context.Response.ContentType = "application/json; charset=UTF-8";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter);
        json.WriteStartObject();
        json.WriteStartArray("models"u8);
        var (count, last, hasMore) = (0, "", false);
        foreach (var entry in request.Snapshot.Part<RouteTable>().Entries)
        {
            // Entries are in the order of their names: the token of the next page is the last name of this one.
            if ((after.Length > 0 && string.CompareOrdinal(entry.Name, after) <= 0) || !ModelEndpoint.IsGranted(request.Key!, entry.Name))
            {
                continue;
            }
            if (count == size)
            {
                hasMore = true;
                break;
            }
            Write(json, entry);
            (count, last) = (count + 1, entry.Name);
        }
        json.WriteEndArray();
        if (hasMore)
        {
            json.WriteString("nextPageToken"u8, last);
        }
        json.WriteEndObject();
    }

    private static async Task GetAsync(HttpContext context)
    {
        var request = GatewayRequest.Of(context);
        var name = GeminiPath.Name((string?)context.Request.RouteValues["rest"] ?? "");
        var table = request.Snapshot.Part<RouteTable>();
        var entry = name.Length <= GeminiPath.MaxModelLength ? table.Find(name, EndpointFamily.Generate!) : null;
        if (entry is null || !ModelEndpoint.IsGranted(request.Key!, entry.Name))
        {
            await GeminiErrorFormat.Instance.WriteAsync(context, new GatewayError(StatusCodes.Status404NotFound, "model_not_found",
                "The model does not exist, or this key may not use it. GET /v1beta/models lists those that it may use.") { Field = "model" });
            return;
        }
        context.Response.ContentType = "application/json; charset=UTF-8";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter);
        Write(json, entry);
    }

    private static void Write(Utf8JsonWriter json, RouteEntry entry)
    {
        json.WriteStartObject();
        json.WriteString("name"u8, "models/" + entry.Name);
        json.WriteString("displayName"u8, entry.Name);
        var price = entry.Targets[0].Price;
        if (price?.MaxInputTokens is { } input)
        {
            json.WriteNumber("inputTokenLimit"u8, input);
        }
        if (price?.MaxOutputTokens is { } output)
        {
            json.WriteNumber("outputTokenLimit"u8, output);
        }
        json.WriteStartArray("supportedGenerationMethods"u8);
        WriteMethods(json, entry, EndpointFamily.Generate!, "generateContent", "streamGenerateContent");
        WriteMethods(json, entry, EndpointFamily.CountTokens, "countTokens");
        WriteMethods(json, entry, EndpointFamily.EmbedContent, "embedContent");
        WriteMethods(json, entry, EndpointFamily.BatchEmbedContents, "batchEmbedContents");
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteMethods(Utf8JsonWriter json, RouteEntry entry, EndpointFamily family, params ReadOnlySpan<string> methods)
    {
        if (entry.TargetsFor(family).Length == 0)
        {
            return;
        }
        foreach (var method in methods)
        {
            json.WriteStringValue(method);
        }
    }
}
