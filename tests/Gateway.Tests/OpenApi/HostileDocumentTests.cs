using System.Text;
using Gateway.Tests.Admin;
using Gateway.Tests.Configuration;
using Gateway.Tests.Tools;
using Shared.Tools;
using TestSupport;

namespace Gateway.Tests.OpenApi;

/// <summary>Documents that are no good: their own server fails with a reason, and nothing else does.</summary>
public sealed class HostileDocumentTests
{
    [Fact]
    public async Task UnusableDocuments_FailAlone_WithAReason()
    {
        await using var api = await FakeApi.StartAsync(TestContext.Current.CancellationToken);
        api.Answer = (_, context) => FakeApi.JsonAsync(context, "{}", 404);
        var bomb = new StringBuilder("openapi: 3.1.0\nx-a: &a [x,x,x,x,x,x,x,x,x,x]\n");
        for (var c = 'b'; c <= 'j'; c++)
        {
            bomb.Append($"x-{c}: &{c} [{string.Join(',', Enumerable.Repeat($"*{(char)(c - 1)}", 10))}]\n");
        }
        await using var gateway = await ApiGateway.StartAsync(
            ("library.yaml", ApiGateway.Library(api)), ("library.json", ApiGateway.Document("library.json")),
            ("bomb.yaml", ApiGateway.Manifest("bomb", "bomb.openapi.yaml")), ("bomb.openapi.yaml", bomb.ToString()),
            ("deep.yaml", ApiGateway.Manifest("deep", "deep.json")), ("deep.json", "{\"openapi\":\"3.1.0\",\"x\":" + new string('[', 100_000)),
            ("large.yaml", ApiGateway.Manifest("large", "library.json", "limits: {maxDocumentBytes: 1KiB}")),
            ("swagger.yaml", ApiGateway.Manifest("swagger", "swagger.json")), ("swagger.json", """{"swagger":"2.0","paths":{}}"""),
            ("scheme.yaml", ApiGateway.Manifest("scheme", "library.json", "credentials: {other: x}")),
            ("relative.yaml", ApiGateway.Manifest("relative", "relative.json")), ("relative.json", """{"openapi":"3.1.0","servers":[{"url":"/v1"}],"paths":{"/a":{"get":{}}}}"""),
            ("gone.yaml", ApiGateway.Manifest("gone", $"{api.Address}/none.json")),
            ("twice.yaml", ApiGateway.Manifest("twice", "twice.openapi.yml", $"baseUrl: {api.Address}")), ("twice.openapi.yml", "openapi: 3.0.0\npaths:\n  /a: {get: {operationId: same}}\n  /b: {get: {operationId: same}}\n  /c: {get: {parameters: [{name: x, in: query, schema: {$ref: 'http://127.0.0.1:1/x'}}]}}\n"));
        await ToolCaller.WaitForAsync(gateway, "gone", state => state.Problem is not null);

        foreach (var (id, reason) in new[]
        {
            ("bomb", "more than 2000000 values"), ("deep", "nested deeper"), ("large", "more than 1024 bytes"), ("swagger", "Swagger 2.0"), ("scheme", "does not have; it has 'memberKey', 'staff'"), ("relative", "upstream.baseUrl"), ("gone", "HTTP status 404"),
        })
        {
            var state = State(gateway, id);
            Assert.Equal("disconnected", state.State);
            Assert.Contains("invalid_document: ", state.Problem, StringComparison.Ordinal);
            Assert.Contains(reason, state.Problem, StringComparison.Ordinal);
        }
        Assert.Equal(2, State(gateway, "twice").Tools);
        Assert.Contains("another document", Assert.Single(State(gateway, "twice").Quarantined), StringComparison.Ordinal);
        Assert.Equal("connected", State(gateway, "library").State);
        Assert.Contains("library__listBooks", await ToolCaller.ListAsync(gateway.Client));
    }

    [Fact]
    public async Task ManyTools_AreWarnedOf()
    {
        await using var api = await FakeApi.StartAsync(TestContext.Current.CancellationToken);
        var paths = string.Join(',', Enumerable.Range(0, 129).Select(i => $"\"/p{i}\":{{\"get\":{{}}}}"));
        await using var gateway = await ApiGateway.StartAsync(("many.yaml", ApiGateway.Manifest("many", "many.json", $"baseUrl: {api.Address}")), ("many.json", $"{{\"openapi\":\"3.1.0\",\"paths\":{{{paths}}}}}"));

        await ToolCaller.WaitForAsync(gateway, "many", server => server.Tools == 129);
        var state = State(gateway, "many");
        Assert.Equal(("connected", 129), (state.State, state.Tools));
        Assert.Contains("129 tools", state.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AdminApi_MayNotReadFiles_NorReachThisMachine()
    {
        await using var api = await FakeApi.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await TestGateway.StartAsync(null, TestContext.Current.CancellationToken);
        (await gateway.AdminAsync("PUT", "/manifests/file", Declaration("file", "/etc/passwd"))).AssertProblem(400, "invalid_manifest", "upstream.document");
        await gateway.DeclareAsync("PUT", "/manifests/local", Declaration("local", $"{api.Address}/openapi.json"));
        await ToolCaller.WaitForAsync(gateway, "local", state => state.Problem is not null);

        Assert.Contains("egress policy", State(gateway, "local").Problem, StringComparison.Ordinal);
        Assert.Empty(api.Requests);
    }

    [Fact]
    public async Task CredentialOfTheAdminApi_GoesToTheEncryptedStore_AndToNoOtherAddress()
    {
        await using var api = await FakeApi.StartAsync(TestContext.Current.CancellationToken);
        api.Answer = (request, context) => FakeApi.JsonAsync(context, request.Target == "/openapi.json"
            ? """{"openapi":"3.1.0","paths":{"/a":{"get":{"operationId":"a","security":[{"k":[]}]}}},"components":{"securitySchemes":{"k":{"type":"apiKey","in":"header","name":"X-Key"}}}}""" : "{}");
        await using var gateway = await TestGateway.StartAsync(AdminSession.Loopback, TestContext.Current.CancellationToken);
        string With(string baseUrl, string key) => Declaration("kept", $"{api.Address}/openapi.json").Replace("\"limits\"", $"\"baseUrl\":\"{baseUrl}\",\"credentials\":{{\"k\":\"{key}\"}},\"limits\"", StringComparison.Ordinal);

        var put = await gateway.DeclareAsync("PUT", "/manifests/kept", With(api.Address, "very-hush-hush"));
        await ToolCaller.WaitForAsync(gateway, "kept", state => state.Tools == 1);
        await gateway.CallAsync("kept__a");

        Assert.Equal("very-hush-hush", api.Last.Headers["X-Key"]);
        Assert.DoesNotContain("very-hush-hush", put.Body.ToString(), StringComparison.Ordinal);
        (await gateway.AdminAsync("PUT", "/manifests/kept", With("https://elsewhere.example", "${secret:manifest.kept.credential.k}"))).AssertProblem(400, "credential_required", "upstream.credentials.k");
    }

    [Theory]
    [InlineData("url: http://h", "has no meaning for the transport openapi")]
    [InlineData("session: perKey", "has no meaning for the transport openapi")]
    [InlineData("baseUrl: https://h/?a=1", "without user, query and fragment")]
    [InlineData("credentials: {a: {secret: x, username: y}}", "either a secret (a key or a token) or a username")]
    [InlineData("operations: {include: [{method: fetch}]}", "unknown method 'fetch'")]
    [InlineData("operations: {include: [{}]}", "says nothing")]
    [InlineData("operations: {tags: [x]}", "unknown key")]
    public async Task Manifest_ThatIsWrong_IsRefusedWithItsPlace(string upstream, string reason)
    {
        using var folder = new TemporaryFolder();
        var file = Path.Combine(folder.Path, "api.yaml");
        await File.WriteAllTextAsync(file, ApiGateway.Manifest("api", "https://api.example.com/openapi.json", upstream), TestContext.Current.CancellationToken);

        var run = await CommandRun.Async("manifests", "lint", file);

        Assert.Equal(1, run.Code);
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
        Assert.Contains("api.yaml:", run.Error, StringComparison.Ordinal);
    }

    private static string Declaration(string id, string document) =>
        $$"""{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"{{id}}"},"upstream":{"transport":"openapi","document":"{{document}}","limits":{"connectTimeout":"20s"} } }""";

    private static ToolServerState State(TestGateway gateway, string server) => ((IToolServerStates)gateway.Services.GetService(typeof(IToolServerStates))!).ReadAll().Single(state => state.Id == server);
}
