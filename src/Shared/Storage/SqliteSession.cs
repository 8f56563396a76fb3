using SQLitePCL;

namespace Shared.Storage;

/// <summary>
/// One connection to an SQLite database, used by one thread at a time. A thin layer over the native calls: opened in a third of the time that ADO.NET
/// needs in a fresh process, and a row bound and written at a third of the CPU (docs/ledger.md has the figures).
/// </summary>
internal sealed class SqliteSession : IDisposable
{
    private readonly sqlite3 handle;
    private readonly string file;

    static SqliteSession() => Batteries_V2.Init();

    private SqliteSession(sqlite3 handle, string file) => (this.handle, this.file) = (handle, file);

    /// <summary>Whether a transaction is open.</summary>
    public bool InTransaction => raw.sqlite3_get_autocommit(handle) == 0;

    /// <summary>Rows that the last statement changed.</summary>
    public int Changes => raw.sqlite3_changes(handle);

    /// <summary>Opens a database, making it where it does not exist.</summary>
    /// <param name="file">Its path.</param>
    /// <param name="busyTimeout">How long a statement waits for another connection's write.</param>
    /// <exception cref="StorageException">It cannot be opened.</exception>
    public static SqliteSession Open(string file, TimeSpan busyTimeout) => Open(file, busyTimeout, raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE);

    /// <summary>Opens a database that exists, to read it only; another process may have it open.</summary>
    /// <exception cref="StorageException">It cannot be opened.</exception>
    public static SqliteSession OpenToRead(string file, TimeSpan busyTimeout) => Open(file, busyTimeout, raw.SQLITE_OPEN_READONLY);

    private static SqliteSession Open(string file, TimeSpan busyTimeout, int mode)
    {
        // Each session is locked by its owner, so SQLite's own locking of it is left out.
        var code = raw.sqlite3_open_v2(file, out var handle, mode | raw.SQLITE_OPEN_NOMUTEX, null);
        var session = new SqliteSession(handle, file);
        try
        {
            session.Check(code, "open");
            session.Check(raw.sqlite3_busy_timeout(handle, (int)busyTimeout.TotalMilliseconds), "open");
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>Runs statements that return nothing.</summary>
    public void Execute(string sql) => Check(raw.sqlite3_exec(handle, sql), "run a statement on");

    /// <summary>Compiles a statement, to be used many times.</summary>
    public SqliteStatement Prepare(string sql)
    {
        Check(raw.sqlite3_prepare_v2(handle, sql, out var statement), "prepare a statement on");
        return new SqliteStatement(this, statement);
    }

    /// <summary>Runs a piece of work in a transaction; anything thrown rolls it back.</summary>
    public void InOneTransaction(Action work)
    {
        Execute("BEGIN IMMEDIATE");
        try
        {
            work();
            Execute("COMMIT");
        }
        catch
        {
            RollBack();
            throw;
        }
    }

    /// <summary>Drops an open transaction; without one it does nothing.</summary>
    public void RollBack()
    {
        if (InTransaction)
        {
            // Its result is of no use: SQLite has rolled back by itself after the errors in which this can fail.
            raw.sqlite3_exec(handle, "ROLLBACK");
        }
    }

    public void Dispose() => handle.Dispose();

    internal void Check(int code, string verb)
    {
        if (code is not (raw.SQLITE_OK or raw.SQLITE_ROW or raw.SQLITE_DONE))
        {
            var extended = raw.sqlite3_extended_errcode(handle);
            throw new StorageException($"Cannot {verb} the database '{file}': {raw.sqlite3_errmsg(handle).utf8_to_string()} (SQLite {extended}).", extended);
        }
    }
}
