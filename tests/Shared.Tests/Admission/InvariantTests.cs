using CsCheck;
using Shared.Admission;
using Shared.Budgets;
using Shared.Ledger;
using static Shared.Tests.Admission.Callers;

namespace Shared.Tests.Admission;

public class InvariantTests
{
    private const long Limit = 1_000;

    private static readonly Gen<Step[]> steps = Gen.Select(Gen.Int[0, 6], Gen.Int[0, 30], Gen.Long[0, 400], Gen.Long[0, 400])
        .Select((kind, target, low, more) => new Step((StepKind)kind, target, low, low + more)).Array[1, 120];

    private enum StepKind
    {
        Admit,
        Begin,
        BeginOther,
        Settle,
        FailForFree,
        DisposeRequest,
        Wait,
    }

    [Fact]
    public void AnySequenceOfCalls_HardBudgets_AreNeverPassedAndEndUnreserved() => steps.Sample(sequence =>
    {
        var gateway = NewGateway();
        var calls = new Calls(gateway);
        foreach (var step in sequence)
        {
            calls.Take(step);
            AssertWithinLimits(gateway);
        }
        calls.End();
        AssertWithinLimits(gateway);
        AssertNothingHeld(gateway);
        Assert.Equal(gateway.Ledger.Begun.Count, gateway.Ledger.Ended.Count);
    }, iter: 3_000, print: sequence => string.Join("; ", sequence.Select(step => step.ToString())));

    [Fact]
    public void AnySequenceOfCalls_WithinOneWindow_ChargesExactlyWhatTheLedgerSays() => steps.Sample(sequence =>
    {
        var gateway = NewGateway();
        var calls = new Calls(gateway);
        foreach (var step in sequence.Where(step => step.Kind != StepKind.Wait))
        {
            calls.Take(step);
        }
        calls.End();
        Assert.All(gateway.Plan().Request.Budgets, slot => Assert.Equal(gateway.Ledger.Ended.Sum(attempt => attempt.Charged!.Value.Nano), slot.Counter.Settled));
        var tokens = gateway.Ledger.Ended.Sum(attempt => attempt.Result.Source == UsageSource.Reserved ? attempt.EstimatedTokens : attempt.Result.Usage.Total);
        Assert.Equal(tokens, gateway.Plan().Request.Rates.Single(slot => slot.Limit.Unit == RateUnit.Tokens).Counter.Settled);
    }, iter: 1_000);

    [Fact]
    public async Task TwoHundredCallsAtOnce_OneHardBudget_NeverPassIt()
    {
        var gateway = new AdmissionHarness(Key(budgets: [Budget(100_000)], calls: [new ConcurrencyLimit { Id = "key:k1/calls", Limit = 150 }]));
        using var start = new Barrier(8);
        var workers = Enumerable.Range(0, 8).Select(worker => Task.Factory.StartNew(() =>
        {
            var random = new Random(worker);
            start.SignalAndWait();
            var open = new Queue<(RequestLease Lease, AttemptLease Attempt)>();
            for (var i = 0; i < 2_000; i++)
            {
                var most = random.Next(1, 2_000);
                if (gateway.TryAdmit(Ask(random.Next(1, most + 1), most), out var lease) is null)
                {
                    var ask = Ask(1, lease!.Reserved.Nano);
                    Assert.Null(lease.TryBeginAttempt(Model, ask, out var first));
                    if (random.Next(3) == 0)
                    {
                        first!.Settle(FailedForFree);
                        Assert.Null(lease.TryBeginAttempt(OtherModel, ask, out first));
                    }
                    open.Enqueue((lease, first!));
                }
                if (open.Count > 25 || (open.Count > 0 && lease is null))
                {
                    End(open.Dequeue(), random);
                }
            }
            while (open.TryDequeue(out var call))
            {
                End(call, random);
            }
        }, TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToList();
        await Task.WhenAll(workers).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);

        AssertNothingHeld(gateway);
        var charged = gateway.Ledger.Ended.Sum(attempt => attempt.Charged!.Value.Nano);
        Assert.Equal(charged, gateway.BudgetCounter().Settled);
        Assert.InRange(charged, 98_000, 100_000);

        static void End((RequestLease Lease, AttemptLease Attempt) call, Random random)
        {
            call.Attempt.Settle(Used(random.NextInt64(call.Attempt.Bound.Nano + 1)));
            call.Lease.Dispose();
        }
    }

    private static AdmissionHarness NewGateway() => new(Key(
        budgets:
        [
            Budget(Limit), Budget(Limit, Window.Rolling(TimeSpan.FromHours(1)), id: "key:k1/rolling"),
            Budget(Limit / 2, scope: OfModels("alpha/*"), id: "key:k1/alpha"),
            Budget(Limit / 2, Window.Rolling(TimeSpan.FromMinutes(10)), scope: OfModels("*/*"), id: "key:k1/models"),
        ],
        rates: [Rate(RateUnit.Tokens, 1_000_000, Window.Aligned(CalendarUnit.Day), id: "key:k1/tokens")],
        calls: [new ConcurrencyLimit { Id = "key:k1/calls", Limit = 6 }, new ConcurrencyLimit { Id = "key:k1/alpha-calls", Limit = 3, Scope = OfProviders("alpha") }]));

    private static void AssertWithinLimits(AdmissionHarness gateway)
    {
        var plan = gateway.Plan();
        foreach (var slot in plan.Request.Budgets.Concat(plan.Scoped.Budgets))
        {
            Assert.InRange(slot.Counter.Settled + slot.Counter.Reserved, 0, slot.Budget.Limit.Nano);
            Assert.InRange(slot.Counter.Reserved, 0, slot.Budget.Limit.Nano);
        }
        Assert.All(plan.Request.Concurrency.Concat(plan.Scoped.Concurrency), slot => Assert.InRange(slot.Counter.InFlight, 0, slot.Limit.Limit));
    }

    private static void AssertNothingHeld(AdmissionHarness gateway)
    {
        var plan = gateway.Plan();
        Assert.All(plan.Request.Budgets.Concat(plan.Scoped.Budgets), slot => Assert.Equal(0, slot.Counter.Reserved));
        Assert.All(plan.Request.Concurrency.Concat(plan.Scoped.Concurrency), slot => Assert.Equal(0, slot.Counter.InFlight));
    }

    private sealed record Step(StepKind Kind, int Target, long Low, long High);

    private sealed class Calls(AdmissionHarness gateway)
    {
        private readonly List<RequestLease> requests = [];
        private readonly List<AttemptLease> attempts = [];

        public void Take(Step step)
        {
            switch (step.Kind)
            {
                case StepKind.Admit:
                    if (gateway.TryAdmit(Ask(step.Low, step.High, tokens: step.Target), out var lease) is null)
                    {
                        requests.Add(lease!);
                    }
                    break;
                case StepKind.Begin or StepKind.BeginOther when requests.Count > 0:
                    var start = step.Kind == StepKind.Begin ? Model : OtherModel;
                    if (requests[step.Target % requests.Count].TryBeginAttempt(start, Ask(step.Low, step.High, tokens: step.Target), out var attempt) is null)
                    {
                        attempts.Add(attempt!);
                    }
                    break;
                case StepKind.Settle or StepKind.FailForFree when attempts.Count > 0:
                    var ended = attempts[step.Target % attempts.Count];
                    attempts.Remove(ended);
                    ended.Settle(step.Kind == StepKind.Settle ? Used(ended.Bound.Nano * step.Low / 400, step.High) : FailedForFree);
                    break;
                case StepKind.DisposeRequest when requests.Count > 0:
                    var request = requests[step.Target % requests.Count];
                    requests.Remove(request);
                    request.Dispose();
                    break;
                case StepKind.Wait:
                    gateway.Clock.Advance(TimeSpan.FromSeconds(step.High * 10));
                    break;
            }
        }

        public void End()
        {
            requests.ForEach(request => request.Dispose());
            attempts.ForEach(attempt => attempt.Dispose());
        }
    }
}
