using System.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;

namespace McpHub.Serving;

/// <summary>How many sessions there are and what is kept for them, on the meter <c>Gateway</c>. Read when somebody collects it.</summary>
internal sealed class SessionMetrics : IHostedService
{
    public SessionMetrics(IMeterFactory meters, SessionRegistry sessions, EventStore events)
    {
        var meter = meters.Create("Gateway");
        meter.CreateObservableGauge("gateway.mcp.sessions", () => sessions.Count, null, "Sessions of MCP clients that are open.");
        meter.CreateObservableGauge("gateway.mcp.kept_events", () => events.Bytes, "By", "Bytes of events that are kept for clients whose connection is cut.");
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
