using Microsoft.Extensions.Time.Testing;
using Shared.Admission;
using Shared.Http;
using Shared.Ledger;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Shared.Tests.Admission;

/// <summary>Admission over a ledger in memory and a clock that the test moves.</summary>
internal sealed class AdmissionHarness
{
    private readonly AdmissionTableCompiler compiler;

    public AdmissionHarness(params VirtualKey[] keys)
    {
        compiler = new AdmissionTableCompiler(Ledger, Clock);
        Controller = new AdmissionController(Ledger, Clock);
        Snapshot = Callers.Snapshot(compiler, keys);
    }

    public FakeTimeProvider Clock { get; } = new(new DateTimeOffset(2026, 11, 22, 12, 0, 0, TimeSpan.Zero));

    public MemoryLedger Ledger { get; } = new();

    public AdmissionController Controller { get; }

    public Snapshot Snapshot { get; private set; }

    public void Publish(params VirtualKey[] keys) => Snapshot = Callers.Snapshot(compiler, keys);

    public GatewayRequest Request(string key = "k1") => Callers.Request(Snapshot, key);

    public AdmissionRefusal? TryAdmit(in AdmissionAsk ask, out RequestLease? lease, string key = "k1") => Controller.TryAdmit(Request(key), ask, out lease);

    public RequestLease Admit(in AdmissionAsk ask, string key = "k1")
    {
        Assert.Null(TryAdmit(ask, out var lease, key));
        return lease!;
    }

    public RefusalKind? RefusalOf(in AdmissionAsk ask, string key = "k1")
    {
        var refusal = TryAdmit(ask, out var lease, key);
        Assert.Equal(refusal is null, lease is not null);
        lease?.Dispose();
        return refusal?.Kind;
    }

    public KeyPlan Plan(string key = "k1") => Snapshot.Part<AdmissionTable>().PlanOf(Snapshot.Keys[key]);

    public WindowCounter BudgetCounter(int index = 0, string key = "k1") => Plan(key).Request.Budgets[index].Counter;

    /// <summary>One request with one attempt that uses what is said.</summary>
    public void Spend(long nano, long tokens = 0, string key = "k1", AttemptStart? start = null)
    {
        using var lease = Admit(Callers.Ask(nano, tokens: tokens), key);
        Assert.Null(lease.TryBeginAttempt(start ?? Callers.Model, Callers.Ask(nano, tokens: tokens), out var attempt));
        attempt!.Settle(Callers.Used(nano, tokens));
    }
}

/// <summary>A ledger that keeps what it is given, and a history that says what it is told.</summary>
internal sealed class MemoryLedger : ILedger, ISpendHistory
{
    private readonly Lock gate = new();

    public bool HasRoom { get; set; } = true;

    public bool TakesRecords { get; set; } = true;

    public List<AttemptLease> Begun { get; } = [];

    public List<AttemptLease> Ended { get; } = [];

    public List<SpendRow> History { get; } = [];

    public bool TryBegin(AttemptLease attempt)
    {
        lock (gate)
        {
            if (TakesRecords)
            {
                Begun.Add(attempt);
            }
            return TakesRecords;
        }
    }

    public void Settled(AttemptLease attempt)
    {
        lock (gate)
        {
            Ended.Add(attempt);
        }
    }

    public IReadOnlyList<SpendRow> Read(OwnerKind kind, string ownerId, DateTimeOffset from) => [.. History.Where(row => row.Minute >= from)];
}
