using System.Collections.Immutable;

namespace Shared.Pricing;

/// <summary>What calls are billed by that have no tokens, or not tokens alone.</summary>
public enum UnitKind : byte
{
    /// <summary>Nothing but tokens.</summary>
    None,

    /// <summary>A picture that was made.</summary>
    Image,

    /// <summary>A second of audio that was heard.</summary>
    AudioSecond,

    /// <summary>A character of text that was spoken.</summary>
    Character,

    /// <summary>A search: what a vendor of rankings counts as one.</summary>
    Search,
}

/// <summary>What one call used of one kind of unit. The default: nothing.</summary>
/// <param name="Kind">The unit.</param>
/// <param name="Thousandths">How many, in thousandths.</param>
/// <param name="Variant">Which variant of the unit, e.g. a picture of <c>hd/1024x1792</c>; null: the usual one.</param>
public readonly record struct UnitUsage(UnitKind Kind, long Thousandths, string? Variant = null)
{
    /// <summary>The most thousandths that are taken seriously; their product with any rate fits into 128 bits.</summary>
    public const long MaxThousandths = 1_000_000_000_000_000;

    /// <summary>So many whole units.</summary>
    public static UnitUsage Of(UnitKind kind, long count, string? variant = null) => new(kind, Math.Clamp(count, 0, MaxThousandths / 1000) * 1000, variant);
}

/// <summary>What a unit costs.</summary>
/// <param name="Kind">The unit.</param>
/// <param name="Variant">The variant that the rate is for: a quality, a size, or <c>quality/size</c>; null: each that has no rate of its own.</param>
/// <param name="Rate">Nano-dollars for a million units.</param>
public sealed record UnitRate(UnitKind Kind, string? Variant, long Rate);

/// <summary>The units of a price.</summary>
internal static class UnitRates
{
    /// <summary>The rate of a unit: that of the variant, else that of its first part (the quality), else of its second (the size), else the usual one. Null: there is none.</summary>
    public static long? Find(ImmutableArray<UnitRate> rates, UnitKind kind, string? variant)
    {
        if (variant is null)
        {
            return Exact(rates, kind, null);
        }
        var slash = variant.IndexOf('/', StringComparison.Ordinal);
        return Exact(rates, kind, variant)
            ?? (slash < 0 ? null : Exact(rates, kind, variant[..slash]) ?? Exact(rates, kind, variant[(slash + 1)..]))
            ?? Exact(rates, kind, null);
    }

    /// <summary>The dearest rate of a unit; null: it has none.</summary>
    public static long? Highest(ImmutableArray<UnitRate> rates, UnitKind kind)
    {
        long? highest = null;
        foreach (var rate in rates)
        {
            highest = rate.Kind == kind ? Math.Max(highest ?? 0, rate.Rate) : highest;
        }
        return highest;
    }

    private static long? Exact(ImmutableArray<UnitRate> rates, UnitKind kind, string? variant)
    {
        foreach (var rate in rates)
        {
            if (rate.Kind == kind && rate.Variant == variant)
            {
                return rate.Rate;
            }
        }
        return null;
    }
}
