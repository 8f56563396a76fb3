using System.Net.Http.Headers;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Shared.Snapshots;
using TestSupport;

namespace Gateway.Tests.Admin;

public sealed class EntityTests
{
    [Fact]
    public async Task Provider_WithPlainCredentials_UsesThemAndNeverShowsThem()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        var put = await gateway.DeclareAsync("PUT", "/providers/far", $$"""{"baseUrl":"{{fake.BaseAddress}}","apiKey":"sk-plain-1","headers":{"x-org":"org-plain"},"models":["m"]}""");

        Assert.Equal("${secret:provider.far.apiKey}", put.Text("declaration", "apiKey"));
        Assert.Equal(["apiKey", "headers.x-org"], put.Json.GetProperty("credentials").EnumerateArray().Select(credential => credential.GetProperty("member").GetString()));
        Assert.Equal($"admin:{gateway.AdminKey.Split('-')[2]}", put.Json.GetProperty("credentials")[0].GetProperty("changedBy").GetString());
        Assert.Equal("sk-plain-1", gateway.Services.GetRequiredService<SnapshotStore>().Current.Providers["far"].ApiKey);
        Assert.Equal("org-plain", gateway.Services.GetRequiredService<SnapshotStore>().Current.Providers["far"].Headers["x-org"]);

        await gateway.DeclareAsync("PUT", "/providers/far/credentials", """{"apiKey":"sk-plain-2"}""");
        var provider = gateway.Services.GetRequiredService<SnapshotStore>().Current.Providers["far"];
        Assert.Equal(("sk-plain-2", "org-plain"), (provider.ApiKey, provider.Headers["x-org"]));

        // What an answer shows can be sent back as it is.
        var shown = (await gateway.AdminAsync("GET", "/providers/far")).Json.GetProperty("declaration").GetRawText();
        await gateway.DeclareAsync("PUT", "/providers/far", shown);
        Assert.Equal("sk-plain-2", gateway.Services.GetRequiredService<SnapshotStore>().Current.Providers["far"].ApiKey);

        foreach (var path in new[] { "/providers", "/secrets", "/audit", "/configuration", $"/revisions/{gateway.Services.GetRequiredService<SnapshotStore>().Current.Revision}" })
        {
            Assert.DoesNotContain("plain", (await gateway.AdminAsync("GET", path)).Body.ToString());
        }
        Assert.DoesNotContain(gateway.Logs.Lines, line => line.Message.Contains("sk-plain", StringComparison.Ordinal));
        Assert.All(Directory.GetFiles(Path.Combine(gateway.Folder, "data")).Where(file => !file.EndsWith(".lock", StringComparison.Ordinal)), file => Assert.DoesNotContain("sk-plain", ReadShared(file)));

        await gateway.DeclareAsync("PATCH", "/providers/far", """{"headers":null}""");
        Assert.Equal(["provider.far.apiKey"], await SecretNamesAsync(gateway));
        Assert.Equal(204, (await gateway.AdminAsync("DELETE", "/providers/far")).Status);
        Assert.Empty(await SecretNamesAsync(gateway));
    }

    [Fact]
    public async Task Provider_SentTheMask_IsRefused()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        (await gateway.AdminAsync("PUT", "/providers/far", """{"baseUrl":"http://127.0.0.1:9/v1","apiKey":"***"}""")).AssertProblem(400, "invalid_provider", "apiKey");
    }

    [Theory]
    [InlineData("${env:OPENAI_API_KEY}")]
    [InlineData("${file:/etc/passwd}")]
    [InlineData("${secret:unknown}")]
    public async Task Provider_ReferringToWhatItMayNot_IsRefused(string reference)
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback with { Environment = new Dictionary<string, string> { ["OPENAI_API_KEY"] = "sk-of-the-process" } });
        (await gateway.AdminAsync("PUT", "/providers/far", $$"""{"baseUrl":"http://127.0.0.1:9/v1","apiKey":"{{reference}}"}""")).AssertProblem(400, "invalid_provider", "apiKey");
    }

    [Fact]
    public async Task Provider_OfAFileOrBuiltIn_IsReadOnlyAndMasked()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback with
        {
            Configuration = "providers:\n  mine:\n    baseUrl: http://127.0.0.1:9/v1\n    apiKey: sk-literal-in-file\n    headers: {x-a: '${env:TOKEN}'}\n",
            Environment = new Dictionary<string, string> { ["TOKEN"] = "token-of-the-environment" },
        });
        var mine = await gateway.AdminAsync("GET", "/providers/mine");
        Assert.Equal("gateway.yaml:3", mine.Text("declaredIn"));
        Assert.Equal("***", mine.Text("declaration", "apiKey"));
        Assert.Equal("${env:TOKEN}", mine.Text("declaration", "headers", "x-a"));
        Assert.Null(mine.ETag);
        var refused = await gateway.AdminAsync("PATCH", "/providers/mine", """{"maxRetries":1}""");
        refused.AssertProblem(409, "declared_in_file");
        Assert.Contains("gateway.yaml:3", refused.Text("detail"));
        (await gateway.AdminAsync("PUT", "/providers/simulator", "{}")).AssertProblem(409, "built_in");
        Assert.Equal("builtIn", (await gateway.AdminAsync("GET", "/providers/simulator")).Text("origin"));
    }

    [Fact]
    public async Task Route_Declared_ServesOnTheNextRequestAndIsGoneAfterItsDeletion()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        Assert.Equal(201, (await gateway.AdminAsync("PUT", "/routes/fast", """{"targets":["simulator/echo"]}""", ifNoneMatch: "*")).Status);
        (await gateway.AdminAsync("PUT", "/routes/fast", """{"targets":["simulator/echo"]}""", ifNoneMatch: "*")).AssertProblem(412, "state_changed");
        Assert.Equal(200, await CallAsync(gateway, "fast"));
        Assert.Equal(204, (await gateway.AdminAsync("DELETE", "/routes/fast")).Status);
        Assert.Equal(404, await CallAsync(gateway, "fast"));
    }

    [Fact]
    public async Task Team_ThatAKeyNames_CannotBeDeleted()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        await gateway.DeclareAsync("PUT", "/teams/build", "{}");
        var made = await gateway.DeclareAsync("POST", "/keys", """{"name":"agent","team":"build"}""");
        var refused = await gateway.AdminAsync("DELETE", "/teams/build");
        refused.AssertProblem(409, "in_use");
        Assert.Contains(made.Text("id")!, refused.Text("detail"));
        Assert.Equal(204, (await gateway.AdminAsync("DELETE", $"/keys/{made.Text("id")}")).Status);
        Assert.Equal(204, (await gateway.AdminAsync("DELETE", "/teams/build")).Status);
    }

    [Fact]
    public async Task DryRun_OfAnyChange_ChangesNothing()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        var before = (await gateway.AdminAsync("GET", "/configuration")).Body.ToString();
        var would = await gateway.AdminAsync("PUT", "/routes/fast?dryRun=true", """{"targets":["simulator/echo"]}""");
        Assert.Equal(200, would.Status);
        Assert.NotEqual((await gateway.AdminAsync("GET", "/configuration")).Text("revision"), would.Text("revision"));
        (await gateway.AdminAsync("PUT", "/routes/fast?dryRun=true", """{"targets":["simulator/ehco","nobody/x"]}""")).AssertProblem(400, "invalid_route");
        Assert.Equal(before, (await gateway.AdminAsync("GET", "/configuration")).Body.ToString());
        Assert.DoesNotContain("fast", (await gateway.AdminAsync("GET", "/audit")).Body.ToString());
    }

    [Fact]
    public async Task Catalog_ShippedPrices_AreListedPageByPage()
    {
        await using var gateway = await Hosts.StartAsync(new TestGatewayOptions { Configuration = "pricing: {adjustments: [{provider: openai, margin: 10%}]}\n" });
        var one = Assert.Single((await gateway.AdminAsync("GET", "/catalog?provider=openai&search=gpt-4o-2024-08-06")).Json.GetProperty("prices").EnumerateArray());
        Assert.Equal((2.5m, 10m), (one.GetProperty("input").GetDecimal(), one.GetProperty("output").GetDecimal()));
        Assert.Equal((2.75m, 11m), (one.GetProperty("charged").GetProperty("input").GetDecimal(), one.GetProperty("charged").GetProperty("output").GetDecimal()));
        Assert.NotEmpty(one.GetProperty("source").GetString()!);

        HashSet<string> seen = [];
        for (var path = "/catalog?limit=1000"; path.Length > 0;)
        {
            var page = (await gateway.AdminAsync("GET", path)).Json;
            Assert.All(page.GetProperty("prices").EnumerateArray(), price => Assert.True(seen.Add(price.GetProperty("id").GetString()!)));
            path = page.GetProperty("nextCursor").GetString() is { } next ? $"/catalog?limit=1000&cursor={Uri.EscapeDataString(next)}" : "";
        }
        Assert.InRange(seen.Count, 1000, 10_000);
    }

    [Fact]
    public async Task Price_OfAModelWithSlashes_IsChargedAndListed()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        await gateway.DeclareAsync("PUT", "/providers/far", """{"baseUrl":"http://127.0.0.1:9/v1"}""");
        var price = await gateway.DeclareAsync("PUT", "/prices/far/meta/llama%204", """{"input":1.25,"output":10}""");
        Assert.Equal("far/meta/llama 4", price.Text("id"));
        var listed = Assert.Single((await gateway.AdminAsync("GET", "/catalog?search=LLAMA%204")).Json.GetProperty("prices").EnumerateArray());
        Assert.Equal((1.25m, 10m), (listed.GetProperty("input").GetDecimal(), listed.GetProperty("output").GetDecimal()));
        (await gateway.AdminAsync("PUT", "/prices/far/other", """{"provider":"far","model":"another","input":1,"output":1}""")).AssertProblem(400, "invalid_price", "model");
    }

    [Fact]
    public async Task Manifest_AsYaml_IsJudgedComparedAndKept()
    {
        const string Yaml = "apiVersion: hub/v1\nkind: ToolManifest\nmetadata:\n  id: far\nenabled: false\nupstream:\n  url: http://127.0.0.1:9/mcp\n  headers:\n    Authorization: Bearer plain-token\n";
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        Assert.Equal("true", (await gateway.AdminAsync("POST", "/manifests/validate", Yaml, "application/yaml")).Text("valid"));
        var invalid = await gateway.AdminAsync("POST", "/manifests/validate", Yaml.Replace("kind: ToolManifest", "kind: Tool", StringComparison.Ordinal), "application/yaml");
        Assert.Equal("false", invalid.Text("valid"));
        Assert.Equal("kind", invalid.Json.GetProperty("errors")[0].GetProperty("field").GetString());
        Assert.Equal(404, (await gateway.AdminAsync("GET", "/manifests/far")).Status);

        var put = await gateway.AdminAsync("PUT", "/manifests/far", Yaml, "application/yaml");
        Assert.Equal(201, put.Status);
        Assert.Equal("${secret:manifest.far.header.Authorization}", put.Text("declaration", "upstream", "headers", "Authorization"));
        Assert.Equal("far", put.Text("declaration", "metadata", "id"));

        var diff = await gateway.AdminAsync("POST", "/manifests/diff", put.Json.GetProperty("declaration").GetRawText().Replace("/mcp", "/v2/mcp", StringComparison.Ordinal));
        var change = Assert.Single(diff.Json.GetProperty("changes").EnumerateArray());
        Assert.Equal(("upstream.url", "http://127.0.0.1:9/mcp", "http://127.0.0.1:9/v2/mcp"), (change.GetProperty("path").GetString(), change.GetProperty("before").GetString(), change.GetProperty("after").GetString()));
        (await gateway.AdminAsync("PUT", "/manifests/other", Yaml, "application/yaml")).AssertProblem(400, "invalid_manifest", "metadata.id");
    }

    [Fact]
    public async Task Manifest_WithACommand_IsRefusedFromHere()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        (await gateway.AdminAsync("PUT", "/manifests/shell", """{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"shell"},"upstream":{"command":"sh","args":["-c","true"]}}"""))
            .AssertProblem(400, "invalid_manifest", "upstream.command");
    }

    [Fact]
    public async Task Secret_InUse_NamesItsUsers()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        await gateway.DeclareAsync("PUT", "/secrets/shared/token", """{"value":"abc"}""");
        await gateway.DeclareAsync("PUT", "/providers/far", """{"baseUrl":"http://127.0.0.1:9/v1","apiKey":"${secret:shared/token}"}""");
        var refused = await gateway.AdminAsync("DELETE", "/secrets/shared/token");
        refused.AssertProblem(409, "in_use");
        Assert.Contains("provider 'far'", refused.Text("detail"));
        Assert.Equal(204, (await gateway.AdminAsync("DELETE", "/providers/far")).Status);
        Assert.Equal(["shared/token"], await SecretNamesAsync(gateway));
        Assert.Equal(204, (await gateway.AdminAsync("DELETE", "/secrets/shared/token")).Status);
    }

    [Fact]
    public async Task Changes_FiftyAtOnce_AllLandAndAreRecorded()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        await Task.WhenAll(Enumerable.Range(0, 50).Select(i => i % 2 == 0
            ? gateway.DeclareAsync("POST", "/keys", $$"""{"name":"agent {{i}}"}""")
            : gateway.DeclareAsync("PUT", $"/routes/r{i}", """{"targets":["simulator/echo"]}""")));
        Assert.Equal(26, (await gateway.AdminAsync("GET", "/keys")).Json.GetProperty("keys").GetArrayLength());
        Assert.Equal(25, (await gateway.AdminAsync("GET", "/routes")).Json.GetProperty("routes").GetArrayLength());
        var records = (await gateway.AdminAsync("GET", $"/audit?actor=admin:{gateway.AdminKey.Split('-')[2]}")).Json.GetProperty("records").EnumerateArray().ToList();
        Assert.Equal(50, records.Count);
        var revisions = (await gateway.AdminAsync("GET", "/revisions")).Json.GetProperty("revisions").EnumerateArray().Select(entry => entry.GetProperty("revision").GetString()).ToList();
        // The start, the first key, and one for each change; each audit record names the one that it made.
        Assert.Equal(52, revisions.Count);
        Assert.All(records, record => Assert.Contains(record.GetProperty("revision").GetString(), revisions));
        Assert.Equal(50, records.Select(record => record.GetProperty("revision").GetString()).Distinct().Count());
        foreach (var revision in revisions)
        {
            Assert.Equal(200, (await gateway.AdminAsync("GET", $"/revisions/{revision}")).Status);
        }
    }

    [Fact]
    public async Task Entities_AfterARestart_AreThere()
    {
        using var data = new TemporaryFolder();
        string adminKey;
        await using (var gateway = await Hosts.StartAsync(AdminSession.Loopback with { DataFolder = data.Path }))
        {
            adminKey = gateway.AdminKey;
            await gateway.DeclareAsync("PUT", "/providers/far", """{"baseUrl":"http://127.0.0.1:9/v1","apiKey":"sk-plain"}""");
        }
        await using var again = await Hosts.StartAsync(AdminSession.Loopback with { DataFolder = data.Path });
        using var client = again.NewClient(adminKey);
        Assert.Equal("${secret:provider.far.apiKey}", (await AdminSession.SendAsync(client, "GET", "/providers/far")).Text("declaration", "apiKey"));
        Assert.Equal("sk-plain", again.Services.GetRequiredService<SnapshotStore>().Current.Providers["far"].ApiKey);
    }

    private static async Task<List<string?>> SecretNamesAsync(TestGateway gateway) =>
        [.. (await gateway.AdminAsync("GET", "/secrets")).Json.GetProperty("secrets").EnumerateArray().Select(secret => secret.GetProperty("name").GetString())];

    private static async Task<int> CallAsync(TestGateway gateway, string model)
    {
        using var content = new StringContent($$"""{"model":"{{model}}","messages":[{"role":"user","content":"hello"}]}""", Encoding.UTF8, MediaTypeHeaderValue.Parse("application/json"));
        using var response = await gateway.Client.PostAsync("/v1/chat/completions", content, TestContext.Current.CancellationToken);
        return (int)response.StatusCode;
    }

    private static string ReadShared(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var reader = new StreamReader(stream, Encoding.Latin1);
        return reader.ReadToEnd();
    }
}
