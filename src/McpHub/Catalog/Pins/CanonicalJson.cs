using System.Buffers;
using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;

namespace McpHub.Catalog.Pins;

/// <summary>How numbers are written that a double cannot hold exactly.</summary>
internal enum NumberForm
{
    /// <summary>As RFC 8785 wants it: the nearest double. Numbers beyond its range have no canonical form.</summary>
    Double,

    /// <summary>Exactly, as digits and an exponent: two numbers that a reader of big numbers tells apart stay apart.</summary>
    Exact,
}

/// <summary>
/// The canonical form of a JSON text (RFC 8785, JSON Canonicalization Scheme): no white space, members ordered by the UTF-16 code units of their names, the shortest escapes, numbers as ECMAScript writes
/// them. Texts that say the same are equal in it.
/// </summary>
internal static class CanonicalJson
{
    private const int MaxDepth = 100;
    private const int MaxNumberLength = 1000;

    /// <summary>Writes the canonical form.</summary>
    /// <param name="json">One JSON value, UTF-8.</param>
    /// <param name="numbers">What becomes of numbers that a double cannot hold.</param>
    /// <param name="canonical">The canonical form, UTF-8; empty: it has none.</param>
    /// <returns>Null, or why it has none.</returns>
    public static string? TryWrite(ReadOnlySpan<byte> json, NumberForm numbers, out byte[] canonical)
    {
        canonical = [];
        var output = new ArrayBufferWriter<byte>(json.Length + 16);
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
            reader.Read();
            if (WriteValue(ref reader, numbers, output) is { } wrong)
            {
                return wrong;
            }
            if (reader.Read())
            {
                return "It is more than one value.";
            }
        }
        catch (JsonException)
        {
            return $"It is no JSON, or nested deeper than {MaxDepth} levels.";
        }
        catch (InvalidOperationException)
        {
            return "It holds text that is no valid Unicode.";
        }
        canonical = output.WrittenSpan.ToArray();
        return null;
    }

    /// <summary>A number as ECMAScript's Number::toString writes it.</summary>
    public static string Number(double value)
    {
        if (value == 0)
        {
            return "0";
        }
        // "R" holds the shortest digits that give the same double again, as ECMAScript wants them.
        var (digits, exponent) = PartsOf(value.ToString("R", CultureInfo.InvariantCulture));
        var sign = value < 0 ? "-" : "";
        // The point stands behind so many digits.
        var point = (int)exponent + digits.Length;
        var count = digits.Length;
        if (point is > 0 and <= 21)
        {
            return count <= point ? $"{sign}{digits}{new string('0', point - count)}" : $"{sign}{digits[..point]}.{digits[point..]}";
        }
        if (point is > -6 and <= 0)
        {
            return $"{sign}0.{new string('0', -point)}{digits}";
        }
        var power = point - 1;
        var mantissa = count == 1 ? digits : $"{digits[..1]}.{digits[1..]}";
        return string.Create(CultureInfo.InvariantCulture, $"{sign}{mantissa}e{(power < 0 ? "-" : "+")}{Math.Abs(power)}");
    }

    private static string? WriteValue(ref Utf8JsonReader reader, NumberForm numbers, ArrayBufferWriter<byte> output)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                return WriteObject(ref reader, numbers, output);
            case JsonTokenType.StartArray:
                output.Write("["u8);
                for (var first = true; reader.Read() && reader.TokenType != JsonTokenType.EndArray; first = false)
                {
                    output.Write(first ? ""u8 : ","u8);
                    if (WriteValue(ref reader, numbers, output) is { } wrong)
                    {
                        return wrong;
                    }
                }
                output.Write("]"u8);
                return null;
            case JsonTokenType.String:
                WriteString(reader.GetString()!, output);
                return null;
            case JsonTokenType.Number:
                return WriteNumber(Encoding.ASCII.GetString(reader.ValueSpan), numbers, output);
            default:
                output.Write(reader.TokenType switch { JsonTokenType.True => "true"u8, JsonTokenType.False => "false"u8, _ => "null"u8 });
                return null;
        }
    }

    private static string? WriteObject(ref Utf8JsonReader reader, NumberForm numbers, ArrayBufferWriter<byte> output)
    {
        var members = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            var value = new ArrayBufferWriter<byte>();
            if (WriteValue(ref reader, numbers, value) is { } wrong)
            {
                return wrong;
            }
            if (!members.TryAdd(name, value.WrittenSpan.ToArray()))
            {
                return $"Its member '{VisibleText.Of(name, 60)}' stands twice in one object.";
            }
        }
        output.Write("{"u8);
        var first = true;
        foreach (var (name, value) in members)
        {
            output.Write(first ? ""u8 : ","u8);
            WriteString(name, output);
            output.Write(":"u8);
            output.Write(value);
            first = false;
        }
        output.Write("}"u8);
        return null;
    }

    private static void WriteString(string text, ArrayBufferWriter<byte> output)
    {
        var escaped = new StringBuilder(text.Length + 2).Append('"');
        foreach (var c in text)
        {
            _ = c switch
            {
                '"' => escaped.Append("\\\""),
                '\\' => escaped.Append("\\\\"),
                '\b' => escaped.Append("\\b"),
                '\t' => escaped.Append("\\t"),
                '\n' => escaped.Append("\\n"),
                '\f' => escaped.Append("\\f"),
                '\r' => escaped.Append("\\r"),
                < ' ' => escaped.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => escaped.Append(c),
            };
        }
        output.Write(Encoding.UTF8.GetBytes(escaped.Append('"').ToString()));
    }

    private static string? WriteNumber(string text, NumberForm numbers, ArrayBufferWriter<byte> output)
    {
        if (text.Length > MaxNumberLength)
        {
            return $"It holds a number of {text.Length} characters; {MaxNumberLength} are the limit.";
        }
        var value = double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
        string written;
        if (numbers == NumberForm.Double)
        {
            if (!double.IsFinite(value))
            {
                return "It holds a number that is too large for a double.";
            }
            written = Number(value);
        }
        else
        {
            var (digits, exponent) = PartsOf(text);
            written = double.IsFinite(value) && PartsOf(Number(value)) == (digits, exponent) ? Number(value)
                : $"{(text[0] == '-' ? "-" : "")}{digits}e{exponent.ToString(CultureInfo.InvariantCulture)}";
        }
        output.Write(Encoding.ASCII.GetBytes(written));
        return null;
    }

    /// <summary>The digits of a decimal number without zeros at either end, and the power of ten that the last of them stands for; zero is "0", 0.</summary>
    private static (string Digits, BigInteger Exponent) PartsOf(string text)
    {
        var e = text.IndexOfAny(['e', 'E']);
        var mantissa = (e < 0 ? text : text[..e]).TrimStart('-', '+');
        var exponent = e < 0 ? BigInteger.Zero : BigInteger.Parse(text[(e + 1)..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        var point = mantissa.IndexOf('.', StringComparison.Ordinal);
        if (point >= 0)
        {
            exponent -= mantissa.Length - point - 1;
            mantissa = mantissa.Remove(point, 1);
        }
        var digits = mantissa.TrimStart('0');
        var kept = digits.TrimEnd('0');
        return kept.Length == 0 ? ("0", 0) : (kept, exponent + digits.Length - kept.Length);
    }
}
