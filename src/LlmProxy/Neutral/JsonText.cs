using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace LlmProxy.Neutral;

/// <summary>
/// A JSON string as it stands in a body, quotes and escapes included. Every dialect is JSON, so a text goes from one to another without being decoded:
/// nothing is copied, and not even an unpaired surrogate is lost.
/// </summary>
internal readonly record struct JsonText
{
    private static readonly JavaScriptEncoder Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;

    private readonly ReadOnlyMemory<byte> bytes;
    private readonly bool isBare;

    /// <summary>A text by its token.</summary>
    /// <param name="token">The token, UTF-8, quotes included; empty: there is no text (<see cref="Exists"/>).</param>
    public JsonText(ReadOnlyMemory<byte> token) => bytes = token;

    private JsonText(ReadOnlyMemory<byte> escaped, bool isBare) => (bytes, this.isBare) = (escaped, isBare);

    /// <summary>The token, quotes included; empty: there is no text. Where the text is a piece of a longer one (<see cref="Piece"/>) this copies it: write <see cref="Escaped"/> between quotes instead.</summary>
    public ReadOnlyMemory<byte> Token => isBare ? FromEscaped(bytes.Span).bytes : bytes;

    /// <summary>The text <c>""</c>.</summary>
    public static JsonText Empty { get; } = new("\"\""u8.ToArray());

    /// <summary>Whether there is a text at all, be it an empty one.</summary>
    public bool Exists => isBare || !bytes.IsEmpty;

    /// <summary>Whether there is nothing to see: no text, or an empty one.</summary>
    public bool IsBlank => isBare ? bytes.IsEmpty : bytes.Length <= 2;

    /// <summary>What stands between the quotes, escapes and all.</summary>
    public ReadOnlyMemory<byte> Escaped => isBare ? bytes : bytes.Length < 2 ? default : bytes[1..^1];

    /// <summary>A piece of a longer text, such as the base64 in a <c>data:</c> URL, without a copy of it.</summary>
    /// <param name="escaped">What stands there, escapes and all, no quotes.</param>
    public static JsonText Piece(ReadOnlyMemory<byte> escaped) => new(escaped, isBare: true);

    /// <summary>The token of a text.</summary>
    public static JsonText From(string text) => new(Encode(text));

    /// <summary>The token of a text, or none for null.</summary>
    public static JsonText FromNullable(string? text) => text is null ? default : From(text);

    /// <summary>The token of a text in UTF-8.</summary>
    public static JsonText FromUtf8(ReadOnlySpan<byte> text)
    {
        var escaped = JsonEncodedText.Encode(text, Encoder).EncodedUtf8Bytes;
        return FromEscaped(escaped);
    }

    /// <summary>The token of what stands between quotes, already escaped.</summary>
    public static JsonText FromEscaped(ReadOnlySpan<byte> escaped)
    {
        var token = new byte[escaped.Length + 2];
        token[0] = token[^1] = (byte)'"';
        escaped.CopyTo(token.AsSpan(1));
        return new(token);
    }

    /// <summary>The token that the reader stands on, as a slice of the body that it reads.</summary>
    /// <param name="reader">Stands on a string; reads <paramref name="body"/> from its first byte.</param>
    /// <param name="body">What the reader reads.</param>
    public static JsonText Of(ref Utf8JsonReader reader, ReadOnlyMemory<byte> body) =>
        new(body.Slice((int)reader.TokenStartIndex, (int)(reader.BytesConsumed - reader.TokenStartIndex)));

    /// <summary>Whether it is this text.</summary>
    public bool Is(ReadOnlySpan<byte> text)
    {
        var escaped = Escaped.Span;
        return escaped.Contains((byte)'\\') ? Decode().AsSpan().SequenceEqual(text) : Exists && escaped.SequenceEqual(text);
    }

    /// <summary>The text in UTF-8, escapes resolved; an unpaired surrogate becomes U+FFFD.</summary>
    public byte[] Decode() => Encoding.UTF8.GetBytes(ToString());

    /// <summary>The text, escapes resolved; "" where there is none. An unpaired surrogate becomes U+FFFD.</summary>
    public override string ToString()
    {
        if (!Exists)
        {
            return "";
        }
        var escaped = Escaped.Span;
        return escaped.Contains((byte)'\\') ? JsonStrings.Unescape(escaped) : Encoding.UTF8.GetString(escaped);
    }

    /// <summary>The text in which these follow each other.</summary>
    public static JsonText Join(IReadOnlyCollection<JsonText> texts, ReadOnlySpan<byte> escapedSeparator)
    {
        var output = new ArrayBufferWriter<byte>();
        var first = true;
        foreach (var text in texts)
        {
            if (!first)
            {
                output.Write(escapedSeparator);
            }
            output.Write(text.Escaped.Span);
            first = false;
        }
        return FromEscaped(output.WrittenSpan);
    }

    private static byte[] Encode(string text)
    {
        var escaped = JsonEncodedText.Encode(text, Encoder).EncodedUtf8Bytes;
        var token = new byte[escaped.Length + 2];
        token[0] = token[^1] = (byte)'"';
        escaped.CopyTo(token.AsSpan(1));
        return token;
    }
}

/// <summary>Escapes of JSON strings.</summary>
internal static class JsonStrings
{
    /// <summary>Resolves the escapes of what stands between quotes. Unlike a reader's, it takes unpaired surrogates: they become U+FFFD.</summary>
    public static string Unescape(ReadOnlySpan<byte> escaped)
    {
        var text = new StringBuilder(escaped.Length);
        while (!escaped.IsEmpty)
        {
            var at = escaped.IndexOf((byte)'\\');
            if (at < 0 || at + 1 >= escaped.Length)
            {
                text.Append(Encoding.UTF8.GetString(escaped));
                break;
            }
            text.Append(Encoding.UTF8.GetString(escaped[..at]));
            var letter = escaped[at + 1];
            if (letter == (byte)'u' && at + 6 <= escaped.Length && System.Buffers.Text.Utf8Parser.TryParse(escaped.Slice(at + 2, 4), out ushort unit, out var read, 'x') && read == 4)
            {
                text.Append((char)unit);
                escaped = escaped[(at + 6)..];
                continue;
            }
            text.Append(letter switch
            {
                (byte)'n' => '\n',
                (byte)'t' => '\t',
                (byte)'r' => '\r',
                (byte)'b' => '\b',
                (byte)'f' => '\f',
                _ => (char)letter,
            });
            escaped = escaped[(at + 2)..];
        }
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
            {
                i++;
            }
            else if (char.IsSurrogate(text[i]))
            {
                text[i] = '\uFFFD';
            }
        }
        return text.ToString();
    }
}
