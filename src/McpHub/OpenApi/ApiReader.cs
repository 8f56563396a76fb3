using System.Collections.Immutable;
using System.Text.Json.Nodes;
using McpHub.Catalog;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace McpHub.OpenApi;

/// <summary>Makes tools of the operations of an OpenAPI document. An operation that cannot be one is put aside alone.</summary>
internal static class ApiReader
{
    /// <summary>The most operations of a document.</summary>
    public const int MaxOperations = 5_000;

    /// <summary>The most bytes that all tools' definitions may have together.</summary>
    public const int MaxDefinitionBytes = 32 * 1024 * 1024;

    /// <summary>From this many tools on, clients and models begin to refuse them or to lose their way.</summary>
    public const int ManyTools = 128;

    private const int LongestName = 200;
    private const int LongestFormat = 16;

    private static readonly string[] Methods = ["get", "put", "post", "delete", "options", "head", "patch"];

    /// <summary>Reads a document.</summary>
    /// <param name="root">Its root.</param>
    /// <param name="source">What the manifest says of it.</param>
    /// <param name="own">What the manifest sets by itself.</param>
    /// <exception cref="DocumentException">Nothing of it can be used.</exception>
    public static ApiDocument Read(JsonObject root, OpenApiSource source, OwnHeaders own)
    {
        try
        {
            return ReadAll(root, source, own);
        }
        catch (InvalidOperationException)
        {
            throw new DocumentException("It holds text that is none, such as half a surrogate pair.");
        }
        catch (BudgetException exception)
        {
            throw new DocumentException(exception.Message);
        }
    }

    private static ApiDocument ReadAll(JsonObject root, OpenApiSource source, OwnHeaders own)
    {
        var format = FormatOf(root);
        var references = new LocalReferences(root);
        var credentials = new Credentials(root, references, source, own.SignsIn);
        var unusable = ImmutableArray.CreateBuilder<QuarantinedTool>();
        var all = List(root, references, unusable);
        var names = OperationNames.Of([.. all.Select(found => (found.Method.ToUpperInvariant(), found.Path, LocalReferences.Text(found.Operation["operationId"])))]);
        var compiler = new OperationCompiler(root, references, source, credentials, format.StartsWith("3.0", StringComparison.Ordinal), own.Names);
        var tools = ImmutableSortedDictionary.CreateBuilder<string, ApiOperation>(StringComparer.Ordinal);
        var (selected, bytes) = (0, 0L);
        for (var i = 0; i < all.Count; i++)
        {
            var (path, method, item, operation) = all[i];
            if (!IsSelected(source, method, path, operation))
            {
                continue;
            }
            selected++;
            try
            {
                var tool = compiler.Compile(names[i], method.ToUpperInvariant(), path, item, operation);
                bytes += tool.Definition.Length;
                if (!tools.TryAdd(tool.Name, tool))
                {
                    unusable.Add(new QuarantinedTool(tool.Name, $"{method.ToUpperInvariant()} {DocumentException.Show(path)}: another operation has this name."));
                }
            }
            catch (DocumentException exception)
            {
                unusable.Add(new QuarantinedTool(names[i], $"{method.ToUpperInvariant()} {DocumentException.Show(path)}: {exception.Message}"));
            }
            catch (InvalidOperationException)
            {
                unusable.Add(new QuarantinedTool(names[i], $"{method.ToUpperInvariant()} {DocumentException.Show(path)}: it holds a value of the wrong kind, or text that is none."));
            }
            if (bytes > MaxDefinitionBytes)
            {
                throw new DocumentException(FormattableString.Invariant($"Its tools' definitions have more than {MaxDefinitionBytes} bytes; select fewer operations under upstream.operations, or switch outputSchemas off."));
            }
        }
        if (tools.Count == 0 && unusable.Count > 0)
        {
            throw new DocumentException($"None of its operations can be a tool. {unusable[0].Reason}");
        }
        var info = root["info"] as JsonObject;
        return new ApiDocument(Short(info?["title"]), Short(info?["version"]), format, tools.ToImmutable(), unusable.ToImmutable(),
            [.. Warnings(tools.Count, all.Count, selected, credentials)]);
    }

    private static string Short(JsonNode? text) => OperationCompiler.Cut(LocalReferences.Text(text) ?? "", LongestName);

    private static IEnumerable<string> Warnings(int tools, int operations, int selected, Credentials credentials)
    {
        if (selected == 0)
        {
            yield return operations == 0 ? "The document has no operations." : "No operation of the document matches upstream.operations.";
        }
        if (tools > ManyTools)
        {
            yield return FormattableString.Invariant($"The document makes {tools} tools. Clients and models take {ManyTools} at most, many fewer: select operations under upstream.operations, or hide tools under expose.");
        }
        if (credentials.Missing.Count > 0)
        {
            yield return $"Operations need credentials that upstream.credentials does not give: {string.Join(", ", credentials.Missing.Take(10).Select(DocumentException.Show))}.";
        }
    }

    private static string FormatOf(JsonObject root)
    {
        if (LocalReferences.Text(root["openapi"]) is { } format)
        {
            return format.Length <= LongestFormat && (format.StartsWith("3.0", StringComparison.Ordinal) || format.StartsWith("3.1", StringComparison.Ordinal)) ? format
                : throw new DocumentException($"Its format is OpenAPI {DocumentException.Show(format)}; 3.0 and 3.1 are supported.");
        }
        throw new DocumentException(root.ContainsKey("swagger") ? "It is a Swagger 2.0 document; convert it to OpenAPI 3." : "It has no 'openapi' member that names its format.");
    }

    private static List<(string Path, string Method, JsonObject Item, JsonObject Operation)> List(JsonObject root, LocalReferences references, ImmutableArray<QuarantinedTool>.Builder unusable)
    {
        var all = new List<(string, string, JsonObject, JsonObject)>();
        if (root["paths"] is not (null or JsonObject))
        {
            throw new DocumentException("Its 'paths' is not an object.");
        }
        foreach (var (path, entry) in root["paths"] as JsonObject ?? [])
        {
            if (path.StartsWith("x-", StringComparison.Ordinal))
            {
                continue;
            }
            JsonObject item;
            try
            {
                item = references.Follow(entry) as JsonObject ?? throw new DocumentException("it is not an object.");
            }
            catch (DocumentException exception)
            {
                unusable.Add(new QuarantinedTool(OperationNames.Argument(path), $"The path {DocumentException.Show(path)}: {exception.Message}"));
                continue;
            }
            foreach (var method in Methods)
            {
                if (!item.TryGetPropertyValue(method, out var operation))
                {
                    continue;
                }
                if (operation is JsonObject map)
                {
                    all.Add((path, method, item, map));
                }
                else
                {
                    unusable.Add(new QuarantinedTool(OperationNames.Argument($"{method}_{path}"), $"{method.ToUpperInvariant()} {DocumentException.Show(path)}: it is not an object."));
                }
                if (all.Count + unusable.Count > MaxOperations)
                {
                    throw new DocumentException(FormattableString.Invariant($"It has more than {MaxOperations} operations."));
                }
            }
        }
        return all;
    }

    private static bool IsSelected(OpenApiSource source, string method, string path, JsonObject operation)
    {
        if (source.OmitsDeprecated && LocalReferences.IsTrue(operation["deprecated"]))
        {
            return false;
        }
        var tags = (operation["tags"] as JsonArray)?.Select(LocalReferences.Text).OfType<string>().ToList() ?? [];
        return (source.Include.IsEmpty || source.Include.Any(Matches)) && !source.Exclude.Any(Matches);

        bool Matches(OperationRule rule) =>
            (rule.Methods.IsEmpty || rule.Methods.Contains(method.ToUpperInvariant()))
            && (rule.Tags.IsEmpty || rule.Tags.Any(tags.Contains))
            && (rule.Path is null || Glob.IsMatch(rule.Path, path));
    }
}
