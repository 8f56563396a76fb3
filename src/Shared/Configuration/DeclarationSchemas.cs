using System.Text.Json.Nodes;
using Shared.Pricing;

namespace Shared.Configuration;

/// <summary>JSON schemas (draft 2020-12, as OpenAPI 3.1 uses them) of the declarations that the admin API takes, made of the types that they are bound to.</summary>
public static class DeclarationSchemas
{
    /// <summary>Where other schemas are referred to.</summary>
    private const string Components = "#/components/schemas/";

    private static readonly Type[] Roots =
    [
        typeof(KeyDeclaration), typeof(ProviderDeclaration), typeof(RouteDeclaration), typeof(UserDeclaration), typeof(TeamDeclaration), typeof(CustomerDeclaration),
        typeof(PriceDeclaration), typeof(ManifestDeclaration),
    ];

    /// <summary>All of them by name, those that they refer to included; each call makes them anew.</summary>
    public static SortedDictionary<string, JsonObject> All()
    {
        var schemas = new SortedDictionary<string, JsonObject>(StringComparer.Ordinal);
        foreach (var root in Roots)
        {
            Add(TypeShape.Of(root), schemas);
        }
        // The token of a key stands in files only; a price's names stand in its path.
        schemas[nameof(KeyDeclaration)]["properties"]!.AsObject().Remove("key");
        schemas[nameof(KeyDeclaration)]["required"] = new JsonArray("name");
        schemas[nameof(PriceDeclaration)]["required"] = new JsonArray("input", "output");
        return schemas;
    }

    private static void Add(TypeShape shape, SortedDictionary<string, JsonObject> schemas)
    {
        if (!schemas.TryAdd(shape.Type.Name, []))
        {
            return;
        }
        var properties = new JsonObject();
        var required = new JsonArray();
        foreach (var member in shape.Members)
        {
            properties[member.Name] = Of(member, schemas);
            if (member.Required)
            {
                required.Add((JsonNode)member.Name);
            }
        }
        var schema = new JsonObject { ["type"] = "object", ["properties"] = properties, ["additionalProperties"] = false };
        if (required.Count > 0)
        {
            schema["required"] = required;
        }
        schemas[shape.Type.Name] = shape.Shorthand is { } shorthand ? new JsonObject { ["anyOf"] = new JsonArray(schema, properties[shorthand]!.DeepClone()) } : schema;
    }

    private static JsonObject Of(MemberShape member, SortedDictionary<string, JsonObject> schemas)
    {
        var schema = Of(member.Type, schemas);
        if (member.Bounds is { } bounds && schema["type"] is JsonValue kind && kind.GetValueKind() == System.Text.Json.JsonValueKind.String && (string?)kind is "integer" or "number")
        {
            schema["minimum"] = JsonNode.Parse(bounds.Least);
            schema["maximum"] = JsonNode.Parse(bounds.Greatest);
        }
        else if (member.Bounds is { } range)
        {
            schema["description"] = $"{(string?)schema["description"]} From {range.Least} to {range.Greatest}.".Trim();
        }
        return member.OneOrMany ? new JsonObject { ["anyOf"] = new JsonArray(schema, schema["items"]!.DeepClone()) } : schema;
    }

    private static JsonObject Of(Type type, SortedDictionary<string, JsonObject> schemas)
    {
        var shape = TypeShape.Of(type);
        if (type == typeof(RawJson))
        {
            return [];
        }
        if (type == typeof(Secret))
        {
            return new JsonObject { ["type"] = "string", ["description"] = "A credential, or a reference such as `${secret:name}`." };
        }
        if (shape.IsList)
        {
            return new JsonObject { ["type"] = "array", ["items"] = Of(shape.Item!, schemas) };
        }
        if (shape.IsMap)
        {
            return new JsonObject { ["type"] = "object", ["additionalProperties"] = Of(shape.Item!, schemas) };
        }
        if (shape.Scalar is { } scalar)
        {
            return OfScalar(shape.Type, scalar);
        }
        Add(shape, schemas);
        return new JsonObject { ["$ref"] = Components + shape.Type.Name };
    }

    private static JsonObject OfScalar(Type type, ScalarType scalar)
    {
        if (type.IsEnum)
        {
            return new JsonObject { ["type"] = "string", ["enum"] = new JsonArray([.. Enum.GetNames(type).Select(name => (JsonNode)Scalars.CamelCase(name))]) };
        }
        JsonNode kind = type == typeof(bool) ? "boolean"
            : type == typeof(int) || type == typeof(long) ? "integer"
            : type == typeof(decimal) ? "number"
            : type == typeof(Money) || type == typeof(ByteSize) ? new JsonArray("string", "number")
            : "string";
        var schema = new JsonObject { ["type"] = kind };
        if (type != typeof(bool) && type != typeof(int) && type != typeof(long) && type != typeof(decimal) && type != typeof(string))
        {
            schema["description"] = char.ToUpperInvariant(scalar.Expected[0]) + scalar.Expected[1..] + ".";
        }
        return schema;
    }
}
