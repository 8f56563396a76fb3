using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using SQLitePCL;
using Shared.Admission;
using Shared.Storage;

namespace Shared.Ledger;

/// <summary>
/// The ledger in the embedded database. A call's record goes into the journal and a ring in memory, without I/O; one consumer writes what the ring holds
/// in batches. A record leaves its place only after its row was committed, so an error of the database costs time and never a record.
/// </summary>
public sealed class EmbeddedLedger : ILedger, IDisposable
{
    /// <summary>The most rows of one commit.</summary>
    internal const int BatchRows = 500;

    private const int Open = 0, Started = 1, Settled = 2;
    private const long Closed = long.MaxValue / 2;

    private readonly Lock drain = new();
    private readonly SemaphoreSlim wake = new(0);
    private readonly ConcurrentQueue<AttemptLease> settledLate = new();
    private readonly List<AttemptLease> updates = new(BatchRows);
    private readonly AttemptLease?[] ring;
    private readonly int mask;
    private readonly int margin;
    private readonly SqliteSession session;
    private readonly LedgerRows rows;
    private readonly LedgerJournal journal;
    private readonly LedgerMetrics metrics;
    private readonly DiskState disk;
    private readonly ILogger<EmbeddedLedger> logger;

    private long tail;
    private long head;
    private long lastTaken = -1;
    private long late;
    private int parked;

    /// <summary>Opens the journal and turns what a dead process left in it into unsettled rows.</summary>
    /// <exception cref="StorageException">The journal or the database cannot be used.</exception>
    public EmbeddedLedger(GatewayDatabase database, StorageOptions options, IMeterFactory meters, ILogger<EmbeddedLedger> logger)
    {
        (this.logger, disk) = (logger, database.Disk);
        session = database.Connect();
        rows = new LedgerRows(session);
        try
        {
            journal = Recover(Path.Combine(database.Folder, "ledger.journal"), options.QueueSize);
        }
        catch
        {
            rows.Dispose();
            session.Dispose();
            throw;
        }
        ring = new AttemptLease?[options.QueueSize];
        mask = options.QueueSize - 1;
        margin = Math.Min(256, options.QueueSize / 4);
        head = tail = journal.Committed;
        metrics = new LedgerMetrics(meters);
        metrics.Observe(() => Waiting);
    }

    /// <inheritdoc/>
    public bool HasRoom => !disk.IsFull && Volatile.Read(ref tail) - Volatile.Read(ref head) <= ring.Length - margin;

    /// <inheritdoc/>
    public bool IsDiskFull => disk.IsFull;

    /// <summary>Records that wait to be written.</summary>
    internal long Waiting => LastTaken - Volatile.Read(ref head) + Volatile.Read(ref late);

    private long LastTaken => Volatile.Read(ref tail) is var taken && taken == Closed ? Volatile.Read(ref lastTaken) : taken;

    /// <inheritdoc/>
    public bool TryBegin(AttemptLease attempt)
    {
        long last;
        do
        {
            last = Volatile.Read(ref tail);
            if (last - Volatile.Read(ref head) >= ring.Length)
            {
                return false;
            }
        }
        while (Interlocked.CompareExchange(ref tail, last + 1, last) != last);
        var sequence = last + 1;
        attempt.LedgerSequence = sequence;
        try
        {
            journal.Write(sequence, attempt);
        }
        finally
        {
            // A place that was taken and never filled would stop the writer for good.
            Volatile.Write(ref ring[sequence & mask], attempt);
        }
        WakeConsumer();
        return true;
    }

    /// <inheritdoc/>
    void ILedger.Settled(AttemptLease attempt)
    {
        if (attempt.Charged is { } charged && charged > attempt.Bound && attempt.Reserved != Pricing.Money.MaxValue)
        {
            metrics.BoundExceeded();
            logger.BoundExceeded(attempt.Start.Upstream, attempt.Start.Name, charged, attempt.Bound, attempt.Request.RequestId);
        }
        // Where the consumer has not come by yet, it will find the attempt settled in its place.
        if (Interlocked.CompareExchange(ref attempt.LedgerState, Settled, Open) == Started)
        {
            settledLate.Enqueue(attempt);
            Interlocked.Increment(ref late);
            WakeConsumer();
        }
    }

    /// <summary>Writes everything recorded before the call.</summary>
    /// <exception cref="StorageException">The database cannot be written now. Nothing is lost; the writer goes on trying.</exception>
    public Task FlushAsync(CancellationToken cancellationToken = default) => Task.Run(Flush, cancellationToken);

    /// <summary>Writes what is left, as far as the database lets it, and takes no more records.</summary>
    public void Dispose()
    {
        lock (drain)
        {
            if (Volatile.Read(ref tail) == Closed)
            {
                return;
            }
            // From here on every place counts as taken, so nobody writes to the journal any more once those who took a place before are done.
            Volatile.Write(ref lastTaken, Interlocked.Exchange(ref tail, Closed));
            try
            {
                WriteAll();
            }
            catch (StorageException exception)
            {
                logger.NotDrained(exception, Waiting);
            }
            AwaitPublished(head + 1, LastTaken);
            rows.Dispose();
            session.Dispose();
            journal.Dispose();
        }
    }

    internal void Flush()
    {
        lock (drain)
        {
            WriteAll();
        }
    }

    /// <summary>Completes when there may be something to write.</summary>
    internal async ValueTask WaitForRecordsAsync(CancellationToken cancellationToken)
    {
        // A producer takes its place before it looks at the mark, and the mark is set before the places are counted: one of the two sees the other.
        Interlocked.Exchange(ref parked, 1);
        if (Waiting > 0 && Interlocked.Exchange(ref parked, 0) == 1)
        {
            return;
        }
        await wake.WaitAsync(cancellationToken);
    }

    /// <summary>Writes what waits. Stops short at a place whose record is not published yet.</summary>
    internal void Drain()
    {
        lock (drain)
        {
            while (Volatile.Read(ref tail) != Closed && WriteBatch() is var (begun, ended) && begun + ended >= BatchRows)
            {
            }
        }
    }

    /// <summary>Notes that a batch could not be written, and whether the disk is what is full (SQLite's result codes, rescode.html).</summary>
    internal void CountFailure(Exception exception)
    {
        metrics.Failed();
        disk.NoteWrite(isFull: exception is StorageException { Code: raw.SQLITE_FULL });
    }

    /// <summary>Notes that a batch could be written again.</summary>
    internal void WritesAgain() => disk.NoteWrite(isFull: false);

    private void WakeConsumer()
    {
        if (Volatile.Read(ref parked) == 1 && Interlocked.Exchange(ref parked, 0) == 1)
        {
            wake.Release();
        }
    }

    private void WriteAll()
    {
        var last = LastTaken;
        var pending = Volatile.Read(ref late);
        AwaitPublished(head + 1, last);
        while (head < last || pending > 0)
        {
            var (begun, ended) = WriteBatch();
            if (begun + ended == 0)
            {
                return;
            }
            pending -= ended;
        }
    }

    /// <summary>Waits for those who have taken a place and are copying their record into it: less than a microsecond, unless their thread is not running.</summary>
    private void AwaitPublished(long first, long last)
    {
        for (var sequence = first; sequence <= last; sequence++)
        {
            var spin = new SpinWait();
            while (Volatile.Read(ref ring[sequence & mask]) is null)
            {
                spin.SpinOnce();
            }
        }
    }

    /// <summary>Commits one batch. Whatever is thrown, everything stays where it is.</summary>
    /// <returns>Rows written of attempts that began, and of attempts that ended after their first row.</returns>
    private (int Begun, int Ended) WriteBatch()
    {
        // Taken before the places are looked at, so that an attempt's first row always precedes its update, in this transaction or an earlier one.
        while (updates.Count < BatchRows && settledLate.TryDequeue(out var attempt))
        {
            updates.Add(attempt);
        }
        if (updates.Count == 0 && Volatile.Read(ref ring[(head + 1) & mask]) is null)
        {
            return (0, 0);
        }
        var timestamp = Stopwatch.GetTimestamp();
        var (last, most) = (head, Math.Min(BatchRows, ring.Length));
        try
        {
            rows.Begin();
            while (last - head < most && Volatile.Read(ref ring[(last + 1) & mask]) is { } attempt)
            {
                if (Interlocked.CompareExchange(ref attempt.LedgerState, Started, Open) == Settled)
                {
                    rows.WriteSettled(attempt);
                }
                else
                {
                    rows.WriteStarted(attempt);
                }
                last++;
            }
            foreach (var attempt in updates)
            {
                rows.WriteSettled(attempt);
            }
            rows.Commit();
        }
        catch
        {
            rows.RollBack();
            throw;
        }
        var written = (Begun: (int)(last - head), Ended: updates.Count);
        Interlocked.Add(ref late, -updates.Count);
        updates.Clear();
        for (var sequence = head + 1; sequence <= last; sequence++)
        {
            ring[sequence & mask] = null;
        }
        journal.Committed = last;
        Volatile.Write(ref head, last);
        metrics.Committed(written.Begun + written.Ended, Stopwatch.GetElapsedTime(timestamp));
        return written;
    }

    private LedgerJournal Recover(string path, int capacity)
    {
        var found = LedgerJournal.Open(path, capacity);
        var left = found.Uncommitted();
        if (left.Count > 0)
        {
            session.InOneTransaction(() =>
            {
                foreach (var entry in left)
                {
                    rows.WriteRecovered(entry);
                }
            });
            logger.Recovered(left.Count);
        }
        // A database that is ahead of its journal (which was moved away) keeps its numbers.
        var committed = Math.Max(left.Count > 0 ? left[^1].Sequence : found.Committed, rows.HighestSequence());
        found.Committed = committed;
        if (found.Capacity == capacity)
        {
            return found;
        }
        found.Dispose();
        LedgerJournal.Create(path, capacity, committed);
        return LedgerJournal.Open(path, capacity);
    }
}
