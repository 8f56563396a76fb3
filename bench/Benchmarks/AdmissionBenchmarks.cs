using System.Collections.Frozen;
using System.Diagnostics;
using BenchmarkDotNet.Attributes;
using Shared.Admission;
using Shared.Budgets;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Gateway.Benchmarks;

/// <summary>One call through admission: request lease, attempt lease, settle, release; the ledger takes the record for free.</summary>
[MemoryDiagnoser]
public class AdmissionBenchmarks
{
    private static readonly AttemptStart Start = new() { Kind = CallKind.Model, Upstream = "mock", Name = "gpt-mock", RequestedName = "mock/gpt-mock" };
    private static readonly AttemptResult Result = new()
    {
        Outcome = CallOutcome.Succeeded,
        Source = UsageSource.Reported,
        Cost = new Money(1_000),
        Usage = new TokenUsage { Input = 10, Output = 20 },
        Status = 200,
    };

    private AdmissionController controller = null!;
    private GatewayRequest request = null!;

    /// <summary>Budgets, rate limits and concurrency limits above the key: one of each, at so many levels.</summary>
    [Params(0, 1, 3)]
    public int Levels { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        controller = new AdmissionController(new NoLedger(), TimeProvider.System);
        Owner? owner = null;
        for (var i = 1; i < Levels; i++)
        {
            owner = WithLimits(new Owner { Kind = OwnerKind.Team, Id = $"team{i}", Parent = owner });
        }
        var key = new VirtualKey { Kind = OwnerKind.Key, Id = "bench", Name = "bench", Secrets = [], Parent = owner };
        if (Levels > 0)
        {
            key = (VirtualKey)WithLimits(key);
        }
        var snapshot = new Snapshot
        {
            Revision = "bench",
            Keys = new Dictionary<string, VirtualKey> { [key.Id] = key }.ToFrozenDictionary(),
            Providers = FrozenDictionary<string, Provider>.Empty,
            Routes = FrozenDictionary<string, Route>.Empty,
            Manifests = [],
            Prices = PriceBook.Empty,
            Settings = new GatewaySettings(),
        };
        snapshot.Compile([new AdmissionTableCompiler(new NoLedger(), TimeProvider.System)], []);
        request = new GatewayRequest("bench", snapshot, ActivityTraceId.CreateRandom()) { TraceParent = "", Key = key };
    }

    [Benchmark]
    public Money OneCall()
    {
        var ask = new AdmissionAsk { AtLeast = new Money(5_000), AtMost = new Money(5_000), Tokens = 100, PriceKnown = true };
        if (controller.TryAdmit(request, ask, out var lease) is { } refused)
        {
            throw new InvalidOperationException(refused.Message);
        }
        using (lease)
        {
            if (lease!.TryBeginAttempt(Start, ask, out var attempt) is { } refusal)
            {
                throw new InvalidOperationException(refusal.Message);
            }
            using (attempt)
            {
                attempt!.Settle(Result);
                return attempt.Reserved;
            }
        }
    }

    private static Owner WithLimits(Owner owner) => owner with
    {
        Budgets = [new Budget { Id = owner.Id, Limit = Money.FromDollars(1_000_000), Window = Window.Aligned(CalendarUnit.Day) }],
        RateLimits = [new RateLimit { Id = owner.Id, Unit = RateUnit.Requests, Limit = long.MaxValue / 2, Window = Window.Rolling(TimeSpan.FromMinutes(1)) }],
        ConcurrencyLimits = [new ConcurrencyLimit { Id = owner.Id, Limit = int.MaxValue }],
    };

    private sealed class NoLedger : ILedger, ISpendHistory
    {
        public bool HasRoom => true;

        public IReadOnlyList<SpendRow> Read(OwnerKind kind, string ownerId, DateTimeOffset from) => [];

        public void Settled(AttemptLease attempt)
        {
        }

        public bool TryBegin(AttemptLease attempt) => true;
    }
}
