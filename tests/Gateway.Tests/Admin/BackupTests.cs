using System.Net;
using System.Text.Json;
using Gateway.Commands;
using TestSupport;

namespace Gateway.Tests.Admin;

/// <summary>Backup and restore by the command line.</summary>
public sealed class BackupTests
{
    [Fact]
    public async Task BackedUpUnderLoad_AndRestoredElsewhere_KeysWorkAndSpendIsTheLedgers()
    {
        using var elsewhere = new TemporaryFolder();
        var archive = Path.Combine(elsewhere.Path, "gateway.backup");
        var target = Path.Combine(elsewhere.Path, "data");
        string key, adminKey;
        long settledBefore;
        await using (var gateway = await Hosts.StartAsync())
        {
            (key, adminKey) = (gateway.VirtualKey, gateway.AdminKey);
            using var enough = new CancellationTokenSource();
            var load = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
            {
                for (var i = 0; i < 2000 && !enough.IsCancellationRequested; i++)
                {
                    await gateway.CallModelAsync();
                }
            })).ToArray();
            for (var i = 0; i < 20; i++)
            {
                await gateway.CallModelAsync();
            }
            settledBefore = await SettledAsync(gateway.AdminClient);
            var (code, _, error) = await CommandLineCalls.RunAsync(gateway, "backup", archive);
            Assert.True(code == 0, error);
            await enough.CancelAsync();
            await Task.WhenAll(load);
            Assert.True(await SettledAsync(gateway.AdminClient) > settledBefore);
            var (twice, _, exists) = await CommandLineCalls.RunAsync(gateway, "backup", archive);
            Assert.Equal(1, twice);
            Assert.Contains("--overwrite", exists, StringComparison.Ordinal);
            var (inUse, _, refused) = await CommandLineCalls.RunAsync(["restore", archive, "--data", Path.Combine(gateway.Folder, "data"), "--force"]);
            Assert.Equal(1, inUse);
            Assert.Contains("in use", refused, StringComparison.Ordinal);
        }

        var (restored, said, _) = await CommandLineCalls.RunAsync(["restore", archive, "--data", target]);

        Assert.Equal(0, restored);
        Assert.Contains("attempts in its ledger", said, StringComparison.Ordinal);
        await using var again = await Hosts.StartAsync(new TestGatewayOptions { DataFolder = target });
        using var admin = again.NewClient(adminKey);
        using var client = again.NewClient(key);
        var total = (await UsageAsync(admin)).GetProperty("rows")[0];
        Assert.True(total.GetProperty("calls").GetInt64() - total.GetProperty("unsettledCalls").GetInt64() >= settledBefore);
        var spent = total.GetProperty("costDollars").GetDecimal() + total.GetProperty("reservedDollars").GetDecimal();
        Assert.Equal(spent, SpentOf(again, key));
        await again.CallModelAsync(client: client);
        Assert.True(SpentOf(again, key) > spent);
    }

    [Fact]
    public async Task StoppedGateway_IsBackedUpFromItsFolder()
    {
        using var folder = new TemporaryFolder();
        var data = Path.Combine(folder.Path, "data");
        string key;
        await using (var gateway = await Hosts.StartAsync(new TestGatewayOptions { DataFolder = data }))
        {
            key = gateway.VirtualKey;
            await gateway.CallModelAsync();
            var (running, _, error) = await CommandLineCalls.RunAsync(["backup", Path.Combine(folder.Path, "a"), "--data", data]);
            Assert.Equal(1, running);
            Assert.Contains("in use", error, StringComparison.Ordinal);
        }
        var (code, _, _) = await CommandLineCalls.RunAsync(["backup", Path.Combine(folder.Path, "b"), "--data", data]);
        Assert.Equal(0, code);
        Assert.Equal(1, (await CommandLineCalls.RunAsync(["restore", Path.Combine(folder.Path, "b"), "--data", data])).Code);
        Assert.Equal(0, (await CommandLineCalls.RunAsync(["restore", Path.Combine(folder.Path, "b"), "--data", data, "--force"])).Code);
        Assert.Equal(1, (await CommandLineCalls.RunAsync(["backup", Path.Combine(folder.Path, "c"), "--data", Path.Combine(folder.Path, "nowhere")])).Code);

        await using var again = await Hosts.StartAsync(new TestGatewayOptions { DataFolder = data });
        using var client = again.NewClient(key);
        using var response = await client.GetAsync("/test/key", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Usage_AndLedger_ArePrinted()
    {
        await using var gateway = await Hosts.StartAsync();
        await gateway.CallModelAsync();
        var (usage, table, _) = await CommandLineCalls.RunAsync(gateway, "usage", "--group-by", "key,model", "--interval", "day");
        Assert.Equal(0, usage);
        Assert.Contains("simulator/echo", table, StringComparison.Ordinal);
        var (_, csv, _) = await CommandLineCalls.RunAsync(gateway, "usage", "--group-by", "model", "--csv");
        Assert.Equal(["model,calls,failed,inputTokens,cachedTokens,outputTokens,costDollars,unknownCostCalls,unsettledCalls,reservedDollars,meanDurationMs,longestDurationMs,images,audioSeconds,characters,searches"], csv.Split("\r\n").Take(1));
        var (_, json, _) = await CommandLineCalls.RunAsync(gateway, "ledger", "--json", "--limit", "1");
        using var page = JsonDocument.Parse(json);
        var id = page.RootElement.GetProperty("attempts")[0].GetProperty("id").GetString()!;
        var (_, one, _) = await CommandLineCalls.RunAsync(gateway, "ledger", id);
        Assert.Contains("priceVersion", one, StringComparison.Ordinal);
        var (_, list, _) = await CommandLineCalls.RunAsync(gateway, "ledger", "--outcome", "succeeded");
        Assert.Contains(id, list, StringComparison.Ordinal);
        var (wrong, _, error) = await CommandLineCalls.RunAsync(gateway, "ledger", "--outcome", "perhaps");
        Assert.Equal(1, wrong);
        Assert.Contains("succeeded", error, StringComparison.Ordinal);
    }

    private static async Task<JsonElement> UsageAsync(HttpClient admin)
    {
        using var response = await admin.GetAsync("/admin/v1/usage", TestContext.Current.CancellationToken);
        return await response.JsonAsync();
    }

    private static async Task<long> SettledAsync(HttpClient admin)
    {
        var total = (await UsageAsync(admin)).GetProperty("rows")[0];
        return total.GetProperty("calls").GetInt64() - total.GetProperty("unsettledCalls").GetInt64();
    }

    private static decimal SpentOf(TestGateway gateway, string key)
    {
        var history = (Shared.Ledger.ISpendHistory)gateway.Services.GetService(typeof(Shared.Ledger.ISpendHistory))!;
        return history.Read(Shared.VirtualKeys.OwnerKind.Key, key.Split('-')[2], DateTimeOffset.UnixEpoch).Sum(row => row.Cost.Dollars);
    }
}

internal static class CommandLineCalls
{
    public static Task<(int Code, string Output, string Error)> RunAsync(TestGateway gateway, params string[] args) =>
        RunAsync([.. args, "--url", gateway.BaseAddress.ToString(), "--admin-key", gateway.AdminKey]);

    public static async Task<(int Code, string Output, string Error)> RunAsync(string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await CommandLine.RunAsync(args, output, error, TestContext.Current.CancellationToken);
        return (code, output.ToString(), error.ToString());
    }
}
