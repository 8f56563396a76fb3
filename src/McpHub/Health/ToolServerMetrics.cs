using System.Diagnostics.Metrics;
using McpHub.Catalog;
using Microsoft.Extensions.Hosting;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.Health;

/// <summary>Figures of tool servers, on the meter <c>Gateway</c>. They are read when somebody collects them, so that no call pays for them.</summary>
internal sealed class ToolServerMetrics : IHostedService
{
    /// <summary>The most tools of one server that have a series of their own; the others are summed under <see cref="UpstreamHealth.OtherTools"/>.</summary>
    public const int MaxTools = 200;

    private readonly SnapshotStore snapshots;
    private readonly ToolServers servers;

    public ToolServerMetrics(IMeterFactory meters, SnapshotStore snapshots, ToolServers servers)
    {
        (this.snapshots, this.servers) = (snapshots, servers);
        var meter = meters.Create("Gateway");
        meter.CreateObservableGauge("gateway.tool_server.up", ReadUp, null, "Whether a tool server is connected: 1, or 0.");
        meter.CreateObservableGauge("gateway.tool_server.breaker", ReadBreakers, null, "A tool server's circuit breaker: 0 closed, 1 half-open, 2 open.");
        meter.CreateObservableCounter("gateway.tool.calls", ReadCalls, null, "Calls of tools, by how they ended: answered, tool_error, failed, or refused by the circuit breaker.");
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static KeyValuePair<string, object?> Tag(string name, string value) => new(name, value);

    private IEnumerable<ToolManifest> Manifests => snapshots.HasCurrent ? snapshots.Current.Manifests : [];

    private IEnumerable<Measurement<int>> ReadUp() =>
        Manifests.Select(manifest => new Measurement<int>(servers.Find(manifest.Id)?.Current.State == Upstreams.UpstreamStatus.Ready ? 1 : 0, Tag("server", manifest.Id)));

    private IEnumerable<Measurement<int>> ReadBreakers()
    {
        foreach (var manifest in Manifests)
        {
            if (servers.Find(manifest.Id) is { } upstream)
            {
                yield return new Measurement<int>(upstream.Health.Breaker.State switch { "open" => 2, "halfOpen" => 1, _ => 0 }, Tag("server", manifest.Id));
            }
        }
    }

    private IEnumerable<Measurement<long>> ReadCalls()
    {
        foreach (var manifest in Manifests)
        {
            if (servers.Find(manifest.Id) is not { } upstream)
            {
                continue;
            }
            var named = 0;
            var rest = new ToolHealth();
            // In the order of their names, so that the same tools have a series of their own from one collection to the next.
            foreach (var (tool, health) in upstream.Health.Tools.OrderBy(entry => entry.Tool, StringComparer.Ordinal))
            {
                if (tool == UpstreamHealth.OtherTools || ++named > MaxTools)
                {
                    rest = rest with { Calls = rest.Calls + health.Calls, Failures = rest.Failures + health.Failures, ToolErrors = rest.ToolErrors + health.ToolErrors, Refused = rest.Refused + health.Refused };
                    continue;
                }
                foreach (var measurement in Of(manifest.Id, tool, health))
                {
                    yield return measurement;
                }
            }
            foreach (var measurement in Of(manifest.Id, UpstreamHealth.OtherTools, rest))
            {
                yield return measurement;
            }
        }
    }

    private static IEnumerable<Measurement<long>> Of(string server, string tool, ToolHealth health)
    {
        foreach (var (outcome, count) in new[] { ("answered", health.Calls - health.Failures - health.ToolErrors), ("tool_error", health.ToolErrors), ("failed", health.Failures), ("refused", health.Refused) })
        {
            if (count > 0)
            {
                yield return new Measurement<long>(count, Tag("server", server), Tag("tool", tool), Tag("outcome", outcome));
            }
        }
    }
}
