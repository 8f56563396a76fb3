using System.Globalization;
using System.Text;

namespace McpHub.Catalog.Pins;

/// <summary>Rules about characters: those that nobody sees, and those that pretend to be others.</summary>
internal static class CharacterRules
{
    private const int Around = 30;
    private const int BlobLength = 100;
    private const int Blanks = 100;
    private const int EmptyLines = 20;
    private const int SoftHyphens = 3;

    /// <summary>Checks a text, passing over it a few times.</summary>
    /// <returns>The rules that found something, each at most once, with what was found.</returns>
    public static IEnumerable<(string Rule, string Excerpt)> Check(string text, bool isName)
    {
        if (Padding(text) is { } padding)
        {
            yield return ("padding", padding);
        }
        if (Ascii.IsValid(text))
        {
            if (text.AsSpan().IndexOfAnyInRange('\0', '\u001f') >= 0 || text.Contains('\u007f', StringComparison.Ordinal))
            {
                foreach (var found in Controls(text))
                {
                    yield return found;
                }
            }
            yield break;
        }
        foreach (var found in Controls(text))
        {
            yield return found;
        }
        foreach (var found in Hidden(text))
        {
            yield return found;
        }
        if (isName && MixesScripts(text))
        {
            yield return ("confusable-name", Coded(text));
        }
    }

    /// <summary>A long run of what looks like base64; null: there is none.</summary>
    public static string? FindBlob(string text)
    {
        if (text.Length < BlobLength)
        {
            return null;
        }
        var start = 0;
        for (var i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && (char.IsAsciiLetterOrDigit(text[i]) || text[i] is '+' or '/' or '_' or '-' or '='))
            {
                continue;
            }
            if (i - start >= BlobLength && LooksEncoded(text.AsSpan(start, i - start)))
            {
                return $"{i - start} characters: {text.AsSpan(start, 60)}";
            }
            start = i + 1;
        }
        return null;
    }

    /// <summary>Words and paths change between lower case, upper case and digits seldom; encoded bytes do at two of three places.</summary>
    private static bool LooksEncoded(ReadOnlySpan<char> run)
    {
        static int KindOf(char c) => char.IsAsciiDigit(c) ? 1 : char.IsAsciiLetterUpper(c) ? 2 : char.IsAsciiLetterLower(c) ? 3 : 4;
        var changes = 0;
        Span<bool> seen = stackalloc bool[5];
        for (var i = 0; i < run.Length; i++)
        {
            seen[KindOf(run[i])] = true;
            changes += i > 0 && KindOf(run[i]) != KindOf(run[i - 1]) ? 1 : 0;
        }
        return seen[1] && seen[2] && seen[3] && changes > run.Length / 3;
    }

    private static string? Padding(string text)
    {
        var (blanks, lines, start) = (0, 0, 0);
        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsWhiteSpace(text[i]))
            {
                if (blanks >= Blanks || lines >= EmptyLines)
                {
                    return $"{Math.Max(i - start, 1)} blanks before: {text.AsSpan(i, Math.Min(80, text.Length - i))}";
                }
                (blanks, lines, start) = (0, 0, i + 1);
                continue;
            }
            // Blanks in a row, without line breaks: deep indentation is none.
            (blanks, lines) = text[i] is '\n' or '\r' ? (0, lines + (text[i] == '\n' ? 1 : 0)) : (blanks + 1, lines);
        }
        return null;
    }

    private static IEnumerable<(string Rule, string Excerpt)> Controls(string text)
    {
        var (control, escape) = (-1, -1);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] is '\u001b' or '\u009b')
            {
                escape = escape < 0 ? i : escape;
            }
            else if (char.IsControl(text[i]) && text[i] is not ('\t' or '\n' or '\r'))
            {
                control = control < 0 ? i : control;
            }
        }
        if (escape >= 0)
        {
            yield return ("ansi-escape", Near(text, escape));
        }
        if (control >= 0)
        {
            yield return ("control-character", Near(text, control));
        }
    }

    private static IEnumerable<(string Rule, string Excerpt)> Hidden(string text)
    {
        var found = new Dictionary<string, int>(StringComparer.Ordinal);
        var tags = new StringBuilder();
        var isRightToLeft = text.AsSpan().IndexOfAnyInRange('\u0590', '\u08ff') >= 0;
        var (before, selectors, hyphens, flag, position) = (default(Rune), 0, 0, false, 0);
        foreach (var rune in text.EnumerateRunes())
        {
            flag = rune.Value == 0x1F3F4 || (flag && Invisible.IsTag(rune));
            selectors = Invisible.IsVariationSelector(rune) ? selectors + 1 : 0;
            hyphens += rune.Value == 0xAD ? 1 : 0;
            // The flags of England, Scotland and Wales are a black flag and a few tags.
            var rule = Invisible.IsTag(rune) ? flag ? null : "invisible-tags"
                : Invisible.IsBidiControl(rune) ? "bidi-control"
                : selectors == 2 ? "variation-selectors"
                : Invisible.IsZeroWidth(rune) || hyphens == SoftHyphens || (Invisible.IsDirectionMark(rune) && !isRightToLeft) ? "zero-width"
                : Invisible.IsJoiner(rune) && !Joins(before, NextOf(text, position + rune.Utf16SequenceLength)) ? "zero-width"
                : Rune.GetUnicodeCategory(rune) == UnicodeCategory.PrivateUse ? "private-use"
                : null;
            if (rule is not null)
            {
                found.TryAdd(rule, position);
            }
            if (rule == "invisible-tags" && tags.Length < 100)
            {
                tags.Append(rune.Value is >= 0xE0020 and <= 0xE007E ? (char)(rune.Value - 0xE0000) : '?');
            }
            (before, position) = (rune, position + rune.Utf16SequenceLength);
        }
        foreach (var (rule, at) in found)
        {
            yield return (rule, rule == "invisible-tags" ? $"hidden text: {tags}" : Near(text, at));
        }
    }

    /// <summary>Whether a joiner has something to join: parts of an emoji, or letters of a script that knows joining.</summary>
    private static bool Joins(Rune before, Rune after) =>
        (before.Value > 0x7f && (Rune.IsLetter(before) || IsMark(before)) && after.Value > 0x7f && Rune.IsLetter(after))
        || (IsPicture(before) && IsPicture(after))
        // Half forms at the end of a word: after a virama of an Indian script.
        || (IsMark(before) && before.Value is >= 0x0900 and <= 0x0DFF);

    private static bool IsMark(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark;

    private static bool IsPicture(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.OtherSymbol or UnicodeCategory.ModifierSymbol || rune.Value is 0xFE0F or 0x2194 or 0x2195;

    private static Rune NextOf(string text, int position) => Rune.TryGetRuneAt(text, Math.Min(position, text.Length - 1), out var next) && position < text.Length ? next : default;

    private static bool MixesScripts(string name) =>
        name.Any(char.IsAsciiLetter) && name.Any(c => c is (>= '\u0370' and <= '\u03ff') or (>= '\u0400' and <= '\u052f') or (>= '\u0530' and <= '\u058f') or (>= '\uff21' and <= '\uff5a'));

    private static string Coded(string name) =>
        string.Concat(name.Take(60).Select(c => c is >= ' ' and <= '~' ? c.ToString() : string.Create(CultureInfo.InvariantCulture, $"\\u{{{(int)c:X4}}}")));

    private static string Near(string text, int position)
    {
        var (start, end) = (Math.Max(position - Around, 0), Math.Min(position + Around, text.Length));
        // A pair of surrogates is not cut.
        start += char.IsLowSurrogate(text[start]) ? 1 : 0;
        end += end < text.Length && char.IsLowSurrogate(text[end]) ? 1 : 0;
        return text[start..end];
    }
}
