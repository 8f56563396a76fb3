using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using TestSupport;

namespace Gateway.Tests.Admin;

/// <summary>What is stored never keeps the gateway from starting: what no longer fits is left out, and named.</summary>
public sealed class LeftOutTests
{
    [Fact]
    public async Task Start_WithoutTheKeyOfTheSecrets_ServesTheRestAndNamesWhatLacksThem()
    {
        using var folder = new TemporaryFolder();
        var variables = new Dictionary<string, string?> { ["GATEWAY_SECRETS_KEY"] = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)) };
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "gateway.yaml"), "egress: {allow: [127.0.0.1]}\n", TestContext.Current.CancellationToken);
        string adminKey;
        await using (var first = await GatewayProcess.ServeAsync(folder.Path, variables, TestContext.Current.CancellationToken))
        {
            adminKey = first.AdminKey!;
            using var client = Client(first, adminKey);
            Assert.Equal(201, (await AdminSession.SendAsync(client, "PUT", "/providers/far", """{"baseUrl":"http://127.0.0.1:9/v1","apiKey":"sk-plain"}""")).Status);
            Assert.Equal(201, (await AdminSession.SendAsync(client, "PUT", "/providers/open", """{"baseUrl":"http://127.0.0.1:9/v1"}""")).Status);
            Assert.Equal(201, (await AdminSession.SendAsync(client, "PUT", "/routes/fast", """{"targets":["far/m"]}""")).Status);
            Assert.Equal(201, (await AdminSession.SendAsync(client, "PUT", "/routes/slow", """{"targets":["open/m"]}""")).Status);
            await first.StopAsync(TestContext.Current.CancellationToken);
        }
        // A file's route to what is left out goes with it.
        await File.AppendAllTextAsync(Path.Combine(folder.Path, "gateway.yaml"), "routes: {filed: {targets: far/m}, kept: {targets: open/m}}\n", TestContext.Current.CancellationToken);

        await using var again = await GatewayProcess.ServeAsync(folder.Path, new Dictionary<string, string?> { ["GATEWAY_SECRETS_KEY"] = null }, TestContext.Current.CancellationToken);
        using var admin = Client(again, adminKey);
        var parts = (await AdminSession.SendAsync(admin, "GET", "/configuration")).Json.GetProperty("leftOut");
        Assert.Equal(["provider 'far'", "route 'fast'", "route 'filed'"], parts.EnumerateArray().Select(part => part.GetProperty("what").GetString()).Order(StringComparer.Ordinal));
        Assert.Contains("no secret 'provider.far.apiKey'", parts.ToString());
        Assert.Contains("provider.far.apiKey", again.Output + again.Error);
        var far = await AdminSession.SendAsync(admin, "GET", "/providers/far");
        Assert.Contains("apiKey", far.Text("problem"));
        Assert.Equal("null", (await AdminSession.SendAsync(admin, "GET", "/providers/open")).Text("problem"));
        Assert.Equal(["kept", "slow"], (await AdminSession.SendAsync(admin, "GET", "/routes")).Json.GetProperty("routes").EnumerateArray()
            .Where(route => route.GetProperty("problem").ValueKind == JsonValueKind.Null).Select(route => route.GetProperty("id").GetString()));
        using var ready = await admin.GetAsync("/health/ready", TestContext.Current.CancellationToken);
        var readiness = (await ready.JsonAsync()).GetProperty("checks").GetProperty("configuration");
        Assert.Equal((200, "degraded"), ((int)ready.StatusCode, readiness.GetProperty("state").GetString()));
        Assert.Contains(readiness.GetProperty("details").EnumerateArray(), detail => detail.GetString()!.StartsWith("provider 'far' is left out", StringComparison.Ordinal));

        // Other changes work meanwhile; those of what is left out have to mend it.
        Assert.Equal(201, (await AdminSession.SendAsync(admin, "PUT", "/teams/build", "{}")).Status);
        (await AdminSession.SendAsync(admin, "PATCH", "/providers/far", """{"maxRetries":1}""")).AssertProblem(400, "invalid_provider", "apiKey");
        Assert.Equal(200, (await AdminSession.SendAsync(admin, "PUT", "/providers/far/credentials", """{"apiKey":"sk-again"}""")).Status);
        Assert.Empty((await AdminSession.SendAsync(admin, "GET", "/configuration")).Json.GetProperty("leftOut").EnumerateArray());
    }

    [Fact]
    public async Task Start_OnRowsThatNobodyUnderstands_ServesTheRest()
    {
        using var data = new TemporaryFolder();
        string adminKey;
        await using (var gateway = await Hosts.StartAsync(AdminSession.Loopback with { DataFolder = data.Path }))
        {
            adminKey = gateway.AdminKey;
            await gateway.DeclareAsync("PUT", "/teams/build", "{}");
            await gateway.DeclareAsync("PUT", "/teams/broken", "{}");
            await gateway.DeclareAsync("PUT", "/routes/twice", """{"targets":["simulator/echo"]}""");
            await gateway.DeclareAsync("POST", "/keys", """{"name":"of the broken team","team":"broken"}""");
        }
        await using (var connection = new SqliteConnection($"Data Source={Path.Combine(data.Path, "gateway.db")};Pooling=False"))
        {
            await connection.OpenAsync(TestContext.Current.CancellationToken);
            await using var command = connection.CreateCommand();
            command.CommandText = """
                UPDATE entities SET declaration = 'no JSON' WHERE id = 'broken';
                INSERT INTO entities (kind, id, declaration, created_by, created_at, changed_by, changed_at) VALUES ('hologram', 'x', '{}', 'later', 0, 'later', 0);
                """;
            await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }
        await File.WriteAllTextAsync(Path.Combine(data.Path, "secrets.key"), "no key", TestContext.Current.CancellationToken);

        await using var again = await Hosts.StartAsync(AdminSession.Loopback with { DataFolder = data.Path, Configuration = "routes: {twice: {targets: simulator/tools}}\n" });
        using var admin = again.NewClient(adminKey);
        var parts = (await AdminSession.SendAsync(admin, "GET", "/configuration")).Json.GetProperty("leftOut").EnumerateArray().Select(part => part.GetProperty("what").GetString()).ToList();
        Assert.Equal(4, parts.Count);
        Assert.Contains("team 'broken'", parts);
        Assert.Contains("route 'twice'", parts);
        Assert.Contains("hologram 'x'", parts);
        Assert.Contains(parts, part => part!.StartsWith("key ", StringComparison.Ordinal));
        // The file says what serves, and the stored one can be deleted.
        Assert.Equal("file", (await AdminSession.SendAsync(admin, "GET", "/routes/twice")).Text("origin"));
        Assert.Equal(204, (await AdminSession.SendAsync(admin, "DELETE", "/routes/twice")).Status);
        Assert.Equal(204, (await AdminSession.SendAsync(admin, "DELETE", "/teams/broken")).Status);
        // Without a key that can be used nothing is sealed, and the answer says why.
        var refused = await AdminSession.SendAsync(admin, "PUT", "/secrets/new", """{"value":"s"}""");
        refused.AssertProblem(503, "storage_unavailable");
        Assert.DoesNotContain(data.Path, refused.Text("detail"));
    }

    [Fact]
    public async Task Start_WithAFileThatIsWrongByItself_StaysStrict()
    {
        using var data = new TemporaryFolder();
        await using (var gateway = await Hosts.StartAsync(AdminSession.Loopback with { DataFolder = data.Path }))
        {
            await gateway.DeclareAsync("PUT", "/routes/twice", """{"targets":["simulator/echo"]}""");
        }
        var failure = await Assert.ThrowsAsync<Shared.Configuration.ConfigurationException>(() =>
            Hosts.StartAsync(AdminSession.Loopback with { DataFolder = data.Path, Configuration = "routes: {twice: {targets: simulator/tools}, wrong: {targets: nowhere/m}}\n" }));
        Assert.Contains(failure.Errors, error => error.Contains("nowhere", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Readiness_OfARefusedFile_TellsAnybodyNothingOfIt()
    {
        await using var gateway = await Hosts.StartAsync();
        await File.WriteAllTextAsync(Path.Combine(gateway.Folder, "gateway.yaml"), "colour: plainly-secret\n", TestContext.Current.CancellationToken);
        Assert.NotEmpty(await gateway.Services.GetRequiredService<Shared.Snapshots.SnapshotLoader>().ReloadAsync(TestContext.Current.CancellationToken));
        using var ready = await gateway.Anonymous.GetAsync("/health/ready", TestContext.Current.CancellationToken);
        var details = (await ready.JsonAsync()).GetProperty("checks").GetProperty("configuration").GetProperty("details")[0].GetString();
        Assert.Contains("refused for 1 error", details, StringComparison.Ordinal);
        Assert.DoesNotContain("colour", details, StringComparison.Ordinal);
        Assert.DoesNotContain(gateway.Folder, details, StringComparison.Ordinal);
        Assert.Contains("colour", (await gateway.AdminAsync("GET", "/configuration")).Json.GetProperty("errors")[0].GetString());
    }

    [Fact]
    public async Task Tokens_RightOrWrong_AreNeverLogged()
    {
        await using var gateway = await Hosts.StartAsync();
        var made = await gateway.DeclareAsync("POST", "/keys", """{"name":"agent"}""");
        var admin = await gateway.DeclareAsync("POST", "/adminkeys", """{"name":"other"}""");
        string[] tokens = [gateway.VirtualKey, gateway.AdminKey, made.Text("token")!, admin.Text("token")!];
        foreach (var token in tokens)
        {
            foreach (var sent in new[] { token, token[..^1] })
            {
                using var client = gateway.NewClient(sent);
                using var models = await client.GetAsync("/v1/models", TestContext.Current.CancellationToken);
                using var keys = await client.GetAsync($"/admin/v1/keys?name={sent}", TestContext.Current.CancellationToken);
            }
        }
        Assert.NotEmpty(gateway.Logs.Lines);
        Assert.All(tokens, token => Assert.DoesNotContain(gateway.Logs.Lines, line => line.Message.Contains(token.Split('-')[3][..^1], StringComparison.Ordinal)));
    }

    private static HttpClient Client(GatewayProcess gateway, string key)
    {
        var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = gateway.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new System.Net.Http.Headers.AuthenticationHeaderValue("Bearer", key);
        return client;
    }
}
