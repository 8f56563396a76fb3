using System.Runtime.InteropServices;
using Shared.Admission;
using Shared.Storage;
using Shared.VirtualKeys;

namespace Shared.Ledger;

/// <summary>
/// Keeps the table <c>spend</c>: what settled attempts used, by minute, owners and name. A batch is summed up in memory first, so that many calls of one key
/// cost one row.
/// </summary>
internal sealed class SpendTable(SqliteSession session) : IDisposable
{
    private readonly Dictionary<Group, Sums> groups = [];

    private readonly SqliteStatement add = session.Prepare("""
        INSERT INTO spend VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET cost_nano = cost_nano + excluded.cost_nano, requests = requests + excluded.requests,
            attempts = attempts + excluded.attempts, tokens = tokens + excluded.tokens
        """);

    /// <summary>Counts an attempt with the batch that is being written.</summary>
    public void Add(AttemptLease attempt)
    {
        var key = attempt.Key;
        var group = new Group(
            key.Id, attempt.StartedAt.ToUnixTimeMilliseconds() / 60_000, attempt.Start.Kind, attempt.Start.Upstream, attempt.Start.Name,
            key.IdOf(OwnerKind.User) ?? "", key.IdOf(OwnerKind.Team) ?? "", key.IdOf(OwnerKind.Customer) ?? "");
        ref var sums = ref CollectionsMarshal.GetValueRefOrAddDefault(groups, group, out _);
        sums.Cost = RollingSum.Saturate(sums.Cost, attempt.Charged?.Nano ?? 0);
        sums.Requests += attempt.Index == 0 ? 1 : 0;
        sums.Attempts++;
        sums.Tokens = RollingSum.Saturate(sums.Tokens, attempt.Result.Source == UsageSource.Reserved ? attempt.EstimatedTokens : attempt.Result.Usage.Total);
    }

    /// <summary>Writes the sums of the batch, within its transaction.</summary>
    public void Write()
    {
        foreach (var (group, sums) in groups)
        {
            add.Reset();
            add.Add(group.Key).Add(group.Minute).Add((long)group.Kind).Add(group.Upstream).Add(group.Name).Add(group.User).Add(group.Team).Add(group.Customer)
                .Add(sums.Cost).Add(sums.Requests).Add(sums.Attempts).Add(sums.Tokens).Run();
        }
        groups.Clear();
    }

    /// <summary>Drops the sums of a batch that was rolled back.</summary>
    public void Forget() => groups.Clear();

    public void Dispose() => add.Dispose();

    private readonly record struct Group(string Key, long Minute, CallKind Kind, string Upstream, string Name, string User, string Team, string Customer);

    private struct Sums
    {
        public long Cost;
        public long Requests;
        public long Attempts;
        public long Tokens;
    }
}
