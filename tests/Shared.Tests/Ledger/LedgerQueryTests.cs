using Shared.Ledger;
using Shared.Pricing;
using Shared.Tests.Storage;
using static Shared.Tests.Admission.Callers;

namespace Shared.Tests.Ledger;

public sealed class LedgerQueryTests : IDisposable
{
    private readonly TempFolder folder = new();
    private readonly LedgerHarness gateway;
    private readonly LedgerQuery query;

    public LedgerQueryTests()
    {
        gateway = new LedgerHarness(folder.Path);
        gateway.Publish(Key("k1"), Key("k2"));
        query = new LedgerQuery(gateway.Database, gateway.Ledger);
    }

    public void Dispose()
    {
        gateway.Dispose();
        folder.Dispose();
    }

    [Fact]
    public async Task Pages_UnderInserts_ShowEachAttemptOnce()
    {
        for (var i = 0; i < 25; i++)
        {
            gateway.Begin(i).Settle(Used(i));
        }
        var seen = new List<long>();
        long? before = null;
        do
        {
            var page = await query.SearchAsync(new LedgerRequest { Limit = 10, Before = before }, TestContext.Current.CancellationToken);
            seen.AddRange(page.Entries.Select(entry => entry.Cost!.Value.Nano));
            before = page.Next;
            gateway.Begin(1000).Settle(Used(1000));
        }
        while (before is not null);

        Assert.Equal(Enumerable.Range(0, 25).Reverse().Select(i => (long)i), seen);
    }

    [Fact]
    public async Task Filters_FindWhatTheyName()
    {
        var start = gateway.Clock.GetUtcNow();
        gateway.Begin(5).Settle(Used(5));
        gateway.Begin(5, OtherModel, "k2").Settle(FailedForFree);
        gateway.Clock.Advance(TimeSpan.FromMinutes(1));
        gateway.Begin(5, Tool).Settle(new AttemptResult { Outcome = CallOutcome.Broken, Source = UsageSource.None, Cost = Money.Zero, Error = "timeout" });
        gateway.Begin(9);

        Assert.Equal(["alpha/large", "files/read", "beta/small", "alpha/large"], await FindAsync(new LedgerRequest()));
        Assert.Equal(["beta/small"], await FindAsync(new LedgerRequest { Key = "k2" }));
        Assert.Equal(["beta/small"], await FindAsync(new LedgerRequest { Provider = "beta" }));
        Assert.Equal(["beta/small"], await FindAsync(new LedgerRequest { Status = 503 }));
        Assert.Equal(["beta/small"], await FindAsync(new LedgerRequest { Outcome = CallOutcome.Failed }));
        Assert.Equal(["files/read"], await FindAsync(new LedgerRequest { Tool = "files/read" }));
        Assert.Equal(["files/read"], await FindAsync(new LedgerRequest { Server = "files", Outcome = CallOutcome.Broken }));
        Assert.Equal(["files/read"], await FindAsync(new LedgerRequest { Error = "timeout" }));
        Assert.Equal(["alpha/large"], await FindAsync(new LedgerRequest { Outcome = CallOutcome.Started }));
        Assert.Equal(["alpha/large"], await FindAsync(new LedgerRequest { MinCost = new Money(1) }));
        Assert.Equal(["alpha/large", "alpha/large"], await FindAsync(new LedgerRequest { Model = "alpha/large" }));
        Assert.Equal(["beta/small", "alpha/large"], await FindAsync(new LedgerRequest { To = start.AddSeconds(30) }));
        Assert.Equal(["alpha/large", "files/read"], await FindAsync(new LedgerRequest { From = start.AddSeconds(30) }));
        Assert.Equal(4, (await FindAsync(new LedgerRequest { RequestId = "req_1", TraceId = Convert.FromHexString("0af7651916cd43dd8448eb211c80319c") })).Length);
        Assert.Empty(await FindAsync(new LedgerRequest { TraceId = new byte[16] }));
        Assert.Empty(await FindAsync(new LedgerRequest { User = "k1" }));
    }

    [Fact]
    public async Task Find_ById_ShowsAllAttemptsOfItsRequest()
    {
        gateway.Begin(5).Settle(FailedForFree);
        gateway.Begin(5, OtherModel).Settle(Used(5, tokens: 11));
        var wanted = (await query.SearchAsync(new LedgerRequest { Limit = 1 }, TestContext.Current.CancellationToken)).Entries[0];

        var found = await query.FindAsync(wanted.Id, TestContext.Current.CancellationToken);

        Assert.Equal(2, found.Count);
        Assert.Equal(wanted, found[1]);
        Assert.Equal(("test:1", "0123456789abcdef", 11, 200), (wanted.PriceVersion, wanted.Revision, wanted.Usage.Input, wanted.Status));
        Assert.Empty(await query.FindAsync(Guid.NewGuid(), TestContext.Current.CancellationToken));
    }

    private async Task<string[]> FindAsync(LedgerRequest request) =>
        [.. (await query.SearchAsync(request, TestContext.Current.CancellationToken)).Entries.Select(entry => $"{entry.Upstream}/{entry.Name}")];
}
