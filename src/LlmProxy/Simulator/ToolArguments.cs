using System.Text;
using System.Text.Json;

namespace LlmProxy.Simulator;

/// <summary>Arguments that satisfy a JSON Schema as far as its types, enums, defaults and required members go.</summary>
internal static class ToolArguments
{
    private const int MaxDepth = 8;

    public static string For(JsonElement schema)
    {
        using var output = new MemoryStream();
        using (var json = new Utf8JsonWriter(output))
        {
            WriteObject(json, schema, 0);
        }
        return Encoding.UTF8.GetString(output.ToArray());
    }

    private static void WriteObject(Utf8JsonWriter json, JsonElement schema, int depth)
    {
        json.WriteStartObject();
        if (depth < MaxDepth && Member(schema, "properties") is { ValueKind: JsonValueKind.Object } properties)
        {
            var required = Member(schema, "required") is { ValueKind: JsonValueKind.Array } names
                ? names.EnumerateArray().Where(name => name.ValueKind == JsonValueKind.String).Select(name => name.GetString()!).ToHashSet()
                : [];
            foreach (var property in properties.EnumerateObject().Where(property => required.Contains(property.Name)))
            {
                json.WritePropertyName(property.Name);
                WriteValue(json, property.Name, property.Value, depth + 1);
            }
        }
        json.WriteEndObject();
    }

    private static void WriteValue(Utf8JsonWriter json, string name, JsonElement schema, int depth)
    {
        foreach (var given in (ReadOnlySpan<string>)["const", "default"])
        {
            if (Member(schema, given) is { } value)
            {
                value.WriteTo(json);
                return;
            }
        }
        foreach (var list in (ReadOnlySpan<string>)["enum", "examples"])
        {
            if (Member(schema, list) is { ValueKind: JsonValueKind.Array } values && values.GetArrayLength() > 0)
            {
                values[0].WriteTo(json);
                return;
            }
        }
        switch (TypeOf(schema))
        {
            case "integer" or "number":
                if (Member(schema, "minimum") is { ValueKind: JsonValueKind.Number } least)
                {
                    least.WriteTo(json);
                }
                else
                {
                    json.WriteNumberValue(1);
                }
                break;
            case "boolean":
                json.WriteBooleanValue(true);
                break;
            case "null":
                json.WriteNullValue();
                break;
            case "array":
                json.WriteStartArray();
                if (depth < MaxDepth && Member(schema, "items") is { ValueKind: JsonValueKind.Object } items && Member(schema, "minItems") is { ValueKind: JsonValueKind.Number })
                {
                    WriteValue(json, name, items, depth + 1);
                }
                json.WriteEndArray();
                break;
            case "object":
                WriteObject(json, schema, depth);
                break;
            default:
                json.WriteStringValue("simulated " + name);
                break;
        }
    }

    private static string? TypeOf(JsonElement schema) => Member(schema, "type") switch
    {
        { ValueKind: JsonValueKind.String } type => type.GetString(),
        { ValueKind: JsonValueKind.Array } types when types.GetArrayLength() > 0 && types[0].ValueKind == JsonValueKind.String => types[0].GetString(),
        _ => Member(schema, "properties") is null ? null : "object",
    };

    private static JsonElement? Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) ? value : null;
}
