using System.Text.Json;
using Gateway.Commands;
using TestSupport;

namespace Gateway.Tests.Admin;

public sealed class AdminCommandTests
{
    [Fact]
    public async Task Keys_ShowUpdateRotate_WorkOnARunningGateway()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        await gateway.DeclareAsync("PUT", "/teams/build", "{}");
        var created = await RunAsync(gateway, "keys", "create", "--name", "agent", "--team", "build", "--models", "simulator/*", "--budget", "5/day");
        var token = created.Split('\n')[0].Trim();
        var id = token.Split('-')[2];

        Assert.Contains("0 of 5 USD per day spent, 5 remain", await RunAsync(gateway, "keys", "show", id));
        Assert.Contains("is changed", await RunAsync(gateway, "keys", "update", id, "--models", "nothing/*"));
        var key = (await gateway.AdminAsync("GET", $"/keys/{id}")).Json;
        Assert.Equal(["nothing/*"], key.GetProperty("models").EnumerateArray().Select(glob => glob.GetString()));
        Assert.Equal(5, key.GetProperty("budgets")[0].GetProperty("dollars").GetDecimal());
        Assert.Equal("build", key.GetProperty("owner").GetProperty("team").GetString());
        Assert.Contains(id, await RunAsync(gateway, "keys", "list", "--team", "build", "--state", "active"));
        Assert.DoesNotContain(id, await RunAsync(gateway, "keys", "list", "--state", "revoked"));

        var rotated = await RunAsync(gateway, "keys", "rotate", id, "--overlap", "1h");
        Assert.Equal(id, rotated.Split('-')[2]);
        Assert.NotEqual(token, rotated.Split('\n')[0].Trim());
    }

    [Fact]
    public async Task KeysList_OfMoreThanAPage_IsWhole()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        await gateway.DeclareAsync("POST", "/keys", """{"name":"another"}""");
        var list = await RunAsync(gateway, "keys", "list", "--json");
        Assert.Equal(2, JsonDocument.Parse(list).RootElement.GetProperty("keys").GetArrayLength());
    }

    [Fact]
    public async Task AdminKeys_CreateRotateRevoke_WorkOnARunningGateway()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        var created = await RunAsync(gateway, "admin-keys", "create", "--name", "reader", "--read-only", "--expires", "30d");
        var id = created.Split('-')[2];
        Assert.StartsWith("ak-gw-", created, StringComparison.Ordinal);
        Assert.Contains("read", await RunAsync(gateway, "admin-keys", "list"));
        Assert.Contains($"takes the place of {id}", await RunAsync(gateway, "admin-keys", "rotate", id));
        Assert.Contains("is revoked", await RunAsync(gateway, "admin-keys", "revoke", id));
    }

    [Fact]
    public async Task Secrets_FromAFile_AreSetListedAndDeleted()
    {
        using var folder = new TemporaryFolder();
        var file = Path.Combine(folder.Path, "secret");
        await File.WriteAllTextAsync(file, "s3cr3t\n", TestContext.Current.CancellationToken);
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        await gateway.DeclareAsync("PUT", "/providers/far", """{"baseUrl":"http://127.0.0.1:9/v1"}""");

        Assert.Contains("is set", await RunAsync(gateway, "secrets", "set", "shared/token", "--file", file));
        Assert.Contains("has another key", await RunAsync(gateway, "providers", "set-key", "far", "--file", file));
        var list = await RunAsync(gateway, "secrets", "list");
        Assert.Contains("shared/token", list);
        Assert.Contains("provider 'far'", list);
        Assert.DoesNotContain("s3cr3t", list);
        Assert.Contains("apiKey", await RunAsync(gateway, "providers", "list"));
        Assert.Contains("is deleted", await RunAsync(gateway, "secrets", "delete", "shared/token"));
        var (code, _, error) = await TryAsync(gateway, "secrets", "set", "x", "--file", file + ".none");
        Assert.Equal(1, code);
        Assert.Contains("cannot be read", error);
    }

    [Fact]
    public async Task AuditAndRevisions_AfterAChange_ShowIt()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        await gateway.DeclareAsync("PUT", "/routes/fast", """{"targets":["simulator/echo"]}""");
        var audit = await RunAsync(gateway, "audit", "--kind", "route");
        Assert.Contains(audit.Split('\n'), line => line.Contains("created", StringComparison.Ordinal) && line.Contains("fast", StringComparison.Ordinal));
        var revisions = (await RunAsync(gateway, "revisions", "list")).Split('\n').Skip(1).Select(line => line.Split(' ')[0]).Where(revision => revision.Length > 0).ToList();
        Assert.Contains("+ stored route fast", await RunAsync(gateway, "revisions", "diff", revisions[1]));
        Assert.Contains("stored route fast", await RunAsync(gateway, "revisions", "show", revisions[0]));
    }

    [Fact]
    public async Task Recover_WhileStopped_PrintsAKeyThatOpens()
    {
        using var data = new TemporaryFolder();
        await using (var first = await Hosts.StartAsync(AdminSession.Loopback with { DataFolder = data.Path }))
        {
            using var output = new StringWriter();
            using var error = new StringWriter();
            Assert.Equal(1, await CommandLine.RunAsync(["admin-keys", "recover", "--data", data.Path], output, error, TestContext.Current.CancellationToken));
            Assert.Contains("in use by another gateway process", error.ToString());
        }
        using var recovered = new StringWriter();
        Assert.Equal(0, await CommandLine.RunAsync(["admin-keys", "recover", "--data", data.Path], recovered, TextWriter.Null, TestContext.Current.CancellationToken));
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback with { DataFolder = data.Path });
        using var client = gateway.NewClient(recovered.ToString().Split('\n')[0].Trim());
        Assert.Equal(200, (await AdminSession.SendAsync(client, "GET", "/adminkeys")).Status);
        Assert.Equal("recover", (await AdminSession.SendAsync(client, "GET", "/audit?kind=adminKey&actor=recover")).Json.GetProperty("records")[0].GetProperty("actor").GetString());
    }

    [Theory]
    [InlineData("admin-keys", "recover", "--data", "/does/not/exist")]
    [InlineData("audit", "--limit", "0")]
    [InlineData("secrets", "set")]
    [InlineData("keys", "rotate", "x", "--overlap", "soon")]
    public async Task Arguments_Wrong_ExitWith2(params string[] args)
    {
        using var error = new StringWriter();
        Assert.Equal(2, await CommandLine.RunAsync(args, TextWriter.Null, error, TestContext.Current.CancellationToken));
        Assert.StartsWith("gateway: ", error.ToString(), StringComparison.Ordinal);
    }

    private static async Task<string> RunAsync(TestGateway gateway, params string[] args)
    {
        var (code, output, error) = await TryAsync(gateway, args);
        Assert.True(code == 0, $"{string.Join(' ', args)}: {code} {error}");
        return output;
    }

    private static async Task<(int Code, string Output, string Error)> TryAsync(TestGateway gateway, params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await CommandLine.RunAsync([.. args, "--url", gateway.BaseAddress.ToString(), "--admin-key", gateway.AdminKey], output, error, TestContext.Current.CancellationToken);
        return (code, output.ToString(), error.ToString());
    }
}
