using Shared.Admission;
using Shared.Budgets;
using Shared.Ledger;
using Shared.Pricing;
using Shared.VirtualKeys;
using static Shared.Tests.Admission.Callers;

namespace Shared.Tests.Admission;

public class BudgetTests
{
    [Fact]
    public void Admit_HardBudgetHasLessThanAskedAtMost_GrantsWhatIsLeft()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100)]));
        gateway.Spend(70);

        using var lease = gateway.Admit(Ask(10, 50));

        Assert.Equal(30, lease.Reserved.Nano);
    }

    [Fact]
    public void Admit_HardBudgetHasLessThanAskedAtLeast_RefusesUntilTheWindowEnds()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100)]));
        gateway.Spend(95);

        var refusal = gateway.TryAdmit(Ask(10), out var lease);

        Assert.Null(lease);
        Assert.Equal((RefusalKind.Budget, "key:k1/budget", 429), (refusal!.Kind, refusal.LimitId, refusal.Status));
        Assert.Equal(TimeSpan.FromHours(12), refusal.RetryAfter);
    }

    [Fact]
    public void Admit_OnlyReservationsStandInTheWay_AdvisesToTryAgainSoon()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100)]));
        using var holder = gateway.Admit(Ask(100));

        gateway.TryAdmit(Ask(10), out _);

        Assert.Equal(TimeSpan.FromSeconds(1), gateway.TryAdmit(Ask(10), out _)!.RetryAfter);
    }

    [Fact]
    public void Admit_AsksMoreThanTheWholeBudget_AdvisesNoRetry()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100)]));

        Assert.Null(gateway.TryAdmit(Ask(101), out _)!.RetryAfter);
    }

    [Fact]
    public void Admit_FreeCallUnderOverdrawnBudget_IsAdmitted()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100)]));
        gateway.Spend(90);
        gateway.Publish(Key(budgets: [Budget(50)]));

        Assert.Null(gateway.RefusalOf(AdmissionAsk.Free));
        Assert.Equal(RefusalKind.Budget, gateway.RefusalOf(Ask(1)));
    }

    [Fact]
    public void Dispose_NothingWasUsed_GivesEverythingBack()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100)]));

        gateway.Admit(Ask(100)).Dispose();

        Assert.Equal((0, 0), (gateway.BudgetCounter().Settled, gateway.BudgetCounter().Reserved));
    }

    [Fact]
    public void Settle_UsedLessThanReserved_ChargesWhatWasUsed()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100)]));
        using (var lease = gateway.Admit(Ask(80)))
        {
            lease.TryBeginAttempt(Model, Ask(80), out var attempt);
            attempt!.Settle(Used(30));
            attempt.Settle(Used(77));
        }

        Assert.Equal((30, 0), (gateway.BudgetCounter().Settled, gateway.BudgetCounter().Reserved));
        Assert.Single(gateway.Ledger.Ended);
    }

    [Fact]
    public void Dispose_AttemptWasNotSettled_ChargesItsWholeReservation()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100)]));
        using (var lease = gateway.Admit(Ask(80)))
        {
            lease.TryBeginAttempt(Model, Ask(80), out var attempt);
            attempt!.Dispose();
        }

        Assert.Equal(80, gateway.BudgetCounter().Settled);
        Assert.Equal(new Money(80), Assert.Single(gateway.Ledger.Ended).Charged);
    }

    [Fact]
    public void BeginAttempt_FallbackIsDearer_TopsUpAndSkipsWhatCannotBePaid()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100)]));
        using var lease = gateway.Admit(Ask(40));
        lease.TryBeginAttempt(Model, Ask(40), out var first);
        first!.Settle(FailedForFree);

        Assert.Equal(RefusalKind.Budget, lease.TryBeginAttempt(OtherModel, Ask(101), out _)!.Kind);
        Assert.Equal(40, gateway.BudgetCounter().Reserved);
        Assert.Null(lease.TryBeginAttempt(OtherModel, Ask(90), out var second));

        Assert.Equal(90, gateway.BudgetCounter().Reserved);
        Assert.Equal(1, second!.Index);
        second.Settle(Used(85));
        Assert.Equal((85, 0), (gateway.BudgetCounter().Settled, gateway.BudgetCounter().Reserved));
    }

    [Fact]
    public void BeginAttempt_FirstAttemptFailedForFree_KeepsItsReservationFromOthers()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100)]));
        using var lease = gateway.Admit(Ask(60));
        lease.TryBeginAttempt(Model, Ask(60), out var first);
        first!.Settle(FailedForFree);

        Assert.Equal(RefusalKind.Budget, gateway.RefusalOf(Ask(50)));
        Assert.Null(lease.TryBeginAttempt(OtherModel, Ask(60), out _));
    }

    [Fact]
    public void Admit_SoftBudget_RunsUntilTheLimitIsReached()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100, hard: false)]));
        gateway.Spend(99);
        gateway.Spend(50);

        Assert.Equal(149, gateway.BudgetCounter().Settled);
        Assert.Equal(RefusalKind.Budget, gateway.RefusalOf(Ask(1)));
        Assert.Null(gateway.RefusalOf(AdmissionAsk.Free));
    }

    [Fact]
    public void Settle_AmountsBeyondWhatALongHolds_KeepTheSoftBudgetClosed()
    {
        foreach (var window in new[] { Window.Aligned(CalendarUnit.Day), Window.Rolling(TimeSpan.FromHours(1)) })
        {
            var gateway = new AdmissionHarness(Key(budgets: [Budget(100, window, hard: false)]));
            var attempts = Enumerable.Range(0, 3).Select(_ =>
            {
                gateway.Admit(Ask(long.MaxValue - 1)).TryBeginAttempt(Model, Ask(long.MaxValue - 1), out var attempt);
                return attempt!;
            }).ToList();
            attempts.ForEach(attempt => attempt.Dispose());

            Assert.Equal(RefusalKind.Budget, gateway.RefusalOf(Ask(1)));
        }
    }

    [Fact]
    public void Admit_OwnersAboveTheKey_CountTheKeysTogether()
    {
        var team = new Owner { Kind = OwnerKind.Team, Id = "t", Budgets = [Budget(100, id: "team:t/day")] };
        var gateway = new AdmissionHarness(Key("k1", team), Key("k2", team));
        gateway.Spend(60, key: "k1");

        var refusal = gateway.TryAdmit(Ask(50), out _, "k2");

        Assert.Equal("team:t/day", refusal!.LimitId);
        Assert.Null(gateway.RefusalOf(Ask(40), "k2"));
    }

    [Fact]
    public void Admit_LastOfSeveralLimitsRefuses_TakesFromNone()
    {
        var team = new Owner { Kind = OwnerKind.Team, Id = "t", Budgets = [Budget(10, id: "team:t/day")] };
        var gateway = new AdmissionHarness(Key(parent: team, budgets: [Budget(100)], rates: [Rate(RateUnit.Requests, 5), Rate(RateUnit.Tokens, 500, id: "key:k1/tokens")],
            calls: [new ConcurrencyLimit { Id = "key:k1/calls", Limit = 5 }]));

        Assert.Equal(RefusalKind.Budget, gateway.RefusalOf(Ask(50, tokens: 100)));

        var limits = gateway.Plan().Request;
        Assert.All(limits.Budgets, slot => Assert.Equal((0, 0), (slot.Counter.Settled, slot.Counter.Reserved)));
        Assert.All(limits.Rates, slot => Assert.Equal(0, slot.Counter.Settled));
        Assert.All(limits.Concurrency, slot => Assert.Equal(0, slot.Counter.InFlight));
    }

    [Fact]
    public void BeginAttempt_ScopedBudget_CountsOnlyWhatItCovers()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(50, scope: OfModels("alpha/*")), Budget(5, scope: OfTools("files/*"), id: "key:k1/files")]));
        gateway.Spend(50, start: Model);
        gateway.Spend(70, start: OtherModel);

        using var lease = gateway.Admit(Ask(6));

        Assert.Equal(RefusalKind.Budget, lease.TryBeginAttempt(Model, Ask(1), out _)!.Kind);
        Assert.Equal("key:k1/files", lease.TryBeginAttempt(Tool, Ask(6), out _)!.LimitId);
        Assert.Null(lease.TryBeginAttempt(Tool, Ask(5), out _));
    }

    [Fact]
    public void BeginAttempt_OneOfTwoScopedBudgetsRefuses_TakesFromNeither()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100, scope: OfModels("alpha/*")), Budget(10, scope: OfProviders("alpha"), id: "key:k1/alpha")]));
        using var lease = gateway.Admit(Ask(20));

        Assert.Equal("key:k1/alpha", lease.TryBeginAttempt(Model, Ask(20), out _)!.LimitId);

        Assert.All(gateway.Plan().Scoped.Budgets, slot => Assert.Equal(0, slot.Counter.Reserved));
    }

    [Fact]
    public void Settle_WindowEndedMeanwhile_ChargesTheWindowOfTheCall()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100)]));
        using var lease = gateway.Admit(Ask(80));
        lease.TryBeginAttempt(Model, Ask(80), out var attempt);
        gateway.Clock.Advance(TimeSpan.FromHours(13));
        gateway.Spend(100);

        attempt!.Settle(Used(80));

        Assert.Equal((100, 0), (gateway.BudgetCounter().Settled, gateway.BudgetCounter().Reserved));
    }

    [Fact]
    public void Admit_UnknownPriceUnderHardBudget_IsRefused()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100)]), Key("k2"));
        var unknown = new AdmissionAsk { AtLeast = Money.Zero, AtMost = Money.Zero };

        Assert.Equal(RefusalKind.UnknownPrice, gateway.RefusalOf(unknown));
        Assert.Null(gateway.RefusalOf(unknown, "k2"));
    }

    [Fact]
    public void Admit_UnboundedCall_IsRefusedOnlyUnderAHardBudget()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100)]), Key("k2"));
        var boundless = new AdmissionAsk { AtLeast = new Money(7), AtMost = Money.MaxValue, PriceKnown = true, UnboundedMember = "tools" };

        Assert.Equal(RefusalKind.Unbounded, gateway.RefusalOf(boundless));
        using var lease = gateway.Admit(boundless, "k2");
        lease.TryBeginAttempt(Model, boundless, out var attempt);
        Assert.Equal((Money.MaxValue, new Money(7)), (attempt!.Reserved, attempt.Bound));
    }

    [Fact]
    public void Compile_BudgetDeclaredLater_CountsWhatTheLedgerKnows()
    {
        var gateway = new AdmissionHarness(Key());
        gateway.Ledger.History.Add(new SpendRow(gateway.Clock.GetUtcNow().AddHours(-13), CallKind.Model, "alpha", "large", new Money(500), 1, 1, 1));
        gateway.Ledger.History.Add(new SpendRow(gateway.Clock.GetUtcNow().AddHours(-3), CallKind.Model, "alpha", "large", new Money(60), 1, 1, 10));
        gateway.Ledger.History.Add(new SpendRow(gateway.Clock.GetUtcNow().AddHours(-2), CallKind.Tool, "files", "read", new Money(5), 1, 2, 0));

        gateway.Publish(Key(budgets: [Budget(100), Budget(100, scope: OfTools("files/*"), id: "key:k1/files")],
            rates: [Rate(RateUnit.Requests, 9, Window.Aligned(CalendarUnit.Day)), Rate(RateUnit.Requests, 9, Window.Aligned(CalendarUnit.Day), OfTools("*"), "key:k1/tools")]));

        Assert.Equal(65, gateway.BudgetCounter().Settled);
        Assert.Equal(5, gateway.Plan().Scoped.Budgets[0].Counter.Settled);
        Assert.Equal(2, gateway.Plan().Request.Rates[0].Counter.Settled);
        Assert.Equal(2, gateway.Plan().Scoped.Rates[0].Counter.Settled);
    }

    [Fact]
    public void Compile_SnapshotReplaced_KeepsCountersAndReservations()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100)]));
        gateway.Spend(30);
        using var holder = gateway.Admit(Ask(30));

        gateway.Publish(Key(budgets: [Budget(200)]));

        Assert.Equal((30, 30), (gateway.BudgetCounter().Settled, gateway.BudgetCounter().Reserved));
    }
}
