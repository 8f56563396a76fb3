using Shared.Storage;
using Shared.VirtualKeys;

namespace Shared.Ledger;

/// <summary>Reads the sums of the ledger. What is still queued is written first.</summary>
internal sealed class SpendHistory(GatewayDatabase database, EmbeddedLedger ledger) : ISpendHistory
{
    public IReadOnlyList<SpendRow> Read(OwnerKind kind, string ownerId, DateTimeOffset from)
    {
        ledger.Flush();
        return database.Use(session =>
        {
            using var statement = session.Prepare(Query(kind));
            statement.Add(ownerId).Add(from.ToUnixTimeMilliseconds());
            var result = new List<SpendRow>();
            while (statement.Read())
            {
                result.Add(new SpendRow(
                    DateTimeOffset.FromUnixTimeSeconds(statement.Int64(0) * 60), (CallKind)statement.Int64(1), statement.Text(2), statement.Text(3),
                    LedgerSums.Money(statement.Int64(4), statement.Int64(5)), statement.Int64(6), statement.Int64(7), statement.Int64(8)));
            }
            return result;
        });
    }

    private static string Query(OwnerKind kind)
    {
        var owner = kind switch
        {
            OwnerKind.Key => "key_id",
            OwnerKind.User => "user_id",
            OwnerKind.Team => "team_id",
            _ => "customer_id",
        };
        return $"""
            SELECT minute, kind, upstream, name, {LedgerSums.Dollars(LedgerSums.Spent)}, {LedgerSums.Nanos(LedgerSums.Spent)}, sum(attempt_index = 0), count(*), sum({LedgerSums.Tokens})
            FROM attempts WHERE {owner} = ? AND started_at >= ?
            GROUP BY minute, kind, upstream, name ORDER BY minute
            """;
    }
}
