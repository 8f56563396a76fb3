using System.Text.Json;
using System.Text.RegularExpressions;

namespace Gateway.Tests.Admin;

/// <summary>The served OpenAPI document, and whether answers are as it says. Knows the keywords that the document uses, and fails on any other.</summary>
internal sealed class ApiSchemas(JsonElement document)
{
    private static readonly string[] Ignored = ["description", "format", "default", "examples", "minLength", "maxLength"];

    /// <summary>Path, method and description of each operation.</summary>
    public IEnumerable<(string Path, string Method, JsonElement Operation)> Operations =>
        document.GetProperty("paths").EnumerateObject().SelectMany(path => path.Value.EnumerateObject().Select(method => (path.Name, method.Name.ToUpperInvariant(), method.Value)));

    /// <summary>The operation that a request means.</summary>
    public (string Id, JsonElement Operation) Find(string method, string path)
    {
        var plain = "/admin/v1" + path.Split('?')[0];
        var found = Operations.Where(operation => operation.Method == method && Regex.IsMatch(plain, "^" + Regex.Replace(operation.Path, @"\{[^}]*\}", TailOf) + "$"))
            .OrderBy(operation => operation.Path.Count(c => c == '{')).ToList();
        Assert.True(found.Count > 0, $"The document has no operation {method} {path}.");
        return (found[0].Operation.GetProperty("operationId").GetString()!, found[0].Operation);

        // The ids of prices and secrets may hold slashes.
        string TailOf(Match match) => plain.Contains("/prices/", StringComparison.Ordinal) || plain.Contains("/secrets/", StringComparison.Ordinal) ? ".+" : "[^/]+";
    }

    /// <summary>Expects that a status is declared, and that the body is as its schema says.</summary>
    public void Check(string method, string path, AdminAnswer answer)
    {
        var (id, operation) = Find(method, path);
        Assert.True(operation.GetProperty("responses").TryGetProperty($"{answer.Status}", out var response), $"{id} answered {answer.Status}, which is not declared: {answer.Body}");
        if (response.TryGetProperty("$ref", out var shared))
        {
            response = document.GetProperty("components").GetProperty("responses").GetProperty(shared.GetString()!.Split('/')[^1]);
        }
        if (!response.TryGetProperty("content", out var content))
        {
            Assert.Null(answer.Body);
            return;
        }
        var media = Assert.Single(content.EnumerateObject());
        Assert.Equal(media.Name, answer.Message.Content.Headers.ContentType?.MediaType);
        var errors = Errors(media.Value.GetProperty("schema"), answer.Json, "$").ToList();
        Assert.True(errors.Count == 0, $"{id} {answer.Status}: {string.Join("; ", errors)} in {answer.Body}");
    }

    /// <summary>What is wrong with a value.</summary>
    public IEnumerable<string> Errors(JsonElement schema, JsonElement value, string at)
    {
        foreach (var keyword in schema.EnumerateObject())
        {
            foreach (var error in Apply(keyword.Name, keyword.Value, schema, value, at))
            {
                yield return error;
            }
        }
    }

    private IEnumerable<string> Apply(string keyword, JsonElement operand, JsonElement schema, JsonElement value, string at) => keyword switch
    {
        "$ref" => Errors(document.GetProperty("components").GetProperty("schemas").GetProperty(operand.GetString()!.Split('/')[^1]), value, at),
        "anyOf" => operand.EnumerateArray().Any(option => !Errors(option, value, at).Any()) ? [] : [$"{at} is none of what it may be"],
        "type" => (operand.ValueKind == JsonValueKind.Array ? operand.EnumerateArray().Select(type => type.GetString()!) : [operand.GetString()!]).Any(type => Is(type, value)) ? [] : [$"{at} is {value.ValueKind}, not {operand}"],
        "const" => JsonElement.DeepEquals(operand, value) ? [] : [$"{at} is not {operand}"],
        "enum" => operand.EnumerateArray().Any(known => JsonElement.DeepEquals(known, value)) ? [] : [$"{at} is {value}, not one of {operand}"],
        "required" when value.ValueKind == JsonValueKind.Object => operand.EnumerateArray().Where(name => !value.TryGetProperty(name.GetString()!, out _)).Select(name => $"{at} lacks {name}"),
        "properties" when value.ValueKind == JsonValueKind.Object => operand.EnumerateObject().SelectMany(property => value.TryGetProperty(property.Name, out var member) ? Errors(property.Value, member, $"{at}.{property.Name}") : []),
        "additionalProperties" when value.ValueKind == JsonValueKind.Object => value.EnumerateObject().Where(member => !Declares(schema, member.Name))
            .SelectMany(member => operand.ValueKind == JsonValueKind.False ? [$"{at}.{member.Name} is not declared"] : Errors(operand, member.Value, $"{at}.{member.Name}")),
        "items" when value.ValueKind == JsonValueKind.Array => value.EnumerateArray().SelectMany((item, index) => Errors(operand, item, $"{at}[{index}]")),
        "minimum" when value.ValueKind == JsonValueKind.Number => value.GetDecimal() >= operand.GetDecimal() ? [] : [$"{at} is below {operand}"],
        "maximum" when value.ValueKind == JsonValueKind.Number => value.GetDecimal() <= operand.GetDecimal() ? [] : [$"{at} is above {operand}"],
        "required" or "properties" or "additionalProperties" or "items" or "minimum" or "maximum" => [],
        _ => Ignored.Contains(keyword) ? [] : throw new InvalidOperationException($"The keyword '{keyword}' is not known here."),
    };

    private static bool Declares(JsonElement schema, string member) => schema.TryGetProperty("properties", out var properties) && properties.TryGetProperty(member, out _);

    private static bool Is(string type, JsonElement value) => type switch
    {
        "object" => value.ValueKind == JsonValueKind.Object,
        "array" => value.ValueKind == JsonValueKind.Array,
        "string" => value.ValueKind == JsonValueKind.String,
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "null" => value.ValueKind == JsonValueKind.Null,
        "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
        "number" => value.ValueKind == JsonValueKind.Number,
        _ => throw new InvalidOperationException($"The type '{type}' is not known here."),
    };
}
