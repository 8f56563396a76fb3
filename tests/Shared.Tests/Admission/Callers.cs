using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Diagnostics;
using Shared.Admission;
using Shared.Budgets;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Shared.Tests.Admission;

/// <summary>Keys, snapshots and requests as tests need them.</summary>
internal static class Callers
{
    public static AttemptStart Model { get; } = new() { Kind = CallKind.Model, Upstream = "alpha", Name = "large", RequestedName = "alpha/large", PriceVersion = "test:1" };

    public static AttemptStart OtherModel { get; } = Model with { Upstream = "beta", Name = "small", RequestedName = "beta/small" };

    public static AttemptStart Tool { get; } = new() { Kind = CallKind.Tool, Upstream = "files", Name = "read", RequestedName = "files__read" };

    public static VirtualKey Key(string id = "k1", Owner? parent = null, Budget[]? budgets = null, RateLimit[]? rates = null, ConcurrencyLimit[]? calls = null) => new()
    {
        Kind = OwnerKind.Key,
        Id = id,
        Name = id,
        Secrets = [],
        Parent = parent,
        Budgets = [.. budgets ?? []],
        RateLimits = [.. rates ?? []],
        ConcurrencyLimits = [.. calls ?? []],
    };

    public static Budget Budget(long nano, Window? window = null, bool hard = true, LimitScope? scope = null, string id = "key:k1/budget") =>
        new() { Id = id, Limit = new Money(nano), Window = window ?? Window.Aligned(CalendarUnit.Day), Hard = hard, Scope = scope };

    public static RateLimit Rate(RateUnit unit, long limit, Window? window = null, LimitScope? scope = null, string id = "key:k1/rate") =>
        new() { Id = id, Unit = unit, Limit = limit, Window = window ?? Window.Rolling(TimeSpan.FromMinutes(1)), Scope = scope };

    public static LimitScope OfModels(params string[] globs) => new([], [.. globs], []);

    public static LimitScope OfTools(params string[] globs) => new([], [], [.. globs]);

    public static LimitScope OfProviders(params string[] globs) => new([.. globs], [], []);

    public static Snapshot Snapshot(ISnapshotCompiler compiler, params VirtualKey[] keys)
    {
        var snapshot = new Snapshot
        {
            Revision = "0123456789abcdef",
            Keys = keys.ToFrozenDictionary(key => key.Id),
            Providers = FrozenDictionary<string, Provider>.Empty,
            Routes = FrozenDictionary<string, Route>.Empty,
            Manifests = ImmutableArray<ToolManifest>.Empty,
            Prices = PriceBook.Empty,
            Settings = new GatewaySettings(),
        };
        var errors = new List<string>();
        snapshot.Compile([compiler], errors);
        Assert.Empty(errors);
        return snapshot;
    }

    public static GatewayRequest Request(Snapshot snapshot, string key = "k1", string id = "req_1") =>
        new(id, snapshot, ActivityTraceId.CreateFromString("0af7651916cd43dd8448eb211c80319c")) { TraceParent = "", Key = snapshot.Keys[key] };

    public static AdmissionAsk Ask(long atLeast, long? atMost = null, long tokens = 0) =>
        new() { AtLeast = new Money(atLeast), AtMost = new Money(atMost ?? atLeast), Tokens = tokens, PriceKnown = true };

    public static AttemptResult Used(long nano, long tokens = 0) =>
        new() { Outcome = CallOutcome.Succeeded, Source = UsageSource.Reported, Cost = new Money(nano), Usage = new TokenUsage { Input = tokens }, Status = 200 };

    public static AttemptResult FailedForFree { get; } =
        new() { Outcome = CallOutcome.Failed, Source = UsageSource.None, Cost = Money.Zero, Status = 503, Error = "unavailable" };
}
