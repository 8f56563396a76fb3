namespace Shared.Storage;

/// <summary>How much room the data folder takes and has. Bytes.</summary>
/// <param name="DatabaseBytes">The database file.</param>
/// <param name="UsedBytes">What of it is in use; the rest is free pages, which are written to again.</param>
/// <param name="WalBytes">The write-ahead log beside it.</param>
/// <param name="MaxDatabaseBytes">What it may take: <c>retention.maxDatabaseSize</c>.</param>
/// <param name="FreeBytes">What the disk has left.</param>
/// <param name="MinFreeBytes">What must be left: <c>retention.minFreeDisk</c>.</param>
public sealed record DiskReport(long DatabaseBytes, long UsedBytes, long WalBytes, long MaxDatabaseBytes, long FreeBytes, long MinFreeBytes)
{
    /// <summary>Whether more than 80 % of the database's limit is in use.</summary>
    public bool IsDatabaseLarge => UsedBytes > MaxDatabaseBytes / 5 * 4;

    /// <summary>Whether so little is left of the disk that records are refused.</summary>
    public bool IsDiskFull => FreeBytes < MinFreeBytes;

    /// <summary>Whether less than four times of what must be left is left.</summary>
    public bool IsDiskLow => FreeBytes / 4 < MinFreeBytes;
}

/// <summary>What is known of the disk, for those who decide by it without I/O.</summary>
public sealed class DiskState
{
    private volatile DiskReport? report;
    private volatile bool writesFail;

    /// <summary>The last look at it; null: nobody has looked yet.</summary>
    public DiskReport? Report => report;

    /// <summary>Whether no more records may be taken: too little is left, or a write failed because nothing is.</summary>
    public bool IsFull => writesFail || (report?.IsDiskFull ?? false);

    internal void Set(DiskReport next) => report = next;

    internal void NoteWrite(bool isFull) => writesFail = isFull;
}
