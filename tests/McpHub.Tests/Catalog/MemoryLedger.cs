using Shared.Admission;
using Shared.Ledger;
using Shared.VirtualKeys;

namespace McpHub.Tests.Catalog;

/// <summary>A ledger that keeps its rows in a list.</summary>
internal sealed class MemoryLedger : ILedger, ISpendHistory
{
    private readonly Lock gate = new();
    private readonly List<AttemptLease> settled = [];

    public bool HasRoom { get; set; } = true;

    public IReadOnlyList<AttemptLease> Rows
    {
        get
        {
            lock (gate)
            {
                return [.. settled];
            }
        }
    }

    public bool TryBegin(AttemptLease attempt) => HasRoom;

    public void Settled(AttemptLease attempt)
    {
        lock (gate)
        {
            settled.Add(attempt);
        }
    }

    public IReadOnlyList<SpendRow> Read(OwnerKind kind, string ownerId, DateTimeOffset from) => [];
}
