using System.Buffers;
using System.Reflection;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Shared.Configuration.Schemas;

/// <summary>
/// Writes the JSON Schema (draft 2020-12) of a declaration from its type: members, defaults, bounds, short forms, and the doc comments as descriptions.
/// </summary>
internal sealed class SchemaWriter(TypeDocumentation documentation)
{
    private static readonly JsonSerializerOptions Layout = new() { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly SortedDictionary<string, JsonObject> definitions = new(StringComparer.Ordinal);

    /// <summary>The schema of a document, indented, with a newline at its end.</summary>
    public static string Write(DocumentKind kind, TypeDocumentation documentation)
    {
        var writer = new SchemaWriter(documentation);
        var root = writer.Record(TypeShape.Of(kind.Type));
        var schema = new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = kind.Title,
        };
        foreach (var (name, value) in root.ToList())
        {
            root.Remove(name);
            schema[name] = value;
        }
        if (!TypeShape.Of(kind.Type).Members.Any(member => member.Required))
        {
            // An empty file declares nothing, and is right.
            schema["type"] = new JsonArray("object", "null");
        }
        if (writer.definitions.Count > 0)
        {
            schema["$defs"] = new JsonObject(writer.definitions.Select(definition => KeyValuePair.Create<string, JsonNode?>(definition.Key, definition.Value)));
        }
        return schema.ToJsonString(Layout) + "\n";
    }

    private JsonObject Record(TypeShape shape)
    {
        var properties = new JsonObject();
        foreach (var member in shape.Members)
        {
            properties[member.Name] = Member(member);
        }
        var schema = new JsonObject { ["type"] = "object" };
        if (documentation.Of(shape.Type) is { Length: > 0 } description)
        {
            schema["description"] = description;
        }
        schema["properties"] = properties;
        if (shape.Members.Where(member => member.Required).Select(member => (JsonNode)member.Name).ToArray() is { Length: > 0 } required)
        {
            schema["required"] = new JsonArray(required);
        }
        if (shape.Type.GetCustomAttribute<ExactlyOneAttribute>() is { } choice)
        {
            schema["oneOf"] = new JsonArray([.. choice.Members.Select(name => (JsonNode)new JsonObject { ["required"] = new JsonArray(Scalars.CamelCase(name)) })]);
        }
        schema["additionalProperties"] = false;
        return schema;
    }

    private JsonObject Member(MemberShape member)
    {
        var schema = Value(member.Type, member);
        // Nothing after a key is the same as leaving the key out.
        if (!member.Required)
        {
            schema = OrNull(schema);
        }
        if (DescriptionOf(member) is { Length: > 0 } description)
        {
            schema.Insert(0, "description", description);
        }
        if (!member.Required && DefaultOf(member) is { } standard)
        {
            schema["default"] = standard;
        }
        return schema;
    }

    private JsonObject Value(Type type, MemberShape? member)
    {
        var shape = TypeShape.Of(type);
        if (shape.Type == typeof(Secret) || shape.Type == typeof(RawJson) || shape.Scalar is not null)
        {
            var scalar = ScalarSchemas.Of(shape.Type, member?.Bounds);
            if (member?.Property.GetCustomAttribute<ChoicesAttribute>() is { } values)
            {
                return new JsonObject { ["enum"] = new JsonArray([.. values.Values.Select(value => (JsonNode)value)]) };
            }
            if (member?.Property.GetCustomAttribute<PatternAttribute>() is { } pattern)
            {
                scalar["pattern"] = pattern.Pattern;
            }
            return scalar;
        }
        if (shape.IsList)
        {
            var item = member?.Property.GetCustomAttribute<ChoicesAttribute>() is { } choices
                ? new JsonObject { ["enum"] = new JsonArray([.. choices.Values.Select(value => (JsonNode)value)]) }
                : Value(shape.Item!, null);
            var list = new JsonObject { ["type"] = "array", ["items"] = item };
            return member?.OneOrMany == true ? new JsonObject { ["oneOf"] = new JsonArray(list, item.DeepClone()) } : list;
        }
        if (shape.IsMap)
        {
            var map = new JsonObject { ["type"] = "object", ["additionalProperties"] = Entry(shape.Item!) };
            if (member?.Property.GetCustomAttribute<PatternAttribute>() is { } names)
            {
                map["propertyNames"] = new JsonObject { ["pattern"] = names.Pattern };
            }
            return map;
        }
        return Reference(shape);
    }

    // A name with nothing after it declares an entry with all its defaults.
    private JsonObject Entry(Type type)
    {
        var shape = TypeShape.Of(type);
        var schema = Value(type, null);
        return shape.Scalar is null && !shape.IsList && !shape.IsMap && shape.Type != typeof(Secret) && shape.Type != typeof(RawJson) && !shape.Members.Any(member => member.Required) ? OrNull(schema) : schema;
    }

    private JsonObject Reference(TypeShape shape)
    {
        var name = NameOf(shape.Type);
        if (!definitions.ContainsKey(name))
        {
            definitions[name] = [];
            definitions[name] = Record(shape);
        }
        var reference = new JsonObject { ["$ref"] = $"#/$defs/{name}" };
        return shape.Shorthand is { } shorthand
            ? new JsonObject { ["oneOf"] = new JsonArray(reference, Value(shape.Find(shorthand)!.Type, shape.Find(shorthand))) }
            : reference;
    }

    private static JsonObject OrNull(JsonObject schema)
    {
        switch (schema)
        {
            case { Count: 0 }:
                return schema;
            case var _ when schema["type"] is JsonArray types:
                types.Add("null");
                return schema;
            case var _ when schema["type"] is JsonValue type:
                schema["type"] = new JsonArray(type.GetValue<string>(), "null");
                return schema;
            case var _ when schema["enum"] is JsonArray values:
                values.Add(null);
                return schema;
            case var _ when (schema["oneOf"] ?? schema["anyOf"]) is JsonArray forms:
                forms.Add(new JsonObject { ["type"] = "null" });
                return schema;
            default:
                return new JsonObject { ["anyOf"] = new JsonArray(schema, new JsonObject { ["type"] = "null" }) };
        }
    }

    private string DescriptionOf(MemberShape member)
    {
        var text = new StringBuilder(documentation.Of(member.Property));
        var type = Nullable.GetUnderlyingType(member.Type) ?? member.Type;
        if (type.IsEnum)
        {
            foreach (var name in Enum.GetNames(type))
            {
                text.Append(text.Length == 0 ? "" : " ").Append('`').Append(Scalars.CamelCase(name)).Append("`: ").Append(documentation.Of(type, name));
            }
        }
        if (member.Bounds is { } bounds)
        {
            text.Append(text.Length == 0 ? "" : " ").Append(bounds.Least).Append(" to ").Append(bounds.Greatest).Append('.');
        }
        return text.ToString();
    }

    private static JsonNode? DefaultOf(MemberShape member)
    {
        if (member.Default is not { } value || TypeShape.Of(member.Type).Scalar is null)
        {
            return null;
        }
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            ConfigWriter.Write(json, value);
        }
        return JsonNode.Parse(buffer.WrittenSpan);
    }

    /// <summary>What a record's definition is called: its type's name without the word that all share.</summary>
    public static string NameOf(Type type) => Scalars.CamelCase(type.Name.Replace("Declaration", "", StringComparison.Ordinal));
}
