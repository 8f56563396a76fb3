using Shared.Snapshots;
using Shared.Telemetry;
using Shared.Tools;
using Shared.VirtualKeys;

namespace Gateway.Admin;

/// <summary>A tool server that is away leaves the gateway ready: the others, and the models, are there.</summary>
internal sealed class ToolServersCheck(IToolServerStates states) : IReadinessCheck
{
    public string Name => "toolServers";

    public Readiness Check()
    {
        var away = states.ReadAll().Where(server => server.State is not ("connected" or "disabled")).Select(server => $"{server.Id}: {server.State}").ToList();
        return away.Count == 0 ? Readiness.Ok : new Readiness(ReadinessState.Degraded, away);
    }
}

/// <summary>A gateway without a tool plane.</summary>
internal sealed class NoToolServers : IToolServerStates, IKeyTools
{
    public event Action<ToolServerState>? Changed
    {
        add { }
        remove { }
    }

    public IReadOnlyList<ToolServerState> ReadAll() => [];

    public KeyTools Read(Snapshot snapshot, VirtualKey key, ToolScope scope) => new([], 0, []);
}
