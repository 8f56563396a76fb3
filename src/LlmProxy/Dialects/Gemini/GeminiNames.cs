using System.Text;
using System.Text.Json;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Gemini;

/// <summary>
/// Compares member names as Google's servers do: proto3's JSON mapping takes each field under its lowerCamelCase name and under its original
/// snake_case name (protobuf.dev, "ProtoJSON Format"), so both spellings are one member here.
/// </summary>
internal static class GeminiNames
{
    /// <summary>Whether the property name that the reader stands on is this member.</summary>
    /// <param name="reader">Stands on a property name.</param>
    /// <param name="camel">The member's lowerCamelCase name.</param>
    public static bool Is(ref Utf8JsonReader reader, ReadOnlySpan<byte> camel) =>
        reader.ValueIsEscaped ? Matches(Encoding.UTF8.GetBytes(JsonStrings.Unescape(reader.ValueSpan)), camel) : Matches(reader.ValueSpan, camel);

    /// <summary>Whether a name is this member's, in either spelling or a mixture of them.</summary>
    public static bool Matches(ReadOnlySpan<byte> name, ReadOnlySpan<byte> camel)
    {
        if (name.Length < camel.Length)
        {
            return false;
        }
        var at = 0;
        foreach (var expected in camel)
        {
            if (at < name.Length && name[at] == (byte)'_' && at + 1 < name.Length && expected is >= (byte)'A' and <= (byte)'Z')
            {
                if (name[at + 1] != (expected | 0x20))
                {
                    return false;
                }
                at += 2;
                continue;
            }
            if (at >= name.Length || name[at] != expected)
            {
                return false;
            }
            at++;
        }
        return at == name.Length;
    }

    /// <summary>The property name that the reader stands on, in lowerCamelCase, for messages and reports.</summary>
    public static string Camel(ref Utf8JsonReader reader) =>
        Camel(reader.ValueIsEscaped ? JsonStrings.Unescape(reader.ValueSpan) : Encoding.UTF8.GetString(reader.ValueSpan));

    /// <summary>A name in lowerCamelCase.</summary>
    public static string Camel(string name)
    {
        if (!name.Contains('_', StringComparison.Ordinal))
        {
            return name;
        }
        var camel = new StringBuilder(name.Length);
        for (var i = 0; i < name.Length; i++)
        {
            if (name[i] == '_' && i > 0 && i + 1 < name.Length && char.IsAsciiLetterLower(name[i + 1]))
            {
                camel.Append(char.ToUpperInvariant(name[++i]));
            }
            else
            {
                camel.Append(name[i]);
            }
        }
        return camel.ToString();
    }

    /// <summary>The property name that the reader stands on, as a JSON string in lowerCamelCase.</summary>
    public static JsonText CamelToken(ref Utf8JsonReader reader, ReadOnlyMemory<byte> body) =>
        reader.ValueIsEscaped || reader.ValueSpan.Contains((byte)'_')
            ? JsonText.From(Camel(ref reader))
            : new JsonText(body.Slice((int)reader.TokenStartIndex, reader.ValueSpan.Length + 2));
}
