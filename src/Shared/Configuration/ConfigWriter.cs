using System.Collections;
using System.Text.Json;

namespace Shared.Configuration;

/// <summary>Writes declarations as JSON of the form they are read from: members in their order, defaults left out, names of maps sorted.</summary>
internal static class ConfigWriter
{
    /// <summary>What stands for a secret that was written as it is.</summary>
    public const string Mask = "***";

    /// <summary>Writes a declaration. Secrets are written as their fingerprints, never as they are.</summary>
    public static void Write(Utf8JsonWriter writer, object value) => Write(writer, value, secret => secret.Fingerprint());

    /// <summary>Writes a declaration to be shown: secrets as the references that they were written as, or masked.</summary>
    public static void WriteShown(Utf8JsonWriter writer, object value) => Write(writer, value, secret => secret.Written ?? Mask);

    private static void Write(Utf8JsonWriter writer, object value, Func<Secret, string> textOf)
    {
        if (value is Secret secret)
        {
            writer.WriteStringValue(textOf(secret));
            return;
        }
        if (value is RawJson raw)
        {
            writer.WriteRawValue(raw.Text);
            return;
        }
        if (value is IDictionary map)
        {
            writer.WriteStartObject();
            foreach (var key in map.Keys.Cast<string>().Order(StringComparer.Ordinal))
            {
                writer.WritePropertyName(key);
                Write(writer, map[key]!, textOf);
            }
            writer.WriteEndObject();
        }
        else if (value is IList list)
        {
            writer.WriteStartArray();
            foreach (var item in list)
            {
                Write(writer, item!, textOf);
            }
            writer.WriteEndArray();
        }
        else if (TypeShape.Of(value.GetType()) is { Scalar: { } scalar })
        {
            WriteScalar(writer, scalar, value);
        }
        else
        {
            WriteRecord(writer, TypeShape.Of(value.GetType()), value, textOf);
        }
    }

    private static void WriteRecord(Utf8JsonWriter writer, TypeShape shape, object record, Func<Secret, string> textOf)
    {
        writer.WriteStartObject();
        foreach (var member in shape.Members)
        {
            var value = member.Property.GetValue(record);
            if (value is not null && (member.Required || !IsSame(value, member.Default)))
            {
                writer.WritePropertyName(member.Name);
                Write(writer, value, textOf);
            }
        }
        writer.WriteEndObject();
    }

    // Where the default is no list at all, an empty one says something else: nothing, instead of no restriction.
    private static bool IsSame(object value, object? blank) =>
        Equals(value, blank) || (value is ICollection { Count: 0 } && blank is ICollection { Count: 0 });

    private static void WriteScalar(Utf8JsonWriter writer, ScalarType scalar, object value)
    {
        switch (value)
        {
            case bool flag:
                writer.WriteBooleanValue(flag);
                break;
            case int number:
                writer.WriteNumberValue(number);
                break;
            case long number:
                writer.WriteNumberValue(number);
                break;
            case decimal number:
                writer.WriteNumberValue(number);
                break;
            default:
                writer.WriteStringValue(scalar.Format!(value));
                break;
        }
    }
}
