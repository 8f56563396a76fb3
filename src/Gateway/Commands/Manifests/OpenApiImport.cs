using System.Text;
using System.Text.Json.Nodes;
using McpHub.OpenApi;
using Shared.Configuration;
using Shared.Snapshots;

namespace Gateway.Commands.Manifests;

/// <summary>Makes a manifest of an OpenAPI document, which stays where it is. Only what reads becomes a tool until somebody widens it.</summary>
internal static class OpenApiImport
{
    private const int LongestDescription = 300;

    private static readonly string[] Methods = ["get", "put", "post", "delete", "options", "head", "patch"];

    /// <summary>Whether a text is an OpenAPI document, of whatever version.</summary>
    public static bool IsOne(string text) =>
        text.AsSpan().TrimStart("\uFEFF \t\r\n").StartsWith("{") ? Root(Encoding.UTF8.GetBytes(text), out _) is { } root && (root.ContainsKey("openapi") || root.ContainsKey("swagger")) : SourceFiles.IsOpenApiDocument(text);

    public static void Read(ReadOnlySpan<byte> utf8, ImportContext context)
    {
        var place = new ConfigMapping(context.Source, 0, 0, "", []);
        if (context.DocumentPath is not { } path)
        {
            context.Errors.Add(place.Error("an OpenAPI document is imported from a file, as the manifest refers to it; name the file"));
            return;
        }
        if (Root(utf8, out var problem) is not { } root)
        {
            context.Errors.Add(place.Error(problem));
            return;
        }
        var source = new OpenApiSource { Document = path, BaseUrl = HasAddress(root) ? null : new Uri("https://api.invalid"), Include = [new OperationRule(["GET", "HEAD"], [], null)] };
        ApiDocument api;
        try
        {
            api = ApiReader.Read(root, source, OwnHeaders.None);
        }
        catch (DocumentException exception)
        {
            context.Errors.Add(place.Error(exception.Message));
            return;
        }
        var name = ServerIds.Of(api.Title).Id is not null ? api.Title : Path.GetFileNameWithoutExtension(context.Source);
        if (context.Add(name, place) is not { } server)
        {
            return;
        }
        server.Title = api.Title.Length > 0 ? Line(api.Title) : null;
        server.Description = Line(LocalReferences.Text((root["info"] as JsonObject)?["summary"]) ?? LocalReferences.Text((root["info"] as JsonObject)?["description"]) ?? "");
        server.Document = path;
        if (source.BaseUrl is not null)
        {
            server.BaseUrl = context.Wanted(server, $"{ImportContext.Variable(server.Id)}_URL", "the API's address, which the document does not name in full");
        }
        AddCredentials(root, server, context);
        foreach (var operation in api.Unusable)
        {
            server.NotCarriedOver.Add($"operation {operation.Tool}: {operation.Reason}");
        }
    }

    private static JsonObject? Root(ReadOnlySpan<byte> utf8, out string problem)
    {
        try
        {
            problem = "";
            return DocumentText.Parse(utf8);
        }
        catch (DocumentException exception)
        {
            problem = exception.Message;
            return null;
        }
    }

    private static bool HasAddress(JsonObject root) => (root["servers"] as JsonArray)?.FirstOrDefault() is JsonObject server && LocalReferences.Text(server["url"]) is { } url && url.Contains("://", StringComparison.Ordinal);

    private static void AddCredentials(JsonObject root, ImportedServer server, ImportContext context)
    {
        var schemes = (root["components"] as JsonObject)?["securitySchemes"] as JsonObject ?? [];
        foreach (var name in Used(root).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            if (schemes[name] is not JsonObject scheme)
            {
                continue;
            }
            var variable = $"{ImportContext.Variable(server.Id)}_{ImportContext.Variable(name)}";
            var (type, http) = (LocalReferences.Text(scheme["type"]), LocalReferences.Text(scheme["scheme"])?.ToLowerInvariant());
            if (type == "http" && http == "basic")
            {
                server.Credentials[name] = (context.Wanted(server, $"{variable}_USER", $"the user of the security scheme {ImportContext.Show(name)}"), context.Wanted(server, $"{variable}_PASSWORD", $"the password of the security scheme {ImportContext.Show(name)}"));
            }
            else if (type is "apiKey" or "oauth2" or "openIdConnect" || (type == "http" && http == "bearer"))
            {
                server.Credentials[name] = (context.Wanted(server, variable, $"the {(type == "apiKey" ? "key" : "token")} of the security scheme {ImportContext.Show(name)}"), null);
            }
            else
            {
                server.NotCarriedOver.Add($"the security scheme {ImportContext.Show(name)}, which is of a kind that is not supported; use upstream.headers");
            }
        }
    }

    private static IEnumerable<string> Used(JsonObject root)
    {
        var operations = (root["paths"] as JsonObject ?? []).Select(pair => pair.Value as JsonObject).OfType<JsonObject>().SelectMany(item => Methods.Select(method => item[method] as JsonObject)).OfType<JsonObject>();
        return operations.Select(operation => operation["security"]).Append(root["security"]).OfType<JsonArray>().SelectMany(list => list.OfType<JsonObject>()).SelectMany(alternative => alternative.Select(pair => pair.Key));
    }

    private static string Line(string text)
    {
        var line = new string([.. text.Trim().Split('\n')[0].Trim().Take(LongestDescription).Select(c => char.IsControl(c) || char.IsSurrogate(c) ? ' ' : c)]);
        return line;
    }
}
