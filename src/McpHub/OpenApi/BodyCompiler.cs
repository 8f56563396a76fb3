using System.Collections.Immutable;
using System.Text.Json.Nodes;

namespace McpHub.OpenApi;

/// <summary>
/// Compiles the body of an operation. The members of an object become arguments of their own where that is the same thing; anything else is one argument
/// called <c>body</c>.
/// </summary>
internal sealed class BodyCompiler(LocalReferences references, SchemaConverter input, ArgumentList arguments, bool isOpenApi30)
{
    private const string Whole = "body";

    // With any of these, members beside each other say less than the object as a whole.
    private static readonly string[] NotFlat =
    [
        "allOf", "anyOf", "oneOf", "not", "if", "patternProperties", "dependentSchemas", "dependentRequired", "unevaluatedProperties", "propertyNames", "minProperties", "maxProperties", "discriminator", "nullable",
    ];

    /// <summary>The body; null: there is none. Its arguments are added to the list.</summary>
    /// <exception cref="DocumentException">It is of a kind that cannot be sent.</exception>
    public ApiBody? Compile(JsonNode? requestBody)
    {
        if (references.Follow(requestBody) is not JsonObject declared || declared["content"] is not JsonObject { Count: > 0 } content)
        {
            return null;
        }
        var (type, media) = content.Select((pair, i) => (pair.Key, pair.Value, Rank: Rank(pair.Key), Place: i)).Where(found => found.Rank < int.MaxValue).OrderBy(found => found.Rank).ThenBy(found => found.Place)
            .Select(found => (found.Key, references.Follow(found.Value) as JsonObject)).FirstOrDefault();
        if (type is null)
        {
            throw new DocumentException($"Its body is {DocumentException.Show(content.First().Key)}, which cannot be sent.");
        }
        var kind = KindOf(type);
        var isRequired = LocalReferences.IsTrue(declared["required"]);
        var sent = MediaTypes.CanBeSent(type) ? type : kind == BodyKind.Json ? MediaTypes.Json : "application/octet-stream";
        var description = LocalReferences.Text(declared["description"]);
        return kind switch
        {
            BodyKind.Json => Json(media?["schema"], sent, isRequired, description),
            BodyKind.Form or BodyKind.Multipart => Fields(kind, media, MediaTypes.Plain(sent), isRequired, description),
            BodyKind.Text => One(kind, sent, isRequired, new JsonObject { ["type"] = "string", ["contentMediaType"] = MediaTypes.Plain(sent) }, ValueKinds.Only("string"), description),
            _ => One(kind, sent, isRequired, new JsonObject { ["type"] = "string", ["contentEncoding"] = "base64", ["contentMediaType"] = MediaTypes.Plain(sent) }, ValueKinds.Only("string"), description ?? "The bytes to send, in base64."),
        };
    }

    private static int Rank(string type) => MediaTypes.Plain(type) switch
    {
        MediaTypes.Json => 0,
        "*/*" or "application/*" => 2,
        "application/x-www-form-urlencoded" => 3,
        "multipart/form-data" => 4,
        var plain when MediaTypes.IsJson(plain) => 1,
        var plain when plain.StartsWith("multipart/", StringComparison.Ordinal) => int.MaxValue,
        var plain when MediaTypes.IsText(plain) => 5,
        "application/octet-stream" => 6,
        var plain when MediaTypes.CanBeSent(plain) || plain.EndsWith("/*", StringComparison.Ordinal) => 7,
        _ => int.MaxValue,
    };

    private static BodyKind KindOf(string type) => Rank(type) switch { <= 2 => BodyKind.Json, 3 => BodyKind.Form, 4 => BodyKind.Multipart, 5 => BodyKind.Text, _ => BodyKind.Binary };

    private ApiBody One(BodyKind kind, string type, bool isRequired, JsonNode schema, ValueKinds kinds, string? description)
    {
        if (description is not null && schema is JsonObject map && !map.ContainsKey("description"))
        {
            map["description"] = OperationCompiler.Cut(description, 1_000);
        }
        return new ApiBody(kind, type, isRequired, arguments.Add(Whole, "request", isRequired, schema, kinds), []);
    }

    private ApiBody Json(JsonNode? schema, string type, bool isRequired, string? description)
    {
        if (!IsFlat(schema, out var properties))
        {
            return One(BodyKind.Json, type, isRequired, input.Convert(schema ?? new JsonObject()), ValueKinds.Of(references, schema, isOpenApi30), description);
        }
        var required = RequiredOf(schema);
        var fields = properties.Select(pair => new ApiField(pair.Key, arguments.Add(pair.Key, Whole, isRequired && required.Contains(pair.Key), input.Convert(pair.Value), ValueKinds.Of(references, pair.Value, isOpenApi30)),
            IsFile: false, null, null, Explodes: false, AllowsReserved: false)).ToImmutableArray();
        return new ApiBody(BodyKind.Json, type, isRequired, null, fields);
    }

    private ApiBody Fields(BodyKind kind, JsonObject? media, string type, bool isRequired, string? description)
    {
        var schema = media?["schema"];
        var isFlat = IsFlat(schema, out var properties);
        var required = RequiredOf(schema);
        var encodings = media?["encoding"] as JsonObject;
        var fields = ImmutableArray.CreateBuilder<ApiField>();
        var whole = new ArgumentList();
        foreach (var (name, property) in properties)
        {
            var encoding = encodings?[name] as JsonObject;
            var isFile = kind == BodyKind.Multipart && IsFile(property, encoding);
            var converted = isFile ? FileSchema(property) : input.Convert(property);
            var kinds = isFile ? ValueKinds.Any : ValueKinds.Of(references, property, isOpenApi30);
            var argument = isFlat ? arguments.Add(name, Whole, isRequired && required.Contains(name), converted, kinds) : whole.Add(name, Whole, required.Contains(name), converted, kinds);
            fields.Add(Field(name, argument, isFile, encoding));
        }
        if (isFlat)
        {
            return new ApiBody(kind, type, isRequired, null, fields.ToImmutable());
        }
        var shape = fields.Count > 0 ? whole.ToSchema() : new JsonObject { ["type"] = "object" };
        return One(kind, type, isRequired, shape, ValueKinds.Only("object"), description) with { Fields = fields.ToImmutable() };
    }

    private static ApiField Field(string name, ApiArgument argument, bool isFile, JsonObject? encoding)
    {
        var style = LocalReferences.Text(encoding?["style"]) switch
        {
            "form" => ParameterStyle.Form,
            "spaceDelimited" => ParameterStyle.SpaceDelimited,
            "pipeDelimited" => ParameterStyle.PipeDelimited,
            "deepObject" => ParameterStyle.DeepObject,
            null => encoding?.ContainsKey("explode") == true || encoding?.ContainsKey("allowReserved") == true ? ParameterStyle.Form : (ParameterStyle?)null,
            var other => throw new DocumentException($"The field {DocumentException.Show(name)} has the style {DocumentException.Show(other)}, which a form does not know."),
        };
        var type = LocalReferences.Text(encoding?["contentType"])?.Split(',')[0].Trim();
        return new ApiField(name, argument, isFile, type is not null && MediaTypes.CanBeSent(type) ? type : null, style,
            encoding?["explode"] is { } explode ? LocalReferences.IsTrue(explode) : style is null or ParameterStyle.Form, LocalReferences.IsTrue(encoding?["allowReserved"]));
    }

    private bool IsFlat(JsonNode? schema, out List<KeyValuePair<string, JsonNode?>> properties)
    {
        properties = [];
        if (references.Follow(schema) is not JsonObject map || map["properties"] is not JsonObject declared)
        {
            return false;
        }
        properties = [.. declared.Where(pair => !input.IsLeftOut(pair.Value))];
        return input.IsObject(map) && properties.Count > 0 && !NotFlat.Any(map.ContainsKey)
            && (map["additionalProperties"] is null || map["additionalProperties"]!.GetValueKind() == System.Text.Json.JsonValueKind.False)
            && properties.TrueForAll(pair => !arguments.Has(OperationNames.Argument(pair.Key)))
            && properties.DistinctBy(pair => OperationNames.Argument(pair.Key), StringComparer.Ordinal).Count() == properties.Count;
    }

    private HashSet<string> RequiredOf(JsonNode? schema) => references.Follow(schema) is JsonObject { } map && map["required"] is JsonArray list ? [.. list.Select(LocalReferences.Text).OfType<string>()] : [];

    private bool IsFile(JsonNode? property, JsonObject? encoding)
    {
        if (references.Follow(property) is not JsonObject map)
        {
            return false;
        }
        if (LocalReferences.Text(map["type"]) == "array" && references.Follow(map["items"]) is JsonObject item)
        {
            map = item;
        }
        if (LocalReferences.Text(map["format"]) == "binary" || (map.ContainsKey("contentMediaType") && !map.ContainsKey("contentEncoding")))
        {
            return true;
        }
        return !map.ContainsKey("type") && LocalReferences.Text(encoding?["contentType"]) is { } type && !MediaTypes.IsJson(type) && !MediaTypes.IsText(type);
    }

    private JsonObject FileSchema(JsonNode? property)
    {
        var file = new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject
            {
                ["base64"] = new JsonObject { ["type"] = "string", ["contentEncoding"] = "base64", ["description"] = "The file's bytes." },
                ["text"] = new JsonObject { ["type"] = "string", ["description"] = "The file's content, where it is text; in place of base64." },
                ["fileName"] = new JsonObject { ["type"] = "string" },
                ["mediaType"] = new JsonObject { ["type"] = "string" },
            },
            ["additionalProperties"] = false,
        };
        var map = references.Follow(property) as JsonObject;
        var schema = LocalReferences.Text(map?["type"]) == "array" ? new JsonObject { ["type"] = "array", ["items"] = file } : file;
        if (LocalReferences.Text(map?["description"]) is { } description)
        {
            schema["description"] = description;
        }
        return schema;
    }
}
