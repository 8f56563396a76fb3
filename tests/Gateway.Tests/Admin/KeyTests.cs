using Microsoft.Extensions.Time.Testing;
using TestSupport;

namespace Gateway.Tests.Admin;

public sealed class KeyTests
{
    [Fact]
    public async Task Rotate_WithOverlap_KeepsBothSecretsUntilItEnds()
    {
        var clock = new FakeTimeProvider(new DateTimeOffset(2026, 11, 23, 12, 0, 0, TimeSpan.Zero));
        await using var gateway = await Hosts.StartAsync(new TestGatewayOptions { Clock = clock });
        var made = await gateway.DeclareAsync("POST", "/keys", """{"name":"agent"}""");
        var path = $"/keys/{made.Text("id")}";

        var rotated = await gateway.DeclareAsync("POST", path + "/rotate", """{"overlap":"24h"}""");

        Assert.Equal(made.Text("id"), rotated.Text("id"));
        Assert.Equal(made.Text("token")!.Split('-')[2], rotated.Text("token")!.Split('-')[2]);
        Assert.NotEqual(made.Text("token"), rotated.Text("token"));
        Assert.Equal(new DateTimeOffset(2026, 11, 24, 12, 0, 0, TimeSpan.Zero), rotated.Json.GetProperty("oldSecretValidUntil").GetDateTimeOffset());
        using var old = gateway.NewClient(made.Text("token"));
        using var next = gateway.NewClient(rotated.Text("token"));
        Assert.Equal(made.Text("id"), await old.GetStringAsync("/test/key", TestContext.Current.CancellationToken));
        Assert.Equal(made.Text("id"), await next.GetStringAsync("/test/key", TestContext.Current.CancellationToken));
        Assert.Equal(2, (await gateway.AdminAsync("GET", path)).Json.GetProperty("secrets").GetArrayLength());
        (await gateway.AdminAsync("POST", path + "/rotate", """{"overlap":"1h"}""")).AssertProblem(409, "rotation_under_way");

        clock.Advance(TimeSpan.FromHours(24));
        using var refused = await old.GetAsync("/test/key", TestContext.Current.CancellationToken);
        Assert.Equal("rotated_api_key", (await refused.JsonAsync()).GetProperty("code").GetString());
        Assert.Equal(made.Text("id"), await next.GetStringAsync("/test/key", TestContext.Current.CancellationToken));
        Assert.Equal(1, (await gateway.AdminAsync("GET", path)).Json.GetProperty("secrets").GetArrayLength());
    }

    [Fact]
    public async Task Rotate_Repeated_EndsTheOldSecretsAtOnce()
    {
        await using var gateway = await Hosts.StartAsync();
        var made = await gateway.DeclareAsync("POST", "/keys", """{"name":"agent"}""");
        await gateway.DeclareAsync("POST", $"/keys/{made.Text("id")}/rotate", """{"overlap":"1h"}""");
        await gateway.DeclareAsync("POST", $"/keys/{made.Text("id")}/rotate", """{}""");
        using var old = gateway.NewClient(made.Text("token"));
        using var refused = await old.GetAsync("/test/key", TestContext.Current.CancellationToken);
        Assert.Equal("unknown_api_key", (await refused.JsonAsync()).GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("""{"overlap":"soon"}""", "overlap")]
    [InlineData("""{"overlap":"91d"}""", "overlap")]
    [InlineData("""{"overlap":24}""", "overlap")]
    [InlineData("""{"overlp":"24h"}""", "overlp")]
    public async Task Rotate_AskedWrongly_NamesTheMember(string body, string field)
    {
        await using var gateway = await Hosts.StartAsync();
        (await gateway.AdminAsync("POST", $"/keys/{gateway.VirtualKey.Split('-')[2]}/rotate", body)).AssertProblem(400, "invalid_rotation", field);
    }

    [Fact]
    public async Task Patch_Grants_HoldsFromTheNextRequestAndKeepsTheRest()
    {
        await using var gateway = await Hosts.StartAsync();
        var made = await gateway.DeclareAsync("POST", "/keys", """{"name":"agent","models":["simulator/*"],"tools":["*"],"budgets":[{"limit":5,"per":"day"}]}""");
        using var client = gateway.NewClient(made.Text("token"));
        Assert.Contains("simulator/echo", await client.GetStringAsync("/v1/models", TestContext.Current.CancellationToken));

        var patched = await gateway.DeclareAsync("PATCH", $"/keys/{made.Text("id")}", """{"models":["nothing/*"],"tools":null}""");

        Assert.DoesNotContain("simulator/echo", await client.GetStringAsync("/v1/models", TestContext.Current.CancellationToken));
        Assert.Equal("""{"name":"agent","models":["nothing/*"],"budgets":[{"limit":"5","per":"day"}]}""", patched.Json.GetProperty("declaration").GetRawText());
        Assert.Equal(5, patched.Json.GetProperty("budgets")[0].GetProperty("remainingDollars").GetDecimal());
    }

    [Fact]
    public async Task Budgets_AfterACall_ShowWhatWasSpent()
    {
        await using var gateway = await Hosts.StartAsync();
        await gateway.DeclareAsync("PUT", "/teams/build", """{"budgets":[{"limit":50,"per":"month"}],"rateLimits":[{"requests":10,"per":"1h"}]}""");
        var made = await gateway.DeclareAsync("POST", "/keys", """{"name":"agent","team":"build","models":["*"],"budgets":[{"limit":5,"per":"day"}]}""");
        using var client = gateway.NewClient(made.Text("token"));
        using var content = new StringContent("""{"model":"simulator/echo","messages":[{"role":"user","content":"hello"}]}""", System.Text.Encoding.UTF8, "application/json");
        using var call = await client.PostAsync("/v1/chat/completions", content, TestContext.Current.CancellationToken);
        Assert.Equal(200, (int)call.StatusCode);
        await gateway.IdleAsync();

        var key = await gateway.AdminAsync("GET", $"/keys/{made.Text("id")}");
        var budgets = key.Json.GetProperty("budgets").EnumerateArray().ToList();
        Assert.Equal([$"key:{made.Text("id")}/day", "team:build/month"], budgets.Select(budget => budget.GetProperty("id").GetString()));
        Assert.All(budgets, budget => Assert.True(budget.GetProperty("spentDollars").GetDecimal() > 0));
        Assert.All(budgets, budget => Assert.Equal(budget.GetProperty("dollars").GetDecimal() - budget.GetProperty("spentDollars").GetDecimal(), budget.GetProperty("remainingDollars").GetDecimal()));
        var limit = Assert.Single((await gateway.AdminAsync("GET", "/limits?owner=team&id=build")).Json.GetProperty("limits").EnumerateArray());
        Assert.Equal(9, limit.GetProperty("remaining").GetInt64());
        Assert.Equal(budgets[1].GetProperty("spentDollars").GetDecimal(), (await gateway.AdminAsync("GET", "/teams/build")).Json.GetProperty("budgets")[0].GetProperty("spentDollars").GetDecimal());
    }

    [Fact]
    public async Task List_InPages_IsWholeAndInOrder()
    {
        await using var gateway = await Hosts.StartAsync();
        await gateway.DeclareAsync("PUT", "/users/ann", "{}");
        for (var i = 0; i < 7; i++)
        {
            await gateway.DeclareAsync("POST", "/keys", $$"""{"name":"agent {{i}}","user":"ann"}""");
        }
        List<string> ids = [];
        string? cursor = null;
        do
        {
            var page = await gateway.AdminAsync("GET", $"/keys?user=ann&limit=3{(cursor is null ? "" : $"&cursor={cursor}")}");
            Assert.True(page.Json.GetProperty("keys").GetArrayLength() <= 3);
            ids.AddRange(page.Json.GetProperty("keys").EnumerateArray().Select(key => key.GetProperty("id").GetString()!));
            cursor = page.Json.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null);
        Assert.Equal(7, ids.Count);
        Assert.Equal(ids.Order(StringComparer.Ordinal), ids);
        Assert.Equal(3, (await gateway.AdminAsync("GET", "/keys?name=AGENT&limit=3")).Json.GetProperty("keys").GetArrayLength());
    }

    [Fact]
    public async Task Key_OfAFile_IsShownWithItsPlaceAndReadOnly()
    {
        var token = Shared.VirtualKeys.KeyToken.NewVirtualKey();
        await using var gateway = await Hosts.StartAsync(new TestGatewayOptions
        {
            Configuration = "# first\nkeys:\n  ci:\n    key: ${env:CI_KEY}\n    models: ['simulator/*']\n",
            Environment = new Dictionary<string, string> { ["CI_KEY"] = token.Token },
        });
        var key = await gateway.AdminAsync("GET", $"/keys/{token.Id}");
        Assert.Equal("file", key.Text("origin"));
        Assert.Equal("gateway.yaml:4", key.Text("declaredIn"));
        Assert.False(key.Json.GetProperty("editable").GetBoolean());
        Assert.Equal("""{"models":["simulator/*"]}""", key.Json.GetProperty("declaration").GetRawText());
        foreach (var (method, path, body) in new[] { ("PUT", "", """{"name":"x"}"""), ("PATCH", "", "{}"), ("DELETE", "", null), ("POST", "/rotate", "{}") })
        {
            var refused = await gateway.AdminAsync(method, $"/keys/{token.Id}{path}", body);
            refused.AssertProblem(409, "declared_in_file");
            Assert.Contains("gateway.yaml:4", refused.Text("detail"));
        }
    }

    [Fact]
    public async Task Put_WithAnOldTag_ChangesNothing()
    {
        await using var gateway = await Hosts.StartAsync();
        var made = await gateway.DeclareAsync("POST", "/keys", """{"name":"agent"}""");
        var path = $"/keys/{made.Text("id")}";
        var first = (await gateway.AdminAsync("GET", path)).ETag;
        Assert.Equal(200, (await gateway.AdminAsync("PUT", path, """{"name":"second"}""", ifMatch: first)).Status);
        (await gateway.AdminAsync("PUT", path, """{"name":"third"}""", ifMatch: first)).AssertProblem(412, "state_changed");
        (await gateway.AdminAsync("DELETE", path, ifMatch: first)).AssertProblem(412, "state_changed");
        Assert.Equal("second", (await gateway.AdminAsync("GET", path)).Text("name"));
        Assert.Equal(200, (await gateway.AdminAsync("PATCH", path, """{"name":"fourth"}""", ifMatch: "*")).Status);
    }

    [Fact]
    public async Task Errors_Several_AreAllNamed()
    {
        await using var gateway = await Hosts.StartAsync();
        var refused = await gateway.AdminAsync("POST", "/keys", """{"nme":"x","models":"a","budgets":[{"limit":"much","per":"day"}]}""");
        refused.AssertProblem(400, "invalid_key");
        Assert.Equal(["nme", "models", "budgets[0].limit"], refused.Json.GetProperty("errors").EnumerateArray().Select(error => error.GetProperty("field").GetString()));
    }

    [Theory]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=1001", "limit")]
    [InlineData("state=asleep", "state")]
    [InlineData("colour=red", "colour")]
    [InlineData("limit=1&limit=2", "limit")]
    public async Task List_AskedWrongly_NamesTheParameter(string query, string field)
    {
        await using var gateway = await Hosts.StartAsync();
        (await gateway.AdminAsync("GET", "/keys?" + query)).AssertProblem(400, "invalid_parameter", field);
    }

    [Fact]
    public async Task Body_TooLargeOrOfAnotherType_IsRefused()
    {
        await using var gateway = await Hosts.StartAsync();
        (await gateway.AdminAsync("POST", "/keys", $$"""{"name":"{{new string('x', 300_000)}}"}""")).AssertProblem(413, "request_too_large");
        (await gateway.AdminAsync("POST", "/keys", "name=x", "application/x-www-form-urlencoded")).AssertProblem(415, "unsupported_media_type", "Content-Type");
        (await gateway.AdminAsync("PUT", "/keys")).AssertProblem(405, "method_not_allowed");
    }
}
