using Shared.Admission;
using Shared.Pricing;
using Shared.VirtualKeys;

namespace Shared.Ledger;

/// <summary>Takes the record of every attempt. One implementation writes to the embedded database.</summary>
public interface ILedger
{
    /// <summary>Whether a record would be taken now. False: admission refuses with 503.</summary>
    bool HasRoom { get; }

    /// <summary>Whether it is the disk that has no room.</summary>
    bool IsDiskFull => false;

    /// <summary>Records that an attempt begins; it survives the death of the process from this moment on. False: there is no room.</summary>
    bool TryBegin(AttemptLease attempt);

    /// <summary>Records that an attempt has been settled. Always succeeds.</summary>
    void Settled(AttemptLease attempt);
}

/// <summary>What an owner's calls of one upstream name used in one minute.</summary>
/// <param name="Minute">Start of the minute in which the calls began.</param>
/// <param name="Kind">Model or tool.</param>
/// <param name="Upstream">Provider or tool server.</param>
/// <param name="Name">Model or tool.</param>
/// <param name="Cost">Settled cost, and the reservation of what is not settled.</param>
/// <param name="Requests">First attempts: what request limits of an owner count.</param>
/// <param name="Attempts">All attempts: what request limits with a scope count.</param>
/// <param name="Tokens">Tokens used.</param>
public readonly record struct SpendRow(DateTimeOffset Minute, CallKind Kind, string Upstream, string Name, Money Cost, long Requests, long Attempts, long Tokens);

/// <summary>Reads the ledger's sums, from which counters are rebuilt.</summary>
public interface ISpendHistory
{
    /// <summary>What an owner's calls that began at or after <paramref name="from"/> used, minute by minute. Everything recorded before the call is included.</summary>
    IReadOnlyList<SpendRow> Read(OwnerKind kind, string ownerId, DateTimeOffset from);
}
