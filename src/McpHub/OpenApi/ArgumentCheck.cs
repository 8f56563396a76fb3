using System.Text.Json;

namespace McpHub.OpenApi;

/// <summary>Checks the arguments of a call: that there are no others, that none is missing, and that each is of a type that it can have.</summary>
internal static class ArgumentCheck
{
    private const int MostShown = 20;

    /// <summary>The arguments that are given, by name. One that need not be given and is <c>null</c> counts as not given, unless it can be null.</summary>
    /// <exception cref="BadArgumentException">One is missing, unknown or wrong.</exception>
    public static Dictionary<string, JsonElement> Read(ApiOperation operation, JsonElement arguments)
    {
        var given = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        if (arguments.ValueKind == JsonValueKind.Object)
        {
            foreach (var member in arguments.EnumerateObject())
            {
                if (!operation.Arguments.TryGetValue(member.Name, out var argument))
                {
                    throw new BadArgumentException($"There is no argument {DocumentException.Show(member.Name)}; there {(operation.Arguments.IsEmpty ? "are none" : $"is {Names(operation)}")}.");
                }
                if (member.Value.ValueKind == JsonValueKind.Null && !argument.Types.Contains("null") && (!argument.IsRequired && !argument.Types.IsEmpty))
                {
                    continue;
                }
                Check(argument, member.Value);
                given[member.Name] = member.Value;
            }
        }
        foreach (var argument in operation.Arguments.Values.Where(argument => argument.IsRequired && !given.ContainsKey(argument.Name)).OrderBy(argument => argument.Name, StringComparer.Ordinal))
        {
            throw new BadArgumentException($"The argument '{argument.Name}' is required and missing.");
        }
        return given;
    }

    private static string Names(ApiOperation operation) => string.Join(", ", operation.Arguments.Keys.Order(StringComparer.Ordinal).Take(MostShown).Select(name => $"'{name}'")) + (operation.Arguments.Count > MostShown ? ", …" : "");

    private static void Check(ApiArgument argument, JsonElement value)
    {
        if (!argument.Types.IsEmpty && !argument.Types.Any(type => Is(type, value)))
        {
            throw new BadArgumentException($"The argument '{argument.Name}' must be of the type {string.Join(" or ", argument.Types)}, and is {KindOf(value)}.");
        }
        if (value.ValueKind == JsonValueKind.String)
        {
            string text;
            try
            {
                text = value.GetString()!;
            }
            catch (InvalidOperationException)
            {
                throw new BadArgumentException($"The argument '{argument.Name}' holds half a surrogate pair, which is no text.");
            }
            if (!argument.Choices.IsEmpty && !argument.Choices.Contains(text))
            {
                throw new BadArgumentException($"The argument '{argument.Name}' must be one of {string.Join(", ", argument.Choices.Take(MostShown).Select(DocumentException.Show))}{(argument.Choices.Length > MostShown ? ", …" : "")}.");
            }
        }
    }

    private static bool Is(string type, JsonElement value) => type switch
    {
        "string" => value.ValueKind == JsonValueKind.String,
        "number" => value.ValueKind == JsonValueKind.Number,
        "integer" => value.ValueKind == JsonValueKind.Number && IsWhole(value),
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "array" => value.ValueKind == JsonValueKind.Array,
        "object" => value.ValueKind == JsonValueKind.Object,
        "null" => value.ValueKind == JsonValueKind.Null,
        _ => true,
    };

    // 1.0 is an integer to JSON Schema; a number beyond every type is one that the API may judge.
    private static bool IsWhole(JsonElement value)
    {
        var raw = value.GetRawText();
        return raw.AsSpan().IndexOfAny('.', 'e', 'E') < 0 || (value.TryGetDecimal(out var number) ? decimal.Truncate(number) == number : value.TryGetDouble(out var large) && Math.Truncate(large) == large);
    }

    private static string KindOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => "a text",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        JsonValueKind.Array => "a list",
        JsonValueKind.Object => "an object",
        _ => "null",
    };
}
