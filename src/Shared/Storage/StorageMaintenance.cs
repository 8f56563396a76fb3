using System.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;
using Shared.Stored;
using Shared.Telemetry;
using Shared.VirtualKeys;

namespace Shared.Storage;

/// <summary>Looks after the disk for as long as the process runs: measures it, warns, and removes what is too old.</summary>
internal sealed class StorageMaintenance : BackgroundService
{
    /// <summary>How often the disk is looked at.</summary>
    public static readonly TimeSpan LookPeriod = TimeSpan.FromSeconds(10);

    /// <summary>How often what is too old is removed; the first time after one tenth of it.</summary>
    public static readonly TimeSpan RetentionPeriod = TimeSpan.FromMinutes(10);

    private readonly GatewayDatabase database;
    private readonly SnapshotStore? snapshots;
    private readonly RevisionLog revisions;
    private readonly TimeProvider clock;
    private readonly ILogger<StorageMaintenance> logger;
    private readonly Counter<long> deleted;
    private bool wasLarge;
    private bool wasLow;

    public StorageMaintenance(GatewayDatabase database, SnapshotStore? snapshots, RevisionLog revisions, IMeterFactory meters, TimeProvider clock, ILogger<StorageMaintenance> logger)
    {
        (this.database, this.snapshots, this.revisions, this.clock, this.logger) = (database, snapshots, revisions, clock, logger);
        var meter = meters.Create(GatewayTracing.Name);
        deleted = meter.CreateCounter<long>("gateway.retention.deleted", "{row}", "Attempts removed because they are older than the ledger is kept, or the database too large.");
        meter.CreateObservableGauge("gateway.database.size", () => Look()?.DatabaseBytes ?? 0, "By", "Size of the database file.");
        meter.CreateObservableGauge("gateway.database.used", () => Look()?.UsedBytes ?? 0, "By", "What of the database file is in use.");
        meter.CreateObservableGauge("gateway.database.limit", () => Look()?.MaxDatabaseBytes ?? 0, "By", "What the database may take (retention.maxDatabaseSize).");
        meter.CreateObservableGauge("gateway.database.wal", () => Look()?.WalBytes ?? 0, "By", "Size of the database's write-ahead log.");
        meter.CreateObservableGauge("gateway.disk.free", () => Look()?.FreeBytes ?? 0, "By", "Free space on the disk of the data folder.");
    }

    private RetentionSettings Settings => snapshots is { HasCurrent: true } ? snapshots.Current.Settings.Retention : new RetentionSettings();

    /// <summary>Measures the disk and says what has changed for the worse.</summary>
    internal DiskReport LookNow()
    {
        var settings = Settings;
        var report = database.Measure(settings.MaxDatabaseBytes, settings.MinFreeDiskBytes);
        database.Disk.Set(report);
        if (report.IsDatabaseLarge && !wasLarge)
        {
            logger.DatabaseLarge(Mebibytes(report.UsedBytes), Mebibytes(report.MaxDatabaseBytes));
        }
        if (report.IsDiskFull)
        {
            logger.DiskFull(Mebibytes(report.FreeBytes), Mebibytes(report.MinFreeBytes));
        }
        else if (report.IsDiskLow && !wasLow)
        {
            logger.DiskLow(Mebibytes(report.FreeBytes), Mebibytes(report.MinFreeBytes));
        }
        (wasLarge, wasLow) = (report.IsDatabaseLarge, report.IsDiskLow);
        return report;
    }

    /// <summary>Removes what is too old.</summary>
    internal async Task<RetentionReport> RemoveOldAsync(CancellationToken cancellationToken)
    {
        var (settings, now) = (Settings, clock.GetUtcNow());
        var report = await new Retention(database).RunAsync(settings, LongestWindow(), now, cancellationToken);
        // A revision stays as long as an attempt may name it.
        var cut = now - settings.Revisions;
        revisions.DeleteBefore(cut < report.AttemptsSince ? cut : report.AttemptsSince);
        deleted.Add(report.Attempts);
        if (report.Attempts > 0)
        {
            logger.Removed(report.Attempts, report.AttemptsSince.UtcDateTime);
        }
        return report;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(LookPeriod, clock);
        var (looks, every) = (0L, (long)(RetentionPeriod / LookPeriod));
        do
        {
            try
            {
                LookNow();
                if (looks++ % every == every / 10)
                {
                    await RemoveOldAsync(stoppingToken);
                    LookNow();
                }
            }
            catch (Exception exception) when (exception is StorageException or IOException)
            {
                // The next time may be better; the ledger itself says when it cannot write.
                logger.MaintenanceFailed(exception);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private DiskReport? Look() => database.Disk.Report;

    private TimeSpan LongestWindow()
    {
        var longest = TimeSpan.FromMinutes(1);
        foreach (var key in snapshots is { HasCurrent: true } ? snapshots.Current.Keys.Values : [])
        {
            for (Owner? owner = key; owner is not null; owner = owner.Parent)
            {
                foreach (var length in owner.Budgets.Select(budget => budget.Window.Length).Concat(owner.RateLimits.Select(limit => limit.Window.Length)))
                {
                    longest = length > longest ? length : longest;
                }
            }
        }
        return longest;
    }

    private static long Mebibytes(long bytes) => bytes >> 20;
}

/// <summary>What of the storage an operator should know: a database near its limit, a disk that fills up.</summary>
internal sealed class StorageCheck(GatewayDatabase database) : IReadinessCheck
{
    public string Name => "storage";

    public Readiness Check()
    {
        if (database.Disk.Report is not { } report)
        {
            return Readiness.Ok;
        }
        List<string> details = [];
        if (database.Disk.IsFull)
        {
            details.Add($"The disk is full: {report.FreeBytes >> 20} MiB are left, {report.MinFreeBytes >> 20} MiB must be ('retention.minFreeDisk'). Calls are refused.");
        }
        else if (report.IsDiskLow)
        {
            details.Add($"The disk fills up: {report.FreeBytes >> 20} MiB are left; below {report.MinFreeBytes >> 20} MiB calls are refused ('retention.minFreeDisk').");
        }
        if (report.IsDatabaseLarge)
        {
            details.Add($"The database uses {report.UsedBytes >> 20} MiB of {report.MaxDatabaseBytes >> 20} MiB ('retention.maxDatabaseSize'); at the limit the oldest attempts go before their time.");
        }
        return details.Count == 0 ? Readiness.Ok : new Readiness(database.Disk.IsFull ? ReadinessState.Failed : ReadinessState.Degraded, details);
    }
}

internal static partial class StorageLog
{
    [LoggerMessage(LogLevel.Warning, "The database uses {Used} MiB, more than 80 % of its limit of {Limit} MiB (retention.maxDatabaseSize). At the limit the oldest attempts are removed before their time; raise it, or keep the ledger for a shorter time.")]
    public static partial void DatabaseLarge(this ILogger logger, long used, long limit);

    [LoggerMessage(LogLevel.Warning, "The disk of the data folder fills up: {Free} MiB are left. Below {Least} MiB (retention.minFreeDisk) calls are refused, as they could not be recorded.")]
    public static partial void DiskLow(this ILogger logger, long free, long least);

    [LoggerMessage(LogLevel.Error, "The disk of the data folder is full: {Free} MiB are left, {Least} MiB must be (retention.minFreeDisk). Calls are refused until there is room.")]
    public static partial void DiskFull(this ILogger logger, long free, long least);

    [LoggerMessage(LogLevel.Information, "Removed {Attempts} attempts that began before {Since:u}; their sums are kept.")]
    public static partial void Removed(this ILogger logger, long attempts, DateTime since);

    [LoggerMessage(LogLevel.Error, "Looking after the data folder failed; it is tried again.")]
    public static partial void MaintenanceFailed(this ILogger logger, Exception exception);
}
