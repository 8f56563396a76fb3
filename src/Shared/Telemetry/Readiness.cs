using Shared.Ledger;
using Shared.Snapshots;

namespace Shared.Telemetry;

/// <summary>How a part of the gateway is.</summary>
public enum ReadinessState
{
    /// <summary>Well.</summary>
    Ok,

    /// <summary>Serving, with something that wants attention.</summary>
    Degraded,

    /// <summary>Requests cannot be served.</summary>
    Failed,
}

/// <summary>The answer of a check. Shown to anybody: no address, no secret.</summary>
/// <param name="State">How it is.</param>
/// <param name="Details">What there is to say; empty when all is well.</param>
public sealed record Readiness(ReadinessState State, IReadOnlyList<string> Details)
{
    /// <summary>All is well.</summary>
    public static Readiness Ok { get; } = new(ReadinessState.Ok, []);
}

/// <summary>A part of the gateway that <c>/health/ready</c> asks.</summary>
public interface IReadinessCheck
{
    /// <summary>A name for people and monitors.</summary>
    string Name { get; }

    /// <summary>How it is now. In memory; called by anybody, as often as they like.</summary>
    Readiness Check();
}

/// <summary>A configuration serves; a newer one that was refused is told, since the gateway then runs on what was. What is wrong with it holds names, values and folders, which are not for everybody.</summary>
internal sealed class ConfigurationCheck(SnapshotStore snapshots) : IReadinessCheck
{
    public string Name => "configuration";

    public Readiness Check()
    {
        var errors = snapshots.LastErrors;
        return !snapshots.HasCurrent ? new Readiness(ReadinessState.Failed, ["No configuration has been loaded yet."])
            : errors.Count > 0 ? new Readiness(ReadinessState.Degraded, [$"The newest configuration was refused for {errors.Count} error{(errors.Count == 1 ? "" : "s")}; the one before it serves. The log and GET /admin/v1/configuration tell them."])
            : snapshots.LeftOut is [_, ..] parts ? new Readiness(ReadinessState.Degraded, [.. parts.Select(part => $"{part.What} is left out; GET /admin/v1/configuration tells why.")])
            : Readiness.Ok;
    }
}

/// <summary>The ledger takes records: without one there is no call.</summary>
internal sealed class LedgerCheck(ILedger ledger) : IReadinessCheck
{
    public string Name => "ledger";

    public Readiness Check() => ledger.HasRoom ? Readiness.Ok : new Readiness(ReadinessState.Failed, [ledger.IsDiskFull ? "The disk of the data folder is full." : "The queue of records is full."]);
}
