using System.Text.Json;
using LlmProxy.Errors;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Models;

/// <summary><c>GET /v1/models</c> and <c>GET /v1/models/{id}</c>: the routes and known models that the caller's key may use.</summary>
internal static class ModelsEndpoint
{
    public static async Task ListAsync(HttpContext context)
    {
        if (AnthropicModels.IsAskedFor(context))
        {
            await AnthropicModels.ListAsync(context);
            return;
        }
        var request = GatewayRequest.Of(context);
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter);
        json.WriteStartObject();
        json.WriteString("object"u8, "list"u8);
        json.WriteStartArray("data"u8);
        foreach (var entry in request.Snapshot.Part<RouteTable>().Entries)
        {
            if (ModelEndpoint.IsGranted(request.Key!, entry.Name))
            {
                Write(json, entry);
            }
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    public static async Task GetAsync(HttpContext context)
    {
        var request = GatewayRequest.Of(context);
        var id = Uri.UnescapeDataString((string)context.Request.RouteValues["id"]!); // the router leaves %2F as it is
        if (AnthropicModels.IsAskedFor(context))
        {
            await AnthropicModels.GetAsync(context, id);
            return;
        }
        var entry = request.Snapshot.Part<RouteTable>().Find(id);
        if (entry is null || !ModelEndpoint.IsGranted(request.Key!, entry.Name))
        {
            await OpenAiErrorFormat.Instance.WriteAsync(context, OpenAiErrors.ModelNotFound(id));
            return;
        }
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter);
        Write(json, entry);
    }

    private static void Write(Utf8JsonWriter json, RouteEntry entry)
    {
        json.WriteStartObject();
        json.WriteString("id"u8, entry.Name);
        json.WriteString("object"u8, "model"u8);
        json.WriteNumber("created"u8, 0); // clients want the member; nobody here knows the date
        json.WriteString("owned_by"u8, entry.Route is null ? entry.Targets[0].Provider.Id : "gateway");
        json.WriteEndObject();
    }
}
