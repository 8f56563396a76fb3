using System.Globalization;
using System.Text;

namespace McpHub.Catalog.Rules;

/// <summary>Text of strangers as a person may be shown it: what cannot be seen, or turns the reading direction, is spelled out.</summary>
internal static class VisibleText
{
    /// <summary>The text, cut at a length.</summary>
    /// <param name="text">The text.</param>
    /// <param name="longest">The most characters that are shown of it.</param>
    public static string Of(string text, int longest)
    {
        var shown = new StringBuilder(Math.Min(text.Length, longest) + 16);
        var count = 0;
        for (var i = 0; i < text.Length; count++)
        {
            if (count == longest)
            {
                return shown.Append(CultureInfo.InvariantCulture, $"… [{text.Length - i} more characters]").ToString();
            }
            i += Append(shown, text, i);
        }
        return shown.ToString();
    }

    private static int Append(StringBuilder shown, string text, int at)
    {
        if (!Rune.TryGetRuneAt(text, at, out var rune))
        {
            shown.Append(CultureInfo.InvariantCulture, $"\\u{{{(int)text[at]:X4}}}");
            return 1;
        }
        switch (rune.Value)
        {
            case '"' or '\\':
                shown.Append('\\').Append((char)rune.Value);
                break;
            case '\n':
                shown.Append("\\n");
                break;
            case '\r':
                shown.Append("\\r");
                break;
            case '\t':
                shown.Append("\\t");
                break;
            default:
                if (IsVisible(rune))
                {
                    shown.Append(rune.ToString());
                }
                else
                {
                    shown.Append(CultureInfo.InvariantCulture, $"\\u{{{rune.Value:X4}}}");
                }
                break;
        }
        return rune.Utf16SequenceLength;
    }

    private static bool IsVisible(Rune rune) => rune.Value == ' ' || (Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
            or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator => false,
        _ => true,
    }
        // Letters and marks that have no form: fillers of Hangul and Khmer, the blank of Braille, selectors of variants.
        && rune.Value is not (0x034F or 0x115F or 0x1160 or 0x17B4 or 0x17B5 or 0x2800 or 0x3164 or 0xFFA0 or (>= 0x180B and <= 0x180F) or (>= 0xFE00 and <= 0xFE0F) or (>= 0xE0100 and <= 0xE01EF)));
}
