using System.Text.Json.Nodes;
using Shared.Pricing;

namespace Shared.Configuration.Schemas;

/// <summary>
/// How each scalar type is described to an editor. What a schema refuses the binder refuses too; the binder may refuse more, such as an impossible date.
/// </summary>
internal static class ScalarSchemas
{
    private const string Duration = "[0-9]{1,10}(ms|s|m|h|d)";
    private const string Decimal = @"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)";

    /// <summary>What the forms are called in the reference.</summary>
    public static string NameOf(Type type) =>
        type == typeof(string) ? "text"
        : type == typeof(Secret) ? "secret"
        : type == typeof(RawJson) ? "any value"
        : type == typeof(bool) ? "true or false"
        : type == typeof(int) || type == typeof(long) ? "whole number"
        : type == typeof(decimal) ? "number"
        : type == typeof(Uri) ? "address"
        : type == typeof(TimeSpan) ? "duration"
        : type == typeof(ByteSize) ? "bytes"
        : type == typeof(Money) ? "money"
        : type == typeof(Percent) ? "percentage"
        : type == typeof(Per) ? "window"
        : type == typeof(DateTimeOffset) ? "date"
        : type.IsEnum ? "choice"
        : Scalars.CamelCase(type.Name);

    /// <summary>The schema of a scalar type; bounds narrow it where they can be expressed.</summary>
    public static JsonObject Of(Type type, BoundsAttribute? bounds)
    {
        if (type == typeof(string) || type == typeof(Secret))
        {
            // A number or a boolean that stands where a text is expected is taken as it is written.
            return new JsonObject { ["type"] = new JsonArray("string", "number", "boolean") };
        }
        if (type == typeof(RawJson))
        {
            return [];
        }
        if (type == typeof(bool))
        {
            return new JsonObject { ["type"] = "boolean" };
        }
        if (type == typeof(int) || type == typeof(long))
        {
            return Bounded("integer", bounds);
        }
        if (type == typeof(decimal))
        {
            return Bounded("number", bounds);
        }
        if (type == typeof(Uri))
        {
            return new JsonObject { ["type"] = "string", ["pattern"] = @"^\s*([Hh][Tt][Tt][Pp][Ss]?://|\$\{env:)" };
        }
        if (type == typeof(TimeSpan))
        {
            return new JsonObject { ["type"] = "string", ["pattern"] = $"^{Duration}$" };
        }
        if (type == typeof(ByteSize))
        {
            return AnyOf(new JsonObject { ["type"] = "integer", ["minimum"] = 0 }, new JsonObject { ["type"] = "string", ["pattern"] = @"^[0-9]+\s*(B|KiB|MiB|GiB)?$" });
        }
        if (type == typeof(Money))
        {
            return AnyOf(new JsonObject { ["type"] = "number", ["minimum"] = 0 }, new JsonObject { ["type"] = "string", ["pattern"] = $"^{Decimal}( USD)?$" });
        }
        if (type == typeof(Percent))
        {
            return new JsonObject { ["type"] = "string", ["pattern"] = $"^{Decimal}%$" };
        }
        if (type == typeof(Per))
        {
            return AnyOf(new JsonObject { ["enum"] = new JsonArray("hour", "day", "week", "month") }, new JsonObject { ["type"] = "string", ["pattern"] = $"^{Duration}$" });
        }
        if (type == typeof(DateTimeOffset))
        {
            return new JsonObject { ["type"] = "string", ["pattern"] = @"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,7})?(Z|[+-][0-9]{2}:[0-9]{2})?)?$" };
        }
        if (type.IsEnum)
        {
            return new JsonObject { ["enum"] = new JsonArray([.. Enum.GetNames(type).Select(name => (JsonNode)Scalars.CamelCase(name))]) };
        }
        return new JsonObject { ["type"] = new JsonArray("string", "number", "boolean") };
    }

    private static JsonObject Bounded(string type, BoundsAttribute? bounds)
    {
        var schema = new JsonObject { ["type"] = type };
        if (bounds is not null)
        {
            schema["minimum"] = JsonNode.Parse(bounds.Least);
            schema["maximum"] = JsonNode.Parse(bounds.Greatest);
        }
        return schema;
    }

    private static JsonObject AnyOf(params JsonNode[] schemas) => new() { ["anyOf"] = new JsonArray(schemas) };
}
