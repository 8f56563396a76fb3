using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace McpHub.Catalog;

/// <summary>
/// The arguments of a tool that requests repeat in headers, so that proxies can route by them without reading bodies: <c>x-mcp-header</c> in the properties of an input
/// schema, <c>Mcp-Param-*</c> in requests (specification 2026-07-28, server/tools and basic/transports). Immutable.
/// </summary>
internal sealed class ParameterHeaders
{
    /// <summary>What stands before the name in a header's name.</summary>
    public const string Prefix = "Mcp-Param-";

    private const string Annotation = "x-mcp-header";
    private const string Wrapper = "=?base64?";
    private const string WrapperEnd = "?=";

    private static readonly SearchValues<char> NameCharacters = SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private readonly (string Argument, string Header)[] all;

    private ParameterHeaders((string Argument, string Header)[] all) => this.all = all;

    /// <summary>Reads what an input schema asks for.</summary>
    /// <param name="schema">The schema, raw.</param>
    /// <param name="headers">What it asks for; null: nothing.</param>
    /// <returns>Null, or why no client may use the tool.</returns>
    public static string? Read(ReadOnlyMemory<byte> schema, out ParameterHeaders? headers)
    {
        headers = null;
        if (schema.Span.IndexOf("x-mcp-header"u8) < 0)
        {
            return null;
        }
        using var document = JsonDocument.Parse(schema, new JsonDocumentOptions { MaxDepth = 128 });
        if (!document.RootElement.TryGetProperty("properties", out var properties) || properties.ValueKind != JsonValueKind.Object)
        {
            return null;
        }
        var found = new List<(string Argument, string Header)>();
        foreach (var property in properties.EnumerateObject())
        {
            if (property.Value.ValueKind != JsonValueKind.Object || !property.Value.TryGetProperty(Annotation, out var name))
            {
                continue;
            }
            if (name.ValueKind != JsonValueKind.String || name.GetString() is not { Length: > 0 } header || header.AsSpan().IndexOfAnyExcept(NameCharacters) >= 0)
            {
                return $"The '{Annotation}' of its argument '{property.Name}' is no name that a header can have.";
            }
            if (!property.Value.TryGetProperty("type", out var type) || !IsPlain(type))
            {
                return $"Its argument '{property.Name}' has an '{Annotation}', but is not of type string, integer or boolean.";
            }
            if (found.Exists(other => other.Header.Equals(header, StringComparison.OrdinalIgnoreCase)))
            {
                return $"Two of its arguments have the '{Annotation}' '{header}'.";
            }
            found.Add((property.Name, header));
        }
        headers = found.Count == 0 ? null : new ParameterHeaders([.. found]);
        return null;
    }

    /// <summary>The headers for a call.</summary>
    /// <param name="arguments">Its arguments, a raw JSON object; empty: none.</param>
    public List<KeyValuePair<string, string>> Of(ReadOnlyMemory<byte> arguments)
    {
        var headers = new List<KeyValuePair<string, string>>(all.Length);
        using var document = arguments.IsEmpty ? null : JsonDocument.Parse(arguments, new JsonDocumentOptions { MaxDepth = 256 });
        foreach (var (argument, header) in all)
        {
            if (ValueOf(document, argument) is { } value)
            {
                headers.Add(new(Prefix + header, Encode(value.Text)));
            }
        }
        return headers;
    }

    /// <summary>Compares a request's headers with its arguments.</summary>
    /// <param name="read">The value of a header; null: there is none; <c>"\0"</c>: there are several.</param>
    /// <param name="arguments">The arguments, a raw JSON object; empty: none.</param>
    /// <returns>Null, or what does not go together.</returns>
    public string? Check(Func<string, string?> read, ReadOnlyMemory<byte> arguments)
    {
        using var document = arguments.IsEmpty ? null : JsonDocument.Parse(arguments, new JsonDocumentOptions { MaxDepth = 256 });
        foreach (var (argument, header) in all)
        {
            var (said, value) = (read(Prefix + header), ValueOf(document, argument));
            if (said is null && value is null)
            {
                continue;
            }
            if (said is null)
            {
                return $"The header '{Prefix}{header}' is missing: it must repeat the argument '{argument}'.";
            }
            if (value is null || !TryDecode(said, out var decoded) || !(decoded == value.Text || (value.IsNumber && AreEqual(decoded, value.Text))))
            {
                return $"The header '{Prefix}{header}' does not say what the argument '{argument}' says.";
            }
        }
        return null;
    }

    private static bool IsPlain(JsonElement type) => type.ValueKind switch
    {
        JsonValueKind.String => type.GetString() is "string" or "integer" or "boolean",
        JsonValueKind.Array => type.EnumerateArray().All(one => one.ValueKind == JsonValueKind.String && one.GetString() is "string" or "integer" or "boolean" or "null")
            && type.EnumerateArray().Any(one => one.GetString() != "null"),
        _ => false,
    };

    private static Argument? ValueOf(JsonDocument? arguments, string name)
    {
        if (arguments is null || arguments.RootElement.ValueKind != JsonValueKind.Object || !arguments.RootElement.TryGetProperty(name, out var value))
        {
            return null;
        }
        return value.ValueKind switch
        {
            JsonValueKind.String => new Argument(value.GetString()!, IsNumber: false),
            JsonValueKind.Number => new Argument(value.GetRawText(), IsNumber: true),
            JsonValueKind.True => new Argument("true", IsNumber: false),
            JsonValueKind.False => new Argument("false", IsNumber: false),
            _ => null,
        };
    }

    /// <summary>Visible ASCII with spaces inside goes as it is; all else, and what would be taken for the wrapper, in it.</summary>
    private static string Encode(string value)
    {
        var isPlain = !value.AsSpan().ContainsAnyExceptInRange(' ', '~') && !value.StartsWith(' ') && !value.EndsWith(' ')
            && !(value.StartsWith(Wrapper, StringComparison.OrdinalIgnoreCase) && value.EndsWith(WrapperEnd, StringComparison.Ordinal));
        return isPlain ? value : Wrapper + Convert.ToBase64String(Encoding.UTF8.GetBytes(value)) + WrapperEnd;
    }

    private static bool TryDecode(string header, out string value)
    {
        value = header;
        if (!header.StartsWith(Wrapper, StringComparison.OrdinalIgnoreCase) || !header.EndsWith(WrapperEnd, StringComparison.Ordinal) || header.Length < Wrapper.Length + WrapperEnd.Length)
        {
            return !header.Contains('\0');
        }
        try
        {
            value = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(Convert.FromBase64String(header[Wrapper.Length..^WrapperEnd.Length]));
            return true;
        }
        catch (Exception exception) when (exception is FormatException or ArgumentException)
        {
            return false;
        }
    }

    private static bool AreEqual(string header, string argument) =>
        decimal.TryParse(header, NumberStyles.Float, CultureInfo.InvariantCulture, out var said) && decimal.TryParse(argument, NumberStyles.Float, CultureInfo.InvariantCulture, out var meant) && said == meant;

    private sealed record Argument(string Text, bool IsNumber);
}
