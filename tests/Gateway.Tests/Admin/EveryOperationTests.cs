using TestSupport;

namespace Gateway.Tests.Admin;

public sealed class EveryOperationTests
{
    private const string Manifest = """{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"far"},"enabled":false,"upstream":{"url":"http://127.0.0.1:9/mcp","headers":{"Authorization":"Bearer far-secret"}}}""";

    [Fact]
    public async Task Operations_AllOfThem_AnswerAsTheDocumentSays()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback with
        {
            Configuration = "teams: {fixed: {budgets: [{limit: 1, per: day}]}}\negress: {allow: [127.0.0.1]}\n",
            Environment = new Dictionary<string, string> { ["OPENAI_API_KEY"] = "sk-of-the-environment" },
        });
        var schemas = await OpenApiTests.LoadAsync(gateway);
        HashSet<string> succeeded = [];

        async Task<AdminAnswer> CallAsync(string method, string path, string? body = null, int status = 200, string? type = null)
        {
            var answer = await gateway.AdminAsync(method, path, body, type);
            Assert.True(answer.Status == status, $"{method} {path}: expected {status}, got {answer.Status} {answer.Body}");
            schemas.Check(method, path, answer);
            if (status < 300)
            {
                succeeded.Add(schemas.Find(method, path).Id);
            }
            Assert.DoesNotContain("far-secret", $"{answer.Body}");
            Assert.DoesNotContain("sk-of-the-environment", $"{answer.Body}");
            return answer;
        }

        foreach (var (path, body, patch, wrong) in new[]
        {
            ("/providers/far", """{"baseUrl":"http://127.0.0.1:9/v1","apiKey":"far-secret","headers":{"x-far":"far-secret"},"models":["m"]}""", """{"maxRetries":1}""", """{"dialect":"nonsense"}"""),
            ("/customers/acme", """{"budgets":[{"limit":100,"per":"month"}]}""", """{"concurrency":[5]}""", """{"budgets":[{"limit":"much"}]}"""),
            ("/teams/build", """{"customer":"acme","rateLimits":[{"requests":10,"per":"1m"}]}""", """{"models":["*"]}""", """{"customer":"nobody"}"""),
            ("/users/ann", """{"team":"build","budgets":[{"limit":5,"per":"1h","hard":false,"providers":["far"]}]}""", """{"tools":[]}""", """{"colour":"red"}"""),
            ("/routes/fast", """{"targets":["far/m"],"defaults":{"temperature":0.5}}""", """{"maxOutputTokens":10}""", """{"targets":["nobody/m"]}"""),
            ("/prices/far/m/large", """{"input":1.25,"output":10}""", """{"output":12}""", """{"input":-1,"output":1}"""),
            ("/manifests/far", Manifest, """{"metadata":{"title":"Far"}}""", """{"apiVersion":"hub/v1"}"""),
        })
        {
            await CallAsync("PUT", path + "?dryRun=true", body);
            await CallAsync("GET", path, status: 404);
            await CallAsync("PUT", path, body, 201);
            await CallAsync("PUT", path, body);
            await CallAsync("PATCH", path, patch);
            await CallAsync("PATCH", path, patch, type: "application/json");
            await CallAsync("GET", path);
            await CallAsync("PUT", path, wrong, 400);
            await CallAsync("PUT", path, body, 415, "text/plain");
            await CallAsync("GET", path[..path.IndexOf('/', 1)]);
        }
        await CallAsync("PUT", "/providers/far/credentials", """{"apiKey":"another far-secret"}""");
        await CallAsync("GET", "/secrets");
        await CallAsync("PUT", "/secrets/team/token", """{"value":"far-secret"}""", 201);
        await CallAsync("PUT", "/secrets/team/token", """{"value":"far-secret 2"}""");
        await CallAsync("PUT", "/secrets/team/token", """{"value":7}""", 400);
        await CallAsync("DELETE", "/secrets/provider.far.apiKey", status: 409);
        await CallAsync("DELETE", "/secrets/team/token", status: 204);
        await CallAsync("POST", "/manifests/validate", Manifest);
        await CallAsync("POST", "/manifests/diff", Manifest.Replace("\"enabled\":false", "\"enabled\":true", StringComparison.Ordinal));
        await CallAsync("GET", "/catalog?search=gpt&limit=2");

        var made = await CallAsync("POST", "/keys", """{"name":"agent","user":"ann","models":["far/*"],"budgets":[{"limit":1,"per":"day","timeZone":"Europe/Berlin"}]}""", 201);
        var key = $"/keys/{made.Text("id")}";
        await CallAsync("POST", "/keys?dryRun=true", """{"name":"agent"}""");
        await CallAsync("POST", "/keys", """{"name":"agent","user":"nobody"}""", 400);
        await CallAsync("GET", "/keys?user=ann&team=build&customer=acme&state=active&name=AGENT");
        await CallAsync("GET", "/keys?state=asleep", status: 400);
        await CallAsync("GET", key);
        await CallAsync("GET", key + "/tools?server=gateway");
        await CallAsync("PUT", key, """{"name":"agent","user":"ann"}""");
        await CallAsync("PATCH", key, """{"models":["*"]}""");
        await CallAsync("POST", key + "/rotate", """{"overlap":"1h"}""");
        await CallAsync("POST", key + "/rotate", """{"overlap":"1h"}""", 409);
        await CallAsync("POST", key + "/rotate");
        await CallAsync("GET", "/budgets");
        await CallAsync("GET", "/budgets?owner=team&id=fixed&limit=1");
        await CallAsync("GET", "/limits?owner=nobody", status: 400);
        await CallAsync("GET", "/limits");
        await CallAsync("DELETE", key + "?dryRun=true");
        await CallAsync("DELETE", key, status: 204);
        await CallAsync("DELETE", key, status: 204);
        await CallAsync("PATCH", key, """{"models":[]}""", 409);

        var admin = await CallAsync("POST", "/adminkeys", """{"name":"second","readOnly":true,"expiresAt":"2099-01-31"}""", 201);
        await CallAsync("GET", "/adminkeys");
        await CallAsync("GET", $"/adminkeys/{admin.Text("id")}");
        await CallAsync("POST", $"/adminkeys/{admin.Text("id")}/rotate", """{"overlap":"1h"}""");
        await CallAsync("DELETE", $"/adminkeys/{admin.Text("id")}", status: 204);

        foreach (var path in new[] { "/manifests/far", "/prices/far/m/large", "/routes/fast", "/users/ann", "/teams/build", "/customers/acme", "/providers/far" })
        {
            await CallAsync("DELETE", path + "?dryRun=true");
            await CallAsync("DELETE", path, status: 204);
            await CallAsync("DELETE", path, status: 404);
        }
        var revisions = await CallAsync("GET", "/revisions?limit=3");
        await CallAsync("GET", $"/revisions/{revisions.Json.GetProperty("revisions")[2].GetProperty("revision").GetString()}");
        await CallAsync("GET", $"/revisions/{revisions.Json.GetProperty("revisions")[2].GetProperty("revision").GetString()}/diff");
        await CallAsync("GET", "/revisions/nothing", status: 404);
        await CallAsync("GET", "/audit?kind=provider&limit=2");
        await CallAsync("GET", "/configuration");
        await CallAsync("POST", "/toolservers/gateway/reconnect", status: 202);
        await CallAsync("GET", "/usage?interval=day&groupBy=key,outcome,operation&fill=zero");
        await CallAsync("GET", "/usage");
        await gateway.CallModelAsync();
        var attempts = await CallAsync("GET", "/ledger?limit=1");
        await CallAsync("GET", $"/ledger/{attempts.Json.GetProperty("attempts")[0].GetProperty("id").GetString()}");
        await CallAsync("GET", "/ledger/nothing", status: 404);
        await CallAsync("GET", "/toolservers");
        await CallAsync("GET", "/toolservers/gateway");
        await CallAsync("POST", "/toolservers/gateway/sign-in", status: 409);
        await using (var far = await FakeProtectedServer.StartAsync(TestContext.Current.CancellationToken))
        {
            await CallAsync("PUT", "/manifests/protected", $$$"""{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"protected"},"upstream":{"url":"{{{far.Endpoint}}}","auth":"oauth"}}""", 201);
            var link = await CallAsync("POST", "/toolservers/protected/sign-in", """{"subject":"shared"}""");
            await CallAsync("POST", "/toolservers/protected/sign-in", """{"subject":7}""", 400);
            using var browser = new SignInUpstream.Browser();
            await browser.SignInAsync(link.Text("url")!);
            await CallAsync("GET", "/toolservers/protected/sign-in");
            await CallAsync("DELETE", "/toolservers/protected/sign-in?subject=shared", status: 204);
            await CallAsync("DELETE", "/toolservers/protected/sign-in", status: 404);
            await CallAsync("DELETE", "/manifests/protected", status: 204);
        }
        await CallAsync("PUT", "/toolservers/gateway/tools/whoami/quarantine", """{"reason":"not needed"}""");
        await CallAsync("PUT", "/toolservers/gateway/tools/whoami/quarantine", """{"reason":""}""", 400);
        await CallAsync("DELETE", "/toolservers/gateway/tools/whoami/quarantine");
        await CallAsync("POST", "/toolservers/gateway/disable", """{"reason":"not needed"}""");
        await CallAsync("GET", "/toolservers");
        await CallAsync("POST", "/toolservers/gateway/reconnect", status: 409);
        await CallAsync("POST", "/toolservers/gateway/enable");
        await CallAsync("GET", "/toolservers/nobody", status: 404);
        var signIn = SignIn.SignInSetup.AddGrant(gateway);
        await CallAsync("GET", "/signins?caller=nobody&name=ada&limit=1");
        await CallAsync("GET", "/signins");
        await CallAsync("DELETE", $"/signins/{signIn}", status: 204);
        await CallAsync("DELETE", $"/signins/{signIn}", status: 404);
        await using var tools = await FakeMcpServer.StartAsync(TestContext.Current.CancellationToken);
        await CallAsync("PUT", "/manifests/tools", $$"""{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"tools"},"upstream":{"url":"{{tools.Endpoint}}"} }""", 201);
        await Tools.ToolCaller.WaitForAsync(gateway, "tools", state => state.Tools == 1);
        var definitions = await CallAsync("GET", "/tooldefinitions?server=tools&pending=false&held=false&limit=5");
        var decision = $$"""{"hash":"{{definitions.Json.GetProperty("definitions")[0].GetProperty("hash").GetString()}}"}""";
        await CallAsync("GET", "/toolservers/tools/tools/echo/definition");
        await CallAsync("GET", "/toolservers/tools");
        await CallAsync("GET", "/toolservers/tools/tools/nobody/definition", status: 404);
        await CallAsync("POST", "/toolservers/tools/tools/echo/definition/reject", decision);
        await CallAsync("GET", "/toolservers/tools");
        await CallAsync("POST", "/toolservers/tools/tools/echo/definition/approve", decision);
        await CallAsync("POST", "/toolservers/tools/tools/echo/definition/approve", """{"hash":"sha256-0"}""", 409);
        await CallAsync("POST", "/toolservers/tools/definitions/approve", $$"""{"tools": {"echo": {{decision[8..^1]}} } }""");
        await CallAsync("POST", "/toolservers/tools/definitions/approve", "{}", 400);
        await CallAsync("DELETE", "/toolservers/tools/tools/echo/definition", status: 204);
        await CallAsync("DELETE", "/toolservers/tools/tools/nobody/definition", status: 404);
        using var backup = await gateway.AdminClient.PostAsync("/admin/v1/backup", null, TestContext.Current.CancellationToken);
        Assert.Equal(schemas.Find("POST", "/backup").Operation.GetProperty("responses").GetProperty("200").GetProperty("content").EnumerateObject().Single().Name, backup.Content.Headers.ContentType?.MediaType);
        succeeded.Add(schemas.Find("POST", "/backup").Id);
        Assert.Empty(schemas.Operations.Select(operation => operation.Operation.GetProperty("operationId").GetString()!).Except(succeeded));
    }
}
