using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>
/// Brings a JSON schema to the subset to which Anthropic can hold a model: every object closed (<c>additionalProperties: false</c>), <c>anyOf</c> for <c>oneOf</c>,
/// the string formats that it knows, <c>minItems</c> 0 or 1. Limits that it does not enforce move to the description, so that the model still reads them.
/// </summary>
/// <remarks>Source: the vendor's page on structured outputs, as the schema transformers of its SDKs apply it, 2026-11-23.</remarks>
internal static class AnthropicSchema
{
    private static readonly string[] Unenforced =
    [
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems",
        "minProperties", "maxProperties", "minContains", "maxContains", "contains", "not", "if", "then", "else", "patternProperties", "propertyNames", "dependentRequired",
        "dependentSchemas", "unevaluatedProperties", "unevaluatedItems", "prefixItems",
    ];

    private static readonly string[] Formats = ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly JsonSerializerOptions Words = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes a schema in the subset.</summary>
    /// <param name="schema">The schema, a raw JSON object.</param>
    /// <param name="output">Receives it.</param>
    /// <param name="dropped">Receives the keywords that are no longer enforced.</param>
    /// <param name="path">What stands before the keywords' names, e.g. <c>tools[].parameters.</c>.</param>
    /// <exception cref="JsonException">It is no valid JSON.</exception>
    public static void Write(ReadOnlyMemory<byte> schema, IBufferWriter<byte> output, DropReport dropped, string path)
    {
        var node = JsonNode.Parse(schema.Span, new JsonNodeOptions(), new JsonDocumentOptions { MaxDepth = 256 });
        using var json = new Utf8JsonWriter(output, Readable);
        Adapt(node, dropped, path);
        (node ?? new JsonObject()).WriteTo(json);
    }

    private static void Adapt(JsonNode? node, DropReport dropped, string path)
    {
        if (node is not JsonObject schema)
        {
            return;
        }
        if (schema.ContainsKey("oneOf") && !schema.ContainsKey("anyOf"))
        {
            var options = schema["oneOf"];
            schema.Remove("oneOf");
            schema["anyOf"] = options;
        }
        MoveLimits(schema, dropped, path);
        if (IsObject(schema))
        {
            if (schema["additionalProperties"] is { } open and not JsonValue || (schema["additionalProperties"] is JsonValue value && value.TryGetValue(out bool allowed) && allowed))
            {
                dropped.Add(path + "additionalProperties");
            }
            schema["additionalProperties"] = false;
        }
        foreach (var (name, child) in schema)
        {
            switch (name)
            {
                case "properties" or "$defs" or "definitions" when child is JsonObject children:
                    foreach (var (_, each) in children)
                    {
                        Adapt(each, dropped, path);
                    }
                    break;
                case "anyOf" or "allOf" or "items" when child is JsonArray array:
                    foreach (var each in array)
                    {
                        Adapt(each, dropped, path);
                    }
                    break;
                case "items":
                    Adapt(child, dropped, path);
                    break;
            }
        }
    }

    private static bool IsObject(JsonObject schema) =>
        schema.ContainsKey("properties") || (schema["type"] is JsonValue type && type.TryGetValue(out string? name) && name == "object")
        || (schema["type"] is JsonArray types && types.Any(each => each is JsonValue value && value.TryGetValue(out string? one) && one == "object"));

    private static void MoveLimits(JsonObject schema, DropReport dropped, string path)
    {
        List<string>? limits = null;
        foreach (var name in Unenforced)
        {
            if (!schema.TryGetPropertyValue(name, out var limit) || (name == "minItems" && limit is JsonValue number && number.TryGetValue(out int least) && least is 0 or 1))
            {
                continue;
            }
            (limits ??= []).Add($"{name}: {limit?.ToJsonString(Words) ?? "null"}");
            schema.Remove(name);
            dropped.Add(path + name);
        }
        if (schema["format"] is JsonValue format && format.TryGetValue(out string? known) && !Formats.Contains(known))
        {
            (limits ??= []).Add($"format: {known}");
            schema.Remove("format");
            dropped.Add(path + "format");
        }
        if (limits is not null)
        {
            var said = schema["description"] is JsonValue text && text.TryGetValue(out string? words) && words.Length > 0 ? words + "\n" : "";
            schema["description"] = $"{said}({string.Join(", ", limits)})";
        }
    }
}
