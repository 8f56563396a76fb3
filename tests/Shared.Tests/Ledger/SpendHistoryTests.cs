using Shared.Admission;
using Shared.Budgets;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Tests.Storage;
using Shared.VirtualKeys;
using static Shared.Tests.Admission.Callers;

namespace Shared.Tests.Ledger;

public sealed class SpendHistoryTests : IDisposable
{
    private readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Read_SettledOpenAndQueuedCalls_SumsThemByMinuteAndName()
    {
        using var gateway = new LedgerHarness(folder.Path);
        gateway.Begin(100).Settle(Used(60, 10));
        gateway.Ledger.Flush();
        gateway.Begin(30, tokens: 5);
        gateway.Begin(20, tokens: 6).Settle(new AttemptResult { Outcome = CallOutcome.Broken, Source = UsageSource.Reserved });
        gateway.Begin(7, Tool).Settle(Used(7));
        gateway.Clock.Advance(TimeSpan.FromSeconds(30));
        gateway.Begin(100).Settle(Used(1));

        var minute = new DateTimeOffset(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);
        Assert.Equal(
            [
                new SpendRow(minute, CallKind.Model, "alpha", "large", new Money(110), 3, 3, 21),
                new SpendRow(minute, CallKind.Tool, "files", "read", new Money(7), 1, 1, 0),
                new SpendRow(minute.AddMinutes(1), CallKind.Model, "alpha", "large", new Money(1), 1, 1, 0),
            ],
            gateway.History.Read(OwnerKind.Key, "k1", DateTimeOffset.UnixEpoch));
        Assert.Equal(1, Assert.Single(gateway.History.Read(OwnerKind.Key, "k1", minute.AddMinutes(1))).Cost.Nano);
        Assert.Empty(gateway.History.Read(OwnerKind.Key, "k2", DateTimeOffset.UnixEpoch));
    }

    [Fact]
    public void Read_SpanBeginsWithinAMinute_CountsWhatBeganInIt()
    {
        using var gateway = new LedgerHarness(folder.Path);
        var from = gateway.Clock.GetUtcNow();
        foreach (var (wait, nano) in new[] { (-20, 1L), (20, 2), (9, 4), (22, 8), (300, 16) })
        {
            gateway.Clock.AdjustTime(gateway.Clock.GetUtcNow().AddSeconds(wait));
            gateway.Begin(nano).Settle(Used(nano));
            gateway.Begin(nano * 100);
            gateway.Ledger.Flush();
        }

        Assert.Equal([606, 808, 1616], gateway.History.Read(OwnerKind.Key, "k1", from).Select(row => row.Cost.Nano));
        Assert.Equal([707, 808, 1616], gateway.History.Read(OwnerKind.Key, "k1", from.AddSeconds(-30)).Select(row => row.Cost.Nano));
        Assert.Equal([1616], gateway.History.Read(OwnerKind.Key, "k1", from.AddMinutes(2)).Select(row => row.Cost.Nano));
    }

    [Fact]
    public void Read_FallbackOfOneRequest_CountsOneRequestAndTwoAttempts()
    {
        using var gateway = new LedgerHarness(folder.Path);
        gateway.Controller.TryAdmit(Request(gateway.Snapshot), Ask(5), out var lease);
        lease!.TryBeginAttempt(Model, Ask(5), out var first);
        first!.Settle(FailedForFree);
        lease.TryBeginAttempt(Model, Ask(5), out var second);
        second!.Settle(Used(5));

        var row = Assert.Single(gateway.History.Read(OwnerKind.Key, "k1", DateTimeOffset.UnixEpoch));

        Assert.Equal((1, 2, 5), (row.Requests, row.Attempts, row.Cost.Nano));
    }

    [Theory]
    [InlineData(OwnerKind.Key)]
    [InlineData(OwnerKind.User)]
    [InlineData(OwnerKind.Team)]
    [InlineData(OwnerKind.Customer)]
    public void Restart_BudgetOfAnyOwner_CountsWhatItsKeysSpentBefore(OwnerKind kind)
    {
        VirtualKey KeyUnder(string id) => Key(id, new Owner { Kind = OwnerKind.User, Id = "u", Parent = new Owner { Kind = OwnerKind.Team, Id = "t", Parent = new Owner { Kind = OwnerKind.Customer, Id = "c" } } });
        using (var before = new LedgerHarness(folder.Path, now: new DateTimeOffset(2026, 11, 21, 23, 59, 0, TimeSpan.Zero)))
        {
            before.Publish(KeyUnder("k1"), KeyUnder("k2"));
            before.Begin(500).Settle(Used(500));
            before.Clock.Advance(TimeSpan.FromMinutes(2));
            before.Begin(40).Settle(Used(40));
            before.Begin(2, key: "k2").Settle(Used(2));
        }

        using var gateway = new LedgerHarness(folder.Path);
        Budget[] budgets = [Budget(100), Budget(1_000, Window.Rolling(TimeSpan.FromHours(24)), id: "rolling")];
        Owner? parent = null;
        foreach (var link in new[] { OwnerKind.Customer, OwnerKind.Team, OwnerKind.User })
        {
            parent = new Owner { Kind = link, Id = link.ToString()[..1].ToLowerInvariant(), Parent = parent, Budgets = link == kind ? [.. budgets] : [] };
        }
        gateway.Publish(Key("k1", parent, kind == OwnerKind.Key ? budgets : null));

        var counters = gateway.Snapshot.Part<AdmissionTable>().PlanOf(gateway.Snapshot.Keys["k1"]).Request.Budgets;
        var ofSecondKey = kind == OwnerKind.Key ? 0 : 2;
        Assert.Equal([40 + ofSecondKey, 540 + ofSecondKey], counters.Select(slot => slot.Counter.Settled));
    }

    [Fact]
    public void Restart_TokenAndRequestLimits_CountWhatWasUsedBefore()
    {
        using (var before = new LedgerHarness(folder.Path))
        {
            before.Begin(1, tokens: 50).Settle(Used(1, 30));
            before.Begin(1, OtherModel, tokens: 9);
        }

        using var gateway = new LedgerHarness(folder.Path);
        gateway.Publish(Key(rates: [Rate(RateUnit.Tokens, 100), Rate(RateUnit.Requests, 10, id: "requests"), Rate(RateUnit.Requests, 10, scope: OfModels("alpha/*"), id: "alpha")]));

        var plan = gateway.Snapshot.Part<AdmissionTable>().PlanOf(gateway.Snapshot.Keys["k1"]);
        Assert.Equal([39, 2], plan.Request.Rates.Select(slot => slot.Counter.Settled));
        Assert.Equal(1, Assert.Single(plan.Scoped.Rates).Counter.Settled);
    }
}
