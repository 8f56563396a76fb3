using Shared.Admission;
using Shared.Ledger;
using Shared.VirtualKeys;

namespace LlmProxy.Tests.Hosting;

/// <summary>A ledger that keeps its rows in a list.</summary>
internal sealed class MemoryLedger : ILedger, ISpendHistory
{
    private readonly Lock gate = new();
    private readonly List<AttemptLease> settled = [];
    private readonly List<(int Count, TaskCompletionSource Reached)> waiters = [];

    public bool HasRoom => true;

    public int Begun { get; private set; }

    /// <summary>Settled attempts in the order of their settlement.</summary>
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

    public bool TryBegin(AttemptLease attempt)
    {
        lock (gate)
        {
            Begun++;
        }
        return true;
    }

    public void Settled(AttemptLease attempt)
    {
        lock (gate)
        {
            settled.Add(attempt);
            foreach (var (count, reached) in waiters)
            {
                if (settled.Count >= count)
                {
                    reached.TrySetResult();
                }
            }
        }
    }

    /// <summary>The rows, as soon as there are so many.</summary>
    public async Task<IReadOnlyList<AttemptLease>> RowsAsync(int count)
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (gate)
        {
            if (settled.Count >= count)
            {
                return [.. settled];
            }
            waiters.Add((count, reached));
        }
        await reached.Task.WaitAsync(TimeSpan.FromSeconds(30));
        return Rows;
    }

    public IReadOnlyList<SpendRow> Read(OwnerKind kind, string ownerId, DateTimeOffset from) => [];
}
