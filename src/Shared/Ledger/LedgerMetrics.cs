using System.Diagnostics.Metrics;

namespace Shared.Ledger;

/// <summary>What the ledger measures of itself, on the meter <c>Gateway</c>.</summary>
internal sealed class LedgerMetrics
{
    private readonly Meter meter;
    private readonly Histogram<double> commits;
    private readonly Counter<long> rows;
    private readonly Counter<long> failures;
    private readonly Counter<long> overruns;

    public LedgerMetrics(IMeterFactory factory)
    {
        meter = factory.Create("Gateway");
        commits = meter.CreateHistogram<double>("gateway.ledger.commit.duration", "s", "Time to write one batch of ledger rows.");
        rows = meter.CreateCounter<long>("gateway.ledger.rows", "{row}", "Ledger rows written, started and settled ones.");
        failures = meter.CreateCounter<long>("gateway.ledger.failures", "{failure}", "Batches of ledger rows that could not be written and are tried again.");
        overruns = meter.CreateCounter<long>("gateway.ledger.bound_exceeded", "{call}", "Calls under a hard budget that cost more than their upper bound.");
    }

    public void Observe(Func<long> depth) =>
        meter.CreateObservableGauge("gateway.ledger.queue.depth", depth, "{record}", "Records that wait to be written.");

    public void Committed(int count, TimeSpan duration)
    {
        commits.Record(duration.TotalSeconds);
        rows.Add(count);
    }

    public void Failed() => failures.Add(1);

    public void BoundExceeded() => overruns.Add(1);
}
