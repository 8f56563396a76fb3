using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Shared.Admission;
using Shared.Ledger;
using Shared.Snapshots;
using Shared.Storage;
using Shared.Tests.Admission;
using Shared.VirtualKeys;

namespace Shared.Tests.Ledger;

/// <summary>A real ledger in a real folder, with admission over it.</summary>
internal sealed class LedgerHarness : IDisposable
{
    private readonly ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private bool disposed;

    public LedgerHarness(string folder, StorageOptions? options = null, DateTimeOffset? now = null)
    {
        Clock = new FakeTimeProvider(now ?? new DateTimeOffset(2026, 11, 22, 12, 0, 30, TimeSpan.Zero));
        Options = (options ?? new StorageOptions()) with { Folder = folder };
        Database = GatewayDatabase.Open(Options, Clock);
        Ledger = new EmbeddedLedger(Database, Options, Meters, NullLogger<EmbeddedLedger>.Instance);
        History = new SpendHistory(Database, Ledger);
        Usage = new UsageQuery(Database, Ledger);
        Controller = new AdmissionController(Ledger, Clock);
        Compiler = new AdmissionTableCompiler(History, Clock);
        Snapshot = Callers.Snapshot(Compiler, Callers.Key());
    }

    public FakeTimeProvider Clock { get; }

    public StorageOptions Options { get; }

    public IMeterFactory Meters => services.GetRequiredService<IMeterFactory>();

    public GatewayDatabase Database { get; }

    public EmbeddedLedger Ledger { get; }

    public SpendHistory History { get; }

    public UsageQuery Usage { get; }

    public AdmissionController Controller { get; }

    public AdmissionTableCompiler Compiler { get; }

    public Snapshot Snapshot { get; private set; }

    public void Publish(params VirtualKey[] keys) => Snapshot = Callers.Snapshot(Compiler, keys);

    public AttemptLease Begin(long nano, AttemptStart? start = null, string key = "k1", long tokens = 0) => TryBegin(nano, start, key, tokens) ?? throw new InvalidOperationException("Refused.");

    public AttemptLease? TryBegin(long nano, AttemptStart? start = null, string key = "k1", long tokens = 0)
    {
        var ask = Callers.Ask(nano, tokens: tokens);
        if (Controller.TryAdmit(Callers.Request(Snapshot, key), ask, out var lease) is not null)
        {
            return null;
        }
        lease!.TryBeginAttempt(start ?? Callers.Model, ask, out var attempt);
        return attempt;
    }

    public long Count(string where = "1")
    {
        return Database.Use(session =>
        {
            using var statement = session.Prepare($"SELECT count(*) FROM attempts WHERE {where}");
            statement.Read();
            return statement.Int64(0);
        });
    }

    public void Dispose()
    {
        if (!disposed)
        {
            disposed = true;
            Ledger.Dispose();
            Database.Dispose();
            services.Dispose();
        }
    }
}
