using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Shared.Snapshots;
using Shared.Stored;
using Shared.VirtualKeys;
namespace Gateway.Tests.Admin;
public sealed class TmpMeasure
{
    [Fact]
    public async Task Measure()
    {
        await using var gateway = await Hosts.StartAsync();
        await gateway.DeclareAsync("PUT", "/teams/t", """{"budgets":[{"limit":100,"per":"month"}]}""");
        var loader = gateway.Services.GetRequiredService<SnapshotLoader>();
        var w = Stopwatch.StartNew();
        await loader.ChangeAsync(stored =>
        {
            for (var i = 0; i < 10000; i++)
            {
                var key = KeyToken.NewVirtualKey();
                stored = stored.With(new StoredKey { Id = key.Id, Secrets = [new KeySecret(key.SecretHash)], Declaration = $$"""{"name":"key {{i}}","models":["simulator/*"],"tools":["github/*","!github/delete_*"],"team":"t","budgets":[{"limit":5,"per":"day"}],"rateLimits":[{"requests":100,"per":"1m"}]}""" });
            }
            return stored;
        }, new ChangedBy("test"));
        TestContext.Current.TestOutputHelper!.WriteLine($"bulk {w.ElapsedMilliseconds}");
        for (var i = 0; i < 12; i++)
        {
            w.Restart();
            await gateway.DeclareAsync("POST", "/keys", """{"name":"one more","team":"t","models":["*"],"budgets":[{"limit":5,"per":"day"}]}""");
            TestContext.Current.TestOutputHelper!.WriteLine($"create {w.ElapsedMilliseconds}");
        }
        w.Restart();
        await gateway.AdminAsync("GET", "/keys?limit=1000");
        TestContext.Current.TestOutputHelper!.WriteLine($"list {w.ElapsedMilliseconds}");
        w.Restart();
        await gateway.AdminAsync("GET", "/budgets?limit=1000");
        TestContext.Current.TestOutputHelper!.WriteLine($"budgets {w.ElapsedMilliseconds}");
        Assert.Fail("x");
    }
}
