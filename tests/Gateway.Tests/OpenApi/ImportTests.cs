using Gateway.Tests.Configuration;
using Gateway.Tests.Tools;
using TestSupport;

namespace Gateway.Tests.OpenApi;

/// <summary><c>gateway manifests import</c> and <c>lint</c> with OpenAPI documents.</summary>
public sealed class ImportTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Import_WritesAManifestThatServes()
    {
        await using var api = await FakeApi.StartAsync(TestContext.Current.CancellationToken);
        var document = Write("library.json", ApiGateway.Document("library.json").Replace("{ \"default\": \"1\" }", $"{{ \"default\": \"{new Uri(api.Address).Port}\" }}", StringComparison.Ordinal));

        var run = await CommandRun.Async("manifests", "import", document, "--out", Path.Combine(folder.Path, "tool-manifests"));

        Assert.Equal("", run.Error);
        Assert.Equal(0, run.Code);
        Assert.Contains("to do: variable CITY_LIBRARY_MEMBERKEY: the key of the security scheme 'memberKey'", run.Output, StringComparison.Ordinal);
        var text = await File.ReadAllTextAsync(Path.Combine(folder.Path, "tool-manifests", "city-library.yaml"), TestContext.Current.CancellationToken);
        Assert.Contains("document: \"../library.json\"", text, StringComparison.Ordinal);
        Assert.Contains("staff: {username: \"${env:CITY_LIBRARY_STAFF_USER}\", password: \"${env:CITY_LIBRARY_STAFF_PASSWORD}\"}", text, StringComparison.Ordinal);
        Assert.Contains("enabled: false", text, StringComparison.Ordinal);
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Manifests = new Dictionary<string, string> { ["city-library.yaml"] = text.Replace("enabled: false", "enabled: true", StringComparison.Ordinal).Replace("../library.json", document, StringComparison.Ordinal) },
            Environment = new Dictionary<string, string> { ["CITY_LIBRARY_MEMBERKEY"] = "k-1", ["CITY_LIBRARY_STAFF_USER"] = "u", ["CITY_LIBRARY_STAFF_PASSWORD"] = "p" },
        }, TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, "city-library", state => state.Tools == 5);
        Assert.False((await gateway.CallAsync("city-library__getReport", """{"name":"x"}""")).IsError());
        Assert.Equal("/api/v2/reports/x?api_key=k-1", api.Last.Target);
    }

    [Fact]
    public async Task Import_OfYaml_TellsWhatIsMissing()
    {
        var run = await CommandRun.Async("manifests", "import", "--format", "openapi", Write("shop.yaml", ApiGateway.Document("shop.yaml")), "--out", folder.Path + "/m", "--dry-run");

        Assert.Equal(0, run.Code);
        Assert.Contains("baseUrl: \"${env:SHOP_URL}\"", run.Output, StringComparison.Ordinal);
        Assert.Contains("not carried over: operation orders_broken: GET", run.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"swagger\":\"2.0\"}", "Swagger 2.0")]
    [InlineData("{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"CON\"},\"paths\":[]}", "'paths' is not an object")]
    [InlineData("openapi: 3.1.0\nx: [", "not valid YAML")]
    public async Task Import_OfWhatIsNone_SaysWhy(string text, string reason)
    {
        var run = await CommandRun.Async("manifests", "import", "--format", "openapi", Write("a.yaml", text), "--out", folder.Path + "/m");

        Assert.Equal(1, run.Code);
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder.Path + "/m"));
    }

    [Fact]
    public async Task Lint_LooksAtTheDocument()
    {
        Write("shop.openapi.yaml", ApiGateway.Document("shop.yaml"));
        Write("good.yaml", ApiGateway.Manifest("good", "shop.openapi.yaml", "baseUrl: \"${env:LINT_UNSET}\"\ncredentials: {token: plain-text-secret}"));
        Write("bad.yaml", ApiGateway.Manifest("bad", "none.json"));
        Write("remote.yaml", ApiGateway.Manifest("remote", "https://api.example.com/openapi.json"));

        var run = await CommandRun.Async("manifests", "lint", folder.Path);

        Assert.Equal(1, run.Code);
        Assert.Contains("good.yaml:7:13: warning: upstream.document: the operation orders_broken cannot be a tool", run.Output, StringComparison.Ordinal);
        Assert.Contains("upstream.credentials.token: is a secret", run.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("plain-text-secret", run.Output + run.Error, StringComparison.Ordinal);
        Assert.Contains("good.yaml:7:13: note: upstream.document: makes 6 tools", run.Output, StringComparison.Ordinal);
        Assert.Contains("remote.yaml:7:13: note: upstream.document: is at an address; what it holds was not looked at", run.Output, StringComparison.Ordinal);
        Assert.Contains("bad.yaml:7:13: error: upstream.document: There is no file", run.Error, StringComparison.Ordinal);
    }

    private string Write(string name, string text)
    {
        var file = Path.Combine(folder.Path, name);
        File.WriteAllText(file, text);
        return file;
    }
}
