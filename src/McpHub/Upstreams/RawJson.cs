using System.Buffers;
using System.Buffers.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace McpHub.Upstreams;

/// <summary>Small pieces of writing JSON as bytes.</summary>
internal static class RawJson
{
    /// <summary>Writes JSON without the white space between its tokens, so that it stands on one line. The text must be valid JSON.</summary>
    public static void WriteCompact(ReadOnlySpan<byte> json, IBufferWriter<byte> output)
    {
        if (json.IndexOfAny("\n\r"u8) < 0)
        {
            output.Write(json);
            return;
        }
        var room = output.GetSpan(json.Length);
        var (written, inString) = (0, false);
        for (var i = 0; i < json.Length; i++)
        {
            var b = json[i];
            if (inString)
            {
                room[written++] = b;
                if (b == (byte)'\\' && i + 1 < json.Length)
                {
                    room[written++] = json[++i];
                }
                else if (b == (byte)'"')
                {
                    inString = false;
                }
            }
            else if (b is not ((byte)' ' or (byte)'\t' or (byte)'\n' or (byte)'\r'))
            {
                inString = b == (byte)'"';
                room[written++] = b;
            }
        }
        output.Advance(written);
    }

    /// <summary>A JSON string.</summary>
    public static byte[] String(string text) => [(byte)'"', .. JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes, (byte)'"'];

    /// <summary>Writes a whole number.</summary>
    public static void WriteNumber(IBufferWriter<byte> output, long number)
    {
        Span<byte> digits = stackalloc byte[20];
        Utf8Formatter.TryFormat(number, digits, out var length);
        output.Write(digits[..length]);
    }
}
