using System.Text.Json;

namespace LlmProxy.Neutral;

/// <summary>A value in a body: a slice of it. The slice holds valid JSON.</summary>
/// <param name="Raw">The value; empty: there is none.</param>
internal readonly record struct JsonValue(ReadOnlyMemory<byte> Raw)
{
    /// <summary>Whether there is a value at all.</summary>
    public bool Exists => !Raw.IsEmpty;

    public bool IsText => First == (byte)'"';

    public bool IsObject => First == (byte)'{';

    public bool IsArray => First == (byte)'[';

    public bool IsNull => First == (byte)'n';

    public bool IsNumber => First is (byte)'-' or (>= (byte)'0' and <= (byte)'9');

    public bool IsBoolean => First is (byte)'t' or (byte)'f';

    /// <summary>Whether it is <c>true</c>.</summary>
    public bool IsTrue => First == (byte)'t';

    /// <summary>Whether it is <c>false</c>.</summary>
    public bool IsFalse => First == (byte)'f';

    /// <summary>The text, where it is one; otherwise none.</summary>
    public JsonText Text => IsText ? new JsonText(Raw) : default;

    private byte First => Raw.IsEmpty ? (byte)0 : Raw.Span[0];

    /// <summary>The number as a whole one. False: it is none, or does not fit.</summary>
    public bool TryGetWhole(out long number)
    {
        number = 0;
        return IsNumber && System.Buffers.Text.Utf8Parser.TryParse(Raw.Span, out number, out var read) && read == Raw.Length;
    }

    /// <summary>Whether it is this text.</summary>
    public bool Is(ReadOnlySpan<byte> text) => IsText && Text.Is(text);
}

/// <summary>The members of one JSON object, to be taken by name. What nobody takes is left over, and no member is copied.</summary>
internal sealed class JsonMembers
{
    private readonly List<Member> members = [];

    /// <summary>The members of an object.</summary>
    /// <exception cref="JsonException">It is no valid JSON.</exception>
    public static JsonMembers Of(ReadOnlyMemory<byte> json)
    {
        var members = new JsonMembers();
        members.Read(json);
        return members;
    }

    /// <summary>Forgets what was there and reads the members of another object; of any other value, none.</summary>
    /// <exception cref="JsonException">It is no valid JSON.</exception>
    public void Read(ReadOnlyMemory<byte> json)
    {
        members.Clear();
        var reader = new Utf8JsonReader(json.Span, JsonArrayReader.Options);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = new JsonText(json.Slice((int)reader.TokenStartIndex, reader.ValueSpan.Length + 2));
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            members.Add(new Member(name, json[start..(int)reader.BytesConsumed]));
        }
    }

    /// <summary>Takes a member; of several with the name the last one counts. One that is <c>null</c> is as good as none.</summary>
    public JsonValue Take(ReadOnlySpan<byte> name)
    {
        JsonValue found = default;
        for (var i = 0; i < members.Count; i++)
        {
            if (!members[i].IsTaken && members[i].Name.Is(name))
            {
                found = new JsonValue(members[i].Value);
                members[i] = members[i] with { IsTaken = true };
            }
        }
        return found.IsNull ? default : found;
    }

    /// <summary>Puts back what was taken, so that it is left over after all.</summary>
    public void Return(ReadOnlySpan<byte> name)
    {
        for (var i = 0; i < members.Count; i++)
        {
            if (members[i].IsTaken && members[i].Name.Is(name))
            {
                members[i] = members[i] with { IsTaken = false };
            }
        }
    }

    /// <summary>Whether nothing is left over.</summary>
    public bool IsEmpty => members.TrueForAll(member => member.IsTaken);

    /// <summary>Puts what is left over into a bag.</summary>
    /// <param name="bag">Receives it.</param>
    /// <param name="prefix">What to put before the names, e.g. <c>function.</c>.</param>
    public void LeaveTo(ExtensionBag bag, ReadOnlySpan<byte> prefix = default)
    {
        foreach (var member in members)
        {
            if (!member.IsTaken)
            {
                bag.Add(prefix.IsEmpty ? member.Name : JsonText.FromEscaped([.. prefix, .. member.Name.Escaped.Span]), member.Value);
            }
        }
    }

    private readonly record struct Member(JsonText Name, ReadOnlyMemory<byte> Value)
    {
        public bool IsTaken { get; init; }
    }
}

/// <summary>The elements of one JSON array, one after the other.</summary>
internal ref struct JsonArrayReader
{
    /// <summary>How deep a value may be nested.</summary>
    public static readonly JsonReaderOptions Options = new() { MaxDepth = 256 };

    private readonly ReadOnlyMemory<byte> json;
    private Utf8JsonReader reader;
    private readonly bool isArray;

    /// <param name="value">The array; any other value has no elements.</param>
    public JsonArrayReader(JsonValue value)
    {
        json = value.Raw;
        reader = new Utf8JsonReader(json.Span, Options);
        isArray = value.IsArray && reader.Read();
    }

    /// <summary>The next element. False: there is none.</summary>
    /// <exception cref="JsonException">It is no valid JSON.</exception>
    public bool Next(out JsonValue element)
    {
        if (!isArray || !reader.Read() || reader.TokenType == JsonTokenType.EndArray)
        {
            element = default;
            return false;
        }
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        element = new JsonValue(json[start..(int)reader.BytesConsumed]);
        return true;
    }
}
