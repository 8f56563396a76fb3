using System.Text.Json;

namespace LlmProxy.ChatCompletions;

/// <summary>
/// Reads what other endpoints take as input: a text, several texts, the numbers of tokens, or several arrays of them. A text has no more tokens than
/// bytes; an array of numbers has those tokens, and those that the provider puts around them.
/// </summary>
internal static class TextInput
{
    /// <summary>Tokens that a provider may put around an input: one before and one after it. The quotes of a text pay for its own.</summary>
    private const int Around = 2;

    /// <summary>Reads the value that the reader stands on. False: it is none of these.</summary>
    /// <param name="reader">Stands on the value; afterwards on its end.</param>
    /// <param name="fields">Receives what the value's bytes say too much, and what it holds besides text.</param>
    /// <param name="allowsParts">Whether objects may stand among the texts.</param>
    /// <param name="inputs">How many inputs there are.</param>
    public static bool TryTake(ref Utf8JsonReader reader, ref RoutedFields fields, bool allowsParts, out int inputs)
    {
        inputs = 1;
        if (reader.TokenType == JsonTokenType.String)
        {
            return true;
        }
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            return false;
        }
        var start = reader.TokenStartIndex;
        if (!reader.Read())
        {
            return false;
        }
        switch (reader.TokenType)
        {
            case JsonTokenType.Number:
                return TryTakeNumbers(ref reader, ref fields, start);
            case JsonTokenType.EndArray:
                return true; // the provider says what it thinks of nothing
        }
        inputs = 0;
        var first = reader.TokenType;
        while (reader.TokenType != JsonTokenType.EndArray)
        {
            inputs++;
            if (reader.TokenType != first && !allowsParts)
            {
                return false;
            }
            if (!TryTakeOne(ref reader, ref fields, allowsParts) || !reader.Read())
            {
                return false;
            }
        }
        return true;
    }

    private static bool TryTakeOne(ref Utf8JsonReader reader, ref RoutedFields fields, bool allowsParts)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.String:
                return true;
            case JsonTokenType.StartArray:
                var start = reader.TokenStartIndex;
                return reader.Read() && (reader.TokenType == JsonTokenType.EndArray || TryTakeNumbers(ref reader, ref fields, start));
            case JsonTokenType.StartObject when allowsParts:
                if (!MessageScan.TakePart(ref reader, ref fields, "input[]"))
                {
                    fields.UnboundedMember ??= "input[]"; // perhaps an image under a name of its provider's own
                }
                return true;
            default:
                return false;
        }
    }

    /// <summary>Reads whole numbers to the end of their array.</summary>
    private static bool TryTakeNumbers(ref Utf8JsonReader reader, ref RoutedFields fields, long start)
    {
        var count = 0;
        while (reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var token) && token >= 0)
        {
            count++;
            reader.Read();
        }
        if (reader.TokenType != JsonTokenType.EndArray)
        {
            return false;
        }
        fields.SpareBytes += Math.Max(0, (int)(reader.BytesConsumed - start) - count - Around);
        return true;
    }
}
