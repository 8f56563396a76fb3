using System.Net;
using System.Net.Sockets;
using TestSupport;

namespace Gateway.Tests;

public sealed class ProcessTests
{
    [Fact]
    public async Task Start_FirstAndSecond_PrintsEachKeyOnceAndNeverAgain()
    {
        using var folder = new TemporaryFolder();
        await using var first = await GatewayProcess.ServeAsync(folder.Path, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(2, first.Output.Split("sk-gw-").Length);
        Assert.Equal(2, first.Output.Split("ak-gw-").Length);
        Assert.Contains("SIMULATED", first.Output, StringComparison.Ordinal);
        Assert.Equal(0, await first.StopAsync(TestContext.Current.CancellationToken));

        await using var second = await GatewayProcess.ServeAsync(folder.Path, cancellationToken: TestContext.Current.CancellationToken);
        Assert.DoesNotContain("-gw-", second.Output + second.Error, StringComparison.Ordinal);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(second.BaseAddress, "/admin/v1/keys")) { Headers = { { "x-api-key", first.AdminKey } } };
        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Start_OnAPortInUse_SaysSoInOneLineAndLeavesNoKeys()
    {
        using var folder = new TemporaryFolder();
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();

        await using var gateway = GatewayProcess.Start(folder.Path, ["--urls", $"http://127.0.0.1:{((IPEndPoint)other.LocalEndpoint).Port}"]);

        Assert.Equal(1, await gateway.WaitForExitAsync(TestContext.Current.CancellationToken));
        Assert.Single(gateway.Error.Split('\n'), line => line.StartsWith("gateway: The address is in use by another program", StringComparison.Ordinal));
        Assert.DoesNotContain("AddressInUseException", gateway.Error, StringComparison.Ordinal);
        await using var next = await GatewayProcess.ServeAsync(folder.Path, cancellationToken: TestContext.Current.CancellationToken);
        Assert.NotNull(next.AdminKey);
    }

    [Fact]
    public async Task Start_BeyondLoopback_IsRefusedUnlessAllowed()
    {
        using var folder = new TemporaryFolder();
        await using var refused = GatewayProcess.Start(folder.Path, [], new Dictionary<string, string?> { ["ASPNETCORE_URLS"] = "http://0.0.0.0:0" });
        Assert.Equal(2, await refused.WaitForExitAsync(TestContext.Current.CancellationToken));
        Assert.Contains("--behind-proxy", Assert.Single(refused.Error.Split('\n'), line => line.StartsWith("gateway:", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Empty(refused.Output);
    }

    [Fact]
    public async Task Start_OnADataFolderInUse_NamesTheFolder()
    {
        using var folder = new TemporaryFolder();
        await using var first = await GatewayProcess.ServeAsync(folder.Path, cancellationToken: TestContext.Current.CancellationToken);
        await using var second = GatewayProcess.Start(folder.Path, ["--urls", "http://127.0.0.1:0"]);
        Assert.Equal(1, await second.WaitForExitAsync(TestContext.Current.CancellationToken));
        Assert.Contains("in use", Assert.Single(second.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_WithWrongConfiguration_PrintsEveryErrorWithItsPlace()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "gateway.yaml"), "unknown: 1\nroutes: 7\n", TestContext.Current.CancellationToken);
        await using var gateway = GatewayProcess.Start(folder.Path, ["--urls", "http://127.0.0.1:0"]);
        Assert.Equal(1, await gateway.WaitForExitAsync(TestContext.Current.CancellationToken));
        Assert.Contains("gateway.yaml:1:", gateway.Error, StringComparison.Ordinal);
        Assert.Contains("gateway.yaml:2:", gateway.Error, StringComparison.Ordinal);
        Assert.Empty(gateway.Output);
    }
}
