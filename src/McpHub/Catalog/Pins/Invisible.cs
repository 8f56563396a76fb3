using System.Text;

namespace McpHub.Catalog.Pins;

/// <summary>Kinds of characters that people do not see.</summary>
internal static class Invisible
{
    /// <summary>Characters that set the direction of what follows.</summary>
    public static bool IsBidiControl(Rune rune) => rune.Value is (>= 0x202A and <= 0x202E) or (>= 0x2066 and <= 0x2069);

    /// <summary>Deprecated tags, a copy of ASCII that nobody sees.</summary>
    public static bool IsTag(Rune rune) => rune.Value is >= 0xE0000 and <= 0xE007F;

    /// <summary>Selectors of a glyph's form.</summary>
    public static bool IsVariationSelector(Rune rune) => rune.Value is (>= 0xFE00 and <= 0xFE0F) or (>= 0xE0100 and <= 0xE01EF) or (>= 0x180B and <= 0x180D);

    /// <summary>Letters without a shape.</summary>
    public static bool IsFiller(Rune rune) => rune.Value is 0x115F or 0x1160 or 0x3164 or 0xFFA0 or 0x2800;

    /// <summary>Joiners, of which some scripts and emoji have need.</summary>
    public static bool IsJoiner(Rune rune) => rune.Value is 0x200C or 0x200D;

    /// <summary>Marks of direction, of which texts from right to left have need.</summary>
    public static bool IsDirectionMark(Rune rune) => rune.Value is 0x200E or 0x200F or 0x061C;

    /// <summary>Characters without a width, of which no script has need.</summary>
    public static bool IsZeroWidth(Rune rune) => rune.Value is 0x200B or 0xFEFF or 0x180E or 0x034F or (>= 0x2060 and <= 0x2065) or (>= 0x206A and <= 0x206F) || IsFiller(rune);

    /// <summary>Everything that is left out before phrases are looked for, so that it cannot cut them apart.</summary>
    public static bool IsLeftOut(Rune rune) =>
        IsBidiControl(rune) || IsTag(rune) || IsVariationSelector(rune) || IsJoiner(rune) || IsDirectionMark(rune) || IsZeroWidth(rune) || rune.Value is 0x00AD;
}
