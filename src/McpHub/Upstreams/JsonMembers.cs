using System.Text.Json;

namespace McpHub.Upstreams;

/// <summary>Looks up single members of raw JSON objects. What is not of the expected kind is as good as absent.</summary>
internal static class JsonMembers
{
    private static readonly JsonReaderOptions Options = new() { MaxDepth = RpcFrame.MaxDepth };

    /// <summary>A string among the members of an object, or null.</summary>
    public static string? FindString(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name)
    {
        var reader = new Utf8JsonReader(json, Options);
        return TryFind(ref reader, name) && reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
    }

    /// <summary>The raw value of a member of an object; empty: there is none, or the text is no object.</summary>
    public static ReadOnlySpan<byte> FindRaw(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name)
    {
        if (json.IsEmpty)
        {
            return default;
        }
        var reader = new Utf8JsonReader(json, Options);
        if (!TryFind(ref reader, name))
        {
            return default;
        }
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return json[start..(int)reader.BytesConsumed];
    }

    /// <summary>A whole number among the members of an object, or null.</summary>
    public static int? FindNumber(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name)
    {
        var reader = new Utf8JsonReader(json, Options);
        return TryFind(ref reader, name) && reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var number) ? number : null;
    }

    /// <summary>Whether an object has a member that is <c>true</c>.</summary>
    public static bool IsTrue(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name)
    {
        var reader = new Utf8JsonReader(json, Options);
        return TryFind(ref reader, name) && reader.TokenType == JsonTokenType.True;
    }

    /// <summary>Whether a list among the members of an object holds a string.</summary>
    public static bool ListHolds(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name, ReadOnlySpan<byte> text)
    {
        var reader = new Utf8JsonReader(json, Options);
        if (!TryFind(ref reader, name) || reader.TokenType != JsonTokenType.StartArray)
        {
            return false;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType == JsonTokenType.String && reader.ValueTextEquals(text))
            {
                return true;
            }
            reader.Skip();
        }
        return false;
    }

    /// <summary>An object among the members of an object, as it stands there; empty: there is none.</summary>
    public static ReadOnlySpan<byte> FindObject(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name)
    {
        var reader = new Utf8JsonReader(json, Options);
        if (!TryFind(ref reader, name) || reader.TokenType != JsonTokenType.StartObject)
        {
            return default;
        }
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return json[start..(int)reader.BytesConsumed];
    }

    /// <summary>Moves the reader to the value of a member.</summary>
    private static bool TryFind(ref Utf8JsonReader reader, ReadOnlySpan<byte> name)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isIt = reader.ValueTextEquals(name);
            reader.Read();
            if (isIt)
            {
                return true;
            }
            reader.Skip();
        }
        return false;
    }
}
