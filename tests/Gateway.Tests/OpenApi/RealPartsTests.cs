using System.Text;
using System.Text.Json;
using Gateway.Tests.Interop;
using Gateway.Tests.Tools;
using McpHub.OpenApi;
using Microsoft.OpenApi;
using Microsoft.OpenApi.Reader;
using Shared.Tools;
using TestSupport;

namespace Gateway.Tests.OpenApi;

/// <summary>Other people's parts on both sides: an official client, another reader of documents, and an API that was not written for this.</summary>
public sealed class RealPartsTests
{
    [Fact]
    public async Task OfficialClient_TakesSchemasAndStructuredResults()
    {
        Assert.SkipUnless(InteropFolder.IsInstalled, InteropFolder.Missing);
        await using var api = await FakeApi.StartAsync(TestContext.Current.CancellationToken);
        api.Answer = (request, context) => FakeApi.JsonAsync(context, request.Target.StartsWith("/api/v2/books?", StringComparison.Ordinal)
            ? """{"items":[{"isbn":"1","title":"A","subtitle":null,"addedAt":"2026-01-01T00:00:00Z","editions":[{"isbn":"2","title":"B","addedAt":"2026-01-01T00:00:00Z"}]}],"next":null}""" : """{"isbn":5}""");
        await using var gateway = await ApiGateway.StartAsync(
            ("library.yaml", ApiGateway.Library(api)), ("library.json", ApiGateway.Document("library.json")),
            ("shop.yaml", ApiGateway.Manifest("shop", "docs/shop.yaml", $"baseUrl: {api.Address}")));
        await AddAsync(gateway, "shop.yaml");
        await ToolCaller.WaitForAsync(gateway, "shop", state => state.Tools == 6);
        var calls = """[{"name":"library__listBooks","arguments":{}},{"name":"library__getBook","arguments":{"isbn":"1"}},{"name":"library__getBook","arguments":{}},{"name":"library__borrow","arguments":{"isbn":"1"}}]""";

        await using var node = ChildProcess.Start(InteropFolder.Node, [Path.Combine(InteropFolder.Folder, "openapi-client.mjs"), new Uri(gateway.BaseAddress, "mcp").AbsoluteUri, gateway.VirtualKey, calls], InteropFolder.Folder, new Dictionary<string, string>());
        await node.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.True(node.ExitCode == 0, node.Output);
        using var found = JsonDocument.Parse(node.Output);
        Assert.Equal("[]", found.RootElement.GetProperty("problems").GetRawText());
        Assert.True(found.RootElement.GetProperty("tools").GetInt32() >= 16);
        var results = found.RootElement.GetProperty("results");
        Assert.Equal("B", results[0].GetProperty("structured").GetProperty("items")[0].GetProperty("editions")[0].GetProperty("title").GetString());
        // The client itself finds that the answer is not as the document says.
        Assert.Contains("output schema", results[1].GetProperty("thrown").GetString(), StringComparison.Ordinal);
        Assert.True(results[2].GetProperty("isError").GetBoolean());
        Assert.Contains("'isbn' is required", results[2].GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.False(results[3].GetProperty("isError").GetBoolean());
    }

    [Theory]
    [InlineData("library.json", 10)]
    [InlineData("shop.yaml", 6)]
    public void Documents_OfTheseTests_AreValidToAnotherReader(string name, int operations)
    {
        var root = DocumentText.Parse(Encoding.UTF8.GetBytes(ApiGateway.Document(name)));
        // That one operation is broken is the point of it.
        root["paths"]!.AsObject().Remove("/orders/{id}/{+rest}");
        var text = root.ToJsonString();

        var result = OpenApiDocument.Parse(text, "json", new OpenApiReaderSettings { RuleSet = ValidationRuleSet.GetDefaultRuleSet() });

        Assert.Empty(result.Diagnostic!.Errors.Select(error => error.ToString()));
        Assert.Equal(operations, result.Document!.Paths.Values.Sum(item => item.Operations?.Count ?? 0));
    }

    [Fact]
    public async Task GatewaysOwnApi_IsAToolServer()
    {
        var document = Path.Combine(InteropFolder.Root, "docs", "openapi.json");
        using var own = JsonDocument.Parse(await File.ReadAllTextAsync(document, TestContext.Current.CancellationToken));
        var scheme = own.RootElement.GetProperty("components").GetProperty("securitySchemes").EnumerateObject().First().Name;
        await using var far = await TestGateway.StartAsync(null, TestContext.Current.CancellationToken);
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Manifests = new Dictionary<string, string> { ["admin.yaml"] = ApiGateway.Manifest("admin", $"\"{document}\"", $"baseUrl: {far.BaseAddress.GetLeftPart(UriPartial.Authority)}\ncredentials: {{{scheme}: \"${{env:FAR_KEY}}\"}}") },
            Environment = new Dictionary<string, string> { ["FAR_KEY"] = far.AdminKey },
        }, TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, "admin", state => state.Tools > 0);

        var state = ((IToolServerStates)gateway.Services.GetService(typeof(IToolServerStates))!).ReadAll().Single(state => state.Id == "admin");
        Assert.Empty(state.Quarantined);
        var made = await gateway.CallAsync("admin__createKey", """{"name":"made by a tool","tools":["gateway/*"]}""");
        Assert.False(made.IsError(), made.GetRawText());
        var listed = await gateway.CallAsync("admin__listKeys");
        Assert.Contains("made by a tool", listed.Text(), StringComparison.Ordinal);
        Assert.DoesNotContain(far.AdminKey, listed.GetRawText() + made.GetRawText(), StringComparison.Ordinal);
    }

    private static async Task AddAsync(TestGateway gateway, string name)
    {
        var folder = Directory.CreateDirectory(Path.Combine(gateway.Folder, "tool-manifests", "docs")).FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, name), ApiGateway.Document(name), TestContext.Current.CancellationToken);
    }
}
