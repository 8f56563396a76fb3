using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Shared.Storage;

namespace Shared.Ledger;

/// <summary>Writes the ledger for as long as the process runs: asleep while there is nothing to write, and tireless while the database is in trouble.</summary>
internal sealed class LedgerWriter(EmbeddedLedger ledger, StorageOptions options, TimeProvider clock, ILogger<LedgerWriter> logger) : BackgroundService
{
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(5);

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        using var deadline = new CancellationTokenSource(options.DrainTimeout, clock);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            while (true)
            {
                try
                {
                    await ledger.FlushAsync(both.Token);
                    return;
                }
                catch (StorageException exception)
                {
                    ledger.CountFailure(exception);
                    logger.WriteFailed(exception, 1, ledger.Waiting, DelayAfter(1));
                    await Task.Delay(DelayAfter(1), clock, both.Token);
                }
            }
        }
        catch (OperationCanceledException exception)
        {
            logger.NotDrained(exception, ledger.Waiting);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var failures = 0;
        while (!stoppingToken.IsCancellationRequested)
        {
            await ledger.WaitForRecordsAsync(stoppingToken);
            await Task.Delay(failures == 0 ? options.CommitDelay : DelayAfter(failures), clock, stoppingToken);
            try
            {
                ledger.Drain();
                if (failures > 0)
                {
                    ledger.WritesAgain();
                    logger.WritesAgain(failures);
                    failures = 0;
                }
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                // Whatever it was, the records are still queued, and a gateway without its writer would refuse every call.
                ledger.CountFailure(exception);
                failures++;
                logger.WriteFailed(exception, failures, ledger.Waiting, DelayAfter(failures));
            }
        }
    }

    private static TimeSpan DelayAfter(int failures) =>
        TimeSpan.FromMilliseconds(Math.Min(100 * Math.Pow(2, Math.Min(failures, 16) - 1), LongestDelay.TotalMilliseconds));
}
