using System.Text.Json;
using Gateway.Admin.OpenApi;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;
using Microsoft.OpenApi.Reader;
using TestSupport;

namespace Gateway.Tests.Admin;

public sealed class OpenApiTests
{
    [Fact]
    public async Task Document_Served_IsTheRecordedOne()
    {
        await using var gateway = await Hosts.StartAsync();
        var served = await gateway.Anonymous.GetStringAsync("/admin/v1/openapi.json", TestContext.Current.CancellationToken);
        var recorded = await File.ReadAllTextAsync(Path.Combine(Repository(), "docs", "openapi.json"), TestContext.Current.CancellationToken);
        Assert.True(served.ReplaceLineEndings("\n").TrimEnd() == recorded.ReplaceLineEndings("\n").TrimEnd(), "docs/openapi.json is not what is served. To record it: curl -o docs/openapi.json http://127.0.0.1:8080/admin/v1/openapi.json");
    }

    [Fact]
    public async Task Document_Served_IsValid()
    {
        await using var gateway = await Hosts.StartAsync();
        var result = OpenApiDocument.Parse(await gateway.Anonymous.GetStringAsync("/admin/v1/openapi.json", TestContext.Current.CancellationToken), "json", new OpenApiReaderSettings { RuleSet = ValidationRuleSet.GetDefaultRuleSet() });
        Assert.Empty(result.Diagnostic!.Errors.Select(error => error.ToString()));
        Assert.Empty(result.Diagnostic.Warnings.Select(warning => warning.ToString()));
        Assert.Equal(OpenApiSpecVersion.OpenApi3_1, result.Diagnostic.SpecificationVersion);
        Assert.NotEmpty(result.Document!.Paths);
    }

    [Fact]
    public async Task Endpoints_AllOfThem_AreInTheDocumentAndNothingElseIs()
    {
        await using var gateway = await Hosts.StartAsync();
        var mapped = gateway.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(endpoint => ApiDocument.PathOf(endpoint) is var path && path.StartsWith("/admin/v1/", StringComparison.Ordinal) && path != "/admin/v1/openapi.json")
            .SelectMany(endpoint => endpoint.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Select(method => $"{method} {ApiDocument.PathOf(endpoint)}"));
        var schemas = await LoadAsync(gateway);
        Assert.Equal(mapped.Order(StringComparer.Ordinal), schemas.Operations.Select(operation => $"{operation.Method} {operation.Path}").Order(StringComparer.Ordinal));
        var ids = schemas.Operations.Select(operation => operation.Operation.GetProperty("operationId").GetString()).ToList();
        Assert.Equal(ids.Count, ids.Distinct().Count());
    }

    [Fact]
    public async Task Examples_OfBodies_AreAsTheirSchemasSay()
    {
        await using var gateway = await Hosts.StartAsync();
        var schemas = await LoadAsync(gateway);
        var examples = 0;
        foreach (var (path, method, operation) in schemas.Operations.Where(operation => operation.Operation.TryGetProperty("requestBody", out _)))
        {
            foreach (var content in operation.GetProperty("requestBody").GetProperty("content").EnumerateObject().Where(content => content.Value.TryGetProperty("example", out _)))
            {
                Assert.Empty(schemas.Errors(content.Value.GetProperty("schema"), content.Value.GetProperty("example"), $"{method} {path}"));
                examples++;
            }
        }
        Assert.True(examples > 20);
    }

    [Fact]
    public async Task Page_OfTheDocument_LoadsNothingFromElsewhere()
    {
        await using var gateway = await Hosts.StartAsync();
        using var page = await gateway.Anonymous.GetAsync("/admin/docs", TestContext.Current.CancellationToken);
        var html = await page.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Equal("text/html", page.Content.Headers.ContentType?.MediaType);
        Assert.Contains("default-src 'none'; script-src 'self'", page.Header("Content-Security-Policy"));
        Assert.DoesNotContain("://", html);
        foreach (var script in new[] { "/admin/docs/scalar.js", "/admin/docs/start.js" })
        {
            Assert.Contains($"src=\"{script}\"", html);
            var text = await gateway.Anonymous.GetStringAsync(script, TestContext.Current.CancellationToken);
            Assert.Contains("createApiReference", text);
        }
        using var compressed = new HttpRequestMessage(HttpMethod.Get, "/admin/docs/scalar.js") { Headers = { { "Accept-Encoding", "gzip" } } };
        using var answer = await gateway.Anonymous.SendAsync(compressed, TestContext.Current.CancellationToken);
        Assert.Equal(["gzip"], answer.Content.Headers.ContentEncoding);
    }

    internal static async Task<ApiSchemas> LoadAsync(TestGateway gateway) =>
        new(JsonDocument.Parse(await gateway.Anonymous.GetStringAsync("/admin/v1/openapi.json", TestContext.Current.CancellationToken)).RootElement.Clone());

    private static string Repository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Gateway.sln")))
        {
            folder = folder.Parent;
        }
        return folder?.FullName ?? throw new InvalidOperationException("The tests do not run within the repository.");
    }
}
