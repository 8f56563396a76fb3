using System.Globalization;
using System.Text;
using System.Text.Json;
using McpHub.Upstreams;

namespace McpHub.Catalog.Rules;

/// <summary>Arguments as the person sees them who is asked: one line for each, no longer than a person reads, and nothing in them unseen.</summary>
internal static class ShownArguments
{
    private const int LongestText = 300;
    private const int Longest = 3000;
    private const int MostMembers = 40;

    /// <summary>Writes them.</summary>
    /// <param name="arguments">The raw arguments; empty: there are none.</param>
    public static string Of(ReadOnlySpan<byte> arguments)
    {
        if (arguments.IsEmpty)
        {
            return "(no arguments)";
        }
        var reader = new Utf8JsonReader(arguments, new JsonReaderOptions { MaxDepth = RpcFrame.MaxDepth });
        reader.Read();
        var lines = new StringBuilder();
        var count = 0;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = VisibleText.Of(TextOf(ref reader), 64);
            reader.Read();
            if (++count > MostMembers || lines.Length > Longest)
            {
                reader.Skip();
                continue;
            }
            lines.Append(lines.Length == 0 ? "" : "\n").Append(name).Append(": ");
            Value(lines, ref reader);
        }
        var left = count - Math.Min(count, MostMembers);
        return count == 0 ? "(no arguments)"
            : lines.Length > Longest ? string.Concat(Cut(lines), "… [the rest is not shown: the arguments have ", arguments.Length.ToString(CultureInfo.InvariantCulture), " bytes]")
            : left > 0 ? $"{lines}\n… [{left} more arguments are not shown]" : lines.ToString();
    }

    private static string Cut(StringBuilder lines) => lines.ToString(0, char.IsHighSurrogate(lines[Longest - 1]) ? Longest - 1 : Longest);

    private static void Value(StringBuilder shown, ref Utf8JsonReader reader)
    {
        // What is beyond the limit is cut off later; there is no need to write it.
        if (shown.Length > Longest)
        {
            reader.Skip();
            return;
        }
        switch (reader.TokenType)
        {
            case JsonTokenType.String:
                shown.Append('"').Append(VisibleText.Of(TextOf(ref reader), LongestText)).Append('"');
                break;
            case JsonTokenType.StartObject:
                shown.Append('{');
                for (var first = true; reader.Read() && reader.TokenType == JsonTokenType.PropertyName; first = false)
                {
                    shown.Append(first ? "" : ", ").Append(VisibleText.Of(TextOf(ref reader), 64)).Append(": ");
                    reader.Read();
                    Value(shown, ref reader);
                }
                shown.Append('}');
                break;
            case JsonTokenType.StartArray:
                shown.Append('[');
                for (var first = true; reader.Read() && reader.TokenType != JsonTokenType.EndArray; first = false)
                {
                    shown.Append(first ? "" : ", ");
                    Value(shown, ref reader);
                }
                shown.Append(']');
                break;
            default:
                shown.Append(VisibleText.Of(Encoding.UTF8.GetString(reader.ValueSpan), 64));
                break;
        }
    }

    /// <summary>The text of a token; one with half a pair of surrogates in it, which is no text, as it is written.</summary>
    private static string TextOf(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return Encoding.UTF8.GetString(reader.ValueSpan);
        }
    }
}
