using Shared.Budgets;

namespace Shared.Configuration;

/// <summary>A number of bytes, written as <c>32MiB</c>, <c>512KiB</c>, <c>1GiB</c> or a plain number.</summary>
internal readonly record struct ByteSize(long Bytes) : IComparable<ByteSize>, IComparable
{
    public int CompareTo(ByteSize other) => Bytes.CompareTo(other.Bytes);

    public int CompareTo(object? obj) => obj is ByteSize other ? CompareTo(other) : 1;

    public override string ToString() => Bytes switch
    {
        > 0 when Bytes % (1L << 30) == 0 => $"{Bytes >> 30}GiB",
        > 0 when Bytes % (1L << 20) == 0 => $"{Bytes >> 20}MiB",
        > 0 when Bytes % (1L << 10) == 0 => $"{Bytes >> 10}KiB",
        _ => Bytes.ToString(System.Globalization.CultureInfo.InvariantCulture),
    };
}

/// <summary>A share, written as <c>15%</c> or <c>2.25%</c>.</summary>
/// <param name="Hundredths">The share in hundredths of a percent.</param>
internal readonly record struct Percent(int Hundredths) : IComparable<Percent>, IComparable
{
    public int CompareTo(Percent other) => Hundredths.CompareTo(other.Hundredths);

    public int CompareTo(object? obj) => obj is Percent other ? CompareTo(other) : 1;

    public override string ToString() => (Hundredths / 100m).ToString("0.##", System.Globalization.CultureInfo.InvariantCulture) + "%";
}

/// <summary>What a limit counts over: <c>hour</c>, <c>day</c>, <c>week</c> or <c>month</c> (aligned to the calendar), or a duration (the last so much time).</summary>
/// <param name="Calendar">The calendar unit, or null for a duration.</param>
/// <param name="Length">The duration; zero for a calendar unit.</param>
public readonly record struct Per(CalendarUnit? Calendar, TimeSpan Length)
{
    /// <summary>As it is written in a file.</summary>
    public override string ToString() => Calendar is { } unit ? unit.ToString().ToLowerInvariant() : Scalars.FormatDuration(Length);
}

/// <summary>Any value, kept as the JSON text it stands for.</summary>
internal readonly record struct RawJson(string Text);

/// <summary>The least and the greatest value that a member may have, each in the form it is written in a file.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class BoundsAttribute(string least, string greatest) : Attribute
{
    public string Least { get; } = least;

    public string Greatest { get; } = greatest;
}

/// <summary>A list that may be written as its only item.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class OneOrManyAttribute : Attribute;

/// <summary>A record that may be written as the value of one of its members.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class ShorthandAttribute(string property) : Attribute
{
    public string Property { get; } = property;
}

/// <summary>A record read from a file; it keeps the place it was read from for checks that come later.</summary>
public abstract record Declaration
{
    /// <summary>Where it stands; null for one that was made in code.</summary>
    internal ConfigNode? Node { get; set; }

    /// <summary>Whether it came in through the admin API and not from a file.</summary>
    internal bool FromAdminApi { get; set; }

    /// <summary>An error at a member of this declaration, or at the declaration as a whole where the member is not written.</summary>
    internal ConfigError Error(string member, string message)
    {
        var node = Place(member);
        return new ConfigError(node.File, node.Line, node.Column, Node is ConfigMapping mapping && mapping.Find(member) is null && member.Length > 0 ? ConfigNode.Join(node.Path, member) : node.Path, message);
    }

    /// <summary>An error at an item of a list member.</summary>
    internal ConfigError Error(string member, int index, string message) => Place(member).At(index).Error(message);

    // A declaration without a place (found in the environment, built in) cannot be wrong in a file.
    private ConfigNode Place(string member) => (Node ?? new ConfigMapping("built-in", 0, 0, "", [])).At(member);
}
