using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Shared.Admission;
using Shared.Ledger;
using Shared.Storage;
using Shared.Tests.Admission;

namespace Shared.Tests.Storage;

public sealed class StorageFeatureTests : IDisposable
{
    private readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Host_AttemptsMade_AreWrittenByItselfAndMeasured()
    {
        var committed = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, enabled) =>
            {
                if (instrument is { Meter.Name: "Gateway", Name: "gateway.ledger.rows" })
                {
                    enabled.EnableMeasurementEvents(instrument);
                }
            },
        };
        using var host = Build();
        var meters = host.Services.GetRequiredService<IMeterFactory>();
        listener.SetMeasurementEventCallback<long>((instrument, count, _, _) =>
        {
            if (instrument.Meter.Scope == meters)
            {
                committed.TrySetResult(count);
            }
        });
        listener.Start();
        await host.StartAsync(TestContext.Current.CancellationToken);

        Begin(host).Settle(Callers.Used(5));

        Assert.Equal(1, await committed.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task StopAsync_RecordsWait_WritesThemAll()
    {
        using (var host = Build())
        {
            await host.StartAsync(TestContext.Current.CancellationToken);
            for (var i = 0; i < 700; i++)
            {
                Begin(host).Settle(Callers.Used(1));
            }
            await host.StopAsync(TestContext.Current.CancellationToken);

            var report = await host.Services.GetRequiredService<UsageQuery>().RunAsync(new UsageRequest(), TestContext.Current.CancellationToken);
            Assert.Equal((700, 700), (Assert.Single(report.Rows).Calls, report.Rows[0].Cost.Nano));
        }
        Build().Dispose();
    }

    [Fact]
    public async Task Host_DatabaseIsBlockedForAWhile_WritesEverythingAfterwards()
    {
        var failed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var host = Build(message =>
        {
            if (message.Contains("could not write", StringComparison.Ordinal))
            {
                failed.TrySetResult();
            }
        });
        await host.StartAsync(TestContext.Current.CancellationToken);
        var blocker = SqliteSession.Open(folder.File("gateway.db"), TimeSpan.Zero);
        blocker.Execute("BEGIN EXCLUSIVE");
        var attempt = Begin(host);
        await failed.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        attempt.Settle(Callers.Used(9));
        blocker.Dispose();

        await host.StopAsync(TestContext.Current.CancellationToken);

        var report = await host.Services.GetRequiredService<UsageQuery>().RunAsync(new UsageRequest(), TestContext.Current.CancellationToken);
        Assert.Equal((1, 0, 9), (report.Rows[0].Calls, report.Rows[0].UnsettledCalls, report.Rows[0].Cost.Nano));
    }

    [Fact]
    public void AddStorage_FolderInUse_FailsAtOnce()
    {
        using var host = Build();
        host.Services.GetRequiredService<GatewayDatabase>();

        Assert.Throws<StorageException>(() => new ServiceCollection().AddStorage(new StorageOptions { Folder = folder.Path }));
    }

    private IHost Build(Action<string>? onLog = null)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddLogging(logging => logging.AddProvider(new Listener(onLog ?? (_ => { }))));
        builder.Services.AddStorage(new StorageOptions { Folder = folder.Path, BusyTimeout = TimeSpan.FromMilliseconds(20), CommitDelay = TimeSpan.FromMilliseconds(1) });
        builder.Services.AddAdmission();
        return builder.Build();
    }

    private static AttemptLease Begin(IHost host)
    {
        var snapshot = Callers.Snapshot(host.Services.GetRequiredService<Shared.Snapshots.ISnapshotCompiler>(), Callers.Key());
        Assert.Null(host.Services.GetRequiredService<AdmissionController>().TryAdmit(Callers.Request(snapshot), AdmissionAsk.Free, out var lease));
        Assert.Null(lease!.TryBeginAttempt(Callers.Model, AdmissionAsk.Free, out var attempt));
        return attempt!;
    }

    private sealed class Listener(Action<string> onLog) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => onLog(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}
