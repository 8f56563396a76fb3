using System.IO.MemoryMappedFiles;
using Shared.Admission;
using Shared.Storage;

namespace Shared.Ledger;

/// <summary>
/// A ring of start records in a memory-mapped file. Its pages belong to the operating system, so what was written outlives the process however that ends.
/// Writing is a copy into memory: no call into the system, no lock.
/// </summary>
internal sealed class LedgerJournal : IDisposable
{
    private const ulong Magic = 0x3152_4e4a_5745_5447; // "GTEWJNR1"
    private const int HeaderBytes = 4096;
    private const int CapacityOffset = 8;
    private const int CommittedOffset = 16;

    /// <summary>
    /// The search for records ends after so many places without one. Gaps come from threads that died while writing, of which there are far fewer.
    /// </summary>
    private const int LongestGap = 4096;

    private readonly MemoryMappedFile file;
    private readonly MemoryMappedViewAccessor view;
    private readonly long mask;

    private LedgerJournal(MemoryMappedFile file, MemoryMappedViewAccessor view, int capacity) =>
        (this.file, this.view, Capacity, mask) = (file, view, capacity, capacity - 1);

    /// <summary>Slots in the ring.</summary>
    public int Capacity { get; }

    /// <summary>Every record up to this sequence is in the database.</summary>
    public long Committed
    {
        get => view.ReadInt64(CommittedOffset);
        set => view.Write(CommittedOffset, value);
    }

    /// <summary>Opens a journal, or makes one.</summary>
    /// <param name="path">Its file.</param>
    /// <param name="capacity">Slots of a new one; one that exists keeps its own.</param>
    /// <exception cref="StorageException">The file is not a journal, or cannot be made.</exception>
    public static LedgerJournal Open(string path, int capacity)
    {
        try
        {
            if (!File.Exists(path))
            {
                Create(path, capacity, 0);
            }
            return Map(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StorageException($"The ledger's journal '{path}' cannot be used: {exception.Message}", exception);
        }
    }

    /// <summary>Makes an empty journal in the place of any that is there. Seen under its name only once it is whole.</summary>
    public static void Create(string path, int capacity, long committed)
    {
        var length = HeaderBytes + ((long)capacity * JournalEntry.SlotBytes);
        var unfinished = path + ".new";
        File.Delete(unfinished);
        // Its blocks are allocated now: a full disk is an error here, and not a fault while a record is written.
        using (var stream = new FileStream(unfinished, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite, PreallocationSize = length }))
        {
            stream.SetLength(length);
            Span<byte> header = stackalloc byte[CommittedOffset + sizeof(long)];
            BitConverter.TryWriteBytes(header, Magic);
            BitConverter.TryWriteBytes(header[CapacityOffset..], (long)capacity);
            BitConverter.TryWriteBytes(header[CommittedOffset..], committed);
            stream.Write(header);
            stream.Flush(flushToDisk: true);
        }
        File.Move(unfinished, path, overwrite: true);
    }

    /// <summary>Writes an attempt's record at its place. The place must be free.</summary>
    public void Write(long sequence, AttemptLease attempt)
    {
        Span<byte> slot = stackalloc byte[JournalEntry.SlotBytes - JournalEntry.SequenceBytes];
        var length = JournalEntry.Write(slot, attempt);
        var offset = OffsetOf(sequence);
        var memory = view.SafeMemoryMappedViewHandle;
        memory.WriteSpan<byte>(offset + JournalEntry.SequenceBytes, slot[..length]);
        // The sequence is the mark that the rest is whole, so it must not be seen before the rest.
        Volatile.WriteBarrier();
        memory.Write(offset, sequence);
    }

    /// <summary>The records that the database may lack, in order.</summary>
    public IReadOnlyList<JournalEntry> Uncommitted()
    {
        var entries = new List<JournalEntry>();
        var slot = new byte[JournalEntry.SlotBytes - JournalEntry.SequenceBytes];
        var memory = view.SafeMemoryMappedViewHandle;
        var committed = Committed;
        var gap = 0;
        for (var sequence = committed + 1; sequence <= committed + Capacity && gap < LongestGap; sequence++)
        {
            var offset = OffsetOf(sequence);
            if (memory.Read<long>(offset) != sequence)
            {
                gap++;
                continue;
            }
            gap = 0;
            memory.ReadSpan<byte>(offset + JournalEntry.SequenceBytes, slot);
            entries.Add(JournalEntry.Read(sequence, slot));
        }
        return entries;
    }

    public void Dispose()
    {
        view.Dispose();
        file.Dispose();
    }

    private static LedgerJournal Map(string path)
    {
        var length = new FileInfo(path).Length;
        if (length < HeaderBytes)
        {
            throw NotAJournal(path);
        }
        var file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.ReadWrite);
        var view = file.CreateViewAccessor(0, length, MemoryMappedFileAccess.ReadWrite);
        var capacity = view.ReadInt64(CapacityOffset);
        if (view.ReadUInt64(0) == Magic && capacity is >= 1 and <= 1 << 20 && long.IsPow2(capacity) && length == HeaderBytes + (capacity * JournalEntry.SlotBytes))
        {
            return new LedgerJournal(file, view, (int)capacity);
        }
        view.Dispose();
        file.Dispose();
        throw NotAJournal(path);
    }

    private static StorageException NotAJournal(string path) => new(
        $"'{path}' is not a journal that this version can read. If another version wrote it, start and stop that one first; if it is damaged, move it away: calls that were under way are then lost from the ledger.");

    private ulong OffsetOf(long sequence) => HeaderBytes + ((ulong)(sequence & mask) * JournalEntry.SlotBytes);
}
