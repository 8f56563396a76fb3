using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.WebUtilities;
using Shared.Configuration;

namespace Gateway.Admin.OpenApi;

/// <summary>
/// Makes the OpenAPI 3.1 document of the mapped operations. Schemas of declarations are made of the types that declarations are bound to; the others stand
/// in the <c>*.components.json</c> beside this file.
/// </summary>
internal static class ApiDocument
{
    private const string Schemas = "#/components/schemas/";
    private static readonly string[] Kinds = ["Provider", "Route", "User", "Team", "Customer", "Price", "Manifest"];
    private static readonly JsonSerializerOptions Indented = new(AdminJson.Compact) { WriteIndented = true };

    /// <summary>The document as UTF-8, indented.</summary>
    public static byte[] Write(IEnumerable<Endpoint> endpoints, string version)
    {
        var paths = new SortedDictionary<string, SortedDictionary<string, JsonObject>>(StringComparer.Ordinal);
        foreach (var endpoint in endpoints.OfType<RouteEndpoint>())
        {
            if (endpoint.Metadata.GetMetadata<OperationEndpoint>() is { Operation: var operation } && endpoint.Metadata.GetMetadata<IHttpMethodMetadata>() is { HttpMethods: [var method] })
            {
                var path = PathOf(endpoint);
                paths.TryAdd(path, new SortedDictionary<string, JsonObject>(StringComparer.Ordinal));
                paths[path].Add(method.ToLowerInvariant(), Describe(operation, method, endpoint.RoutePattern.Parameters.Select(parameter => parameter.Name)));
            }
        }
        var document = new JsonObject
        {
            ["openapi"] = "3.1.1",
            ["info"] = new JsonObject
            {
                ["title"] = "Agent Gateway admin API",
                ["version"] = version,
                ["description"] = "Wants an admin key (`ak-gw-…`); a virtual key never works here. A read-only admin key may use GET only. Errors are problem details.",
            },
            ["servers"] = new JsonArray(new JsonObject { ["url"] = "/" }),
            ["security"] = new JsonArray(new JsonObject { ["adminKey"] = new JsonArray() }),
            ["paths"] = new JsonObject(paths.Select(path => KeyValuePair.Create<string, JsonNode?>(path.Key, new JsonObject(path.Value.Select(method => KeyValuePair.Create<string, JsonNode?>(method.Key, method.Value)))))),
            ["components"] = new JsonObject
            {
                ["securitySchemes"] = new JsonObject { ["adminKey"] = new JsonObject { ["type"] = "http", ["scheme"] = "bearer", ["description"] = "An admin key." } },
                ["responses"] = AllProblems(),
                ["schemas"] = AllSchemas(),
            },
        };
        return JsonSerializer.SerializeToUtf8Bytes(document, Indented);
    }

    /// <summary>The path of an operation as the document names it.</summary>
    public static string PathOf(RouteEndpoint endpoint) => "/" + endpoint.RoutePattern.RawText!.TrimStart('/').Replace("{**", "{", StringComparison.Ordinal);

    private static JsonObject Describe(Operation operation, string method, IEnumerable<string> pathParameters)
    {
        string[] path = [.. pathParameters];
        var parameters = new JsonArray();
        foreach (var name in path)
        {
            parameters.Add((JsonNode)Parameter("path", name, "As listed.", new JsonObject { ["type"] = "string" }, required: true));
        }
        foreach (var query in operation.AllQuery)
        {
            parameters.Add((JsonNode)Parameter("query", query.Name, query.Description, JsonNode.Parse(query.Schema)!, required: false));
        }
        if (operation.TakesIfMatch)
        {
            parameters.Add((JsonNode)Parameter("header", "If-Match", "The `ETag` of the state that the change was decided on; 412 where it is another one by now.", new JsonObject { ["type"] = "string" }, required: false));
        }
        var described = new JsonObject
        {
            ["operationId"] = operation.Id,
            ["tags"] = new JsonArray(operation.Tag),
            ["summary"] = operation.Summary,
        };
        if (operation.Description is not null)
        {
            described["description"] = operation.Description;
        }
        if (parameters.Count > 0)
        {
            described["parameters"] = parameters;
        }
        if (operation.Body is { } body)
        {
            described["requestBody"] = new JsonObject
            {
                ["required"] = !operation.BodyOptional,
                ["content"] = new JsonObject(operation.BodyTypes.Select(type => KeyValuePair.Create<string, JsonNode?>(type, Content(body, type == Operation.Json || type == Operation.MergePatch ? operation.Example : null)))),
            };
        }
        described["responses"] = Responses(operation, method, path.Length > 0);
        return described;
    }

    private static JsonObject Responses(Operation operation, string method, bool hasPath)
    {
        var responses = new SortedDictionary<int, JsonObject>();
        foreach (var (status, schema) in operation.Answers)
        {
            responses[status] = new JsonObject { ["description"] = ReasonPhrases.GetReasonPhrase(status) };
            if (schema is not null)
            {
                responses[status]["content"] = new JsonObject { [operation.AnswerType] = Content(schema, null) };
            }
        }
        var changes = method != HttpMethods.Get;
        (int Status, bool May)[] problems =
        [
            (400, operation.Body is not null || operation.AllQuery.Any()), (401, true), (403, changes), (404, hasPath), (409, changes), (412, operation.TakesIfMatch),
            (413, operation.Body is not null), (415, operation.Body is not null), (503, true),
        ];
        foreach (var (status, _) in problems.Where(problem => problem.May))
        {
            responses[status] = new JsonObject { ["$ref"] = "#/components/responses/" + ProblemOf(status) };
        }
        return Sorted(responses);
    }

    private static string ProblemOf(int status) => ReasonPhrases.GetReasonPhrase(status).Replace(" ", "", StringComparison.Ordinal);

    private static JsonObject AllProblems() => new(new[] { 400, 401, 403, 404, 409, 412, 413, 415, 503 }.Select(status => KeyValuePair.Create<string, JsonNode?>(ProblemOf(status), new JsonObject
    {
        ["description"] = ReasonPhrases.GetReasonPhrase(status),
        ["content"] = new JsonObject { ["application/problem+json"] = Content("Problem", null) },
    })));

    private static JsonObject Sorted(SortedDictionary<int, JsonObject> responses) =>
        new JsonObject(responses.Select(response => KeyValuePair.Create<string, JsonNode?>(response.Key.ToString(System.Globalization.CultureInfo.InvariantCulture), response.Value)));

    private static JsonObject Content(string schema, string? example)
    {
        var content = new JsonObject { ["schema"] = new JsonObject { ["$ref"] = Schemas + schema } };
        if (example is not null)
        {
            content["example"] = JsonNode.Parse(example);
        }
        return content;
    }

    private static JsonObject Parameter(string place, string name, string description, JsonNode schema, bool required) => new()
    {
        ["name"] = name,
        ["in"] = place,
        ["description"] = description,
        ["required"] = required,
        ["schema"] = schema,
    };

    private static JsonObject AllSchemas()
    {
        var schemas = new SortedDictionary<string, JsonNode>(StringComparer.Ordinal);
        foreach (var (name, schema) in DeclarationSchemas.All())
        {
            schemas[name] = schema;
        }
        var assembly = typeof(ApiDocument).Assembly;
        foreach (var resource in assembly.GetManifestResourceNames().Where(name => name.EndsWith(".components.json", StringComparison.Ordinal)))
        {
            using var stream = assembly.GetManifestResourceStream(resource)!;
            foreach (var (name, schema) in JsonNode.Parse(stream)!.AsObject())
            {
                schemas.Add(name, schema!.DeepClone());
            }
        }
        foreach (var kind in Kinds)
        {
            schemas[kind] = Entity(kind);
            schemas[kind + "Page"] = Page(char.ToLowerInvariant(kind[0]) + kind[1..] + "s", kind);
            schemas[kind + "OrDryRun"] = OrDryRun(kind);
        }
        foreach (var (page, member, item) in new[]
        {
            ("KeyPage", "keys", "Key"), ("BudgetPage", "budgets", "Budget"), ("LimitPage", "limits", "Limit"), ("SecretPage", "secrets", "Secret"), ("CatalogPage", "prices", "CatalogPrice"),
            ("RevisionPage", "revisions", "RevisionEntry"), ("AuditPage", "records", "AuditRecord"), ("AdminKeyPage", "adminKeys", "AdminKey"),
        })
        {
            schemas[page] = Page(member, item);
        }
        foreach (var schema in new[] { "Key", "IssuedKey", "Secret" })
        {
            schemas[schema + "OrDryRun"] = OrDryRun(schema);
        }
        return new JsonObject(schemas.Select(schema => KeyValuePair.Create<string, JsonNode?>(schema.Key, schema.Value)));
    }

    private static JsonObject OrDryRun(string schema) => new() { ["anyOf"] = new JsonArray(Reference(schema), Reference("DryRun")) };

    private static JsonObject Page(string member, string item) => Record(
        (member, new JsonObject { ["type"] = "array", ["items"] = Reference(item) }),
        ("nextCursor", new JsonObject { ["type"] = new JsonArray("string", "null"), ["description"] = "For the next page; null: this is the last." }));

    private static JsonObject Entity(string kind)
    {
        List<(string, JsonNode)> members =
        [
            ("id", Text()),
            ("origin", new JsonObject { ["enum"] = new JsonArray("api", "file", "environment", "builtIn") }),
            ("declaredIn", TextOrNull("File and line, where a file declares it.")),
            ("editable", new JsonObject { ["type"] = "boolean" }),
            ("createdBy", TextOrNull()), ("createdAt", MomentOrNull()), ("changedBy", TextOrNull()), ("changedAt", MomentOrNull()),
            ("etag", TextOrNull("For If-Match.")),
            ("problem", TextOrNull("Why it does not serve; null: it serves.")),
            ("declaration", Reference(kind + "Declaration")),
        ];
        if (kind is "Provider" or "Manifest")
        {
            members.Add(("credentials", new JsonObject { ["type"] = "array", ["items"] = Reference("Credential") }));
        }
        if (kind is "User" or "Team" or "Customer")
        {
            members.Add(("budgets", new JsonObject { ["type"] = "array", ["items"] = Reference("Budget") }));
        }
        return Record([.. members]);

        static JsonObject Text() => new() { ["type"] = "string" };
        static JsonObject MomentOrNull() => new() { ["type"] = new JsonArray("string", "null"), ["format"] = "date-time" };
        static JsonObject TextOrNull(string? description = null)
        {
            var schema = new JsonObject { ["type"] = new JsonArray("string", "null") };
            if (description is not null)
            {
                schema["description"] = description;
            }
            return schema;
        }
    }

    private static JsonObject Record(params ReadOnlySpan<(string Name, JsonNode Schema)> members)
    {
        var (properties, required) = (new JsonObject(), new JsonArray());
        foreach (var (name, schema) in members)
        {
            properties[name] = schema;
            required.Add((JsonNode)name);
        }
        return new JsonObject { ["type"] = "object", ["required"] = required, ["properties"] = properties, ["additionalProperties"] = false };
    }

    private static JsonObject Reference(string schema) => new() { ["$ref"] = Schemas + schema };
}
