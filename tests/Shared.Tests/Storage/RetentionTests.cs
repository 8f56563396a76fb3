using Shared.Budgets;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Storage;
using Shared.Stored;
using Shared.Tests.Ledger;
using Shared.VirtualKeys;
using static Shared.Tests.Admission.Callers;

namespace Shared.Tests.Storage;

public sealed class RetentionTests : IDisposable
{
    private static readonly RetentionSettings Month = new() { Ledger = TimeSpan.FromDays(30), Usage = TimeSpan.FromDays(400) };

    private readonly TempFolder folder = new();
    private readonly LedgerHarness gateway;

    public RetentionTests() => gateway = new LedgerHarness(folder.Path);

    public void Dispose()
    {
        gateway.Dispose();
        folder.Dispose();
    }

    [Fact]
    public async Task OldAttempts_Go_AndTheirSumsAnswerTheSame()
    {
        var first = gateway.Clock.GetUtcNow();
        for (var day = 0; day < 60; day++)
        {
            gateway.Begin(10).Settle(Used(7, tokens: 3));
            gateway.Begin(10, Tool).Settle(FailedForFree);
            gateway.Clock.Advance(TimeSpan.FromHours(5));
            gateway.Begin(10).Settle(Used(1));
            gateway.Clock.Advance(TimeSpan.FromHours(19));
        }
        gateway.Begin(100);
        var byDay = new UsageRequest { GroupBy = [UsageDimension.Day, UsageDimension.Model, UsageDimension.Tool, UsageDimension.Outcome] };
        var before = await LinesAsync(byDay);
        var days = byDay with { From = new DateTimeOffset(first.UtcDateTime.Date.AddDays(1), TimeSpan.Zero), To = new DateTimeOffset(first.UtcDateTime.Date.AddDays(20), TimeSpan.Zero) };
        var month = await LinesAsync(days);

        var report = await RunAsync(Month);

        Assert.InRange(report.Attempts, 87, 90);
        Assert.Equal(181 - report.Attempts, gateway.Count());
        Assert.Equal(0, gateway.Count($"started_at < {report.AttemptsSince.ToUnixTimeMilliseconds()}"));
        Assert.Equal(before, await LinesAsync(byDay));
        Assert.True(report.Sums > 0);
        Assert.Equal(month, await LinesAsync(days));
        // The first day's hours are one sum now, which counts at its beginning: before a span that begins within the day.
        Assert.Equal(month, await LinesAsync(days with { From = first }));
        Assert.Equal(0, (await RunAsync(Month)).Attempts);
    }

    [Fact]
    public async Task SpansThatTouch_CountEachOldCallOnce()
    {
        var first = gateway.Clock.GetUtcNow();
        for (var i = 0; i < 500; i++)
        {
            gateway.Begin(1).Settle(Used(1));
            gateway.Clock.Advance(TimeSpan.FromMinutes(217));
        }
        await RunAsync(Month);
        var (sum, from) = (0L, first.AddDays(-1));
        while (from < gateway.Clock.GetUtcNow())
        {
            var to = from.AddMinutes(1337);
            sum += (await gateway.Usage.RunAsync(new UsageRequest { From = from, To = to }, TestContext.Current.CancellationToken)).Rows[0].Calls;
            from = to;
        }

        Assert.Equal(500, sum);
        var series = await gateway.Usage.RunAsync(new UsageRequest { From = first.AddDays(-1), To = gateway.Clock.GetUtcNow(), Interval = UsageInterval.Hour }, TestContext.Current.CancellationToken);
        Assert.Equal(500, series.Rows.Sum(row => row.Calls));
        Assert.NotNull(series.AttemptsKeptSince);
        Assert.NotNull(series.HoursKeptSince);
    }

    [Fact]
    public async Task WhatBudgetsNeed_Stays()
    {
        gateway.Publish(Key(budgets: [Budget(1_000, Window.Rolling(TimeSpan.FromDays(60)))]));
        for (var day = 0; day < 80; day++)
        {
            gateway.Begin(10).Settle(Used(10));
            gateway.Clock.Advance(TimeSpan.FromDays(1));
        }
        var from = gateway.Clock.GetUtcNow() - TimeSpan.FromDays(60);
        var spent = gateway.History.Read(OwnerKind.Key, "k1", from).Sum(row => row.Cost.Nano);

        await RunAsync(Month with { Ledger = TimeSpan.FromDays(1), MaxDatabaseBytes = 1 }, TimeSpan.FromDays(60));

        Assert.Equal(600, spent);
        Assert.Equal(spent, gateway.History.Read(OwnerKind.Key, "k1", from).Sum(row => row.Cost.Nano));
        Assert.InRange(gateway.Count(), 60, 62);
        gateway.Publish(Key(budgets: [Budget(1_000, Window.Rolling(TimeSpan.FromDays(60)))]));
        Assert.Null(gateway.TryBegin(401));
        Assert.NotNull(gateway.TryBegin(400));
    }

    [Fact]
    public async Task UnsettledAttempts_ThatGo_AreStillKnownAsUnsettled()
    {
        gateway.Begin(123);
        gateway.Ledger.Flush();
        gateway.Clock.Advance(TimeSpan.FromDays(40));

        await RunAsync(Month);

        Assert.Equal(0, gateway.Count());
        var row = Assert.Single((await gateway.Usage.RunAsync(new UsageRequest(), TestContext.Current.CancellationToken)).Rows);
        Assert.Equal((1, 1, new Money(123), Money.Zero), (row.Calls, row.UnsettledCalls, row.Reserved, row.Cost));
    }

    [Fact]
    public async Task SpendThatNoWindowCovers_AndSumsBeyondTheirTime_Go()
    {
        gateway.Begin(5).Settle(Used(5));
        gateway.Ledger.Flush();
        gateway.Clock.Advance(TimeSpan.FromDays(33));
        await RunAsync(Month);
        Assert.Equal(0, Number("SELECT count(*) FROM spend"));
        Assert.Equal(1, Number("SELECT count(*) FROM usage_hours"));

        gateway.Clock.Advance(TimeSpan.FromDays(400));
        await RunAsync(Month);
        Assert.Equal(0, Number("SELECT count(*) FROM usage_hours"));
    }

    [Fact]
    public async Task DatabaseBeyondItsLimit_LosesTheOldestFirst()
    {
        for (var day = 0; day < 20; day++)
        {
            for (var i = 0; i < 400; i++)
            {
                gateway.Begin(1).Settle(Used(1));
            }
            gateway.Ledger.Flush();
            gateway.Clock.Advance(TimeSpan.FromDays(1));
        }
        var limit = gateway.Database.Use(Retention.UsedBytes) / 2;

        var report = await RunAsync(Month with { MaxDatabaseBytes = limit });

        Assert.InRange(report.Attempts, 2000, 7600);
        Assert.True(gateway.Database.Use(Retention.UsedBytes) <= limit);
        Assert.Equal(0, gateway.Count($"started_at < {report.AttemptsSince.ToUnixTimeMilliseconds() - 3_600_000}"));
        Assert.Equal(8000, Assert.Single((await gateway.Usage.RunAsync(new UsageRequest(), TestContext.Current.CancellationToken)).Rows).Calls);
    }

    [Fact]
    public async Task OldAudit_Goes_AndTheNewStays()
    {
        var audit = new AuditLog(gateway.Database, gateway.Clock);
        audit.Record(new AuditChange("changed", "key", "old", null, null), new ChangedBy("admin:a"));
        gateway.Clock.Advance(TimeSpan.FromDays(100));
        audit.Record(new AuditChange("changed", "key", "new", null, null), new ChangedBy("admin:a"));

        var report = await RunAsync(Month with { Audit = TimeSpan.FromDays(99) });

        Assert.Equal(1, report.Audits);
        Assert.Equal("new", Assert.Single(audit.Read(new AuditRequest())).Change.Id);
    }

    [Fact]
    public void DiskWithoutRoom_RefusesCallsAndNamesTheDisk()
    {
        gateway.Database.Disk.Set(new DiskReport(1, 1, 0, 100, FreeBytes: 9, MinFreeBytes: 10));
        var refusal = gateway.Controller.TryAdmit(Request(gateway.Snapshot), Ask(1), out _);
        Assert.Equal(503, refusal?.Status);
        Assert.Contains("disk", refusal?.Message, StringComparison.Ordinal);
        Assert.NotNull(refusal?.RetryAfter);

        gateway.Database.Disk.Set(new DiskReport(1, 1, 0, 100, FreeBytes: 11, MinFreeBytes: 10));
        Assert.Null(gateway.Controller.TryAdmit(Request(gateway.Snapshot), Ask(1), out var lease));
        lease!.Dispose();
    }

    private Task<RetentionReport> RunAsync(RetentionSettings settings, TimeSpan? longest = null)
    {
        gateway.Ledger.Flush();
        return new Retention(gateway.Database).RunAsync(settings, longest ?? TimeSpan.FromDays(1), gateway.Clock.GetUtcNow(), TestContext.Current.CancellationToken);
    }

    private async Task<List<string>> LinesAsync(UsageRequest request) => [.. (await gateway.Usage.RunAsync(request, TestContext.Current.CancellationToken)).Rows
        .Select(row => $"{string.Join(',', row.Group)} {row.Calls} {row.Failed} {row.InputTokens} {row.Cost} {row.UnsettledCalls} {row.Reserved} {row.MeanDuration} {row.LongestDuration}")];

    private long Number(string sql) => gateway.Database.Use(session =>
    {
        using var statement = session.Prepare(sql);
        statement.Read();
        return statement.Int64(0);
    });
}
