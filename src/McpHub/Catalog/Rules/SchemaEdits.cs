using System.Collections.Immutable;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Shared.Snapshots;

namespace McpHub.Catalog.Rules;

/// <summary>A tool's input schema as clients see it: without arguments that they cannot send, and with what the manifest says of the others.</summary>
internal static class SchemaEdits
{
    /// <summary>Keywords whose schemas speak of the same object.</summary>
    private static readonly string[] SameObject = ["if", "then", "else", "not"];
    private static readonly string[] SameObjectLists = ["allOf", "anyOf", "oneOf"];
    private static readonly string[] SameObjectMaps = ["dependentSchemas", "dependencies"];

    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the schema.</summary>
    /// <param name="schema">The server's.</param>
    /// <param name="gone">Arguments that clients cannot send.</param>
    /// <param name="rules">What is said of others.</param>
    public static byte[] Write(JsonObject schema, IReadOnlyCollection<string> gone, IEnumerable<ArgumentRule> rules)
    {
        if (gone.Count > 0)
        {
            Remove(schema, gone);
        }
        foreach (var rule in rules)
        {
            Narrow(schema, rule);
        }
        return Encoding.UTF8.GetBytes(schema.ToJsonString(Plain));
    }

    /// <summary>Whether a schema, or one within it that speaks of the same object, is somewhere else.</summary>
    public static bool RefersElsewhere(JsonObject schema) =>
        schema.ContainsKey("$ref") || schema.ContainsKey("$dynamicRef") || schema.ContainsKey("$recursiveRef") || Inner(schema).Any(RefersElsewhere);

    private static void Remove(JsonObject schema, IReadOnlyCollection<string> gone)
    {
        if (schema["properties"] is JsonObject properties)
        {
            foreach (var name in gone)
            {
                properties.Remove(name);
            }
        }
        RemoveWords(schema, "required", gone);
        foreach (var map in (string[])["dependentRequired", "dependencies", "dependentSchemas"])
        {
            if (schema[map] is JsonObject dependent)
            {
                foreach (var name in gone)
                {
                    dependent.Remove(name);
                }
                foreach (var (name, value) in dependent.ToList())
                {
                    if (value is JsonArray)
                    {
                        RemoveWords(dependent, name, gone);
                    }
                }
            }
        }
        foreach (var inner in Inner(schema))
        {
            Remove(inner, gone);
        }
    }

    private static void RemoveWords(JsonObject schema, string list, IReadOnlyCollection<string> gone)
    {
        if (schema[list] is JsonArray words)
        {
            foreach (var word in words.Where(word => word is JsonValue value && value.TryGetValue(out string? text) && gone.Contains(text)).ToList())
            {
                words.Remove(word);
            }
        }
    }

    private static IEnumerable<JsonObject> Inner(JsonObject schema) =>
    [
        .. SameObject.Select(name => schema[name]).OfType<JsonObject>(),
        .. SameObjectLists.Select(name => schema[name]).OfType<JsonArray>().SelectMany(list => list.OfType<JsonObject>()),
        .. SameObjectMaps.Select(name => schema[name]).OfType<JsonObject>().SelectMany(map => map.Select(pair => pair.Value).OfType<JsonObject>()),
    ];

    private static void Narrow(JsonObject schema, ArgumentRule rule)
    {
        var owner = schema;
        foreach (var name in rule.Path[..^1])
        {
            if (owner["properties"] is not JsonObject { } inner || inner[name] is not JsonObject child)
            {
                return;
            }
            owner = child["items"] is JsonObject items && child["properties"] is null ? items : child;
        }
        var last = rule.Path[^1];
        if (owner["properties"] is not JsonObject properties || properties[last] is not { } property)
        {
            return;
        }
        if (property is not JsonObject own)
        {
            // true: anything goes.
            own = [];
            properties[last] = own;
        }
        if (rule.Description is not null)
        {
            own["description"] = rule.Description;
        }
        if (rule.Default is not null)
        {
            own["default"] = JsonNode.Parse(rule.Default);
            RemoveWords(owner, "required", [last]);
        }
        if (rule.Required)
        {
            owner["required"] ??= new JsonArray();
            if (owner["required"] is JsonArray required && !required.Any(word => word is JsonValue value && value.TryGetValue(out string? text) && text == last))
            {
                required.Add(last);
            }
        }
        var value = own["items"] is JsonObject item && own["type"] is JsonValue type && type.TryGetValue(out string? kind) && kind == "array" ? item : own;
        if (rule.Allowed.Length > 0)
        {
            value["enum"] = Allowed(value["enum"] as JsonArray, rule.Allowed);
        }
        Tighten(value, "maxLength", rule.MaxLength, Math.Min);
        Tighten(value, "maximum", rule.Max, Math.Min);
        Tighten(value, "minimum", rule.Min, Math.Max);
    }

    /// <summary>The values that both the schema and the rule allow, as the rule writes them; those of the rule where the schema lists none.</summary>
    private static JsonArray Allowed(JsonArray? listed, ImmutableArray<string> allowed)
    {
        var before = listed?.Select(value => value?.ToJsonString() ?? "null").ToList();
        return [.. allowed.Select(text => JsonNode.Parse(text)).Where(value => before is null || before.Contains(value?.ToJsonString() ?? "null"))];
    }

    private static void Tighten(JsonObject schema, string keyword, decimal? limit, Func<decimal, decimal, decimal> tighter)
    {
        if (limit is { } wanted)
        {
            schema[keyword] = schema[keyword] is JsonValue value && value.TryGetValue(out decimal known) ? tighter(known, wanted) : wanted;
        }
    }
}
