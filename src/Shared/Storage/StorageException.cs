namespace Shared.Storage;

/// <summary>The data folder, the database or the journal cannot be used. The message names the file and says what to do; it holds no data.</summary>
public sealed class StorageException : Exception
{
    /// <summary>Builds it from a message for people.</summary>
    public StorageException(string message, Exception? inner = null) : base(message, inner)
    {
    }

    internal StorageException(string message, int code) : base(message) => Code = code;

    /// <summary>SQLite's extended result code; 0 where the trouble is not SQLite's.</summary>
    public int Code { get; }
}
