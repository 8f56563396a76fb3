using Shared.Admission;
using Shared.Ledger;
using Shared.Storage;
using Shared.Tests.Storage;
using Shared.VirtualKeys;
using static Shared.Tests.Admission.Callers;

namespace Shared.Tests.Ledger;

public sealed class RecoveryTests : IDisposable
{
    private readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Open_ProcessDiedBeforeAnyCommit_CountsEveryStartedAttemptAtItsReservation()
    {
        using var dying = new LedgerHarness(folder.Path);
        var owners = new Owner { Kind = OwnerKind.User, Id = "user", Parent = new Owner { Kind = OwnerKind.Customer, Id = "customer" } };
        dying.Publish(Key(parent: owners));
        var open = dying.Begin(900, tokens: 40);
        dying.Begin(800, Tool).Settle(Used(1));
        using var after = folder.Copy();

        using var gateway = new LedgerHarness(after.Path);

        Assert.Equal(2, gateway.Count("NOT settled AND outcome = 0 AND key_id = 'k1' AND user_id = 'user' AND team_id IS NULL AND customer_id = 'customer'"));
        Assert.Equal(1, gateway.Count($"reserved_nano = 900 AND reserved_tokens = 40 AND hex(id) = '{open.Id.ToString("N").ToUpperInvariant()}' AND kind = 0 AND upstream = 'alpha' AND name = 'large'"
            + " AND requested_name = 'alpha/large' AND price_version = 'test:1' AND request_id = 'req_1' AND revision = '0123456789abcdef' AND hex(trace_id) = '0AF7651916CD43DD8448EB211C80319C'"
            + " AND started_at = 1795348830000"));
        Assert.Equal(1, gateway.Count("reserved_nano = 800 AND kind = 1 AND upstream = 'files' AND name = 'read' AND price_version IS NULL"));
        Assert.Equal(1_700, gateway.History.Read(OwnerKind.User, "user", DateTimeOffset.UnixEpoch).Sum(row => row.Cost.Nano));
    }

    [Fact]
    public void Open_ProcessDiedBetweenCommits_AddsOnlyWhatTheDatabaseLacks()
    {
        using var dying = new LedgerHarness(folder.Path);
        dying.Begin(1).Settle(Used(1));
        var open = dying.Begin(20);
        dying.Ledger.Flush();
        dying.Begin(300).Settle(Used(3));
        open.Settle(Used(2));
        using var after = folder.Copy();

        using var gateway = new LedgerHarness(after.Path);

        Assert.Equal(1, gateway.Count("settled AND cost_nano = 1"));
        Assert.Equal(1, gateway.Count("NOT settled AND reserved_nano = 20"));
        Assert.Equal(1, gateway.Count("NOT settled AND reserved_nano = 300"));
        Assert.Equal(3, gateway.Count());
        gateway.Begin(4000).Settle(Used(4));
        gateway.Ledger.Flush();
        Assert.Equal(4, gateway.Count());
    }

    [Fact]
    public void Open_ProcessDiedBetweenCommitAndItsMark_AddsNothingTwice()
    {
        using var dying = new LedgerHarness(folder.Path);
        dying.Begin(10).Settle(Used(1));
        dying.Begin(20).Settle(Used(2));
        using var journalBefore = folder.Copy();
        dying.Ledger.Flush();
        using var after = folder.Copy();
        File.Copy(journalBefore.File("ledger.journal"), after.File("ledger.journal"), overwrite: true);

        using var gateway = new LedgerHarness(after.Path);

        Assert.Equal(2, gateway.Count("settled"));
        Assert.Equal(2, gateway.Count());
    }

    [Fact]
    public void Open_RingHasGoneRoundManyTimes_RecoversOnlyTheLastRecords()
    {
        using var dying = new LedgerHarness(folder.Path, new StorageOptions { QueueSize = 16 });
        for (var i = 0; i < 50; i++)
        {
            dying.Begin(1).Settle(Used(1));
            dying.Ledger.Flush();
        }
        for (var i = 0; i < 10; i++)
        {
            dying.Begin(7);
        }
        using var after = folder.Copy();

        using var gateway = new LedgerHarness(after.Path, new StorageOptions { QueueSize = 16 });

        Assert.Equal(50, gateway.Count("settled"));
        Assert.Equal(10, gateway.Count("NOT settled AND reserved_nano = 7"));
    }

    [Fact]
    public void Open_QueueSizeChanged_RecoversAndMakesANewJournal()
    {
        using var dying = new LedgerHarness(folder.Path, new StorageOptions { QueueSize = 16 });
        dying.Begin(7);
        using var after = folder.Copy();

        using (var gateway = new LedgerHarness(after.Path, new StorageOptions { QueueSize = 64 }))
        {
            Assert.Equal(1, gateway.Count("NOT settled"));
            gateway.Begin(8).Settle(Used(1));
        }

        Assert.Equal(4096 + (64 * 512), new FileInfo(after.File("ledger.journal")).Length);
        using var last = new LedgerHarness(after.Path, new StorageOptions { QueueSize = 64 });
        Assert.Equal(2, last.Count());
    }

    [Fact]
    public void Open_JournalWasMovedAway_GoesOnWithoutTouchingOldRows()
    {
        using (var first = new LedgerHarness(folder.Path))
        {
            first.Begin(1).Settle(Used(1));
        }
        File.Delete(folder.File("ledger.journal"));

        using var gateway = new LedgerHarness(folder.Path);
        gateway.Begin(2).Settle(Used(2));
        gateway.Ledger.Flush();

        Assert.Equal(1, gateway.Count("cost_nano = 1"));
        Assert.Equal(1, gateway.Count("cost_nano = 2"));
    }

    [Fact]
    public void Open_JournalIsSomethingElse_SaysSo()
    {
        File.WriteAllText(folder.File("ledger.journal"), new string('x', 10_000));

        var error = Assert.Throws<StorageException>(() => new LedgerHarness(folder.Path));

        Assert.Contains("ledger.journal", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_NamesLongerThanASlot_AreCutAndTheOwnersKept()
    {
        using var dying = new LedgerHarness(folder.Path);
        var key = new string('k', 60);
        dying.Publish(Key(key, new Owner { Kind = OwnerKind.Team, Id = "größe-" + new string('t', 60) }));
        dying.Begin(5, new AttemptStart { Kind = CallKind.Model, Upstream = "up", Name = new string('ü', 400), RequestedName = new string('r', 400) }, key);
        using var after = folder.Copy();

        using var gateway = new LedgerHarness(after.Path);

        var row = Assert.Single(gateway.History.Read(OwnerKind.Team, "größe-" + new string('t', 60), DateTimeOffset.UnixEpoch));
        Assert.Equal("up", row.Upstream);
        Assert.InRange(row.Name.Length, 100, 250);
        Assert.Equal(new string('ü', row.Name.Length), row.Name);
    }

    [Fact]
    public void Restart_HardBudgetHadCallsInFlight_CannotBeOverrun()
    {
        using var dying = new LedgerHarness(folder.Path);
        dying.Publish(Key(budgets: [Budget(1_000)]));
        dying.Begin(400).Settle(Used(350));
        dying.Ledger.Flush();
        dying.Begin(500);
        using var after = folder.Copy();

        using var gateway = new LedgerHarness(after.Path);
        gateway.Publish(Key(budgets: [Budget(1_000)]));

        var counter = gateway.Snapshot.Part<AdmissionTable>().PlanOf(gateway.Snapshot.Keys["k1"]).Request.Budgets[0].Counter;
        Assert.Equal(850, counter.Settled);
        Assert.Null(gateway.TryBegin(151));
        Assert.NotNull(gateway.TryBegin(150));
    }
}
