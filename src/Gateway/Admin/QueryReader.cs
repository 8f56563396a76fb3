using System.Globalization;
using Shared.Http;

namespace Gateway.Admin;

/// <summary>Reads a request's query parameters; the first one that is wrong is the error.</summary>
internal sealed class QueryReader
{
    private readonly IQueryCollection query;

    public QueryReader(IQueryCollection query, params ReadOnlySpan<string> known)
    {
        this.query = query;
        foreach (var name in query.Keys)
        {
            if (!known.Contains(name))
            {
                Fail(name, $"There is no parameter '{name}'; known are {string.Join(", ", known!)}.");
            }
        }
    }

    /// <summary>What is wrong; null: nothing so far.</summary>
    public GatewayError? Error { get; private set; }

    /// <summary>Keeps an error, unless there is one already.</summary>
    public void Fail(string field, string message) => Error ??= new GatewayError(StatusCodes.Status400BadRequest, "invalid_parameter", message) { Field = field };

    /// <summary>A text; null: not given.</summary>
    public string? Text(string name) => query[name] switch
    {
        { Count: 0 } => null,
        [{ Length: > 0 } text] => text,
        _ => Refuse<string>(name, $"'{name}' must be given once, and not be empty."),
    };

    /// <summary>All values of a list: repeated, or separated by commas.</summary>
    public IReadOnlyList<string> List(string name) =>
        [.. query[name].SelectMany(value => (value ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))];

    /// <summary>A whole number; null: not given.</summary>
    public int? Number(string name, int least, int most) => Text(name) is not { } text ? null
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most ? number
        : RefuseValue<int>(name, $"'{name}' must be {least} to {most}.");

    /// <summary>A moment; null: not given.</summary>
    public DateTimeOffset? Moment(string name) => Text(name) is not { } text ? null
        : DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var moment) && moment >= DateTimeOffset.UnixEpoch ? moment
        : RefuseValue<DateTimeOffset>(name, $"'{name}' must be a date or a moment like 2026-01-31 or 2026-01-31T12:00:00Z.");

    /// <summary>One of an enumeration's members, in lower case; null: not given.</summary>
    public T? Choice<T>(string name) where T : struct, Enum => Text(name) is not { } text ? null : Parse<T>(name, text);

    /// <summary>A member of an enumeration.</summary>
    public T? Parse<T>(string name, string text) where T : struct, Enum
    {
        foreach (var value in Enum.GetValues<T>())
        {
            if (NameOf(value) == text)
            {
                return value;
            }
        }
        return RefuseValue<T>(name, $"'{name}' cannot be '{text}'; possible are {string.Join(", ", Enum.GetValues<T>().Select(NameOf))}.");
    }

    /// <summary>The name of an enumeration's member.</summary>
    public static string NameOf<T>(T value) where T : struct, Enum => value.ToString().ToLowerInvariant();

    private T? Refuse<T>(string name, string message) where T : class
    {
        Fail(name, message);
        return null;
    }

    private T? RefuseValue<T>(string name, string message) where T : struct
    {
        Fail(name, message);
        return null;
    }
}
