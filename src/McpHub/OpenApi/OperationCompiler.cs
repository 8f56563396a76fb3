using System.Collections.Immutable;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Shared.Snapshots;

namespace McpHub.OpenApi;

/// <summary>Compiles one operation of a document after another.</summary>
internal sealed class OperationCompiler(JsonObject root, LocalReferences references, OpenApiSource source, Credentials credentials, bool isOpenApi30, IEnumerable<string> ownHeaders)
{
    private const int LongestTitle = 120;
    private const int LongestDescription = 2_000;
    private const int LongestRemark = 1_000;
    private const int LargestOutputSchema = 64 * 1024;

    private static readonly JsonSerializerOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = 2 * DocumentText.MaxDepth };

    // OpenAPI 3.1, Parameter Object: header parameters of these names are to be ignored.
    private static readonly string[] IgnoredHeaders = ["Accept", "Content-Type", "Authorization"];

    private readonly ApiServers servers = new(source);
    private readonly HashSet<string> setHeaders = new(ownHeaders, StringComparer.OrdinalIgnoreCase);
    private readonly SchemaBudget budget = new();

    /// <summary>Compiles an operation.</summary>
    /// <param name="name">The tool's name.</param>
    /// <param name="method">The method, in capitals.</param>
    /// <param name="path">The path as the document writes it.</param>
    /// <param name="item">The path's own declaration.</param>
    /// <param name="operation">The operation's.</param>
    /// <exception cref="DocumentException">It cannot be a tool.</exception>
    public ApiOperation Compile(string name, string method, string path, JsonObject item, JsonObject operation)
    {
        var address = servers.BaseOf(operation["servers"], item["servers"], root["servers"]);
        var applied = credentials.For(operation["security"] ?? root["security"]);
        var input = new SchemaConverter(references, budget, isOpenApi30, isInput: true);
        var arguments = new ArgumentList();
        var parameters = Parameters(item, operation, applied, arguments, input);
        var parts = PathTemplate.Parse(path);
        foreach (var part in parts.Where(part => part.IsParameter && !parameters.Any(parameter => parameter.Place == ParameterPlace.Path && parameter.Name == part.Text)))
        {
            throw new DocumentException($"Its path names the parameter {DocumentException.Show(part.Text)}, which is not declared.");
        }
        var body = method is "GET" or "HEAD" ? null : new BodyCompiler(references, input, arguments, isOpenApi30).Compile(operation["requestBody"]);
        var schema = arguments.ToSchema();
        input.Finish(schema);
        var (accept, output) = new ResponseCompiler(references, budget, isOpenApi30).Compile(operation["responses"]);
        output = source.HasOutputSchemas && output is not null && Encoding.UTF8.GetByteCount(output.ToJsonString(Relaxed)) <= LargestOutputSchema ? output : null;
        return new ApiOperation
        {
            Name = name,
            Method = method,
            Base = address,
            Path = parts,
            Parameters = [.. parameters],
            Body = body,
            Credentials = applied,
            Accept = accept,
            HasOutputSchema = output is not null,
            Definition = Define(name, method, path, operation, schema, output),
            Arguments = arguments.ByName,
        };
    }

    private static byte[] Define(string name, string method, string path, JsonObject operation, JsonObject input, JsonObject? output)
    {
        var definition = new JsonObject { ["name"] = name };
        var summary = LocalReferences.Text(operation["summary"])?.Trim() ?? "";
        if (summary is { Length: > 0 and <= LongestTitle } && !summary.Contains('\n', StringComparison.Ordinal))
        {
            definition["title"] = summary;
        }
        var description = LocalReferences.Text(operation["description"])?.Trim() ?? "";
        var text = summary.Length == 0 ? description : description.Length == 0 || description.StartsWith(summary, StringComparison.Ordinal) ? (description.Length > 0 ? description : summary) : $"{summary}\n\n{description}";
        text = text.Length == 0 ? $"{method} {path}" : text;
        definition["description"] = Cut(LocalReferences.IsTrue(operation["deprecated"]) ? $"Deprecated. {text}" : text, LongestDescription);
        definition["inputSchema"] = input;
        if (output is not null)
        {
            definition["outputSchema"] = output;
        }
        var annotations = new JsonObject { ["readOnlyHint"] = method is "GET" or "HEAD" or "OPTIONS" };
        if (method == "DELETE")
        {
            annotations["destructiveHint"] = true;
        }
        if (method is "PUT" or "DELETE")
        {
            annotations["idempotentHint"] = true;
        }
        annotations["openWorldHint"] = true;
        definition["annotations"] = annotations;
        return Encoding.UTF8.GetBytes(definition.ToJsonString(Relaxed));
    }

    private List<ApiParameter> Parameters(JsonObject item, JsonObject operation, ImmutableArray<AppliedCredential> applied, ArgumentList arguments, SchemaConverter input)
    {
        // An operation's own stands in place of its path's.
        var declared = new Dictionary<(string Name, string Place), JsonObject>();
        foreach (var entry in List(item["parameters"]).Concat(List(operation["parameters"])))
        {
            var parameter = references.Follow(entry) as JsonObject ?? throw new DocumentException("A parameter is not an object.");
            declared[(LocalReferences.Text(parameter["name"]) ?? throw new DocumentException("A parameter has no name."), LocalReferences.Text(parameter["in"]) ?? "")] = parameter;
        }
        var found = new List<ApiParameter>();
        foreach (var ((name, place), parameter) in declared.OrderBy(pair => pair.Key.Place switch { "path" => 0, "query" => 1, "header" => 2, _ => 3 }))
        {
            var where = place switch
            {
                "path" => ParameterPlace.Path,
                "query" => ParameterPlace.Query,
                "header" => ParameterPlace.Header,
                "cookie" => ParameterPlace.Cookie,
                _ => throw new DocumentException($"The parameter {DocumentException.Show(name)} stands in {DocumentException.Show(place)}, and not in path, query, header or cookie."),
            };
            if (IsSetOtherwise(name, where, applied))
            {
                continue;
            }
            found.Add(Parameter(name, where, parameter, arguments, input));
        }
        return found;

        static IEnumerable<JsonNode?> List(JsonNode? node) => node switch { null => [], JsonArray list => list, _ => throw new DocumentException("Its 'parameters' is not a list.") };
    }

    // What the manifest sets is not the model's to set, and not to be asked of it.
    private bool IsSetOtherwise(string name, ParameterPlace place, ImmutableArray<AppliedCredential> applied)
    {
        if (applied.Any(credential => credential.Place == place && string.Equals(credential.Name, name, place == ParameterPlace.Header ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal)))
        {
            return true;
        }
        if (place == ParameterPlace.Header)
        {
            return IgnoredHeaders.Contains(name, StringComparer.OrdinalIgnoreCase) || setHeaders.Contains(name) || !Credentials.MaySet(name);
        }
        return place == ParameterPlace.Cookie && !Credentials.MaySet(name) ? throw new DocumentException($"The cookie {DocumentException.Show(name)} has a name that cannot be sent.") : false;
    }

    private ApiParameter Parameter(string name, ParameterPlace place, JsonObject parameter, ArgumentList arguments, SchemaConverter input)
    {
        if (name.Length == 0)
        {
            throw new DocumentException("A parameter has an empty name.");
        }
        var (schema, isJson) = (parameter["schema"], false);
        if (schema is null && parameter["content"] is JsonObject { Count: > 0 } content)
        {
            var (type, media) = content.First();
            (schema, isJson) = ((references.Follow(media) as JsonObject)?["schema"], MediaTypes.IsJson(type));
        }
        var converted = Remark(input.Convert(schema ?? new JsonObject()), parameter);
        var required = place == ParameterPlace.Path || LocalReferences.IsTrue(parameter["required"]);
        var argument = arguments.Add(name, place.ToString().ToLowerInvariant(), required, converted, ValueKinds.Of(references, schema, isOpenApi30));
        var style = StyleOf(LocalReferences.Text(parameter["style"]), place, name);
        var explodes = parameter["explode"] is { } explode ? LocalReferences.IsTrue(explode) : style == ParameterStyle.Form;
        return new ApiParameter(name, argument, place, style, explodes, place == ParameterPlace.Query && LocalReferences.IsTrue(parameter["allowReserved"]), isJson);
    }

    private static JsonNode Remark(JsonNode schema, JsonObject parameter)
    {
        if (schema is not JsonObject map)
        {
            return schema;
        }
        if (LocalReferences.Text(parameter["description"]) is { Length: > 0 } description)
        {
            map["description"] = Cut(description.Trim(), LongestRemark);
        }
        if (LocalReferences.IsTrue(parameter["deprecated"]))
        {
            map["deprecated"] = true;
        }
        if (!map.ContainsKey("examples"))
        {
            if (parameter.TryGetPropertyValue("example", out var example))
            {
                map["examples"] = new JsonArray(example?.DeepClone());
            }
            else if (parameter["examples"] is JsonObject examples)
            {
                var values = examples.Select(pair => pair.Value as JsonObject).Where(known => known?.ContainsKey("value") == true).Take(5).Select(known => known!["value"]?.DeepClone()).ToArray();
                if (values.Length > 0)
                {
                    map["examples"] = new JsonArray(values);
                }
            }
        }
        return map;
    }

    private static ParameterStyle StyleOf(string? style, ParameterPlace place, string name) => (style, place) switch
    {
        (null or "simple", ParameterPlace.Path or ParameterPlace.Header) => ParameterStyle.Simple,
        ("label", ParameterPlace.Path) => ParameterStyle.Label,
        ("matrix", ParameterPlace.Path) => ParameterStyle.Matrix,
        (null or "form", ParameterPlace.Query or ParameterPlace.Cookie) => ParameterStyle.Form,
        ("spaceDelimited", ParameterPlace.Query) => ParameterStyle.SpaceDelimited,
        ("pipeDelimited", ParameterPlace.Query) => ParameterStyle.PipeDelimited,
        ("deepObject", ParameterPlace.Query) => ParameterStyle.DeepObject,
        _ => throw new DocumentException($"The parameter {DocumentException.Show(name)} has the style {DocumentException.Show(style ?? "")}, which it cannot have where it stands."),
    };

    internal static string Cut(string text, int longest)
    {
        if (text.Length <= longest)
        {
            return text;
        }
        var end = char.IsHighSurrogate(text[longest - 2]) ? longest - 2 : longest - 1;
        return text[..end] + "…";
    }
}
