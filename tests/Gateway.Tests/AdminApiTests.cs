using System.Net;
using System.Net.Http.Json;
using System.Text;

namespace Gateway.Tests;

public sealed class AdminApiTests
{
    public static TheoryData<string, string> Endpoints => new()
    {
        { "GET", "/admin/v1/keys" },
        { "POST", "/admin/v1/keys" },
        { "GET", "/admin/v1/keys/abc" },
        { "DELETE", "/admin/v1/keys/abc" },
        { "GET", "/admin/v1/usage" },
        { "GET", "/admin/v1/toolservers" },
    };

    [Theory]
    [MemberData(nameof(Endpoints))]
    public async Task Endpoint_WithoutAdminKey_IsClosed(string method, string path)
    {
        await using var gateway = await Hosts.StartAsync();
        foreach (var client in new[] { gateway.Anonymous, gateway.Client })
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path);
            using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        }
        using var opened = await gateway.AdminClient.SendAsync(new HttpRequestMessage(new HttpMethod(method), path), TestContext.Current.CancellationToken);
        Assert.NotEqual(HttpStatusCode.Unauthorized, opened.StatusCode);
    }

    [Fact]
    public async Task Key_Created_WorksOnTheNextRequestAndItsRevocationToo()
    {
        await using var gateway = await Hosts.StartAsync();
        using var created = await gateway.AdminClient.PostAsJsonAsync("/admin/v1/keys", new { name = "agent", models = new[] { "simulator/*" } }, TestContext.Current.CancellationToken);
        var answer = await created.JsonAsync();
        Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        Assert.Equal($"/admin/v1/keys/{answer.GetProperty("id").GetString()}", created.Headers.Location?.OriginalString);
        using var client = gateway.NewClient(answer.GetProperty("token").GetString());

        Assert.Equal(answer.GetProperty("id").GetString(), await client.GetStringAsync("/test/key", TestContext.Current.CancellationToken));
        using var revoked = await gateway.AdminClient.DeleteAsync(created.Headers.Location, TestContext.Current.CancellationToken);
        using var refused = await client.GetAsync("/test/key", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NoContent, revoked.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    [Fact]
    public async Task Keys_Listed_ShowDeclarationsAndNoSecret()
    {
        await using var gateway = await Hosts.StartAsync();
        var text = await gateway.AdminClient.GetStringAsync("/admin/v1/keys", TestContext.Current.CancellationToken);
        Assert.Contains("first key", text);
        Assert.DoesNotContain(gateway.VirtualKey.Split('-')[3], text);
        var id = gateway.VirtualKey.Split('-')[2];
        using var one = await gateway.AdminClient.GetAsync($"/admin/v1/keys/{id}", TestContext.Current.CancellationToken);
        var key = await one.JsonAsync();
        Assert.Equal("first-start", key.GetProperty("createdBy").GetString());
        Assert.Equal(5, key.GetProperty("budgets")[0].GetProperty("dollars").GetDecimal());
        Assert.True(key.GetProperty("budgets")[0].GetProperty("hard").GetBoolean());
    }

    [Theory]
    [InlineData("", null, "not valid JSON")]
    [InlineData("[]", null, "expected an object")]
    [InlineData("{}", "name", "'name' is missing")]
    [InlineData("""{"name":7}""", "name", "expected a text")]
    [InlineData("""{"name":"x","modles":["*"]}""", "modles", "models")]
    [InlineData("""{"name":"x","budgets":[{"limit":5,"per":"fortnight"}]}""", "budgets[0].per", "fortnight")]
    [InlineData("""{"name":"x","team":"nobody"}""", "team", "nobody")]
    public async Task Key_DeclaredWrongly_NamesTheField(string body, string? field, string text)
    {
        await using var gateway = await Hosts.StartAsync();
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await gateway.AdminClient.PostAsync("/admin/v1/keys", content, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var problem = await response.JsonAsync();
        Assert.Contains(text, problem.GetProperty("detail").GetString());
        Assert.Equal(field, problem.TryGetProperty("field", out var named) ? named.GetString() : null);
    }

    [Fact]
    public async Task Key_WhoseDeclarationIsRefusedOnlyInTheWhole_SpoilsNoLaterChange()
    {
        await using var gateway = await Hosts.StartAsync();
        using var refused = await gateway.AdminClient.PostAsJsonAsync("/admin/v1/keys", new { name = "lost", team = "nobody" }, TestContext.Current.CancellationToken);
        using var taken = await gateway.AdminClient.PostAsJsonAsync("/admin/v1/keys", new { name = "good" }, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Equal(HttpStatusCode.Created, taken.StatusCode);
    }

    [Fact]
    public async Task Files_WithErrors_HoldCreationBackButNoRevocation()
    {
        await using var gateway = await Hosts.StartAsync();
        await File.WriteAllTextAsync(Path.Combine(gateway.Folder, "gateway.yaml"), "modles: 1\n", TestContext.Current.CancellationToken);

        using var created = await gateway.AdminClient.PostAsJsonAsync("/admin/v1/keys", new { name = "late" }, TestContext.Current.CancellationToken);
        using var revoked = await gateway.AdminClient.DeleteAsync($"/admin/v1/keys/{gateway.VirtualKey.Split('-')[2]}", TestContext.Current.CancellationToken);
        using var refused = await gateway.Client.GetAsync("/test/key", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.Conflict, created.StatusCode);
        Assert.Contains("gateway.yaml:1", (await created.JsonAsync()).GetProperty("detail").GetString());
        Assert.Equal(HttpStatusCode.NoContent, revoked.StatusCode);
        Assert.Equal("revoked_api_key", (await refused.JsonAsync()).GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("DELETE")]
    public async Task Key_Unknown_Answers404(string method)
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await gateway.AdminClient.SendAsync(new HttpRequestMessage(new HttpMethod(method), "/admin/v1/keys/nobody"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal("unknown_key", (await response.JsonAsync()).GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("groupBy=colour", "groupBy")]
    [InlineData("groupBy=key,key", "groupBy")]
    [InlineData("from=yesterday", "from")]
    [InlineData("from=2026-01-02&to=2026-01-01", "to")]
    [InlineData("limit=0", "limit")]
    [InlineData("colour=red", "colour")]
    public async Task Usage_AskedWrongly_NamesTheParameter(string query, string field)
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await gateway.AdminClient.GetAsync($"/admin/v1/usage?{query}", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(field, (await response.JsonAsync()).GetProperty("field").GetString());
    }

    [Fact]
    public async Task Usage_OfNothing_IsEmpty()
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await gateway.AdminClient.GetAsync("/admin/v1/usage?groupBy=key,model&groupBy=day&from=2026-01-01", TestContext.Current.CancellationToken);
        var report = await response.JsonAsync();
        Assert.Equal(["key", "model", "day"], report.GetProperty("groupBy").EnumerateArray().Select(name => name.GetString()));
        Assert.Empty(report.GetProperty("rows").EnumerateArray());
    }

    [Fact]
    public async Task ToolServers_Listed_AnswersAList()
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await gateway.AdminClient.GetAsync("/admin/v1/toolservers", TestContext.Current.CancellationToken);
        Assert.Equal(System.Text.Json.JsonValueKind.Array, (await response.JsonAsync()).GetProperty("servers").ValueKind);
    }
}
