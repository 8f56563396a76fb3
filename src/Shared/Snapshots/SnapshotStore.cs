namespace Shared.Snapshots;

/// <summary>Holds the current snapshot. Reading it is one volatile read.</summary>
public sealed class SnapshotStore
{
    private readonly Lock gate = new();
    private volatile Snapshot? current;
    private volatile IReadOnlyList<string> lastErrors = [];
    private volatile IReadOnlyList<LeftOut> leftOut = [];

    /// <summary>Raised after a new snapshot was swapped in, with the previous one (null at start) and the new one, in order, one at a time.</summary>
    public event Action<Snapshot?, Snapshot>? Changed;

    /// <summary>The snapshot that serves.</summary>
    /// <exception cref="InvalidOperationException">None was published yet.</exception>
    public Snapshot Current => current ?? throw new InvalidOperationException("No snapshot has been published yet.");

    /// <summary>Whether one was published.</summary>
    public bool HasCurrent => current is not null;

    /// <summary>Why the newest configuration is not the one that serves; empty when it is.</summary>
    public IReadOnlyList<string> LastErrors => lastErrors;

    /// <summary>What does not fit and does not serve, while the rest does; empty when all that is declared serves.</summary>
    public IReadOnlyList<LeftOut> LeftOut { get => leftOut; internal set => leftOut = value; }

    /// <summary>Swaps a snapshot in and tells the listeners. One of the same revision only clears <see cref="LastErrors"/>.</summary>
    /// <returns>Whether anything changed.</returns>
    public bool Publish(Snapshot snapshot)
    {
        lock (gate)
        {
            lastErrors = [];
            var previous = current;
            if (previous?.Revision == snapshot.Revision)
            {
                return false;
            }
            current = snapshot;
            Changed?.Invoke(previous, snapshot);
            return true;
        }
    }

    /// <summary>Records that a newer configuration was refused; the last good one goes on serving.</summary>
    public void Reject(IReadOnlyList<string> errors) => lastErrors = errors;
}
