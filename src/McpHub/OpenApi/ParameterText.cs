using System.Text;
using System.Text.Json;

namespace McpHub.OpenApi;

/// <summary>
/// Writes values as OpenAPI's styles say (3.1, Parameter Object, style examples; RFC 6570 where it rests on that). Every character that could mean more
/// than itself where it stands is percent-encoded, in names as in values.
/// </summary>
internal static class ParameterText
{
    private const int MaxDepth = 16;

    // Beside the unreserved ones. What separates parameters, begins a fragment or stands for a space stays encoded, whatever the document allows.
    private const string HarmlessInQuery = ":/?@!$'()*,;=";

    /// <summary>A path parameter's place in the path. Never empty; the caller looks at the segments that come of it.</summary>
    public static string Path(ApiParameter parameter, JsonElement value)
    {
        var name = Encode(parameter.Name);
        if (parameter.IsJson)
        {
            return Encode(value.GetRawText());
        }
        var text = (parameter.Style, value.ValueKind) switch
        {
            (ParameterStyle.Label, JsonValueKind.Array) => "." + string.Join(parameter.Explodes ? '.' : ',', Items(parameter, value)),
            (ParameterStyle.Label, JsonValueKind.Object) => "." + (parameter.Explodes ? Members(parameter, value, "=", ".") : Members(parameter, value, ",", ",")),
            (ParameterStyle.Label, _) => "." + Primitive(parameter, value),
            (ParameterStyle.Matrix, JsonValueKind.Array) when parameter.Explodes => string.Concat(Items(parameter, value).Select(item => Matrix(name, item))),
            (ParameterStyle.Matrix, JsonValueKind.Array) => Matrix(name, string.Join(',', Items(parameter, value))),
            (ParameterStyle.Matrix, JsonValueKind.Object) when parameter.Explodes => string.Concat(Pairs(parameter, value).Select(pair => Matrix(pair.Name, pair.Value))),
            (ParameterStyle.Matrix, JsonValueKind.Object) => Matrix(name, Members(parameter, value, ",", ",")),
            (ParameterStyle.Matrix, _) => Matrix(name, Primitive(parameter, value)),
            (_, JsonValueKind.Array) => string.Join(',', Items(parameter, value)),
            (_, JsonValueKind.Object) => parameter.Explodes ? Members(parameter, value, "=", ",") : Members(parameter, value, ",", ","),
            _ => Primitive(parameter, value),
        };
        // A path with an empty place is another path.
        return IsEmpty(parameter, value) ? throw new BadArgumentException($"The argument '{parameter.Argument.Name}' must not be empty: it is a part of the path.") : text;
    }

    /// <summary>Adds what a query parameter, or a field of a form, comes to: nothing, or one or more pairs.</summary>
    public static void Query(StringBuilder query, ApiParameter parameter, JsonElement value)
    {
        var name = Encode(parameter.Name);
        if (parameter.IsJson)
        {
            Add(query, name, Encode(value.GetRawText(), parameter.AllowsReserved));
            return;
        }
        switch (value.ValueKind)
        {
            case JsonValueKind.Array when parameter.Style is ParameterStyle.DeepObject || (parameter.Explodes && parameter.Style is ParameterStyle.Form or ParameterStyle.SpaceDelimited or ParameterStyle.PipeDelimited):
                foreach (var item in Items(parameter, value))
                {
                    Add(query, name, item);
                }
                break;
            case JsonValueKind.Array:
                if (value.GetArrayLength() > 0)
                {
                    Add(query, name, string.Join(Delimiter(parameter.Style), Items(parameter, value)));
                }
                break;
            case JsonValueKind.Object when parameter.Style is ParameterStyle.DeepObject:
                AddDeep(query, parameter, name, value, 0);
                break;
            case JsonValueKind.Object when parameter.Explodes:
                foreach (var (member, text) in Pairs(parameter, value))
                {
                    Add(query, member, text);
                }
                break;
            case JsonValueKind.Object:
                if (value.EnumerateObject().Any())
                {
                    var delimiter = Delimiter(parameter.Style);
                    Add(query, name, Members(parameter, value, delimiter, delimiter));
                }
                break;
            default:
                Add(query, name, Primitive(parameter, value));
                break;
        }
    }

    /// <summary>A header's value. It is not encoded (OpenAPI 3.1, appendix E), so what a header cannot carry is refused.</summary>
    public static string Header(ApiParameter parameter, JsonElement value)
    {
        var text = parameter.IsJson ? value.GetRawText() : value.ValueKind switch
        {
            JsonValueKind.Array => string.Join(',', value.EnumerateArray().Select(item => Raw(parameter, item))),
            JsonValueKind.Object => string.Join(',', value.EnumerateObject().Select(member => $"{member.Name}{(parameter.Explodes ? '=' : ',')}{Raw(parameter, member.Value)}")),
            _ => Raw(parameter, value),
        };
        return text.All(c => c is >= ' ' and < '\u007f') ? text
            : throw new BadArgumentException($"The argument '{parameter.Argument.Name}' holds a line break or another character that a header cannot carry; only ASCII can be sent.");
    }

    /// <summary>Adds the pairs that a cookie parameter comes to.</summary>
    public static void Cookie(List<string> cookies, ApiParameter parameter, JsonElement value)
    {
        var query = new StringBuilder();
        Query(query, parameter, value);
        cookies.AddRange(query.ToString().Split('&', StringSplitOptions.RemoveEmptyEntries));
    }

    /// <summary>Percent-encodes everything but letters, digits, <c>-</c>, <c>.</c>, <c>_</c> and <c>~</c>; with reserved characters allowed, those stay that change nothing in a query.</summary>
    public static string Encode(string text, bool allowsReserved = false)
    {
        if (!allowsReserved || text.AsSpan().IndexOfAny(HarmlessInQuery) < 0)
        {
            return Uri.EscapeDataString(text);
        }
        var encoded = new StringBuilder(text.Length);
        var from = 0;
        for (var i = 0; i <= text.Length; i++)
        {
            if (i == text.Length || HarmlessInQuery.Contains(text[i], StringComparison.Ordinal))
            {
                encoded.Append(Uri.EscapeDataString(text[from..i]));
                from = i + 1;
                if (i < text.Length)
                {
                    encoded.Append(text[i]);
                }
            }
        }
        return encoded.ToString();
    }

    /// <summary>A plain value as text.</summary>
    public static string Raw(ApiParameter parameter, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
        JsonValueKind.Null => "null",
        _ => throw new BadArgumentException($"The argument '{parameter.Argument.Name}' is nested deeper than it can be sent: expected plain values in its {(parameter.Style == ParameterStyle.DeepObject ? "lists" : "list or object")}."),
    };

    private static bool IsEmpty(ApiParameter parameter, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => value.EnumerateArray().All(item => Raw(parameter, item).Length == 0),
        JsonValueKind.Object => value.EnumerateObject().All(member => Raw(parameter, member.Value).Length == 0),
        JsonValueKind.Null => true,
        _ => Raw(parameter, value).Length == 0,
    };

    private static string Primitive(ApiParameter parameter, JsonElement value) => Encode(Raw(parameter, value), parameter.AllowsReserved);

    private static IEnumerable<string> Items(ApiParameter parameter, JsonElement value) => value.EnumerateArray().Select(item => Primitive(parameter, item));

    private static IEnumerable<(string Name, string Value)> Pairs(ApiParameter parameter, JsonElement value) => value.EnumerateObject().Select(member => (Encode(member.Name), Primitive(parameter, member.Value)));

    private static string Members(ApiParameter parameter, JsonElement value, string between, string after) =>
        string.Join(after, Pairs(parameter, value).Select(pair => pair.Name + between + pair.Value));

    private static string Matrix(string name, string value) => value.Length == 0 ? $";{name}" : $";{name}={value}";

    private static string Delimiter(ParameterStyle style) => style switch { ParameterStyle.SpaceDelimited => "%20", ParameterStyle.PipeDelimited => "%7C", _ => "," };

    private static void AddDeep(StringBuilder query, ApiParameter parameter, string name, JsonElement value, int depth)
    {
        if (depth > MaxDepth)
        {
            throw new BadArgumentException(FormattableString.Invariant($"The argument '{parameter.Argument.Name}' is nested deeper than {MaxDepth} levels."));
        }
        foreach (var member in value.EnumerateObject())
        {
            var inner = $"{name}%5B{Encode(member.Name)}%5D";
            switch (member.Value.ValueKind)
            {
                case JsonValueKind.Object:
                    AddDeep(query, parameter, inner, member.Value, depth + 1);
                    break;
                case JsonValueKind.Array:
                    foreach (var item in Items(parameter, member.Value))
                    {
                        Add(query, inner, item);
                    }
                    break;
                default:
                    Add(query, inner, Primitive(parameter, member.Value));
                    break;
            }
        }
    }

    private static void Add(StringBuilder query, string name, string value) => query.Append(query.Length == 0 ? "" : "&").Append(name).Append('=').Append(value);
}
