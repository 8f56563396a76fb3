using System.Text.Json;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>
/// OpenAI's strict mode takes a schema only if each of its objects forbids other members and requires all its own
/// (<c>platform.openai.com/docs/guides/structured-outputs</c>, supported schemas).
/// </summary>
internal static class StrictSchema
{
    private const int MaxDepth = 64;

    /// <summary>Whether strict mode takes a schema. Unreadable ones are not taken.</summary>
    public static bool Takes(ReadOnlyMemory<byte> schema)
    {
        try
        {
            using var document = JsonDocument.Parse(schema, new JsonDocumentOptions { MaxDepth = MaxDepth });
            return IsStrict(document.RootElement);
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static bool IsStrict(JsonElement schema) => schema.ValueKind switch
    {
        JsonValueKind.Object => IsClosed(schema) && schema.EnumerateObject().All(member => member.NameEquals("properties"u8) || member.NameEquals("$defs"u8) || member.NameEquals("definitions"u8)
            ? member.Value.ValueKind != JsonValueKind.Object || member.Value.EnumerateObject().All(inner => IsStrict(inner.Value))
            : member.NameEquals("enum"u8) || member.NameEquals("const"u8) || member.NameEquals("default"u8) || member.NameEquals("examples"u8) || IsStrict(member.Value)),
        JsonValueKind.Array => schema.EnumerateArray().All(IsStrict),
        _ => true,
    };

    private static bool IsClosed(JsonElement schema)
    {
        var isObject = schema.TryGetProperty("type"u8, out var type) && (type.ValueKind == JsonValueKind.String
            ? type.ValueEquals("object"u8)
            : type.ValueKind == JsonValueKind.Array && type.EnumerateArray().Any(one => one.ValueKind == JsonValueKind.String && one.ValueEquals("object"u8)));
        var hasProperties = schema.TryGetProperty("properties"u8, out var properties) && properties.ValueKind == JsonValueKind.Object;
        if (!isObject && !hasProperties)
        {
            return true;
        }
        if (!schema.TryGetProperty("additionalProperties"u8, out var others) || others.ValueKind != JsonValueKind.False)
        {
            return false;
        }
        if (!hasProperties)
        {
            return true;
        }
        var required = schema.TryGetProperty("required"u8, out var names) && names.ValueKind == JsonValueKind.Array
            ? names.EnumerateArray().Where(name => name.ValueKind == JsonValueKind.String).Select(name => name.GetString()!).ToHashSet(StringComparer.Ordinal)
            : [];
        return properties.EnumerateObject().All(property => required.Contains(property.Name));
    }
}
