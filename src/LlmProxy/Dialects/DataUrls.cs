using System.Buffers;
using System.Text;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects;

/// <summary><c>data:</c> URLs (RFC 2397), by which images and files stand in requests.</summary>
internal static class DataUrls
{
    /// <summary>Splits one without copying its base64. No data: it is another URL.</summary>
    public static (JsonText MediaType, JsonText Data) Split(JsonText url)
    {
        var escaped = url.Escaped;
        if (escaped.Length < 5 || !Ascii.EqualsIgnoreCase(escaped.Span[..5], "data:"u8))
        {
            return default;
        }
        var comma = escaped.Span.IndexOf((byte)',');
        if (comma < 0)
        {
            return default;
        }
        var head = escaped[5..comma];
        ReadOnlySpan<byte> marker = ";base64"u8;
        if (head.Length >= marker.Length && Ascii.EqualsIgnoreCase(head.Span[^marker.Length..], marker))
        {
            head = head[..^marker.Length];
            return (head.IsEmpty ? default : Unslashed(head), Unslashed(escaped[(comma + 1)..]));
        }
        var plain = url.ToString();
        var text = Uri.UnescapeDataString(plain[(plain.IndexOf(',', StringComparison.Ordinal) + 1)..]);
        return (head.IsEmpty ? JsonText.From("text/plain") : Unslashed(head), JsonText.From(Convert.ToBase64String(Encoding.UTF8.GetBytes(text))));
    }

    /// <summary>Writes one as a string token.</summary>
    public static void Write(IBufferWriter<byte> output, JsonText mediaType, ReadOnlySpan<byte> otherwise, JsonText data)
    {
        output.Write("\"data:"u8);
        output.Write(mediaType.IsBlank ? otherwise : mediaType.Escaped.Span);
        output.Write(";base64,"u8);
        output.Write(data.Escaped.Span);
        output.WriteByte((byte)'"');
    }

    /// <summary>A piece of a text; one in which slashes are escaped, as some serialisers do, without those escapes.</summary>
    private static JsonText Unslashed(ReadOnlyMemory<byte> escaped) =>
        escaped.Span.Contains((byte)'\\') ? JsonText.FromUtf8(JsonBytes.Unescape(JsonText.Piece(escaped)).Span) : JsonText.Piece(escaped);
}
