using System.IO.Compression;
using System.Text;
using Shared.Storage;

namespace Shared.Stored;

/// <summary>A revision as the list shows it.</summary>
/// <param name="Sequence">Its place; grows. The same revision may stand at several, where a change was taken back.</param>
/// <param name="Revision">16 hex digits.</param>
/// <param name="PublishedAt">When it began to serve.</param>
/// <param name="By">Who changed the configuration: an admin key, <c>files</c> or <c>start</c>.</param>
public sealed record RevisionEntry(long Sequence, string Revision, DateTimeOffset PublishedAt, string By);

/// <summary>
/// The texts of the configuration's revisions, so that the one that a ledger row names can be opened later. A text is kept as its difference to the one
/// before, and whole at every hundredth, so that ten thousand keys made one after the other do not store ten thousand lists of keys.
/// </summary>
public sealed class RevisionLog(GatewayDatabase database)
{
    private const int DifferencesInARow = 100;

    /// <summary>The revisions, the newest first.</summary>
    /// <param name="before">Only those of a smaller sequence; null: from the newest.</param>
    /// <param name="limit">The most entries; 1 to 1,000.</param>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public IReadOnlyList<RevisionEntry> List(long? before, int limit) => database.Use(session =>
    {
        using var select = session.Prepare("SELECT sequence, revision, published_at, changed_by FROM revisions WHERE sequence < ? ORDER BY sequence DESC LIMIT ?");
        select.Add(before ?? long.MaxValue).Add(Math.Clamp(limit, 1, 1000));
        var entries = new List<RevisionEntry>();
        while (select.Read())
        {
            entries.Add(new RevisionEntry(select.Int64(0), select.Text(1), DateTimeOffset.FromUnixTimeMilliseconds(select.Int64(2)), select.Text(3)));
        }
        return entries;
    });

    /// <summary>The text of a revision: one declaration a line, secrets as hashes. Null: it was never kept, or is no longer.</summary>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public string? Find(string revision) => database.Use(session =>
    {
        using var select = session.Prepare("SELECT max(sequence) FROM revisions WHERE revision = ?");
        select.Add(revision).Read();
        return select.Int64OrNull(0) is { } sequence ? string.Join('\n', LinesOf(session, sequence)) : null;
    });

    /// <summary>Forgets revisions that were published before a moment; the newest one stays, and those that later ones are kept as a difference to.</summary>
    /// <returns>How many.</returns>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public int DeleteBefore(DateTimeOffset moment) => database.Use(session =>
    {
        using var delete = session.Prepare("DELETE FROM revisions WHERE sequence < (SELECT max(sequence) FROM revisions WHERE base IS NULL AND published_at < ?)");
        delete.Add(moment.ToUnixTimeMilliseconds()).Run();
        return session.Changes;
    });

    /// <summary>Keeps a revision in the caller's transaction, unless it is the newest already.</summary>
    /// <param name="session">The database.</param>
    /// <param name="now">When.</param>
    /// <param name="by">Who made it.</param>
    /// <param name="revision">The revision.</param>
    /// <param name="known">One that may be the newest in the database, so that its text need not be put together from there.</param>
    internal static void Write(SqliteSession session, DateTimeOffset now, ChangedBy by, PublishedRevision revision, PublishedRevision? known = null)
    {
        long? newest = null;
        var differences = 0;
        using (var select = session.Prepare("SELECT sequence, revision FROM revisions ORDER BY sequence DESC LIMIT 1"))
        {
            if (select.Read())
            {
                if (select.Text(1) == revision.Revision)
                {
                    return;
                }
                newest = select.Int64(0);
                known = known?.Revision == select.Text(1) ? known : null;
            }
        }
        using (var select = session.Prepare("SELECT count(*) FROM revisions WHERE sequence > (SELECT max(sequence) FROM revisions WHERE base IS NULL)"))
        {
            select.Read();
            differences = (int)select.Int64(0);
        }
        var lines = revision.Text.Split('\n');
        var whole = newest is null || differences >= DifferencesInARow;
        using var insert = session.Prepare("INSERT INTO revisions (revision, published_at, changed_by, base, lines) VALUES (?, ?, ?, ?, ?)");
        insert.Add(revision.Revision).Add(now.ToUnixTimeMilliseconds()).Add(by.Actor).Add(whole ? null : newest)
            .Add(Pack(whole ? lines.Select(line => '+' + line) : Difference(known?.Text.Split('\n') ?? [.. LinesOf(session, newest!.Value)], lines))).Run();
    }

    // Both are in ordinal order.
    private static IEnumerable<string> Difference(string[] before, string[] after)
    {
        var (old, present) = (0, 0);
        while (old < before.Length || present < after.Length)
        {
            var order = old == before.Length ? 1 : present == after.Length ? -1 : string.CompareOrdinal(before[old], after[present]);
            if (order < 0)
            {
                yield return '-' + before[old++];
            }
            else if (order > 0)
            {
                yield return '+' + after[present++];
            }
            else
            {
                (old, present) = (old + 1, present + 1);
            }
        }
    }

    // From the last whole text at or before the sequence, one difference after the other.
    private static SortedSet<string> LinesOf(SqliteSession session, long sequence)
    {
        var lines = new SortedSet<string>(StringComparer.Ordinal);
        using var select = session.Prepare(
            "SELECT lines FROM revisions WHERE sequence <= ?1 AND sequence >= (SELECT max(sequence) FROM revisions WHERE base IS NULL AND sequence <= ?1) ORDER BY sequence");
        select.Add(sequence);
        while (select.Read())
        {
            foreach (var line in Unpack(select.Blob(0)))
            {
                if (line[0] == '+')
                {
                    lines.Add(line[1..]);
                }
                else
                {
                    lines.Remove(line[1..]);
                }
            }
        }
        return lines;
    }

    private static byte[] Pack(IEnumerable<string> lines)
    {
        using var packed = new MemoryStream();
        using (var brotli = new BrotliStream(packed, CompressionLevel.Fastest))
        using (var writer = new StreamWriter(brotli, new UTF8Encoding(false)))
        {
            foreach (var line in lines)
            {
                writer.Write(line);
                writer.Write('\n');
            }
        }
        return packed.ToArray();
    }

    private static IEnumerable<string> Unpack(byte[] packed)
    {
        using var reader = new StreamReader(new BrotliStream(new MemoryStream(packed), CompressionMode.Decompress), Encoding.UTF8);
        while (reader.ReadLine() is { } line)
        {
            yield return line;
        }
    }
}
