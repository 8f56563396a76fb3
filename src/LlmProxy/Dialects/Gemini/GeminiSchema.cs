using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LlmProxy.Dialects.Gemini;

/// <summary>
/// Schemas as Google takes them. Its own <c>Schema</c> (<c>parameters</c>, <c>responseSchema</c>) is a part of OpenAPI 3.0 with upper-case types; JSON Schema proper goes into
/// <c>parametersJsonSchema</c> and <c>responseJsonSchema</c>, which know <c>$id, $defs, $ref, $anchor, type, format, title, description, enum, items, prefixItems, minItems, maxItems,
/// minimum, maximum, anyOf, oneOf, properties, additionalProperties, required</c> and <c>propertyOrdering</c>; beside a <c>$ref</c> nothing else may stand, and cycles are followed only
/// a little way (googleapis/js-genai:src/types.ts, responseJsonSchema). The gateway writes the latter alone, save where the client wrote the former.
/// </summary>
internal static class GeminiSchema
{
    private const int MaxDepth = 100;

    /// <summary>The most references that are replaced by what they stand for; those beyond stay references.</summary>
    private const int MaxInlined = 256;

    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 256 };

    private static readonly SearchValues<string> Foreign =
        SearchValues.Create(["\"$ref\"", "\"const\"", "\"allOf\"", "\"$schema\"", "\"definitions\"", "\"exclusiveMinimum\"", "\"exclusiveMaximum\""], StringComparison.Ordinal);

    /// <summary>A JSON Schema in words that Google's JSON Schema members know; the very bytes where they are so already.</summary>
    public static ReadOnlyMemory<byte> ToGoogle(ReadOnlyMemory<byte> schema)
    {
        if (!System.Text.Encoding.UTF8.GetString(schema.Span).AsSpan().ContainsAny(Foreign))
        {
            return schema;
        }
        return Parse(schema) is JsonObject root ? Bytes(new Inliner(root).Run()) : schema;
    }

    /// <summary>Google's <c>Schema</c> as JSON Schema.</summary>
    public static ReadOnlyMemory<byte> ToJsonSchema(ReadOnlyMemory<byte> native) => Parse(native) is JsonObject root ? Bytes(FromNative(root, 0)) : native;

    private static JsonNode? Parse(ReadOnlyMemory<byte> schema)
    {
        try
        {
            return JsonNode.Parse(schema.Span, documentOptions: Reading);
        }
        catch (Exception exception) when (exception is JsonException or ArgumentException or InvalidOperationException)
        {
            return null; // a member that stands twice, or a name that is no text: it goes on as it is, and the provider says what it thinks
        }
    }

    private static ReadOnlyMemory<byte> Bytes(JsonNode node)
    {
        var output = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = 512 }))
        {
            node.WriteTo(json);
        }
        return output.WrittenMemory;
    }

    private static JsonObject FromNative(JsonObject native, int depth)
    {
        var schema = new JsonObject();
        var isNullable = false;
        foreach (var (written, value) in native)
        {
            var name = GeminiNames.Camel(written);
            switch (name)
            {
                case "type" when value is JsonValue type && type.TryGetValue<string>(out var text):
                    if (text != "TYPE_UNSPECIFIED")
                    {
                        schema["type"] = text.ToLowerInvariant();
                    }
                    break;
                case "nullable":
                    isNullable = value is JsonValue flag && flag.TryGetValue<bool>(out var set) && set;
                    break;
                case "properties" or "defs" when value is JsonObject members && depth < MaxDepth:
                    var copies = new JsonObject();
                    foreach (var (member, inner) in members)
                    {
                        copies[member] = inner is JsonObject nested ? FromNative(nested, depth + 1) : inner?.DeepClone();
                    }
                    schema[name == "defs" ? "$defs" : name] = copies;
                    break;
                case "items" or "additionalProperties" when value is JsonObject inner && depth < MaxDepth:
                    schema[name] = FromNative(inner, depth + 1);
                    break;
                case "anyOf" or "prefixItems" when value is JsonArray list && depth < MaxDepth:
                    schema[name] = new JsonArray([.. list.Select(item => item is JsonObject inner ? FromNative(inner, depth + 1) : item?.DeepClone())]);
                    break;
                case "minItems" or "maxItems" or "minLength" or "maxLength" or "minProperties" or "maxProperties"
                    when value is JsonValue text && text.TryGetValue<string>(out var digits) && long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number):
                    schema[name] = number; // 64-bit numbers are strings in proto3's JSON
                    break;
                case "format" when value is JsonValue text && text.TryGetValue<string>(out var format) && format == "enum":
                    break; // says what 'enum' says already
                case "ref":
                    schema["$ref"] = value?.DeepClone();
                    break;
                case "example":
                    schema["examples"] = new JsonArray(value?.DeepClone());
                    break;
                default:
                    schema[name] = value?.DeepClone();
                    break;
            }
        }
        return isNullable ? Nullable(schema) : schema;
    }

    private static JsonObject Nullable(JsonObject schema)
    {
        if (schema["enum"] is JsonArray values)
        {
            values.Add(null);
        }
        if (schema["type"] is JsonValue type)
        {
            schema["type"] = new JsonArray(type.DeepClone(), "null");
        }
        else if (schema["anyOf"] is JsonArray any)
        {
            any.Add(new JsonObject { ["type"] = "null" });
        }
        return schema;
    }

    /// <summary>Replaces references by what they stand for, and words that Google does not know by those that it does.</summary>
    private sealed class Inliner(JsonObject root)
    {
        private readonly List<string> path = [];
        private readonly SortedDictionary<string, JsonObject> kept = new(StringComparer.Ordinal);
        private readonly Queue<string> due = new();
        private int inlined;

        public JsonObject Run()
        {
            var schema = Convert(root, 0, isRoot: true);
            while (due.TryDequeue(out var reference))
            {
                // What refers to itself stays a definition; within it, its own references stay, too.
                path.Add(reference);
                kept[reference] = Find(reference) is { } target ? Convert(target, 0) : [];
                path.Clear();
            }
            if (kept.Count > 0)
            {
                var definitions = new JsonObject();
                foreach (var (reference, definition) in kept)
                {
                    definitions[NameOf(reference)] = definition;
                }
                schema["$defs"] = definitions;
            }
            return schema;
        }

        private JsonObject Convert(JsonObject schema, int depth, bool isRoot = false)
        {
            if (schema["$ref"] is JsonValue value && value.TryGetValue<string>(out var reference))
            {
                return Resolve(schema, reference, depth);
            }
            var converted = new JsonObject();
            foreach (var (name, member) in schema)
            {
                switch (name)
                {
                    case "$schema" or "$comment":
                        break;
                    case "$defs" or "definitions" when isRoot:
                        break; // what is needed of them stands where it is needed, or is put back at the end
                    case "const":
                        converted["enum"] = new JsonArray(member?.DeepClone());
                        break;
                    case "exclusiveMinimum" or "exclusiveMaximum":
                        SetBound(converted, schema, name, member);
                        break;
                    case "properties" when member is JsonObject members && depth < MaxDepth:
                        var copies = new JsonObject();
                        foreach (var (property, inner) in members)
                        {
                            copies[property] = Inner(inner, depth);
                        }
                        Merge(converted, new JsonObject { [name] = copies });
                        break;
                    case "items" or "additionalProperties" when depth < MaxDepth:
                        converted[name] = Inner(member, depth);
                        break;
                    case "anyOf" or "oneOf" or "prefixItems" when member is JsonArray list && depth < MaxDepth:
                        converted[name] = new JsonArray([.. list.Select(item => Inner(item, depth))]);
                        break;
                    case "allOf" when member is JsonArray list && depth < MaxDepth:
                        foreach (var item in list.OfType<JsonObject>())
                        {
                            Merge(converted, Convert(item, depth + 1));
                        }
                        break;
                    default:
                        Merge(converted, new JsonObject { [name] = member?.DeepClone() });
                        break;
                }
            }
            return converted;
        }

        private JsonNode? Inner(JsonNode? node, int depth) => node is JsonObject schema ? Convert(schema, depth + 1) : node?.DeepClone();

        private JsonObject Resolve(JsonObject schema, string reference, int depth)
        {
            var target = reference == "#" ? root : Find(reference);
            if (target is null || path.Contains(reference) || depth >= MaxDepth || inlined >= MaxInlined || reference == "#")
            {
                if (target is null || reference == "#")
                {
                    return new JsonObject { ["$ref"] = reference };
                }
                if (!kept.ContainsKey(reference))
                {
                    kept[reference] = [];
                    due.Enqueue(reference);
                }
                return new JsonObject { ["$ref"] = "#/$defs/" + NameOf(reference) };
            }
            inlined++;
            path.Add(reference);
            var converted = Convert(target, depth + 1);
            path.RemoveAt(path.Count - 1);
            foreach (var (name, member) in schema)
            {
                if (name[0] != '$')
                {
                    converted[name] = member?.DeepClone(); // says more of this very place, e.g. a description
                }
            }
            return converted;
        }

        /// <summary>What a reference such as <c>#/$defs/Address</c> stands for; null: nothing in this schema.</summary>
        private JsonObject? Find(string reference)
        {
            if (!reference.StartsWith("#/", StringComparison.Ordinal))
            {
                return null;
            }
            JsonNode? node = root;
            foreach (var step in reference[2..].Split('/'))
            {
                var name = Uri.UnescapeDataString(step).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
                node = node switch
                {
                    JsonObject members => members[name],
                    JsonArray list when int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < list.Count => list[index],
                    _ => null,
                };
            }
            return node as JsonObject;
        }

        /// <summary>A definition's name: the end of its reference, or all of it where that is no definition.</summary>
        private static string NameOf(string reference) =>
            reference.StartsWith("#/$defs/", StringComparison.Ordinal) ? reference[8..]
            : reference.StartsWith("#/definitions/", StringComparison.Ordinal) ? reference[14..]
            : reference[2..].Replace('/', '.');

        /// <summary>For whole numbers an exclusive bound is the next inclusive one; for others Google knows none, and the inclusive one says nearly the same.</summary>
        private static void SetBound(JsonObject converted, JsonObject schema, string name, JsonNode? bound)
        {
            if (bound is not JsonValue value || !value.TryGetValue<decimal>(out var number))
            {
                return; // the boolean form of older drafts
            }
            var isWhole = schema["type"] is JsonValue type && type.TryGetValue<string>(out var text) && text == "integer" && number == decimal.Truncate(number);
            converted[name == "exclusiveMinimum" ? "minimum" : "maximum"] = isWhole ? number + (name == "exclusiveMinimum" ? 1 : -1) : number;
        }

        /// <summary>Both schemas must hold: members are united.</summary>
        private static void Merge(JsonObject into, JsonObject other)
        {
            foreach (var (name, member) in other.ToArray())
            {
                if (into[name] is JsonObject present && member is JsonObject more && name == "properties")
                {
                    foreach (var (property, inner) in more.ToArray())
                    {
                        present[property] = inner?.DeepClone();
                    }
                }
                else if (name == "required" && into[name] is JsonArray required && member is JsonArray others)
                {
                    var known = required.Select(item => item?.ToJsonString()).ToHashSet();
                    foreach (var item in others)
                    {
                        if (known.Add(item?.ToJsonString()))
                        {
                            required.Add(item?.DeepClone());
                        }
                    }
                }
                else
                {
                    into[name] = member?.DeepClone();
                }
            }
        }
    }
}
