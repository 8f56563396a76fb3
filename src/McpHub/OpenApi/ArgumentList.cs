using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace McpHub.OpenApi;

/// <summary>The arguments of one tool as they are found, each under a name that no other has.</summary>
internal sealed class ArgumentList
{
    private readonly ImmutableDictionary<string, ApiArgument>.Builder arguments = ImmutableDictionary.CreateBuilder<string, ApiArgument>(StringComparer.Ordinal);
    private readonly JsonObject properties = [];
    private readonly JsonArray required = [];

    /// <summary>All of them.</summary>
    public ImmutableDictionary<string, ApiArgument> ByName => arguments.ToImmutable();

    /// <summary>Whether a name is taken.</summary>
    public bool Has(string name) => arguments.ContainsKey(name);

    /// <summary>Adds an argument.</summary>
    /// <param name="name">The API's name.</param>
    /// <param name="place">What comes before the name where it is taken.</param>
    /// <param name="isRequired">Whether a call must have it.</param>
    /// <param name="schema">Its schema.</param>
    /// <param name="kinds">What it may be.</param>
    public ApiArgument Add(string name, string place, bool isRequired, JsonNode schema, ValueKinds kinds)
    {
        var free = OperationNames.Argument(name);
        for (var i = 1; Has(free); i++)
        {
            free = OperationNames.Argument(i == 1 ? $"{place}_{name}" : FormattableString.Invariant($"{place}_{name}_{i}"));
        }
        var argument = new ApiArgument(free, isRequired, kinds.Types, kinds.Choices);
        arguments.Add(free, argument);
        properties[free] = schema;
        if (isRequired)
        {
            required.Add(free);
        }
        return argument;
    }

    /// <summary>The schema of them all.</summary>
    public JsonObject ToSchema()
    {
        var schema = new JsonObject { ["type"] = "object", ["properties"] = properties };
        if (required.Count > 0)
        {
            schema["required"] = required;
        }
        schema["additionalProperties"] = false;
        return schema;
    }
}

/// <summary>What a value may be, as far as it is checked before it is sent; the API itself checks the rest.</summary>
/// <param name="Types">JSON types; empty: any.</param>
/// <param name="Choices">Texts of which a text is one; empty: any.</param>
internal readonly record struct ValueKinds(ImmutableArray<string> Types, ImmutableArray<string> Choices)
{
    /// <summary>Anything.</summary>
    public static ValueKinds Any { get; } = new([], []);

    /// <summary>One type.</summary>
    public static ValueKinds Only(string type) => new([type], []);

    /// <summary>What a schema says at once; alternatives and the like are not looked into.</summary>
    public static ValueKinds Of(LocalReferences references, JsonNode? schema, bool isOpenApi30)
    {
        if (references.Follow(schema) is not JsonObject map)
        {
            return Any;
        }
        List<string> types = map["type"] switch { JsonArray several => [.. several.Select(LocalReferences.Text).OfType<string>()], { } one => [LocalReferences.Text(one) ?? ""], null => [] };
        if (types.Count > 0 && isOpenApi30 && LocalReferences.IsTrue(map["nullable"]))
        {
            types.Add("null");
        }
        var choices = map["enum"] is JsonArray { Count: > 0 } list && list.All(choice => choice?.GetValueKind() is JsonValueKind.String) ? list.Select(LocalReferences.Text).OfType<string>() : [];
        return new ValueKinds([.. types], [.. choices]);
    }
}
