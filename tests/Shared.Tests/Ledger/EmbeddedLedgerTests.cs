using System.Diagnostics.Metrics;
using Shared.Admission;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Storage;
using Shared.Tests.Storage;
using Shared.VirtualKeys;
using static Shared.Tests.Admission.Callers;

namespace Shared.Tests.Ledger;

public sealed class EmbeddedLedgerTests : IDisposable
{
    private readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Flush_AttemptSettledBefore_WritesOneWholeRow()
    {
        using var gateway = new LedgerHarness(folder.Path);
        var team = new Owner { Kind = OwnerKind.Team, Id = "team", Parent = new Owner { Kind = OwnerKind.Customer, Id = "customer" } };
        gateway.Publish(Key(parent: new Owner { Kind = OwnerKind.User, Id = "user", Parent = team }));
        var attempt = gateway.Begin(900, tokens: 33);
        attempt.Settle(new AttemptResult
        {
            Outcome = CallOutcome.Succeeded,
            Source = UsageSource.Reported,
            Cost = new Money(800),
            Status = 200,
            Error = "",
            ServedModel = "large-2026",
            Usage = new TokenUsage { Input = 1, CacheRead = 2, CacheWrite = 3, AudioInput = 4, Output = 5, Reasoning = 6, AudioOutput = 7, CacheWrite1h = 8, ImageInput = 9, ImageOutput = 10, Units = new UnitUsage(UnitKind.Image, 2_500, "hd/1024x1792") },
        });

        await gateway.Ledger.FlushAsync(TestContext.Current.CancellationToken);

        gateway.Database.Use(session =>
        {
            using var row = session.Prepare("""
                SELECT hex(id), started_at, minute, settled, kind, request_id, hex(trace_id), key_id, user_id, team_id, customer_id, requested_name, upstream, name, served_model,
                    attempt_index, outcome, status, error, usage_source, input, cache_read, cache_write, audio_input, output, reasoning, audio_output,
                    reserved_nano, reserved_tokens, cost_nano, price_version, duration_us >= 0, revision, cache_write_1h, image_input, image_output, unit_kind, unit_thousandths, unit_variant FROM attempts
                """);
            Assert.True(row.Read());
            Assert.Equal(
                [
                    attempt.Id.ToString("N").ToUpperInvariant(), "1795348830000", "29922480", "1", "0", "req_1", "0AF7651916CD43DD8448EB211C80319C", "k1", "user", "team", "customer",
                    "alpha/large", "alpha", "large", "large-2026", "0", "1", "200", "", "1", "1", "2", "3", "4", "5", "6", "7", "900", "33", "800", "test:1", "1", "0123456789abcdef",
                    "8", "9", "10", "1", "2500", "hd/1024x1792",
                ],
                Enumerable.Range(0, 39).Select(row.Text));
            Assert.False(row.IsNull(18));
            Assert.False(row.Read());
            return 0;
        });
    }

    [Fact]
    public async Task Flush_AttemptStillOpen_WritesItAtItsReservationAndSettlesItLater()
    {
        using var gateway = new LedgerHarness(folder.Path);
        var attempt = gateway.Begin(900);
        await gateway.Ledger.FlushAsync(TestContext.Current.CancellationToken);
        Assert.Equal(1, gateway.Count("settled = 0 AND outcome = 0 AND reserved_nano = 900 AND cost_nano IS NULL"));

        attempt.Settle(Used(100, 7));
        await gateway.Ledger.FlushAsync(TestContext.Current.CancellationToken);

        Assert.Equal(1, gateway.Count("settled = 1 AND outcome = 1 AND cost_nano = 100 AND input = 7"));
        Assert.Equal(1, gateway.Count());
        Assert.Equal(0, gateway.Ledger.Waiting);
    }

    [Fact]
    public async Task Flush_CostUnknown_StaysUnknown()
    {
        using var gateway = new LedgerHarness(folder.Path);
        gateway.Begin(0).Settle(new AttemptResult { Outcome = CallOutcome.Succeeded, Source = UsageSource.Reported });

        await gateway.Ledger.FlushAsync(TestContext.Current.CancellationToken);

        Assert.Equal(1, gateway.Count("settled = 1 AND cost_nano IS NULL AND price_version = 'test:1'"));
    }

    [Fact]
    public void TryBegin_RingIsFull_RefusesUntilRowsAreWritten()
    {
        using var gateway = new LedgerHarness(folder.Path, new StorageOptions { QueueSize = 16 });
        gateway.Controller.TryAdmit(Request(gateway.Snapshot), AdmissionAsk.Free, out var admitted);
        var lease = admitted!;
        for (var i = 0; i < 16; i++)
        {
            Assert.Null(lease.TryBeginAttempt(Model, AdmissionAsk.Free, out _));
            Assert.Equal(i < 12, gateway.Ledger.HasRoom);
        }

        Assert.Equal(RefusalKind.LedgerFull, lease.TryBeginAttempt(Model, AdmissionAsk.Free, out _)!.Kind);
        Assert.Equal(RefusalKind.LedgerFull, gateway.Controller.TryAdmit(lease.Request, AdmissionAsk.Free, out _)!.Kind);
        gateway.Ledger.Flush();

        Assert.True(gateway.Ledger.HasRoom);
        Assert.Equal(16, gateway.Count());
        Assert.Null(lease.TryBeginAttempt(Model, AdmissionAsk.Free, out _));
        Assert.Equal(1, gateway.Ledger.Waiting);
        gateway.Ledger.Flush();
        Assert.Equal(17, gateway.Count());
    }

    [Fact]
    public async Task ManyThreads_BeginAndSettle_EveryAttemptHasItsRow()
    {
        using var gateway = new LedgerHarness(folder.Path, new StorageOptions { QueueSize = 1024 });
        using var done = new CancellationTokenSource();
        var consumer = Task.Run(() =>
        {
            while (!done.IsCancellationRequested)
            {
                gateway.Ledger.Drain();
            }
        }, TestContext.Current.CancellationToken);
        const int Threads = 6, Each = 5_000;
        var producers = Enumerable.Range(0, Threads).Select(worker => Task.Factory.StartNew(() =>
        {
            var open = new Queue<AttemptLease>();
            for (var i = 0; i < Each; i++)
            {
                AttemptLease? attempt;
                while ((attempt = gateway.TryBegin(10)) is null)
                {
                    Thread.Yield();
                }
                open.Enqueue(attempt);
                if (open.Count > i % 20)
                {
                    open.Dequeue().Settle(Used(3));
                }
            }
            foreach (var attempt in open.Skip(1))
            {
                attempt.Settle(Used(3));
            }
        }, TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default));
        await Task.WhenAll(producers).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        await done.CancelAsync();
        await consumer.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        gateway.Ledger.Flush();

        Assert.Equal(Threads * Each, gateway.Count());
        Assert.Equal(gateway.Count(), gateway.Database.Use(session =>
        {
            using var ids = session.Prepare("SELECT count(DISTINCT id) FROM attempts");
            ids.Read();
            return ids.Int64(0);
        }));
        Assert.Equal(0, gateway.Count("settled AND cost_nano <> 3"));
        Assert.InRange(gateway.Count("NOT settled"), 0, Threads);
        Assert.Equal(0, gateway.Ledger.Waiting);
    }

    [Fact]
    public void Flush_AnotherConnectionHoldsTheDatabase_ThrowsAndLosesNothing()
    {
        using var gateway = new LedgerHarness(folder.Path, new StorageOptions { BusyTimeout = TimeSpan.FromMilliseconds(20) });
        var open = gateway.Begin(900);
        gateway.Begin(800).Settle(Used(1));
        using var blocker = SqliteSession.Open(folder.File("gateway.db"), TimeSpan.Zero);
        blocker.Execute("BEGIN EXCLUSIVE");

        var error = Assert.Throws<StorageException>(gateway.Ledger.Flush);
        Assert.Equal(5, error.Code & 0xff);
        open.Settle(Used(2));
        Assert.Throws<StorageException>(gateway.Ledger.Flush);
        Assert.Equal(2, gateway.Ledger.Waiting);
        blocker.Execute("ROLLBACK");
        gateway.Ledger.Flush();
        Assert.Equal(3, Assert.Single(gateway.History.Read(OwnerKind.Key, "k1", DateTimeOffset.UnixEpoch)).Cost.Nano);

        Assert.Equal(2, gateway.Count("settled AND cost_nano IN (1, 2)"));
        Assert.Equal(0, gateway.Ledger.Waiting);
    }

    [Fact]
    public void Flush_FailsBetweenStartAndEnd_StillSettlesTheRow()
    {
        using var gateway = new LedgerHarness(folder.Path, new StorageOptions { BusyTimeout = TimeSpan.FromMilliseconds(20) });
        gateway.Database.Use(session =>
        {
            session.Execute("CREATE TRIGGER refuse BEFORE INSERT ON attempts BEGIN SELECT RAISE(ABORT, 'disk trouble'); END");
            return 0;
        });
        var attempt = gateway.Begin(900);
        Assert.Throws<StorageException>(gateway.Ledger.Flush);
        attempt.Settle(Used(2));
        Assert.Throws<StorageException>(gateway.Ledger.Flush);
        gateway.Database.Use(session =>
        {
            session.Execute("DROP TRIGGER refuse");
            return 0;
        });

        gateway.Ledger.Flush();

        Assert.Equal(1, gateway.Count("settled AND cost_nano = 2"));
        Assert.Equal(1, gateway.Count());
        Assert.Equal(2, Assert.Single(gateway.History.Read(OwnerKind.Key, "k1", DateTimeOffset.UnixEpoch)).Cost.Nano);
    }

    [Fact]
    public void Settle_CostMoreThanItsBoundUnderAHardBudget_IsChargedAndCounted()
    {
        using var gateway = new LedgerHarness(folder.Path);
        gateway.Publish(Key("k1", budgets: [Budget(1_000)]), Key("k2"));
        long exceeded = 0;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, enabled) =>
        {
            if (instrument.Name == "gateway.ledger.bound_exceeded" && instrument.Meter.Scope == gateway.Meters)
            {
                enabled.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, count, _, _) => exceeded += count);
        listener.Start();

        gateway.Begin(100).Settle(Used(100));
        gateway.Begin(100, key: "k2").Settle(Used(101));
        Assert.Equal(0, exceeded);
        gateway.Begin(100).Settle(Used(300));

        Assert.Equal(1, exceeded);
        Assert.Equal(400, gateway.Snapshot.Part<AdmissionTable>().PlanOf(gateway.Snapshot.Keys["k1"]).Request.Budgets[0].Counter.Settled);
    }

    [Fact]
    public async Task Settle_FromManyThreadsAtOnce_CountsTheFirstAlone()
    {
        using var gateway = new LedgerHarness(folder.Path);
        gateway.Publish(Key(budgets: [Budget(1_000_000)]));
        for (var round = 0; round < 200; round++)
        {
            var attempt = gateway.Begin(100);
            using var start = new Barrier(3);
            await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Task.Factory.StartNew(() =>
            {
                start.SignalAndWait();
                attempt.Settle(Used(1));
            }, TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default))).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        }

        Assert.Equal(200, gateway.Snapshot.Part<AdmissionTable>().PlanOf(gateway.Snapshot.Keys["k1"]).Request.Budgets[0].Counter.Settled);
    }

    [Fact]
    public void Dispose_RecordsWait_WritesThemAndTakesNoMore()
    {
        AttemptLease late;
        using (var gateway = new LedgerHarness(folder.Path))
        {
            gateway.Begin(900).Settle(Used(1));
            late = gateway.Begin(800);
            gateway.Ledger.Dispose();

            Assert.False(gateway.Ledger.HasRoom);
            Assert.Null(gateway.TryBegin(1));
            late.Settle(Used(5));
        }

        using var next = new LedgerHarness(folder.Path);
        Assert.Equal(1, next.Count("settled AND cost_nano = 1"));
        Assert.Equal(1, next.Count("NOT settled AND reserved_nano = 800"));
        Assert.Equal(2, next.Count());
    }
}
