using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace LlmProxy.Neutral;

/// <summary>Writes JSON as bytes, piece by piece, and turns JSON into a text and back (the arguments of tool calls are the one or the other, by dialect).</summary>
internal static class JsonBytes
{
    private static readonly SearchValues<byte> MustBeEscaped = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Select(control => (byte)control), (byte)'"', (byte)'\\']);

    /// <summary>Writes one byte.</summary>
    public static void WriteByte(this IBufferWriter<byte> output, byte value)
    {
        output.GetSpan(1)[0] = value;
        output.Advance(1);
    }

    /// <summary>Writes a text as a string token; <c>null</c> where there is none.</summary>
    public static void WriteText(this IBufferWriter<byte> output, JsonText text)
    {
        if (!text.Exists)
        {
            output.Write("null"u8);
            return;
        }
        output.WriteByte((byte)'"');
        output.Write(text.Escaped.Span);
        output.WriteByte((byte)'"');
    }

    /// <summary>Writes a text as a string token; <c>null</c> for null.</summary>
    public static void WriteText(this IBufferWriter<byte> output, string? text)
    {
        if (text is null)
        {
            output.Write("null"u8);
            return;
        }
        output.WriteByte((byte)'"');
        output.Write(JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes);
        output.WriteByte((byte)'"');
    }

    /// <summary>Writes a whole number.</summary>
    public static void WriteNumber(this IBufferWriter<byte> output, long value)
    {
        var span = output.GetSpan(20);
        Utf8Formatter.TryFormat(value, span, out var length);
        output.Advance(length);
    }

    /// <summary>Writes <c>true</c> or <c>false</c>.</summary>
    public static void WriteBoolean(this IBufferWriter<byte> output, bool value) => output.Write(value ? "true"u8 : "false"u8);

    /// <summary>Writes a text, such as raw JSON, as a string token: quotes around it, escapes in it.</summary>
    public static void WriteAsToken(this IBufferWriter<byte> output, ReadOnlySpan<byte> text)
    {
        output.WriteByte((byte)'"');
        output.WriteEscaped(text);
        output.WriteByte((byte)'"');
    }

    /// <summary>Writes raw JSON on one line, as the data of a server-sent event must stand. Between tokens a line break is worth a space; within them there is none.</summary>
    public static void WriteOnOneLine(this IBufferWriter<byte> output, ReadOnlySpan<byte> raw)
    {
        while (true)
        {
            var at = raw.IndexOfAny((byte)'\n', (byte)'\r');
            if (at < 0)
            {
                output.Write(raw);
                return;
            }
            output.Write(raw[..at]);
            output.WriteByte((byte)' ');
            raw = raw[(at + 1)..];
        }
    }

    /// <summary>Writes a text as it stands between quotes.</summary>
    public static void WriteEscaped(this IBufferWriter<byte> output, ReadOnlySpan<byte> text)
    {
        while (true)
        {
            var at = text.IndexOfAny(MustBeEscaped);
            if (at < 0)
            {
                output.Write(text);
                return;
            }
            output.Write(text[..at]);
            var span = output.GetSpan(6);
            span[0] = (byte)'\\';
            var letter = text[at] switch
            {
                (byte)'"' => (byte)'"',
                (byte)'\\' => (byte)'\\',
                (byte)'\n' => (byte)'n',
                (byte)'\r' => (byte)'r',
                (byte)'\t' => (byte)'t',
                (byte)'\b' => (byte)'b',
                (byte)'\f' => (byte)'f',
                _ => (byte)'u',
            };
            span[1] = letter;
            if (letter == (byte)'u')
            {
                Utf8Formatter.TryFormat(text[at], span[2..], out _, new StandardFormat('x', 4));
            }
            output.Advance(letter == (byte)'u' ? 6 : 2);
            text = text[(at + 1)..];
        }
    }

    /// <summary>
    /// Writes what a string token says. An unpaired surrogate, which UTF-8 has no bytes for, stays the escape that it is: inside JSON that means the same.
    /// A pair may be split between two tokens of a stream, so join what stands between their quotes before.
    /// </summary>
    /// <param name="output">Receives the text.</param>
    /// <param name="escaped">What stands between the quotes of a valid token.</param>
    public static void WriteUnescaped(this IBufferWriter<byte> output, ReadOnlySpan<byte> escaped)
    {
        while (true)
        {
            var at = escaped.IndexOf((byte)'\\');
            if (at < 0 || at + 1 >= escaped.Length)
            {
                output.Write(escaped);
                return;
            }
            output.Write(escaped[..at]);
            escaped = escaped[at..];
            if (escaped[1] == (byte)'u' && TryUnit(escaped, out var unit))
            {
                escaped = escaped[(WriteUnit(output, unit, escaped) * 6)..];
                continue;
            }
            output.WriteByte(escaped[1] switch
            {
                (byte)'n' => (byte)'\n',
                (byte)'t' => (byte)'\t',
                (byte)'r' => (byte)'\r',
                (byte)'b' => (byte)'\b',
                (byte)'f' => (byte)'\f',
                var letter => letter,
            });
            escaped = escaped[2..];
        }
    }

    /// <summary>The UTF-8 text that a token holds, as <see cref="WriteUnescaped"/> writes it; no copy where nothing is escaped.</summary>
    public static ReadOnlyMemory<byte> Unescape(JsonText text)
    {
        if (!text.Escaped.Span.Contains((byte)'\\'))
        {
            return text.Escaped;
        }
        var output = new ArrayBufferWriter<byte>(text.Escaped.Length);
        output.WriteUnescaped(text.Escaped.Span);
        return output.WrittenMemory;
    }

    /// <summary>
    /// The arguments of a function, which came as JSON in a text. Nothing but white space is an empty object. False: they are no JSON object, and must stay a text.
    /// </summary>
    public static bool TryReadArguments(JsonText text, out ReadOnlyMemory<byte> arguments)
    {
        arguments = Unescape(text);
        if (arguments.Span.Trim(" \t\r\n"u8).IsEmpty)
        {
            arguments = EmptyObject;
            return true;
        }
        return IsObject(arguments.Span);
    }

    /// <summary>Whether a text is one whole JSON object.</summary>
    public static bool IsObject(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 256 });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            reader.Skip();
            return !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary><c>{}</c>.</summary>
    public static ReadOnlyMemory<byte> EmptyObject { get; } = "{}"u8.ToArray();

    /// <returns>How many units were taken: 2 for a pair.</returns>
    private static int WriteUnit(IBufferWriter<byte> output, ushort unit, ReadOnlySpan<byte> escaped)
    {
        var span = output.GetSpan(6);
        if (Rune.TryCreate((char)unit, out var rune))
        {
            output.Advance(rune.EncodeToUtf8(span));
            return 1;
        }
        if (escaped.Length >= 12 && escaped[6] == (byte)'\\' && escaped[7] == (byte)'u' && TryUnit(escaped[6..], out var low) && Rune.TryCreate((char)unit, (char)low, out rune))
        {
            output.Advance(rune.EncodeToUtf8(span));
            return 2;
        }
        escaped[..6].CopyTo(span);
        output.Advance(6);
        return 1;
    }

    private static bool TryUnit(ReadOnlySpan<byte> escape, out ushort unit)
    {
        unit = 0;
        return escape.Length >= 6 && Utf8Parser.TryParse(escape.Slice(2, 4), out unit, out var read, 'x') && read == 4;
    }
}

/// <summary>Writes one JSON object and puts the commas. Names are ASCII without anything to escape.</summary>
internal ref struct JsonObjectWriter
{
    private readonly IBufferWriter<byte> output;
    private bool hasMembers;

    /// <summary>Opens the object.</summary>
    public JsonObjectWriter(IBufferWriter<byte> output)
    {
        this.output = output;
        output.WriteByte((byte)'{');
    }

    /// <summary>Writes members that are written already, with the commas between them.</summary>
    public void Inner(scoped ReadOnlySpan<byte> members)
    {
        output.Write(hasMembers && !members.IsEmpty ? ","u8 : ""u8);
        output.Write(members);
        hasMembers |= !members.IsEmpty;
    }

    /// <summary>Writes a name; its value is to follow.</summary>
    public void Name(scoped ReadOnlySpan<byte> name)
    {
        output.Write(hasMembers ? ",\""u8 : "\""u8);
        output.Write(name);
        output.Write("\":"u8);
        hasMembers = true;
    }

    /// <summary>Writes a member with a raw value; none where the value is empty.</summary>
    public void Raw(scoped ReadOnlySpan<byte> name, scoped ReadOnlySpan<byte> value)
    {
        if (!value.IsEmpty)
        {
            Name(name);
            output.Write(value);
        }
    }

    /// <summary>Writes a member with a raw value; none where the value is empty.</summary>
    public void Raw(scoped ReadOnlySpan<byte> name, ReadOnlyMemory<byte> value) => Raw(name, value.Span);

    /// <summary>Writes a member with a text; none where there is no text.</summary>
    public void Text(scoped ReadOnlySpan<byte> name, JsonText value)
    {
        if (value.Exists)
        {
            Name(name);
            output.WriteText(value);
        }
    }

    /// <summary>Writes a member with a text; none for null.</summary>
    public void Text(scoped ReadOnlySpan<byte> name, string? value)
    {
        if (value is not null)
        {
            Name(name);
            output.WriteText(value);
        }
    }

    /// <summary>Writes a member with a number; none for null.</summary>
    public void Number(scoped ReadOnlySpan<byte> name, long? value)
    {
        if (value is { } number)
        {
            Name(name);
            output.WriteNumber(number);
        }
    }

    /// <summary>Writes a member with <c>true</c> or <c>false</c>; none for null.</summary>
    public void Boolean(scoped ReadOnlySpan<byte> name, bool? value)
    {
        if (value is { } known)
        {
            Name(name);
            output.WriteBoolean(known);
        }
    }

    /// <summary>Writes every member of a bag.</summary>
    public void Members(ExtensionBag bag)
    {
        foreach (var member in bag.Members)
        {
            Name(member.Key.Escaped.Span);
            output.Write(member.Value.Span);
        }
    }

    /// <summary>Closes the object.</summary>
    public readonly void End() => output.WriteByte((byte)'}');
}
