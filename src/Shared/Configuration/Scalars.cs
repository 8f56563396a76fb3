using System.Globalization;
using Shared.Budgets;
using Shared.Pricing;

namespace Shared.Configuration;

/// <summary>How a scalar of one type is read and written.</summary>
/// <param name="Expected">What is expected, for messages.</param>
/// <param name="Parse">The value, or null where the text is none.</param>
/// <param name="Format">The text of a value; null: the value is written as JSON number or boolean.</param>
internal sealed record ScalarType(string Expected, Func<ConfigScalar, object?> Parse, Func<object, string>? Format = null);

/// <summary>The scalar types that declarations use, and how each is written in a file.</summary>
internal static class Scalars
{
    private static readonly (string Suffix, TimeSpan Unit)[] DurationUnits =
    [
        ("ms", TimeSpan.FromMilliseconds(1)), ("s", TimeSpan.FromSeconds(1)), ("m", TimeSpan.FromMinutes(1)), ("h", TimeSpan.FromHours(1)), ("d", TimeSpan.FromDays(1)),
    ];

    private static readonly (string Suffix, long Bytes)[] ByteUnits = [("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("B", 1)];

    private static readonly Dictionary<Type, ScalarType> Types = new()
    {
        [typeof(string)] = new("a text", scalar => scalar.IsJsonLiteral ? null : scalar.Text, value => (string)value),
        [typeof(bool)] = new("true or false", ParseBoolean),
        [typeof(int)] = new("a whole number", scalar => Unquoted(scalar) && int.TryParse(scalar.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value : null),
        [typeof(long)] = new("a whole number", scalar => Unquoted(scalar) && long.TryParse(scalar.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value : null),
        [typeof(decimal)] = new("a number", scalar => Unquoted(scalar) && TryDecimal(scalar.Text, out var value) ? value : null),
        [typeof(Uri)] = new("an address that begins with http:// or https://", ParseUri, value => ((Uri)value).OriginalString),
        [typeof(TimeSpan)] = new("a duration such as 250ms, 30s, 5m, 1h or 1d", scalar => TryDuration(scalar.Text, out var value) ? value : null, value => FormatDuration((TimeSpan)value)),
        [typeof(ByteSize)] = new("a number of bytes such as 512KiB, 32MiB or 1048576", ParseBytes, value => ((ByteSize)value).ToString()),
        [typeof(Money)] = new("an amount of US dollars such as 5, 0.25 or '5 USD'", ParseMoney, value => ((Money)value).ToString()),
        [typeof(Percent)] = new("a percentage such as 15% or 2.25%", ParsePercent, value => ((Percent)value).ToString()),
        [typeof(Per)] = new("hour, day, week, month or a duration from 1s to 366d", ParsePer, value => ((Per)value).ToString()),
        [typeof(DateTimeOffset)] = new("a date such as 2027-01-31 or 2027-01-31T12:00:00Z", ParseDate, value => ((DateTimeOffset)value).ToString("O", CultureInfo.InvariantCulture)),
    };

    /// <summary>How a type is written, or null where it is not a scalar type. Enumerations are known by their members in camelCase.</summary>
    public static ScalarType? Find(Type type) => Types.GetValueOrDefault(type) ?? (type.IsEnum ? OfEnum(type) : null);

    /// <summary>A duration in the largest unit that divides it.</summary>
    public static string FormatDuration(TimeSpan value)
    {
        for (var i = DurationUnits.Length - 1; i > 0; i--)
        {
            if (value != TimeSpan.Zero && value.Ticks % DurationUnits[i].Unit.Ticks == 0)
            {
                return $"{value.Ticks / DurationUnits[i].Unit.Ticks}{DurationUnits[i].Suffix}";
            }
        }
        return $"{value.Ticks / TimeSpan.TicksPerMillisecond}ms";
    }

    /// <summary>The camelCase form of a name of C#.</summary>
    public static string CamelCase(string name) => char.ToLowerInvariant(name[0]) + name[1..];

    private static ScalarType OfEnum(Type type)
    {
        var names = Enum.GetNames(type).ToDictionary(CamelCase, name => Enum.Parse(type, name));
        return new ScalarType($"one of {string.Join(", ", names.Keys)}", scalar => names.GetValueOrDefault(scalar.Text), value => CamelCase(value.ToString()!));
    }

    private static bool Unquoted(ConfigScalar scalar) => scalar.Style == ScalarStyle.Plain;

    private static bool TryDecimal(string text, out decimal value) =>
        decimal.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value);

    private static object? ParseBoolean(ConfigScalar scalar) => Unquoted(scalar) ? scalar.Text switch { "true" => true, "false" => false, _ => null } : null;

    private static object? ParseUri(ConfigScalar scalar) =>
        Uri.TryCreate(scalar.Text, UriKind.Absolute, out var uri) && (uri.Scheme == Uri.UriSchemeHttp || uri.Scheme == Uri.UriSchemeHttps) && uri.UserInfo.Length == 0 ? uri : null;

    private static bool TryDuration(string text, out TimeSpan value)
    {
        value = default;
        foreach (var (suffix, unit) in DurationUnits)
        {
            if (text.EndsWith(suffix, StringComparison.Ordinal) && int.TryParse(text.AsSpan()[..^suffix.Length], NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= TimeSpan.MaxValue / unit)
            {
                value = unit * number;
                return true;
            }
        }
        return false;
    }

    private static object? ParseBytes(ConfigScalar scalar)
    {
        var text = scalar.Text;
        if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var plain))
        {
            return new ByteSize(plain);
        }
        foreach (var (suffix, bytes) in ByteUnits)
        {
            if (text.EndsWith(suffix, StringComparison.Ordinal) && int.TryParse(text.AsSpan()[..^suffix.Length].TrimEnd(), NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                return new ByteSize(number * bytes);
            }
        }
        return null;
    }

    private static object? ParseMoney(ConfigScalar scalar)
    {
        var text = scalar.Text.EndsWith(" USD", StringComparison.Ordinal) ? scalar.Text[..^4] : scalar.Text;
        return TryDecimal(text, out var dollars) && dollars >= 0 && dollars <= Money.MaxValue.Dollars ? Money.FromDollars(dollars) : null;
    }

    private static object? ParsePercent(ConfigScalar scalar) =>
        scalar.Text.EndsWith('%') && TryDecimal(scalar.Text[..^1], out var percent) && percent is >= 0 and <= 1_000_000 && percent * 100 == decimal.Truncate(percent * 100) ? new Percent((int)(percent * 100)) : null;

    private static object? ParsePer(ConfigScalar scalar) => scalar.Text switch
    {
        "hour" => new Per(CalendarUnit.Hour, default),
        "day" => new Per(CalendarUnit.Day, default),
        "week" => new Per(CalendarUnit.Week, default),
        "month" => new Per(CalendarUnit.Month, default),
        var text => TryDuration(text, out var length) && length >= TimeSpan.FromSeconds(1) && length <= TimeSpan.FromDays(366) ? new Per(null, length) : null,
    };

    private static object? ParseDate(ConfigScalar scalar)
    {
        string[] formats = ["yyyy-MM-dd", "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK"];
        return DateTimeOffset.TryParseExact(scalar.Text, formats, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var value) ? value : null;
    }
}
