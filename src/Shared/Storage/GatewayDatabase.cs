using System.Collections.Immutable;

namespace Shared.Storage;

/// <summary>The embedded database in its data folder, brought to the newest schema and held by this process alone.</summary>
public sealed class GatewayDatabase : IDisposable
{
    internal const string FileName = "gateway.db";

    /// <summary>The write-ahead log is cut to this whenever it begins anew.</summary>
    private const long WalKeptBytes = 16L << 20;

    private readonly Lock gate = new();
    private readonly StorageOptions options;
    private readonly DataFolderLock folderLock;
    private readonly SqliteSession session;

    private GatewayDatabase(StorageOptions options, string folder, DataFolderLock folderLock, SqliteSession session) =>
        (this.options, Folder, this.folderLock, this.session) = (options, folder, folderLock, session);

    /// <summary>The data folder's full path.</summary>
    public string Folder { get; }

    /// <summary>What is known of the disk.</summary>
    public DiskState Disk { get; } = new();

    /// <summary>Bytes of the write-ahead log.</summary>
    internal long WalBytes => SizeOf(FileName + "-wal");

    /// <summary>Opens the database of a data folder.</summary>
    /// <exception cref="StorageException">The folder is in use or cannot be written, the file is damaged, or a newer version of the gateway made it.</exception>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public static GatewayDatabase Open(StorageOptions options, TimeProvider clock) => Open(options, clock, Migrations.All);

    internal static GatewayDatabase Open(StorageOptions options, TimeProvider clock, ImmutableArray<string> migrations)
    {
        options.Validate();
        var folder = Path.GetFullPath(options.Folder);
        var folderLock = DataFolderLock.Take(folder);
        SqliteSession? session = null;
        try
        {
            session = Connect(folder, options);
            // Has an effect only before there are tables: free pages can then be given back piece by piece.
            session.Execute("PRAGMA auto_vacuum = INCREMENTAL");
            session.Execute("PRAGMA journal_mode = WAL");
            Migrate(session, folder, clock, migrations);
            return new GatewayDatabase(options, folder, folderLock, session);
        }
        catch
        {
            session?.Dispose();
            folderLock.Dispose();
            throw;
        }
    }

    /// <summary>
    /// A connection that only reads, beside the process that holds the folder; null where there is no database yet, or one of another schema, whose tables
    /// cannot be known.
    /// </summary>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    internal static SqliteSession? ConnectToRead(string folder, TimeSpan busyTimeout)
    {
        var file = Path.Combine(folder, FileName);
        if (!File.Exists(file))
        {
            return null;
        }
        var session = SqliteSession.OpenToRead(file, busyTimeout);
        try
        {
            if (VersionOf(session) == Migrations.All.Length)
            {
                return session;
            }
        }
        catch
        {
            session.Dispose();
            throw;
        }
        session.Dispose();
        return null;
    }

    /// <summary>Another connection, for one owner that locks it. The database must outlive it.</summary>
    internal SqliteSession Connect() => Connect(Folder, options);

    /// <summary>Uses the common connection, for work that is short.</summary>
    internal T Use<T>(Func<SqliteSession, T> work)
    {
        lock (gate)
        {
            return work(session);
        }
    }

    /// <summary>Bytes that the folder's disk has left; the most there are where that cannot be asked, as on a network share of Windows.</summary>
    internal long FreeBytes => OperatingSystem.IsWindows() && Folder.StartsWith(@"\\", StringComparison.Ordinal) ? long.MaxValue : new DriveInfo(Folder).AvailableFreeSpace;

    /// <summary>Measures the folder.</summary>
    internal DiskReport Measure(long maxDatabaseBytes, long minFreeBytes) => new(
        SizeOf(FileName), Use(Retention.UsedBytes), WalBytes, maxDatabaseBytes, FreeBytes, minFreeBytes);

    private long SizeOf(string file) => new FileInfo(Path.Combine(Folder, file)) is { Exists: true } found ? found.Length : 0;

    /// <summary>Closes the database and lets go of the folder.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            session.Dispose();
            folderLock.Dispose();
        }
    }

    private static SqliteSession Connect(string folder, StorageOptions options)
    {
        var session = SqliteSession.Open(Path.Combine(folder, FileName), options.BusyTimeout);
        try
        {
            session.Execute($"PRAGMA synchronous = FULL; PRAGMA journal_size_limit = {WalKeptBytes}");
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    private static void Migrate(SqliteSession session, string folder, TimeProvider clock, ImmutableArray<string> migrations)
    {
        var version = VersionOf(session);
        if (version > migrations.Length)
        {
            throw new StorageException(
                $"The database in '{folder}' has schema {version}, made by a newer version of the gateway; this one knows schemas up to {migrations.Length}. Start the newer version, or use another data folder.");
        }
        for (var next = version + 1; next <= migrations.Length; next++)
        {
            session.InOneTransaction(() =>
            {
                session.Execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL)");
                session.Execute(migrations[next - 1]);
                using var insert = session.Prepare("INSERT INTO schema_version VALUES (?, ?)");
                insert.Add(next).Add(clock.GetUtcNow().ToUnixTimeMilliseconds()).Run();
            });
        }
    }

    private static int VersionOf(SqliteSession session)
    {
        using (var exists = session.Prepare("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'"))
        {
            if (!exists.Read())
            {
                return 0;
            }
        }
        using var newest = session.Prepare("SELECT coalesce(max(version), 0) FROM schema_version");
        newest.Read();
        return (int)newest.Int64(0);
    }
}
