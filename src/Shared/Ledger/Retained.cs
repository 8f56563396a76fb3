using Shared.Storage;

namespace Shared.Ledger;

/// <summary>How far the deletion of what is old has come: the table <c>retained</c>.</summary>
internal static class Retained
{
    /// <summary>Attempts that began earlier are gone.</summary>
    public const string Attempts = "attempts";

    /// <summary>Sums of earlier hours have been put together into days.</summary>
    public const string Hours = "hours";

    public static DateTimeOffset? Read(SqliteSession session, string what)
    {
        using var select = session.Prepare("SELECT since FROM retained WHERE what = ?");
        return select.Add(what).Read() ? DateTimeOffset.FromUnixTimeMilliseconds(select.Int64(0)) : null;
    }

    public static void Write(SqliteSession session, string what, long since)
    {
        using var upsert = session.Prepare("INSERT INTO retained VALUES (?, ?) ON CONFLICT DO UPDATE SET since = max(since, excluded.since)");
        upsert.Add(what).Add(since).Run();
    }
}
