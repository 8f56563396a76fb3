using System.Buffers;
using System.Text;
using SQLitePCL;

namespace Shared.Storage;

/// <summary>
/// A compiled statement. Values are added in the order of its parameters; columns count from 0. SQLite keeps what is bound from run to run, so a value
/// that is the same as in the run before is not bound again: of a ledger row's columns, most are.
/// </summary>
internal sealed class SqliteStatement(SqliteSession session, sqlite3_stmt handle) : IDisposable
{
    private const int StackBytes = 512;

    // What is bound to a parameter that holds null; a parameter with nothing to compare holds null itself.
    private static readonly object Null = new();

    private readonly object?[] texts = new object?[raw.sqlite3_bind_parameter_count(handle) + 1];
    private readonly long?[] numbers = new long?[raw.sqlite3_bind_parameter_count(handle) + 1];

    private int parameter;

    public SqliteStatement Add(long value)
    {
        if (numbers[++parameter] != value)
        {
            Bind(raw.sqlite3_bind_int64(handle, parameter, value), null, value);
        }
        return this;
    }

    public SqliteStatement Add(long? value) => value is { } number ? Add(number) : AddNull();

    public SqliteStatement Add(ReadOnlySpan<byte> blob)
    {
        parameter++;
        Bind(blob.IsEmpty ? raw.sqlite3_bind_zeroblob(handle, parameter, 0) : raw.sqlite3_bind_blob(handle, parameter, blob), null, null);
        return this;
    }

    public SqliteStatement Add(string? text)
    {
        if (text is null)
        {
            return AddNull();
        }
        if (ReferenceEquals(texts[++parameter], text))
        {
            return this;
        }
        var longest = Encoding.UTF8.GetMaxByteCount(text.Length);
        byte[]? rented = null;
        var buffer = longest <= StackBytes ? stackalloc byte[StackBytes] : rented = ArrayPool<byte>.Shared.Rent(longest);
        var written = Encoding.UTF8.GetBytes(text, buffer);
        // A span of nothing has a null address, which SQLite would take for NULL.
        var code = written == 0 ? raw.sqlite3_bind_text(handle, parameter, "") : raw.sqlite3_bind_text(handle, parameter, (ReadOnlySpan<byte>)buffer[..written]);
        if (rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
        Bind(code, text, null);
        return this;
    }

    public SqliteStatement AddNull()
    {
        if (texts[++parameter] != Null)
        {
            Bind(raw.sqlite3_bind_null(handle, parameter), Null, null);
        }
        return this;
    }

    /// <summary>Moves to the next row. False, and ready to be used again: there is none.</summary>
    public bool Read()
    {
        int code;
        try
        {
            code = raw.sqlite3_step(handle);
            session.Check(code, "read or write");
        }
        catch
        {
            Reset();
            throw;
        }
        if (code == raw.SQLITE_ROW)
        {
            return true;
        }
        Reset();
        return false;
    }

    /// <summary>Runs a statement to its end.</summary>
    public void Run()
    {
        while (Read())
        {
        }
    }

    /// <summary>Makes it ready to be used again. Repeats the error of the last step, which has been reported already.</summary>
    public void Reset()
    {
        raw.sqlite3_reset(handle);
        parameter = 0;
    }

    public bool IsNull(int column) => raw.sqlite3_column_type(handle, column) == raw.SQLITE_NULL;

    public long Int64(int column) => raw.sqlite3_column_int64(handle, column);

    public long? Int64OrNull(int column) => IsNull(column) ? null : Int64(column);

    public string Text(int column) => raw.sqlite3_column_text(handle, column).utf8_to_string() ?? "";

    public string? TextOrNull(int column) => IsNull(column) ? null : Text(column);

    public byte[] Blob(int column) => raw.sqlite3_column_blob(handle, column).ToArray();

    public void Dispose() => handle.Dispose();

    /// <summary>Takes note of what the current parameter holds now; after an error nobody knows.</summary>
    private void Bind(int code, object? text, long? number)
    {
        var isBound = code == raw.SQLITE_OK;
        texts[parameter] = isBound ? text : null;
        numbers[parameter] = isBound ? number : null;
        session.Check(code, "bind a value for");
    }
}
