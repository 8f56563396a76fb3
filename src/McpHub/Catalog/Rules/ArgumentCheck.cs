using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Shared.Snapshots;

namespace McpHub.Catalog.Rules;

/// <summary>Checks the values of arguments. Its words name the argument and the rule, and quote no value.</summary>
internal static class ArgumentCheck
{
    private const int MostShown = 20;

    /// <summary>Checks the members of the object that a reader stands at the beginning of, and leaves it at its end.</summary>
    /// <param name="reader">The reader.</param>
    /// <param name="node">The rules; null: none.</param>
    /// <param name="place">What the object is called, with a dot at its end; "": it is the arguments.</param>
    /// <param name="refused">Names that cannot be sent, and why.</param>
    public static string? Object(ref Utf8JsonReader reader, ArgumentNode? node, string place, FrozenDictionary<string, string>? refused)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            if (!seen.Add(name))
            {
                return $"Argument '{place}{Shown(name)}' stands twice.";
            }
            if (refused is not null && refused.TryGetValue(name, out var reason))
            {
                return $"Argument '{Shown(name)}' {reason}; leave it out.";
            }
            reader.Read();
            if (node is not null && node.Members.TryGetValue(name, out var member))
            {
                if (member.Name != name)
                {
                    // A server that reads names in any case would take it for the one that has a rule.
                    return $"Argument '{place}{Shown(name)}' differs from '{place}{member.Name}' in case only; use that.";
                }
                if (Value(ref reader, member, place + name) is { } wrong)
                {
                    return wrong;
                }
            }
            else
            {
                reader.Skip();
            }
        }
        foreach (var name in node?.Required ?? [])
        {
            if (!seen.Contains(name))
            {
                return $"Argument '{place}{name}' is missing; it is required here.";
            }
        }
        return null;
    }

    private static string? Value(ref Utf8JsonReader reader, ArgumentNode node, string place)
    {
        if (reader.TokenType == JsonTokenType.StartArray)
        {
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                if (Value(ref reader, node, place) is { } wrong)
                {
                    return wrong;
                }
            }
            return null;
        }
        foreach (var rule in node.Rules)
        {
            if (Scalar(ref reader, rule) is { } wrong)
            {
                return $"Argument '{place}' {wrong}.";
            }
        }
        if (node.Members.Count > 0)
        {
            return reader.TokenType == JsonTokenType.StartObject ? Object(ref reader, node, place + ".", null) : $"Argument '{place}' must be an object.";
        }
        reader.Skip();
        return null;
    }

    private static string? Scalar(ref Utf8JsonReader reader, ArgumentRule rule)
    {
        if (rule.Allowed.Length > 0 && !IsAllowed(ref reader, rule.Allowed))
        {
            return $"must be one of {string.Join(", ", rule.Allowed.Take(MostShown))}{(rule.Allowed.Length > MostShown ? ", …" : "")}";
        }
        if (rule.Pattern is not null || rule.Within.Length > 0 || rule.MaxLength is not null)
        {
            if (reader.TokenType != JsonTokenType.String)
            {
                return "must be a text";
            }
            var text = reader.GetString()!;
            if (rule.MaxLength is { } longest && LengthOf(text) > longest)
            {
                return string.Create(CultureInfo.InvariantCulture, $"is longer than {longest} characters");
            }
            if (rule.Within.Length > 0 && !FolderPath.IsWithin(text, rule.Within, out var wrong))
            {
                return wrong;
            }
            if (rule.Pattern is not null && !rule.Pattern.IsMatch(text))
            {
                return $"does not match the pattern {rule.Pattern.ToString()[@"\A(?:".Length..^@")\z".Length]}";
            }
        }
        if (rule.Min is not null || rule.Max is not null)
        {
            if (reader.TokenType != JsonTokenType.Number)
            {
                return "must be a number";
            }
            if (IsBelow(ref reader, rule.Min))
            {
                return string.Create(CultureInfo.InvariantCulture, $"is less than {rule.Min}");
            }
            if (IsAbove(ref reader, rule.Max))
            {
                return string.Create(CultureInfo.InvariantCulture, $"is greater than {rule.Max}");
            }
        }
        return null;
    }

    // A number that no decimal can hold is compared as what a server would read it as.
    private static bool IsBelow(ref Utf8JsonReader reader, decimal? least) =>
        least is { } limit && (reader.TryGetDecimal(out var number) ? number < limit : !(reader.TryGetDouble(out var large) && large >= (double)limit));

    private static bool IsAbove(ref Utf8JsonReader reader, decimal? greatest) =>
        greatest is { } limit && (reader.TryGetDecimal(out var number) ? number > limit : !(reader.TryGetDouble(out var large) && large <= (double)limit));

    private static bool IsAllowed(ref Utf8JsonReader reader, ImmutableArray<string> allowed)
    {
        foreach (var json in allowed)
        {
            var other = new Utf8JsonReader(System.Text.Encoding.UTF8.GetBytes(json));
            other.Read();
            if (other.TokenType == reader.TokenType && reader.TokenType switch
            {
                JsonTokenType.String => reader.ValueTextEquals(other.GetString()),
                JsonTokenType.Number => reader.TryGetDecimal(out var mine) && other.TryGetDecimal(out var its) && mine == its,
                JsonTokenType.True or JsonTokenType.False or JsonTokenType.Null => true,
                _ => false,
            })
            {
                return true;
            }
        }
        return false;
    }

    private static int LengthOf(string text)
    {
        var length = 0;
        foreach (var _ in text.EnumerateRunes())
        {
            length++;
        }
        return length;
    }

    private static string Shown(string name) => VisibleText.Of(name, 64);
}
