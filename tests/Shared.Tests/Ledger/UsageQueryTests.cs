using Shared.Ledger;
using Shared.Pricing;
using Shared.Tests.Storage;
using Shared.VirtualKeys;
using static Shared.Tests.Admission.Callers;

namespace Shared.Tests.Ledger;

public sealed class UsageQueryTests : IDisposable
{
    private readonly TempFolder folder = new();
    private readonly LedgerHarness gateway;

    public UsageQueryTests()
    {
        gateway = new LedgerHarness(folder.Path);
        gateway.Publish(Key("k1", new Owner { Kind = OwnerKind.User, Id = "ann", Parent = new Owner { Kind = OwnerKind.Team, Id = "red" } }), Key("k2"));
    }

    public void Dispose()
    {
        gateway.Dispose();
        folder.Dispose();
    }

    [Fact]
    public async Task Run_EmptyLedger_AnswersOneRowOfNothing()
    {
        var row = Assert.Single((await RunAsync(new UsageRequest())).Rows);

        Assert.Equal((0, 0, 0, 0, Money.Zero, Money.Zero), (row.Calls, row.Failed, row.InputTokens, row.UnsettledCalls, row.Cost, row.Reserved));
        Assert.Empty((await RunAsync(new UsageRequest { GroupBy = [UsageDimension.Key] })).Rows);
    }

    [Fact]
    public async Task Run_AllKindsOfCalls_SumsEachIntoItsColumn()
    {
        gateway.Begin(100).Settle(Used(60) with { Usage = new TokenUsage { Input = 1, CacheRead = 2, CacheWrite = 4, AudioInput = 8, Output = 16, Reasoning = 32, AudioOutput = 64 } });
        gateway.Begin(100).Settle(FailedForFree);
        gateway.Begin(100).Settle(new AttemptResult { Outcome = CallOutcome.Cancelled, Source = UsageSource.Reserved });
        gateway.Begin(0).Settle(new AttemptResult { Outcome = CallOutcome.Succeeded, Source = UsageSource.Reported });
        gateway.Begin(70);

        var row = Assert.Single((await RunAsync(new UsageRequest())).Rows);

        Assert.Equal((5, 1, 15, 2, 112), (row.Calls, row.Failed, row.InputTokens, row.CachedTokens, row.OutputTokens));
        Assert.Equal((new Money(160), 1, 1, new Money(70)), (row.Cost, row.UnknownCostCalls, row.UnsettledCalls, row.Reserved));
    }

    [Fact]
    public async Task Run_PartsThatHaveColumnsOfTheirOwn_CountInTheTotals()
    {
        gateway.Begin(100).Settle(Used(60) with { Usage = new TokenUsage { Input = 1, CacheWrite1h = 2, ImageInput = 4, Output = 8, ImageOutput = 16 } });
        gateway.Clock.Advance(TimeSpan.FromMinutes(1));

        var whole = Assert.Single((await RunAsync(new UsageRequest())).Rows);
        var minute = Assert.Single((await RunAsync(new UsageRequest { To = gateway.Clock.GetUtcNow() })).Rows);

        Assert.Equal((7, 24), (whole.InputTokens, whole.OutputTokens));
        Assert.Equal((7, 24), (minute.InputTokens, minute.OutputTokens));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Run_Units_EachKindHasItsOwnSumFromHoursAsFromAttempts(bool wholeHour)
    {
        UnitUsage[] used =
        [
            UnitUsage.Of(UnitKind.Image, 2, "hd"), UnitUsage.Of(UnitKind.Image, 3), new(UnitKind.AudioSecond, 8_471), new(UnitKind.AudioSecond, 29), UnitUsage.Of(UnitKind.Character, 1_000_000),
            UnitUsage.Of(UnitKind.Search, 7), default,
        ];
        foreach (var units in used)
        {
            gateway.Begin(100).Settle(Used(60) with { Usage = new TokenUsage { Input = 1, Units = units } });
        }
        gateway.Clock.Advance(wholeHour ? TimeSpan.FromHours(2) : TimeSpan.FromMinutes(1));

        var row = Assert.Single((await RunAsync(new UsageRequest { To = gateway.Clock.GetUtcNow() })).Rows);

        Assert.Equal((7, 5m, 8.5m, 1_000_000m, 7m), (row.Calls, row.Images, row.AudioSeconds, row.Characters, row.Searches));
    }

    [Fact]
    public async Task Run_GroupedByAnySubset_GroupsInThatOrder()
    {
        gateway.Begin(1).Settle(Used(1));
        gateway.Begin(2, OtherModel).Settle(Used(2));
        gateway.Begin(4, Tool, "k2").Settle(Used(4));
        gateway.Clock.Advance(TimeSpan.FromDays(1));
        gateway.Begin(8).Settle(Used(8));

        Assert.Equal(["k1=11", "k2=4"], await GroupAsync(UsageDimension.Key));
        Assert.Equal(["=4", "alpha/large=9", "beta/small=2"], await GroupAsync(UsageDimension.Model));
        Assert.Equal(["=11", "files/read=4"], await GroupAsync(UsageDimension.Tool));
        Assert.Equal(["2026-11-22=7", "2026-11-23=8"], await GroupAsync(UsageDimension.Day));
        Assert.Equal(["=4", "alpha=9", "beta=2"], await GroupAsync(UsageDimension.Provider));
        Assert.Equal(["=4", "ann=11"], await GroupAsync(UsageDimension.User));
        Assert.Equal(["=4", "red=11"], await GroupAsync(UsageDimension.Team));
        Assert.Equal(["=15"], await GroupAsync(UsageDimension.Customer));
        Assert.Equal(["2026-11-22,k1,alpha/large=1", "2026-11-22,k1,beta/small=2", "2026-11-22,k2,=4", "2026-11-23,k1,alpha/large=8"],
            await GroupAsync(UsageDimension.Day, UsageDimension.Key, UsageDimension.Model));
    }

    [Fact]
    public async Task Run_Filtered_CountsOnlyWhatMatches()
    {
        var start = gateway.Clock.GetUtcNow();
        gateway.Begin(1).Settle(Used(1));
        gateway.Begin(2, OtherModel).Settle(Used(2));
        gateway.Begin(4, Tool, "k2").Settle(Used(4));
        gateway.Clock.Advance(TimeSpan.FromHours(1));
        gateway.Begin(8).Settle(Used(8));

        Assert.Equal(11, await CostAsync(new UsageRequest { Key = "k1" }));
        Assert.Equal(9, await CostAsync(new UsageRequest { Model = "alpha/large" }));
        Assert.Equal(4, await CostAsync(new UsageRequest { Tool = "files/read" }));
        Assert.Equal(0, await CostAsync(new UsageRequest { Key = "k1", Tool = "files/read" }));
        Assert.Equal(7, await CostAsync(new UsageRequest { To = start.AddHours(1) }));
        Assert.Equal(8, await CostAsync(new UsageRequest { From = start.AddHours(1) }));
        Assert.Equal(0, await CostAsync(new UsageRequest { Key = "k1' OR '1' = '1" }));
    }

    [Fact]
    public async Task Run_MoreGroupsThanTheLimit_SaysThatItCut()
    {
        gateway.Begin(1).Settle(Used(1));
        gateway.Begin(1, Tool, "k2").Settle(Used(1));

        var cut = await RunAsync(new UsageRequest { GroupBy = [UsageDimension.Key], Limit = 1 });
        var whole = await RunAsync(new UsageRequest { GroupBy = [UsageDimension.Key], Limit = 2 });

        Assert.Equal((1, true), (cut.Rows.Count, cut.Truncated));
        Assert.Equal((2, false), (whole.Rows.Count, whole.Truncated));
    }

    [Fact]
    public async Task Run_SumExceedsMoney_AnswersTheLargestAmount()
    {
        gateway.Begin(1).Settle(Used(long.MaxValue - 1));
        gateway.Begin(1).Settle(Used(long.MaxValue - 1));

        Assert.Equal(long.MaxValue, await CostAsync(new UsageRequest()));
        Assert.Equal(Money.MaxValue, Assert.Single(gateway.History.Read(OwnerKind.Key, "k1", DateTimeOffset.UnixEpoch)).Cost);
    }

    [Fact]
    public async Task Run_NonsenseAsked_Throws()
    {
        await Assert.ThrowsAsync<ArgumentException>(() => RunAsync(new UsageRequest { GroupBy = [UsageDimension.Key, UsageDimension.Key] }));
        await Assert.ThrowsAsync<ArgumentException>(() => RunAsync(new UsageRequest { Limit = UsageQuery.MaxRows + 1 }));
        await Assert.ThrowsAsync<ArgumentException>(() => RunAsync(new UsageRequest { From = DateTimeOffset.UnixEpoch, To = DateTimeOffset.UnixEpoch }));
    }

    [Fact]
    public async Task Series_OfDays_BeginsThemInTheTimeZone()
    {
        // Clocks in Berlin went back on 25 October 2026, whose day has 25 hours.
        var berlin = TimeZoneInfo.FindSystemTimeZoneById("Europe/Berlin");
        gateway.Clock.SetUtcNow(new DateTimeOffset(2026, 11, 24, 22, 30, 0, TimeSpan.Zero));
        gateway.Begin(1).Settle(Used(1));
        gateway.Clock.Advance(TimeSpan.FromHours(1));
        gateway.Begin(2).Settle(Used(2));
        gateway.Clock.Advance(TimeSpan.FromDays(1));
        var to = gateway.Clock.GetUtcNow();

        var series = await RunAsync(new UsageRequest { From = new DateTimeOffset(2026, 11, 23, 23, 0, 0, TimeSpan.Zero), To = to, Interval = UsageInterval.Day, TimeZone = berlin, FillZero = true, GroupBy = [UsageDimension.Key] });

        Assert.Equal([("2026-11-23T23", 1), ("2026-11-24T23", 2), ("2026-11-25T23", 0)], series.Rows.Select(row => (row.Start!.Value.ToString("yyyy-MM-dd'T'HH", System.Globalization.CultureInfo.InvariantCulture), row.Cost.Nano)));
        var hours = await RunAsync(new UsageRequest { From = new DateTimeOffset(2026, 10, 24, 22, 0, 0, TimeSpan.Zero), To = new DateTimeOffset(2026, 10, 25, 23, 0, 0, TimeSpan.Zero), Interval = UsageInterval.Day, TimeZone = berlin, FillZero = true });
        Assert.Single(hours.Rows);
    }

    [Fact]
    public async Task Series_OfMinutes_TakesThemFromTheAttempts()
    {
        var from = gateway.Clock.GetUtcNow().AddSeconds(-30);
        gateway.Begin(1).Settle(Used(1));
        gateway.Clock.Advance(TimeSpan.FromMinutes(2));
        gateway.Begin(2).Settle(Used(2));
        gateway.Begin(4);

        var series = await RunAsync(new UsageRequest { From = from, To = from.AddMinutes(3), Interval = UsageInterval.Minute });

        Assert.Equal([(from, 1, 0), (from.AddMinutes(2), 2, 1)], series.Rows.Select(row => (row.Start!.Value, row.Cost.Nano, row.UnsettledCalls)));
        await Assert.ThrowsAsync<ArgumentException>(() => RunAsync(new UsageRequest { From = from, To = from.AddMinutes(UsageQuery.MaxPoints + 1), Interval = UsageInterval.Minute }));
    }

    [Fact]
    public async Task Top_KeepsTheLargestGroups_InASeriesToo()
    {
        var from = gateway.Clock.GetUtcNow();
        gateway.Begin(1).Settle(Used(1));
        gateway.Begin(8, Tool, "k2").Settle(Used(8));
        gateway.Begin(3, OtherModel).Settle(Used(3));
        gateway.Clock.Advance(TimeSpan.FromHours(1));
        gateway.Begin(1).Settle(Used(1));

        var top = await RunAsync(new UsageRequest { GroupBy = [UsageDimension.Provider, UsageDimension.Server], Top = 2 });
        var series = await RunAsync(new UsageRequest { GroupBy = [UsageDimension.Provider, UsageDimension.Server], Top = 2, Interval = UsageInterval.Hour, From = from, To = from.AddHours(2), FillZero = true });
        var calls = await RunAsync(new UsageRequest { GroupBy = [UsageDimension.Provider], OrderBy = UsageOrder.Calls, Limit = 1 });

        Assert.Equal([8, 3], top.Rows.Select(row => row.Cost.Nano));
        Assert.All(series.Rows, row => Assert.NotEqual("alpha", row.Group[0]));
        Assert.Equal("alpha", calls.Rows[0].Group[0]);
        Assert.True(calls.Truncated);
    }

    private Task<UsageReport> RunAsync(UsageRequest request) => gateway.Usage.RunAsync(request, TestContext.Current.CancellationToken);

    private async Task<long> CostAsync(UsageRequest request) => Assert.Single((await RunAsync(request)).Rows).Cost.Nano;

    private async Task<IEnumerable<string>> GroupAsync(params UsageDimension[] groupBy) =>
        (await RunAsync(new UsageRequest { GroupBy = groupBy })).Rows.Select(row => $"{string.Join(',', row.Group)}={row.Cost.Nano}");
}
