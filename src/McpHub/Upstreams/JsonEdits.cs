using System.Buffers;
using System.Text.Json;

namespace McpHub.Upstreams;

/// <summary>Small changes to raw JSON objects; all that is not changed stays byte for byte.</summary>
internal static class JsonEdits
{
    /// <summary>An object with a member set to a string, on one line. A member that is missing is added.</summary>
    /// <exception cref="JsonException">It is no object.</exception>
    public static byte[] WithString(ReadOnlySpan<byte> json, ReadOnlySpan<byte> member, string value) => With(json, member, RawJson.String(value));

    /// <summary>An object with a member set to a raw value, on one line. A member that is missing is added; an empty value takes it out.</summary>
    /// <exception cref="JsonException">It is no object.</exception>
    public static byte[] With(ReadOnlySpan<byte> json, ReadOnlySpan<byte> member, ReadOnlySpan<byte> value)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = RpcFrame.MaxDepth });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException("Not an object.");
        }
        var output = new ArrayBufferWriter<byte>(json.Length + value.Length + member.Length + 8);
        output.Write("{"u8);
        var (isFirst, isSet) = (true, value.IsEmpty);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isIt = reader.ValueTextEquals(member);
            var start = (int)reader.TokenStartIndex;
            reader.Read();
            var at = (int)reader.TokenStartIndex;
            reader.Skip();
            if (isIt && isSet)
            {
                continue;
            }
            output.Write(isFirst ? ""u8 : ","u8);
            isFirst = false;
            if (isIt)
            {
                isSet = true;
                output.Write(json[start..at]);
                output.Write(value);
            }
            else
            {
                output.Write(json[start..(int)reader.BytesConsumed]);
            }
        }
        if (!isSet)
        {
            output.Write(isFirst ? "\""u8 : ",\""u8);
            output.Write(member);
            output.Write("\":"u8);
            output.Write(value);
        }
        output.Write("}"u8);
        var line = new ArrayBufferWriter<byte>(output.WrittenCount);
        RawJson.WriteCompact(output.WrittenSpan, line);
        return line.WrittenSpan.ToArray();
    }
}
