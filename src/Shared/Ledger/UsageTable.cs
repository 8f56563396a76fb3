using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Shared.Admission;
using Shared.Pricing;
using Shared.Storage;
using Shared.VirtualKeys;

namespace Shared.Ledger;

/// <summary>
/// Keeps the table <c>usage_hours</c>: what settled attempts used, by hour, owners, name and outcome, in the transactions that write the attempts. Usage is answered
/// from it, and it stays when the attempts go.
/// </summary>
internal sealed class UsageTable(SqliteSession session) : IDisposable
{
    /// <summary>Milliseconds of an hour.</summary>
    public const long Hour = 3_600_000;

    /// <summary>What is added where there is a row already.</summary>
    public const string Merge = """
        ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, unsettled = unsettled + excluded.unsettled, reserved_nano = reserved_nano + excluded.reserved_nano,
            cost_nano = cost_nano + excluded.cost_nano, unknown_cost = unknown_cost + excluded.unknown_cost, input = input + excluded.input, cached = cached + excluded.cached,
            output = output + excluded.output, duration_us = duration_us + excluded.duration_us, longest_us = max(longest_us, excluded.longest_us),
            images = images + excluded.images, audio_seconds = audio_seconds + excluded.audio_seconds, characters = characters + excluded.characters, searches = searches + excluded.searches
        """;

    private readonly Dictionary<Group, Sums> groups = [];

    private readonly SqliteStatement add = session.Prepare($"INSERT INTO usage_hours VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {Merge}");

    /// <summary>Counts an attempt with the batch that is being written.</summary>
    public void Add(AttemptLease attempt)
    {
        var (key, result) = (attempt.Key, attempt.Result);
        var group = new Group(
            key.Id, attempt.StartedAt.ToUnixTimeMilliseconds() / Hour, attempt.Start.Kind, attempt.Start.Upstream, attempt.Start.Name, result.Outcome,
            key.IdOf(OwnerKind.User) ?? "", key.IdOf(OwnerKind.Team) ?? "", key.IdOf(OwnerKind.Customer) ?? "");
        ref var sums = ref CollectionsMarshal.GetValueRefOrAddDefault(groups, group, out _);
        var (usage, duration) = (result.Usage, (long)attempt.Duration.TotalMicroseconds);
        sums.Calls++;
        sums.Cost = RollingSum.Saturate(sums.Cost, attempt.Charged?.Nano ?? 0);
        sums.UnknownCost += attempt.Charged is null ? 1 : 0;
        sums.Input = RollingSum.Saturate(sums.Input, usage.TotalInput);
        sums.Cached = RollingSum.Saturate(sums.Cached, usage.CacheRead);
        sums.Output = RollingSum.Saturate(sums.Output, usage.TotalOutput);
        sums.Duration = RollingSum.Saturate(sums.Duration, duration);
        sums.Longest = Math.Max(sums.Longest, duration);
        if (usage.Units.Kind != UnitKind.None)
        {
            ref var units = ref sums.UnitsOf(usage.Units.Kind);
            units = RollingSum.Saturate(units, usage.Units.Thousandths);
        }
    }

    /// <summary>Writes the sums of the batch, within its transaction.</summary>
    public void Write()
    {
        foreach (var (group, sums) in groups)
        {
            add.Reset();
            add.Add(group.Hour).Add(group.Key).Add((long)group.Kind).Add(group.Upstream).Add(group.Name).Add((long)group.Outcome).Add(group.User).Add(group.Team).Add(group.Customer)
                .Add(sums.Calls).Add(sums.Cost).Add(sums.UnknownCost).Add(sums.Input).Add(sums.Cached).Add(sums.Output).Add(sums.Duration).Add(sums.Longest)
                .Add(sums.Images).Add(sums.AudioSeconds).Add(sums.Characters).Add(sums.Searches).Run();
        }
        groups.Clear();
    }

    /// <summary>Drops the sums of a batch that was rolled back.</summary>
    public void Forget() => groups.Clear();

    public void Dispose() => add.Dispose();

    private readonly record struct Group(string Key, long Hour, CallKind Kind, string Upstream, string Name, CallOutcome Outcome, string User, string Team, string Customer);

    private struct Sums
    {
        public long Calls;
        public long Cost;
        public long UnknownCost;
        public long Input;
        public long Cached;
        public long Output;
        public long Duration;
        public long Longest;
        public long Images;
        public long AudioSeconds;
        public long Characters;
        public long Searches;

        [UnscopedRef]
        public ref long UnitsOf(UnitKind kind)
        {
            switch (kind)
            {
                case UnitKind.Image:
                    return ref Images;
                case UnitKind.AudioSecond:
                    return ref AudioSeconds;
                case UnitKind.Character:
                    return ref Characters;
                default:
                    return ref Searches;
            }
        }
    }
}
