using System.Text;
using System.Text.Json;

namespace LlmProxy.Neutral;

/// <summary>Goes through the members of one JSON object in a span, without an allocation.</summary>
internal ref struct SpanMembers
{
    private readonly ReadOnlySpan<byte> json;
    private readonly bool isObject;
    private Utf8JsonReader reader;
    private int nameStart;
    private int nameLength;

    /// <param name="json">The object; any other value has no members.</param>
    public SpanMembers(ReadOnlySpan<byte> json)
    {
        this.json = json;
        reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 256 });
        isObject = reader.Read() && reader.TokenType == JsonTokenType.StartObject;
    }

    /// <summary>The member's value, raw.</summary>
    public ReadOnlySpan<byte> Value { get; private set; }

    /// <summary>What the value begins with.</summary>
    public JsonTokenType Kind { get; private set; }

    /// <summary>The value, where it is a string: its token; otherwise empty.</summary>
    public readonly ReadOnlySpan<byte> Text => Kind == JsonTokenType.String ? Value : default;

    /// <summary>The member's name.</summary>
    public readonly string Name => Encoding.UTF8.GetString(json.Slice(nameStart, nameLength));

    /// <summary>Goes on to the next member. False: there is none.</summary>
    /// <exception cref="JsonException">It is no valid JSON, or more follows.</exception>
    public bool Next()
    {
        if (!isObject)
        {
            return false;
        }
        if (!reader.Read() || reader.TokenType != JsonTokenType.PropertyName)
        {
            reader.Read(); // throws where more follows
            return false;
        }
        (nameStart, nameLength) = ((int)reader.TokenStartIndex + 1, reader.ValueSpan.Length);
        reader.Read();
        Kind = reader.TokenType;
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        Value = json[start..(int)reader.BytesConsumed];
        return true;
    }

    /// <summary>Whether the member has this name.</summary>
    public readonly bool Is(ReadOnlySpan<byte> name)
    {
        var written = json.Slice(nameStart, nameLength);
        return written.SequenceEqual(name) || (written.Contains((byte)'\\') && JsonStrings.Unescape(written) == Encoding.UTF8.GetString(name));
    }

    /// <summary>Whether the value is this text, as no vendor escapes it.</summary>
    public readonly bool Says(ReadOnlySpan<byte> text) => Kind == JsonTokenType.String && Value[1..^1].SequenceEqual(text);
}
