using System.Globalization;
using System.Text;

namespace McpHub.Catalog.Pins;

/// <summary>Texts of strangers as they can be shown: nothing in them is invisible, steers a terminal or turns the direction of the line.</summary>
internal static class VisibleText
{
    /// <summary>A text with its odd characters as <c>\u{200B}</c>, line breaks as <c>\n</c>, cut to a length.</summary>
    public static string Of(string text, int maxLength)
    {
        var shown = new StringBuilder(Math.Min(text.Length, maxLength));
        foreach (var rune in text.EnumerateRunes())
        {
            if (shown.Length >= maxLength)
            {
                return shown.Append('…').ToString();
            }
            Append(shown, rune);
        }
        return shown.ToString();
    }

    /// <summary>Whether a character shows as something, and only as itself.</summary>
    public static bool IsPlain(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse or UnicodeCategory.Surrogate or UnicodeCategory.OtherNotAssigned
            or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator => false,
        _ => !Invisible.IsVariationSelector(rune) && !Invisible.IsFiller(rune),
    };

    private static void Append(StringBuilder shown, Rune rune)
    {
        if (rune.Value == '\n')
        {
            shown.Append("\\n");
        }
        else if (rune.Value == '\t')
        {
            shown.Append("\\t");
        }
        else if (IsPlain(rune))
        {
            shown.Append(rune.ToString());
        }
        else
        {
            shown.Append(CultureInfo.InvariantCulture, $"\\u{{{rune.Value:X4}}}");
        }
    }
}
