using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpHub.OpenApi;
using Shared.Snapshots;

namespace McpHub.Tests.OpenApi;

/// <summary>Documents, and what becomes of them.</summary>
internal static class Apis
{
    public static OpenApiSource Source { get; } = new() { Document = "api.yaml", BaseUrl = new Uri("https://api.example.com/v1") };

    /// <summary>A document of some paths (a JSON object) and components.</summary>
    public static string Document(string paths, string components = "{}", string version = "3.1.0", string more = "") =>
        $$"""{"openapi":"{{version}}","info":{"title":"Test","version":"1"},"paths":{{paths}},"components":{{components}}{{more}} }""";

    public static ApiDocument Read(string text, OpenApiSource? source = null, params string[] headers) => ApiReader.Read(DocumentText.Parse(Encoding.UTF8.GetBytes(text)), source ?? Source, new OwnHeaders(headers, SignsIn: false));

    /// <summary>The only operation of a document with one path, <c>/x</c>, and one operation, <c>op</c>.</summary>
    public static ApiOperation Only(string operation, string components = "{}", string version = "3.1.0", string method = "get", string path = "/x", OpenApiSource? source = null)
    {
        var api = Read(Document($$"""{"{{path}}":{"{{method}}":{{operation}} } }""", components, version), source);
        Assert.Empty(api.Unusable);
        return Assert.Single(api.Operations.Values);
    }

    public static JsonElement Definition(this ApiOperation operation) => JsonDocument.Parse(operation.Definition).RootElement;

    public static JsonElement Input(this ApiOperation operation) => operation.Definition().GetProperty("inputSchema");

    /// <summary>That a value is a JSON text, whatever the order of members.</summary>
    public static void IsJson(string expected, JsonElement actual) => Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(actual.GetRawText())), actual.GetRawText());

    public static ToolManifest Manifest(OpenApiSource? source = null, params (string Name, string Value)[] headers) => new()
    {
        Id = "api",
        Transport = UpstreamTransport.OpenApi,
        OpenApi = source ?? Source,
        Prefix = "api",
        Origin = "test",
        Headers = headers.ToImmutableDictionary(header => header.Name, header => header.Value, StringComparer.OrdinalIgnoreCase),
    };

    /// <summary>The request that arguments come to.</summary>
    public static HttpRequestMessage Build(this ApiOperation operation, string arguments, ToolManifest? manifest = null) => RequestBuilder.Build(manifest ?? Manifest(), operation, JsonDocument.Parse(arguments).RootElement);

    /// <summary>The path and the query of that request, to the byte.</summary>
    public static string Target(this ApiOperation operation, string arguments)
    {
        using var request = operation.Build(arguments);
        return request.RequestUri!.PathAndQuery["/v1".Length..];
    }
}
