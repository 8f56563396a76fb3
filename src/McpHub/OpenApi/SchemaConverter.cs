using System.Text.Json;
using System.Text.Json.Nodes;

namespace McpHub.OpenApi;

/// <summary>
/// Makes JSON Schema 2020-12 of the schemas of one operation, input or output. What they refer to comes under <c>$defs</c>, once each, so that a schema
/// which holds itself stays finite. Members that are not sent in this direction (<c>readOnly</c>, <c>writeOnly</c>) are left out.
/// </summary>
internal sealed class SchemaConverter(LocalReferences references, SchemaBudget budget, bool isOpenApi30, bool isInput)
{
    /// <summary>The most schemas that one tool's input or output may be made of.</summary>
    public const int MaxSchemas = 10_000;

    private const string Definitions = "$defs";

    private static readonly string[] OneSchema = ["additionalProperties", "items", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema"];
    private static readonly string[] Lists = ["allOf", "anyOf", "oneOf", "prefixItems"];
    private static readonly string[] Maps = ["properties", "patternProperties", "dependentSchemas"];

    // What only OpenAPI knows, what names or places a schema within a document that is left behind, and comments.
    private static readonly string[] LeftOut = ["$schema", "$id", "$anchor", "$dynamicAnchor", "$vocabulary", "$comment", Definitions, "definitions", "nullable", "readOnly", "writeOnly", "xml", "externalDocs", "example", "discriminator"];

    private static readonly string[] Types = ["string", "number", "integer", "boolean", "array", "object", "null"];

    private readonly Dictionary<string, string> names = new(StringComparer.Ordinal);
    private readonly HashSet<string> taken = new(StringComparer.Ordinal);
    private readonly JsonObject definitions = [];
    private readonly Queue<(string Name, string Reference)> waiting = new();
    private int schemas;

    /// <summary>Converts one schema.</summary>
    /// <exception cref="DocumentException">It is none, or refers to what is not there.</exception>
    public JsonNode Convert(JsonNode? schema)
    {
        budget.Take();
        if (++schemas > MaxSchemas)
        {
            throw new DocumentException(FormattableString.Invariant($"It is made of more than {MaxSchemas} schemas."));
        }
        if (schema is JsonValue value && value.GetValueKind() is JsonValueKind.True or JsonValueKind.False)
        {
            return schema.DeepClone();
        }
        var source = schema as JsonObject ?? throw new DocumentException("A schema is neither an object nor true or false.");
        if (LocalReferences.Of(source) is not { } reference)
        {
            return ConvertObject(source);
        }
        // Beside a reference, 3.0 knows nothing; a description can do no harm.
        var result = isOpenApi30 ? Described(source) : ConvertObject(source);
        result["$ref"] = Define(reference);
        return result;
    }

    /// <summary>Converts a schema, or what it refers to, in place, so that its own members stand in the result.</summary>
    public JsonNode ConvertRoot(JsonNode? schema) => Convert(references.Follow(schema));

    /// <summary>Adds what the converted schemas refer to. Nothing can be converted after it.</summary>
    public void Finish(JsonObject root)
    {
        while (waiting.TryDequeue(out var next))
        {
            definitions[next.Name] = Convert(references.Find(next.Reference));
        }
        if (definitions.Count > 0)
        {
            root[Definitions] = definitions;
        }
    }

    /// <summary>Whether a member is not sent in this direction.</summary>
    public bool IsLeftOut(JsonNode? property) => references.Follow(property) is JsonObject map && LocalReferences.IsTrue(map[isInput ? "readOnly" : "writeOnly"]);

    /// <summary>Whether a schema is of objects and nothing else.</summary>
    public bool IsObject(JsonNode? schema, int depth = 0)
    {
        if (depth > 8 || references.Follow(schema) is not JsonObject map || (isOpenApi30 && LocalReferences.IsTrue(map["nullable"])))
        {
            return false;
        }
        return map["type"] switch
        {
            JsonArray types => types.Count == 1 && LocalReferences.Text(types[0]) == "object",
            { } type => LocalReferences.Text(type) == "object",
            null => map["properties"] is JsonObject || (map["allOf"] is JsonArray parts && parts.Any(part => IsObject(part, depth + 1))),
        };
    }

    private static JsonObject Described(JsonObject source)
    {
        var result = new JsonObject();
        if (LocalReferences.Text(source["description"]) is { } description)
        {
            result["description"] = description;
        }
        return result;
    }

    private JsonObject ConvertObject(JsonObject source)
    {
        var result = new JsonObject();
        foreach (var (name, value) in source)
        {
            if (name == "$ref" || name.StartsWith("x-", StringComparison.Ordinal) || LeftOut.Contains(name))
            {
                continue;
            }
            if (name is "$dynamicRef" or "$recursiveRef")
            {
                throw new DocumentException($"A schema uses '{name}', which is not supported.");
            }
            result[name] = OneSchema.Contains(name) ? Convert(value)
                : Lists.Contains(name) ? new JsonArray([.. (value as JsonArray ?? throw Wrong(name, "a list")).Select(Convert)])
                : Maps.Contains(name) ? ConvertMap(name, value as JsonObject ?? throw Wrong(name, "an object"))
                : value?.DeepClone();
        }
        CheckType(result);
        CheckRequired(source, result);
        AddExample(source, result);
        AddDiscriminator(source, result);
        return isOpenApi30 ? From30(source, result) : result;
    }

    private JsonObject ConvertMap(string name, JsonObject map)
    {
        var result = new JsonObject();
        foreach (var (member, schema) in map)
        {
            if (name != "properties" || !IsLeftOut(schema))
            {
                result[member] = Convert(schema);
            }
        }
        return result;
    }

    // OpenAPI 3.0 is older than 2020-12: null, exclusive bounds and binary texts were said in other ways.
    private static JsonObject From30(JsonObject source, JsonObject result)
    {
        foreach (var (exclusive, bound) in new[] { ("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum") })
        {
            if (result[exclusive] is { } flag && flag.GetValueKind() is JsonValueKind.True or JsonValueKind.False)
            {
                result.Remove(exclusive);
                if (LocalReferences.IsTrue(flag) && result[bound] is { } number)
                {
                    result.Remove(bound);
                    result[exclusive] = number.DeepClone();
                }
            }
        }
        if (LocalReferences.Text(result["format"]) == "byte")
        {
            result["contentEncoding"] = "base64";
        }
        return LocalReferences.IsTrue(source["nullable"]) ? Nullable(result) : result;
    }

    private static JsonObject Nullable(JsonObject schema)
    {
        if (LocalReferences.Text(schema["type"]) is { } type)
        {
            schema["type"] = new JsonArray(type, "null");
            if (schema["enum"] is JsonArray choices && choices.All(choice => choice is not null))
            {
                choices.Add((JsonNode?)null);
            }
            return schema;
        }
        if (!Lists.Any(schema.ContainsKey) && !schema.ContainsKey("enum"))
        {
            return schema;
        }
        return new JsonObject { ["anyOf"] = new JsonArray(schema, new JsonObject { ["type"] = "null" }) };
    }

    private static void CheckType(JsonObject schema)
    {
        if (!schema.TryGetPropertyValue("type", out var type))
        {
            return;
        }
        foreach (var one in type is JsonArray several ? several.ToArray() : [type])
        {
            var name = LocalReferences.Text(one) ?? throw Wrong("type", "a text");
            if (!Types.Contains(name))
            {
                throw new DocumentException($"A schema has the type {DocumentException.Show(name)}, which JSON Schema does not know.");
            }
        }
    }

    // Members that are not sent cannot be required; "required: true" on a member itself is a habit from older times.
    private void CheckRequired(JsonObject source, JsonObject result)
    {
        if (result["required"] is not JsonArray required)
        {
            result.Remove("required");
            return;
        }
        var properties = source["properties"] as JsonObject;
        var kept = required.Select(LocalReferences.Text).OfType<string>().Distinct(StringComparer.Ordinal)
            .Where(name => properties is null || !properties.TryGetPropertyValue(name, out var property) || !IsLeftOut(property)).ToList();
        result.Remove("required");
        if (kept.Count > 0)
        {
            result["required"] = new JsonArray([.. kept.Select(name => (JsonNode)JsonValue.Create(name))]);
        }
    }

    private static void AddExample(JsonObject source, JsonObject result)
    {
        if (result["examples"] is not (null or JsonArray))
        {
            result.Remove("examples");
        }
        if (source.TryGetPropertyValue("example", out var example) && !result.ContainsKey("examples"))
        {
            result["examples"] = new JsonArray(example?.DeepClone());
        }
    }

    // JSON Schema knows no discriminator and takes it for a remark; to a model it says what tells the alternatives apart.
    private void AddDiscriminator(JsonObject source, JsonObject result)
    {
        if (source["discriminator"] is not JsonObject discriminator || LocalReferences.Text(discriminator["propertyName"]) is not { } property)
        {
            return;
        }
        var mapping = new JsonObject();
        foreach (var (value, target) in discriminator["mapping"] as JsonObject ?? [])
        {
            var reference = LocalReferences.Text(target) ?? "";
            reference = reference.StartsWith('#') ? reference : $"#/components/schemas/{reference.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)}";
            mapping[value] = Define(reference);
        }
        result["discriminator"] = new JsonObject { ["propertyName"] = property };
        if (mapping.Count > 0)
        {
            result["discriminator"]!["mapping"] = mapping;
        }
    }

    private string Define(string reference)
    {
        if (!names.TryGetValue(reference, out var name))
        {
            references.Find(reference);
            var last = reference[(reference.LastIndexOf('/') + 1)..];
            var plain = new string([.. last.Take(64).Select(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.' ? c : '_')]);
            name = plain;
            for (var i = 2; !taken.Add(name); i++)
            {
                name = FormattableString.Invariant($"{plain}_{i}");
            }
            names[reference] = name;
            waiting.Enqueue((name, reference));
        }
        return $"#/{Definitions}/{name}";
    }

    private static DocumentException Wrong(string member, string wanted) => new($"A schema's '{member}' is not {wanted}.");
}

/// <summary>How much conversion one document may cause: each tool carries its own copy of what its schemas refer to.</summary>
internal sealed class SchemaBudget
{
    /// <summary>The most schemas converted for one document.</summary>
    public const int MaxSchemas = 1_000_000;

    private int taken;

    /// <exception cref="BudgetException">It is used up.</exception>
    public void Take()
    {
        if (++taken > MaxSchemas)
        {
            throw new BudgetException();
        }
    }
}

/// <summary>A document causes more work than it may; nothing of it is used.</summary>
internal sealed class BudgetException() : Exception(FormattableString.Invariant($"Its operations are made of more than {SchemaBudget.MaxSchemas} schemas, with those that they repeat; select fewer under upstream.operations."));
