using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Shared.Snapshots;
using Shared.Stored;
using TestSupport;

namespace Gateway.Tests.Admin;

/// <summary>Nobody gets a credential out of the gateway: not by reading, not by having it sent elsewhere.</summary>
public sealed class CredentialTests
{
    private const string Far = """{"baseUrl":"http://127.0.0.1:9/v1","apiKey":"sk-plain","headers":{"x-org":"org-plain"}}""";

    [Theory]
    [InlineData("""{"baseUrl":"http://127.0.0.1:10/v1"}""", "apiKey")]
    [InlineData("""{"baseUrl":"https://127.0.0.1:9/v1"}""", "apiKey")]
    [InlineData("""{"baseUrl":"http://127.0.0.1:10/v1","apiKey":"sk-new"}""", "headers.x-org")]
    [InlineData("""{"baseUrl":"http://127.0.0.1:10/v1","apiKey":null,"headers":{"x-org":null,"x-out":"a ${secret:provider.far.apiKey}"}}""", "headers.x-out")]
    public async Task Provider_AddressChanges_CredentialIsNotSentThere(string patch, string field)
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        await gateway.DeclareAsync("PUT", "/providers/far", Far);

        (await gateway.AdminAsync("PATCH", "/providers/far", patch)).AssertProblem(400, "credential_required", field);

        Assert.Equal("sk-plain", Providers(gateway)["far"].ApiKey);
        Assert.Equal(new Uri("http://127.0.0.1:9/v1"), Providers(gateway)["far"].BaseAddress);
        // Another path of the same server is the same place, and credentials that come along may go anywhere.
        await gateway.DeclareAsync("PATCH", "/providers/far", """{"baseUrl":"http://127.0.0.1:9/v2"}""");
        await gateway.DeclareAsync("PATCH", "/providers/far", """{"baseUrl":"http://127.0.0.1:10/v1","apiKey":"sk-new","headers":null}""");
        Assert.Equal("sk-new", Providers(gateway)["far"].ApiKey);
    }

    [Fact]
    public async Task Secret_OfAnotherEntity_CannotBeReferredTo()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        await gateway.DeclareAsync("PUT", "/providers/far", Far);
        await gateway.DeclareAsync("PUT", "/secrets/shared", """{"value":"for-all"}""");

        var refused = await gateway.AdminAsync("PUT", "/providers/evil", """{"baseUrl":"http://127.0.0.1:10/v1","apiKey":"${secret:provider.far.apiKey}"}""");
        refused.AssertProblem(400, "invalid_provider", "apiKey");
        Assert.Contains("belongs to something else", refused.Text("detail"));
        (await gateway.AdminAsync("PUT", "/manifests/evil", """{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"evil"},"enabled":false,"upstream":{"url":"http://127.0.0.1:10/mcp","headers":{"x":"${secret:provider.far.apiKey}"}}}"""))
            .AssertProblem(400, "invalid_manifest");
        await gateway.DeclareAsync("PUT", "/providers/other", """{"baseUrl":"http://127.0.0.1:10/v1","apiKey":"${secret:shared}"}""");
        Assert.Equal("for-all", Providers(gateway)["other"].ApiKey);
    }

    [Fact]
    public async Task Provider_WhoseIdBeginsAnother_LeavesItsSecretsAlone()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        await gateway.DeclareAsync("PUT", "/providers/far.east", Far);
        await gateway.DeclareAsync("PUT", "/providers/far", Far);
        (await gateway.AdminAsync("PUT", "/providers/far", """{"baseUrl":"http://127.0.0.1:9/v1","apiKey":"${secret:provider.far/east.apiKey}"}""")).AssertProblem(400, "invalid_provider", "apiKey");
        Assert.Equal(204, (await gateway.AdminAsync("DELETE", "/providers/far")).Status);
        Assert.Equal(("sk-plain", "org-plain"), (Providers(gateway)["far.east"].ApiKey, Providers(gateway)["far.east"].Headers["x-org"]));
    }

    [Fact]
    public async Task Address_WithAPassword_IsRefused()
    {
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback);
        (await gateway.AdminAsync("PUT", "/providers/far", """{"baseUrl":"http://me:pass@127.0.0.1:9/v1"}""")).AssertProblem(400, "invalid_provider", "baseUrl");
    }

    [Fact]
    public async Task Manifest_WithCredentialsAmongItsArguments_KeepsThemOutOfSight()
    {
        // A program that may be named, and is not started since the server is switched off.
        await using var gateway = await Hosts.StartAsync(AdminSession.Loopback with { Configuration = "allowProcessesFromApi: true\n" });
        string[] arguments = ["-y", "@scope/server-files", "--token", "plain-token", "--api-key=plain-key", "https://me:plain-password@db.example/", "ghp_plain0123456789", "/srv/data"];
        var put = await gateway.DeclareAsync("PUT", "/manifests/files", Manifest(arguments));

        string[] shown = ["-y", "@scope/server-files", "--token", "${secret:manifest.files.arg.1}", "${secret:manifest.files.arg.2}", "${secret:manifest.files.arg.3}", "${secret:manifest.files.arg.4}", "/srv/data"];
        Assert.Equal(shown, put.Json.GetProperty("declaration").GetProperty("upstream").GetProperty("args").EnumerateArray().Select(argument => argument.GetString()));
        Assert.Equal(arguments, Arguments(gateway));
        foreach (var path in new[] { "/manifests", "/audit", "/secrets", $"/revisions/{gateway.Services.GetRequiredService<SnapshotStore>().Current.Revision}" })
        {
            Assert.DoesNotContain("plain", (await gateway.AdminAsync("GET", path)).Body.ToString());
        }

        // One that is put before those that stay takes no other's place.
        await gateway.DeclareAsync("PUT", "/manifests/files", Manifest(["--password", "plain-new", "${secret:manifest.files.arg.1}"]));
        Assert.Equal(["--password", "plain-new", "plain-token"], Arguments(gateway));
        (await gateway.AdminAsync("PUT", "/manifests/files", Manifest(["--x", "***"]))).AssertProblem(400, "invalid_manifest", "upstream.args[1]");
        (await gateway.AdminAsync("PATCH", "/manifests/files", """{"upstream":{"command":"another"}}""")).AssertProblem(400, "credential_required");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Manifest_NamingAProgram_IsTakenWhereTheFileAllowsIt(bool allowed)
    {
        await using var gateway = await Hosts.StartAsync(new TestGatewayOptions { Configuration = allowed ? "allowProcessesFromApi: true\n" : "" });
        var answer = await gateway.AdminAsync("PUT", "/manifests/files", Manifest([]));
        if (allowed)
        {
            Assert.Equal(201, answer.Status);
        }
        else
        {
            answer.AssertProblem(400, "invalid_manifest", "upstream.command");
        }
    }

    [Fact]
    public async Task Revision_WithAShortSecret_DoesNotHelpToGuessIt()
    {
        using var data = new TemporaryFolder();
        const string Configuration = "providers: {mine: {baseUrl: 'http://127.0.0.1:9/v1', apiKey: 'hunter2'}}\n";
        var plain = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes("hunter2")));
        string first;
        string line;
        await using (var gateway = await Hosts.StartAsync(new TestGatewayOptions { Configuration = Configuration, DataFolder = data.Path }))
        {
            await gateway.DeclareAsync("PUT", "/teams/build", "{}");
            first = gateway.Services.GetRequiredService<SnapshotStore>().Current.Revision;
            Assert.Contains(plain, gateway.Services.GetRequiredService<SnapshotLoader>().CurrentText, StringComparison.Ordinal);
            var shown = (await gateway.AdminAsync("GET", $"/revisions/{first}")).Json;
            Assert.DoesNotContain(plain, shown.ToString());
            Assert.DoesNotMatch("[0-9a-f]{64}", shown.ToString());
            line = shown.GetProperty("lines").EnumerateArray().Single(known => known.GetProperty("id").GetString() == "mine").GetProperty("declaration").GetProperty("apiKey").GetString()!;
            Assert.StartsWith("hmac:", line, StringComparison.Ordinal);
            Assert.DoesNotContain(plain, gateway.Services.GetRequiredService<RevisionLog>().Find(first), StringComparison.Ordinal);
        }
        await using var again = await TestGateway.StartAsync(new TestGatewayOptions { Configuration = Configuration, DataFolder = data.Path }, TestContext.Current.CancellationToken);
        // Equal where it was equal, after a restart as well.
        Assert.Equal(first, again.Services.GetRequiredService<SnapshotStore>().Current.Revision);
        Assert.Contains(line, again.Services.GetRequiredService<RevisionLog>().Find(first), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Secret_WithIfMatch_IsChangedAsItWasSeenOrNotAtAll()
    {
        await using var gateway = await Hosts.StartAsync();
        var made = await gateway.AdminAsync("PUT", "/secrets/shared", """{"value":"one"}""", ifNoneMatch: "*");
        Assert.Equal(201, made.Status);
        Assert.Equal(made.ETag, made.Text("etag"));
        (await gateway.AdminAsync("PUT", "/secrets/shared", """{"value":"two"}""", ifNoneMatch: "*")).AssertProblem(412, "state_changed");
        (await gateway.AdminAsync("PUT", "/secrets/shared", """{"value":"two"}""", ifMatch: "\"0000000000000000\"")).AssertProblem(412, "state_changed");
        (await gateway.AdminAsync("DELETE", "/secrets/shared", ifMatch: "\"0000000000000000\"")).AssertProblem(412, "state_changed");
        var changed = await gateway.AdminAsync("PUT", "/secrets/shared", """{"value":"two"}""", ifMatch: made.ETag);
        Assert.Equal(200, changed.Status);
        Assert.Equal(204, (await gateway.AdminAsync("DELETE", "/secrets/shared", ifMatch: changed.ETag)).Status);
    }

    [Fact]
    public async Task Key_RevokedAsDryRun_TellsTheRevisionAndStays()
    {
        await using var gateway = await Hosts.StartAsync();
        var id = gateway.VirtualKey.Split('-')[2];
        var serving = gateway.Services.GetRequiredService<SnapshotStore>().Current.Revision;
        var judged = await gateway.AdminAsync("DELETE", $"/keys/{id}?dryRun=true");
        Assert.Equal(200, judged.Status);
        Assert.NotEqual(serving, judged.Text("revision"));
        Assert.Equal("active", (await gateway.AdminAsync("GET", $"/keys/{id}")).Text("state"));
        (await gateway.AdminAsync("DELETE", "/keys/nobody?dryRun=true")).AssertProblem(404, "unknown_key");
        (await gateway.AdminAsync("DELETE", $"/keys/{id}?dryRun=true", ifMatch: "\"0000000000000000\"")).AssertProblem(412, "state_changed");
    }

    [Fact]
    public async Task Body_DeeperThanAnyDeclaration_IsRefused()
    {
        await using var gateway = await Hosts.StartAsync();
        (await gateway.AdminAsync("PUT", "/teams/deep", "{\"models\":" + new string('[', 5000) + new string(']', 5000) + "}")).AssertProblem(400, "invalid_team");
        (await gateway.AdminAsync("PUT", "/teams/large", "{\"models\":[\"" + new string('a', 300_000) + "\"]}")).AssertProblem(413, "request_too_large");
    }

    private static string Manifest(string[] arguments) =>
        $$$"""{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"files"},"enabled":false,"upstream":{"command":"files-server","args":{{{System.Text.Json.JsonSerializer.Serialize(arguments)}}}}}""";

    private static IEnumerable<string> Arguments(TestGateway gateway) => gateway.Services.GetRequiredService<SnapshotStore>().Current.Manifests.Single(manifest => manifest.Id == "files").Arguments;

    private static IReadOnlyDictionary<string, Provider> Providers(TestGateway gateway) => gateway.Services.GetRequiredService<SnapshotStore>().Current.Providers;
}
