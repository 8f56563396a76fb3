using System.Text.Json;
using LlmProxy.Dialects.Anthropic;
using LlmProxy.Errors;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Models;

/// <summary>
/// Lists of models as Anthropic's clients expect them: <c>data</c>, <c>has_more</c>, <c>first_id</c>, <c>last_id</c>, by pages of <c>limit</c> after <c>after_id</c> or before <c>before_id</c>.
/// </summary>
internal static class AnthropicModels
{
    /// <summary>The longest page.</summary>
    public const int MaxLimit = 1000;

    private const int UsualLimit = 20;

    /// <summary>Whether a request wants the list in this form: it says which version of Anthropic's API it speaks.</summary>
    public static bool IsAskedFor(HttpContext context) => context.Request.Headers.ContainsKey("anthropic-version");

    /// <summary>Lists the models that the caller's key may use.</summary>
    public static async Task ListAsync(HttpContext context)
    {
        var request = GatewayRequest.Of(context);
        var query = context.Request.Query;
        var limit = UsualLimit;
        if (query.TryGetValue("limit", out var text) && !(int.TryParse(text, System.Globalization.CultureInfo.InvariantCulture, out limit) && limit is >= 1 and <= MaxLimit))
        {
            await AnthropicErrorFormat.Instance.WriteAsync(context, OpenAiErrors.Invalid("limit", $"a whole number from 1 to {MaxLimit}"));
            return;
        }
        RouteEntry[] granted = [.. request.Snapshot.Part<RouteTable>().Entries.Where(entry => ModelEndpoint.IsGranted(request.Key!, entry.Name))];
        var (from, to) = (0, granted.Length);
        foreach (var (name, isAfter) in new[] { ("after_id", true), ("before_id", false) })
        {
            if (query[name] is not [{ Length: > 0 } id])
            {
                continue;
            }
            var at = Array.FindIndex(granted, entry => entry.Name == id);
            if (at < 0)
            {
                await AnthropicErrorFormat.Instance.WriteAsync(context, OpenAiErrors.Invalid(name, "the 'id' of a model of the list"));
                return;
            }
            (from, to) = isAfter ? (at + 1, to) : (from, at);
        }
        var hasMore = to - from > limit;
        var page = query.ContainsKey("before_id") && !query.ContainsKey("after_id") ? granted[Math.Max(from, to - limit)..to] : granted[Math.Min(from, to)..Math.Max(from, Math.Min(to, from + limit))];
        Prepare(context);
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter);
        json.WriteStartObject();
        json.WriteStartArray("data"u8);
        foreach (var entry in page)
        {
            Write(json, entry);
        }
        json.WriteEndArray();
        json.WriteBoolean("has_more"u8, hasMore);
        json.WriteString("first_id"u8, page is [var first, ..] ? first.Name : null);
        json.WriteString("last_id"u8, page is [.., var last] ? last.Name : null);
        json.WriteEndObject();
    }

    /// <summary>Describes the model that the address names.</summary>
    public static Task GetAsync(HttpContext context) => GetAsync(context, Uri.UnescapeDataString((string)context.Request.RouteValues["id"]!));

    /// <summary>Describes one model that the caller's key may use.</summary>
    public static async Task GetAsync(HttpContext context, string id)
    {
        var request = GatewayRequest.Of(context);
        var entry = EndpointFamily.Messages is { } family ? request.Snapshot.Part<RouteTable>().Find(id, family) : request.Snapshot.Part<RouteTable>().Find(id);
        if (entry is null || !ModelEndpoint.IsGranted(request.Key!, entry.Name))
        {
            await AnthropicErrorFormat.Instance.WriteAsync(context, OpenAiErrors.ModelNotFound(id));
            return;
        }
        Prepare(context);
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter);
        Write(json, entry);
    }

    private static void Prepare(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        context.Response.Headers["request-id"] = GatewayRequest.Of(context).RequestId;
    }

    private static void Write(Utf8JsonWriter json, RouteEntry entry)
    {
        var price = entry.Targets[0].Price;
        json.WriteStartObject();
        json.WriteString("type"u8, "model"u8);
        json.WriteString("id"u8, entry.Name);
        json.WriteString("display_name"u8, entry.Name);
        json.WriteString("created_at"u8, "1970-01-01T00:00:00Z"u8); // clients want the member; nobody here knows the date
        if (price?.MaxInputTokens is { } input)
        {
            json.WriteNumber("max_input_tokens"u8, input);
        }
        if (price?.MaxOutputTokens is { } output)
        {
            json.WriteNumber("max_tokens"u8, output);
        }
        json.WriteEndObject();
    }
}

/// <summary>Errors of the lists of models, in the form of the list that is asked for.</summary>
internal sealed class ModelsErrorFormat : IErrorFormat
{
    private ModelsErrorFormat()
    {
    }

    /// <summary>The one instance.</summary>
    public static ModelsErrorFormat Instance { get; } = new();

    /// <inheritdoc/>
    public Task WriteAsync(HttpContext context, GatewayError error) =>
        AnthropicModels.IsAskedFor(context) ? AnthropicErrorFormat.Instance.WriteAsync(context, error) : OpenAiErrorFormat.Instance.WriteAsync(context, error);
}
