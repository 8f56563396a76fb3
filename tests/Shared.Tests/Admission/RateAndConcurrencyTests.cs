using Shared.Admission;
using Shared.Budgets;
using Shared.Ledger;
using static Shared.Tests.Admission.Callers;

namespace Shared.Tests.Admission;

public class RateAndConcurrencyTests
{
    [Fact]
    public void Admit_RequestLimitReached_RefusesUntilTheOldestLeavesTheWindow()
    {
        var gateway = new AdmissionHarness(Key(rates: [Rate(RateUnit.Requests, 2)]));
        gateway.Spend(0);
        gateway.Clock.Advance(TimeSpan.FromSeconds(30));
        gateway.Spend(0);

        var refusal = gateway.TryAdmit(AdmissionAsk.Free, out _);

        Assert.Equal(RefusalKind.RequestRate, refusal!.Kind);
        Assert.InRange(refusal.RetryAfter!.Value, TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(32));
        gateway.Clock.Advance(refusal.RetryAfter.Value - TimeSpan.FromTicks(1));
        Assert.Equal(RefusalKind.RequestRate, gateway.RefusalOf(AdmissionAsk.Free));
        gateway.Clock.Advance(TimeSpan.FromTicks(1));
        Assert.Null(gateway.RefusalOf(AdmissionAsk.Free));
    }

    [Fact]
    public void Admit_UnderLimits_TellsWhereTheTightestStands()
    {
        var gateway = new AdmissionHarness(Key(rates: [Rate(RateUnit.Requests, 10), Rate(RateUnit.Requests, 5, id: "key:k1/tight"), Rate(RateUnit.Tokens, 100, id: "key:k1/tokens")]));

        using var lease = gateway.Admit(Ask(0, tokens: 30));

        Assert.Equal((5, 4), (lease.RequestRate!.Value.Limit, lease.RequestRate.Value.Remaining));
        Assert.Equal((100, 70), (lease.TokenRate!.Value.Limit, lease.TokenRate.Value.Remaining));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(90)]
    public void Dispose_TokensEstimatedThenReported_CountsTheReportedFigure(long reported)
    {
        var gateway = new AdmissionHarness(Key(rates: [Rate(RateUnit.Tokens, 100)]));
        using (var lease = gateway.Admit(Ask(0, tokens: 50)))
        {
            Assert.Equal(RefusalKind.TokenRate, gateway.RefusalOf(Ask(0, tokens: 51)));
            lease.TryBeginAttempt(Model, Ask(0, tokens: 50), out var attempt);
            attempt!.Settle(Used(0, reported));
        }

        Assert.Equal(reported, gateway.Plan().Request.Rates[0].Counter.Settled);
    }

    [Fact]
    public void Settle_RequestWasDisposedBefore_StillCountsTheTokens()
    {
        var gateway = new AdmissionHarness(Key(rates: [Rate(RateUnit.Tokens, 100)]));
        var lease = gateway.Admit(Ask(0, tokens: 50));
        lease.TryBeginAttempt(Model, Ask(0, tokens: 50), out var attempt);
        lease.Dispose();

        attempt!.Settle(Used(0, 70));

        Assert.Equal(70, gateway.Plan().Request.Rates[0].Counter.Settled);
    }

    [Fact]
    public void Dispose_NoAttemptRan_GivesTokensBack()
    {
        var gateway = new AdmissionHarness(Key(rates: [Rate(RateUnit.Tokens, 100)]));

        gateway.Admit(Ask(0, tokens: 100)).Dispose();

        Assert.Null(gateway.RefusalOf(Ask(0, tokens: 100)));
    }

    [Fact]
    public void Admit_MoreTokensThanTheLimitEverHas_RefusesWithoutRetry()
    {
        var gateway = new AdmissionHarness(Key(rates: [Rate(RateUnit.Tokens, 100)]));
        gateway.Spend(0, 10);

        var refusal = gateway.TryAdmit(Ask(0, tokens: long.MaxValue), out _);

        Assert.Equal((RefusalKind.TokenRate, null), (refusal!.Kind, refusal.RetryAfter));
    }

    [Fact]
    public void Admit_ConcurrencyLimitReached_FreesWithTheLease()
    {
        var gateway = new AdmissionHarness(Key(calls: [new ConcurrencyLimit { Id = "key:k1/calls", Limit = 1 }]));
        var lease = gateway.Admit(AdmissionAsk.Free);

        Assert.Equal(RefusalKind.Concurrency, gateway.RefusalOf(AdmissionAsk.Free));
        lease.Dispose();
        lease.Dispose();

        Assert.Equal(0, gateway.Plan().Request.Concurrency[0].Counter.InFlight);
        Assert.Null(gateway.RefusalOf(AdmissionAsk.Free));
    }

    [Fact]
    public void BeginAttempt_ScopedLimits_AreTakenForEachAttemptThatTheyCover()
    {
        var gateway = new AdmissionHarness(Key(
            rates: [Rate(RateUnit.Requests, 2, scope: OfModels("alpha/*")), Rate(RateUnit.Tokens, 100, scope: OfModels("alpha/*"), id: "key:k1/tokens")],
            calls: [new ConcurrencyLimit { Id = "key:k1/calls", Limit = 1, Scope = OfProviders("alpha") }]));
        using var lease = gateway.Admit(Ask(0, tokens: 60));
        lease.TryBeginAttempt(Model, Ask(0, tokens: 60), out var first);

        Assert.Equal(RefusalKind.TokenRate, lease.TryBeginAttempt(Model, Ask(0, tokens: 60), out _)!.Kind);
        Assert.Equal(RefusalKind.Concurrency, lease.TryBeginAttempt(Model, Ask(0, tokens: 10), out _)!.Kind);
        Assert.Null(lease.TryBeginAttempt(OtherModel, Ask(0, tokens: 60), out _));
        first!.Settle(Used(0, 5));

        Assert.Null(lease.TryBeginAttempt(Model, Ask(0, tokens: 60), out var second));
        second!.Settle(Used(0, 5));
        Assert.Equal(RefusalKind.RequestRate, lease.TryBeginAttempt(Model, Ask(0), out _)!.Kind);
        Assert.Equal([2, 10], gateway.Plan().Scoped.Rates.Select(slot => slot.Counter.Settled));
    }

    [Fact]
    public void BeginAttempt_LedgerTakesNoRecord_GivesEverythingBack()
    {
        var scope = OfModels("alpha/*");
        var gateway = new AdmissionHarness(Key(
            budgets: [Budget(100), Budget(100, scope: scope, id: "key:k1/alpha")],
            rates: [Rate(RateUnit.Requests, 2, scope: scope), Rate(RateUnit.Tokens, 100, scope: scope, id: "key:k1/tokens")],
            calls: [new ConcurrencyLimit { Id = "key:k1/calls", Limit = 1, Scope = scope }]));
        gateway.Ledger.TakesRecords = false;
        using (var lease = gateway.Admit(Ask(50, tokens: 20)))
        {
            var refusal = lease.TryBeginAttempt(Model, Ask(50, tokens: 20), out var attempt);

            Assert.Null(attempt);
            Assert.Equal((RefusalKind.LedgerFull, 503), (refusal!.Kind, refusal.Status));
            Assert.Equal(50, gateway.BudgetCounter().Reserved);
        }
        var scoped = gateway.Plan().Scoped;
        Assert.Equal(0, gateway.BudgetCounter().Reserved);
        Assert.Equal(0, scoped.Budgets[0].Counter.Reserved);
        Assert.All(scoped.Rates, slot => Assert.Equal(0, slot.Counter.Settled));
        Assert.Equal(0, scoped.Concurrency[0].Counter.InFlight);
    }

    [Fact]
    public void BeginAttempt_AttemptBeforeWasRefused_IsStillTheFirst()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100), Budget(1, scope: OfModels("alpha/*"), id: "key:k1/alpha")]));
        using var lease = gateway.Admit(Ask(50));
        Assert.NotNull(lease.TryBeginAttempt(Model, Ask(50), out _));

        Assert.Null(lease.TryBeginAttempt(OtherModel, Ask(50), out var attempt));

        Assert.Equal(0, attempt!.Index);
    }

    [Fact]
    public void Admit_LedgerHasNoRoom_IsRefused()
    {
        var gateway = new AdmissionHarness(Key());
        gateway.Ledger.HasRoom = false;

        Assert.Equal(RefusalKind.LedgerFull, gateway.RefusalOf(AdmissionAsk.Free));
    }

    [Fact]
    public void Compile_RollingLimitRebuilt_CountsAMinuteToItsEnd()
    {
        var gateway = new AdmissionHarness(Key());
        gateway.Clock.Advance(TimeSpan.FromSeconds(90));
        gateway.Ledger.History.Add(new SpendRow(gateway.Clock.GetUtcNow().AddSeconds(-30), CallKind.Model, "alpha", "large", default, 3, 3, 0));
        gateway.Publish(Key(rates: [Rate(RateUnit.Requests, 3)]));

        gateway.Clock.Advance(TimeSpan.FromSeconds(59));
        Assert.Equal(RefusalKind.RequestRate, gateway.RefusalOf(AdmissionAsk.Free));
        gateway.Clock.Advance(TimeSpan.FromSeconds(3));
        Assert.Null(gateway.RefusalOf(AdmissionAsk.Free));
    }
}
