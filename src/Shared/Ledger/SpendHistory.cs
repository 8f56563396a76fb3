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
            var start = from.ToUnixTimeMilliseconds();
            statement.Add(ownerId).Add(start).Add((start + 59_999) / 60_000);
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
        // Whole minutes come from their sums. A span that begins within a minute takes that one from its rows, and what is not settled is in no sum.
        return $"""
            SELECT minute, kind, upstream, name, sum(dollars), sum(nanos), sum(requests), sum(attempts), sum(tokens) FROM (
                SELECT minute, kind, upstream, name, cost_nano / {Pricing.Money.NanoPerDollar} AS dollars, cost_nano % {Pricing.Money.NanoPerDollar} AS nanos, requests, attempts, tokens
                FROM spend WHERE {owner} = ?1 AND minute >= ?3{(kind == OwnerKind.Key ? "" : $" AND {owner} <> ''")}
                UNION ALL
                SELECT {RowColumns} FROM attempts WHERE {owner} = ?1 AND started_at >= ?2 AND started_at < ?3 * 60000 AND settled
                UNION ALL
                SELECT {RowColumns} FROM attempts INDEXED BY attempts_unsettled WHERE {owner} = ?1 AND started_at >= ?2 AND NOT settled
            )
            GROUP BY minute, kind, upstream, name ORDER BY minute
            """;
    }

    private const string RowColumns = $"""
        minute, kind, upstream, name, ({LedgerSums.Spent}) / 1000000000, ({LedgerSums.Spent}) % 1000000000, attempt_index = 0, 1, {LedgerSums.Tokens}
        """;
}
