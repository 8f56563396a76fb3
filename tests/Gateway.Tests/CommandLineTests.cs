using System.Text.Json;
using Gateway.Commands;
using Gateway.Hosting;
using TestSupport;

namespace Gateway.Tests;

public sealed class CommandLineTests
{
    [Fact]
    public async Task KeysCreate_ThenListThenRevoke_WorkOnARunningGateway()
    {
        await using var gateway = await Hosts.StartAsync();

        var (created, token, _) = await RunAsync(gateway, "keys", "create", "--name", "agent", "--models", "simulator/*", "--models", "!simulator/tools", "--tools", "*", "--budget", "5/day", "--expires", "30d");
        Assert.Equal(0, created);
        using var client = gateway.NewClient(token.Split('\n')[0].Trim());
        var id = await client.GetStringAsync("/test/key", TestContext.Current.CancellationToken);

        var (listed, list, _) = await RunAsync(gateway, "keys", "list");
        Assert.Equal(0, listed);
        Assert.Contains(list.Split('\n'), line => line.StartsWith(id, StringComparison.Ordinal) && line.Contains("agent", StringComparison.Ordinal) && line.Contains("expires 20", StringComparison.Ordinal) && line.Contains("simulator/* !simulator/tools", StringComparison.Ordinal));

        var (revoked, _, _) = await RunAsync(gateway, "keys", "revoke", id);
        Assert.Equal(0, revoked);
        using var refused = await client.GetAsync("/test/key", TestContext.Current.CancellationToken);
        Assert.Equal(System.Net.HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    [Theory]
    [InlineData("kyes", "keys", "gateway")]
    [InlineData("keys lsit", "list", "gateway keys")]
    [InlineData("keys list --jsn", "--json", "gateway keys list")]
    public async Task Command_Mistyped_NamesTheNearestAndItsHelp(string line, string meant, string path)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        Assert.Equal(2, await CommandLine.RunAsync(line.Split(' '), output, error, TestContext.Current.CancellationToken));
        Assert.Contains($"gateway: did you mean '{meant}'?", error.ToString(), StringComparison.Ordinal);
        Assert.Contains($"gateway: see '{path} --help'.", error.ToString(), StringComparison.Ordinal);
        Assert.Empty(output.ToString());
    }

    [Fact]
    public async Task KeysList_AsJson_IsTheGatewaysAnswer()
    {
        await using var gateway = await Hosts.StartAsync();
        var (_, output, _) = await RunAsync(gateway, "keys", "list", "--json");
        using var document = JsonDocument.Parse(output);
        Assert.Equal("first key", Assert.Single(document.RootElement.GetProperty("keys").EnumerateArray()).GetProperty("name").GetString());
    }

    [Fact]
    public async Task KeysRevoke_UnknownId_SaysSo()
    {
        await using var gateway = await Hosts.StartAsync();
        var (code, _, error) = await RunAsync(gateway, "keys", "revoke", "nobody");
        Assert.Equal(1, code);
        Assert.Equal("gateway: There is no virtual key 'nobody'.", error.Trim());
    }

    [Fact]
    public async Task Keys_WithAVirtualKey_SayThatItIsTheWrongKind()
    {
        await using var gateway = await Hosts.StartAsync();
        var (code, _, error) = await RunAsync(["keys", "list", "--url", gateway.BaseAddress.ToString(), "--admin-key", gateway.VirtualKey]);
        Assert.Equal(1, code);
        Assert.Contains("admin key was not accepted", error);
        Assert.Contains("wants an admin key", error);
    }

    [Fact]
    public async Task Keys_NoGatewayRunning_SayWhere()
    {
        string address;
        await using (var gateway = await Hosts.StartAsync())
        {
            address = gateway.BaseAddress.ToString();
        }
        var (code, _, error) = await RunAsync(["keys", "list", "--url", address, "--admin-key", "ak-gw-x"]);
        Assert.Equal(1, code);
        Assert.Contains($"No gateway answers at {address}", error);
    }

    [Theory]
    [InlineData("--prot", "8080")]
    [InlineData("keys", "create")]
    [InlineData("keys", "create", "--name", "x", "--expires", "soon")]
    [InlineData("--config", "/does/not/exist.yaml")]
    [InlineData("--data")]
    [InlineData("serve")]
    public async Task Arguments_Wrong_ExitWith2AndExplain(params string[] args)
    {
        var (code, output, error) = await RunAsync(args);
        Assert.Equal(2, code);
        Assert.Empty(output);
        Assert.StartsWith("gateway: ", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_Asked_NamesTheOptions()
    {
        var (code, output, _) = await RunAsync(["--help"]);
        Assert.Equal(0, code);
        foreach (var word in new[] { "--data", "--config", "--manifests", "--urls", "--behind-proxy", "--version", "keys", "connect", "bridge" })
        {
            Assert.Contains(word, output);
        }
    }

    [Fact]
    public void ServeArguments_PlainOnes_AreReadWithoutTheLibrary()
    {
        using var folder = new TemporaryFolder();
        Assert.True(ServeArguments.TryParse(["--urls", "http://127.0.0.1:1", "--behind-proxy", "--data", "d", "--manifests", folder.Path], out var options));
        Assert.Equal(new ServeOptions { Urls = "http://127.0.0.1:1", BehindProxy = true, DataFolder = "d", ManifestFolder = folder.Path }, options);
    }

    [Theory]
    [InlineData("--help")]
    [InlineData("--urls")]
    [InlineData("--urls", "--data")]
    [InlineData("--data", "a", "--data", "b")]
    [InlineData("--manifests", "/does/not/exist")]
    [InlineData("keys", "list")]
    public void ServeArguments_AnythingElse_IsLeftToTheLibrary(params string[] args) => Assert.False(ServeArguments.TryParse(args, out _));

    private static Task<(int Code, string Output, string Error)> RunAsync(TestGateway gateway, params string[] args) =>
        RunAsync([.. args, "--url", gateway.BaseAddress.ToString(), "--admin-key", gateway.AdminKey]);

    private static async Task<(int Code, string Output, string Error)> RunAsync(string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await CommandLine.RunAsync(args, output, error, TestContext.Current.CancellationToken);
        return (code, output.ToString(), error.ToString());
    }
}
