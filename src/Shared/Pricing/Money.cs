using System.Globalization;

namespace Shared.Pricing;

/// <summary>
/// An amount of US dollars, held as whole nano-dollars (10^-9 dollar), so that sums are exact. The largest amount is about 9.2 billion dollars;
/// arithmetic beyond it throws <see cref="OverflowException"/>.
/// </summary>
/// <param name="Nano">The amount in nano-dollars.</param>
public readonly record struct Money(long Nano) : IComparable<Money>
{
    /// <summary>Nano-dollars in one dollar.</summary>
    public const long NanoPerDollar = 1_000_000_000;

    /// <summary>No money.</summary>
    public static Money Zero => default;

    /// <summary>The largest amount that can be held; stands for "no bound".</summary>
    public static Money MaxValue => new(long.MaxValue);

    /// <summary>The amount in dollars, exactly.</summary>
    public decimal Dollars => Nano / (decimal)NanoPerDollar;

    /// <summary>An amount given in dollars, rounded up to the next nano-dollar.</summary>
    /// <exception cref="OverflowException">The amount does not fit.</exception>
    public static Money FromDollars(decimal dollars) => new(decimal.ToInt64(decimal.Ceiling(dollars * NanoPerDollar)));

    /// <inheritdoc/>
    public int CompareTo(Money other) => Nano.CompareTo(other.Nano);

    /// <summary>Sum.</summary>
    public static Money operator +(Money left, Money right) => new(checked(left.Nano + right.Nano));

    /// <summary>Difference; may be negative.</summary>
    public static Money operator -(Money left, Money right) => new(checked(left.Nano - right.Nano));

    /// <summary>Whether the left amount is smaller.</summary>
    public static bool operator <(Money left, Money right) => left.Nano < right.Nano;

    /// <summary>Whether the left amount is larger.</summary>
    public static bool operator >(Money left, Money right) => left.Nano > right.Nano;

    /// <summary>Whether the left amount is smaller or equal.</summary>
    public static bool operator <=(Money left, Money right) => left.Nano <= right.Nano;

    /// <summary>Whether the left amount is larger or equal.</summary>
    public static bool operator >=(Money left, Money right) => left.Nano >= right.Nano;

    /// <summary>The smaller of two amounts.</summary>
    public static Money Min(Money left, Money right) => left < right ? left : right;

    /// <summary>The larger of two amounts.</summary>
    public static Money Max(Money left, Money right) => left > right ? left : right;

    /// <summary>The amount in dollars with up to nine decimals, e.g. <c>0.00125</c>; the form used in JSON and headers.</summary>
    public override string ToString() => Dollars.ToString("0.#########", CultureInfo.InvariantCulture);
}
