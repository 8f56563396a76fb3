using System.Globalization;

namespace Shared.Pricing;

/// <summary>
/// What a discount and a margin make of an amount: <c>amount × (1 − discount) × (1 + margin)</c>, as an exact fraction. The default changes nothing.
/// </summary>
/// <param name="Discount">Hundredths of a percent that the provider takes off its list price, 0 to 10,000.</param>
/// <param name="Margin">Hundredths of a percent that callers are charged on top, 0 to 100,000.</param>
public readonly record struct PriceAdjustment(int Discount, int Margin)
{
    /// <summary>Hundredths of a percent in the whole.</summary>
    public const int Whole = 10_000;

    /// <summary>Whether amounts stay as they are.</summary>
    public bool IsNone => Discount == 0 && Margin == 0;

    private uint Numerator => (uint)(Whole - Discount) * (uint)(Whole + Margin);

    private const uint Denominator = (uint)Whole * Whole;

    /// <summary>The adjusted amount in larger units, rounded up once.</summary>
    /// <param name="amount">The exact amount in small units.</param>
    /// <param name="unit">How many small units one large unit has.</param>
    /// <exception cref="OverflowException">The amount is beyond 128 bits on the way.</exception>
    internal UInt128 Apply(UInt128 amount, uint unit)
    {
        if (IsNone)
        {
            return checked(amount + (unit - 1)) / unit;
        }
        var divisor = (UInt128)unit * Denominator;
        return checked((amount * Numerator) + (divisor - 1)) / divisor;
    }

    /// <summary>The largest amount in small units that <see cref="Apply"/> turns into no more than the given one in large units.</summary>
    internal UInt128 MostBefore(ulong amount, uint unit)
    {
        var available = (UInt128)amount * unit;
        return IsNone ? available : Numerator == 0 ? UInt128.MaxValue : available * Denominator / Numerator;
    }

    /// <summary>As it stands at the end of a price's version, e.g. <c>;discount=15%;margin=10%</c>; empty where nothing is changed.</summary>
    public override string ToString() => (Discount == 0 ? "" : $";discount={Percent(Discount)}") + (Margin == 0 ? "" : $";margin={Percent(Margin)}");

    private static string Percent(int hundredths) => (hundredths / 100m).ToString("0.##", CultureInfo.InvariantCulture) + "%";
}
