using System.Text;

namespace McpHub.Catalog.Pins;

/// <summary>
/// A text as phrases are looked for in it: lower case, blanks in a row as one, without invisible characters, letters that look like Latin ones as those. So no spelling trick hides a phrase.
/// </summary>
internal static class FoldedText
{
    // Cyrillic and Greek letters that look like Latin ones, in lower case.
    private const string Lookalikes = "аеорсухіјѕһԁԛԝкмтαοινρκ";
    private const string Latin = "aeopcyxijshdqwkmtaoivpk";

    public static string Of(string text)
    {
        var folded = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            if (Invisible.IsLeftOut(rune))
            {
                continue;
            }
            if (Rune.IsWhiteSpace(rune) || Rune.IsControl(rune))
            {
                if (folded.Length > 0 && folded[^1] != ' ')
                {
                    folded.Append(' ');
                }
                continue;
            }
            folded.Append(Fold(rune));
        }
        return folded.ToString();
    }

    private static string Fold(Rune rune)
    {
        if (rune.IsAscii)
        {
            return ((char)char.ToLowerInvariant((char)rune.Value)).ToString();
        }
        switch (rune.Value)
        {
            case 0x2018 or 0x2019 or 0x02BC or 0xFF07:
                return "'";
            case 0x201C or 0x201D:
                return "\"";
            case >= 0xFF01 and <= 0xFF5E:
                // Full-width forms.
                return char.ToLowerInvariant((char)(rune.Value - 0xFEE0)).ToString();
            case >= 0x1D400 and <= 0x1D6A3:
                // Bold, italic, script and other letters of mathematics: alphabets of 26 capital and 26 small letters.
                return ((char)('a' + ((rune.Value - 0x1D400) % 26))).ToString();
            default:
                var lower = Rune.ToLowerInvariant(rune);
                var index = lower.IsBmp ? Lookalikes.IndexOf((char)lower.Value, StringComparison.Ordinal) : -1;
                return index < 0 ? lower.ToString() : Latin[index].ToString();
        }
    }
}
