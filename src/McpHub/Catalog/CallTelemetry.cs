using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using Shared.Http;
using Shared.Snapshots;

namespace McpHub.Catalog;

/// <summary>Spans and figures of the calls that the hub makes of tool servers. Never arguments or results.</summary>
internal sealed class CallTelemetry(IMeterFactory meters)
{
    private static readonly ActivitySource Source = new("Gateway");

    private readonly Histogram<double> duration = meters.Create("Gateway").CreateHistogram("mcp.client.operation.duration", "s", "Time from sending a request to a tool server to its answer.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300] });

    /// <summary>Begins a call of a tool.</summary>
    /// <param name="caller">Who makes it.</param>
    /// <param name="tool">What is called.</param>
    /// <param name="version">The revision agreed on with its server, or null while there is none.</param>
    public Operation Begin(GatewayRequest caller, CatalogTool tool, string? version) => Begin(caller, tool.Server, "tools/call", tool.UpstreamName, version, tool.ExposedName);

    /// <summary>Begins a request.</summary>
    /// <param name="caller">Who makes it.</param>
    /// <param name="server">Who is to answer.</param>
    /// <param name="method">The method.</param>
    /// <param name="name">The server's own name of the tool or prompt, or null.</param>
    /// <param name="version">The revision agreed on with its server, or null while there is none.</param>
    /// <param name="tool">The name that clients see of the tool; null: it is another request.</param>
    public Operation Begin(GatewayRequest caller, ToolManifest server, string method, string? name, string? version, string? tool = null)
    {
        var span = Source.HasListeners() ? Start(caller, name is null ? method : $"{method} {name}") : null;
        if (span is { IsAllDataRequested: true })
        {
            span.SetTag("mcp.method.name", method).SetTag("mcp.protocol.version", version).SetTag("gateway.server", server.Id).SetTag("gateway.request_id", caller.RequestId);
            if (tool is not null)
            {
                span.SetTag("gen_ai.operation.name", "execute_tool").SetTag("gen_ai.tool.name", name);
            }
            else if (name is not null)
            {
                span.SetTag("gen_ai.prompt.name", name);
            }
            if (server.Transport != UpstreamTransport.BuiltIn)
            {
                span.SetTag("network.transport", server.Transport == UpstreamTransport.Stdio ? "pipe" : "tcp");
            }
        }
        return new Operation(duration, span, caller, server, method, tool);
    }

    private static Activity? Start(GatewayRequest caller, string name) =>
        Activity.Current is null && ActivityContext.TryParse(caller.TraceParent, caller.TraceState, true, out var parent)
            ? Source.StartActivity(name, ActivityKind.Client, parent)
            : Source.StartActivity(name, ActivityKind.Client);

    /// <summary>A call under way.</summary>
    internal readonly struct Operation(Histogram<double> duration, Activity? span, GatewayRequest caller, ToolManifest server, string method, string? tool)
    {
        /// <summary>When it began, as a <see cref="Stopwatch"/> timestamp.</summary>
        public long Since { get; } = Stopwatch.GetTimestamp();

        /// <summary>The trace context that goes up.</summary>
        public string TraceParent => span?.Id ?? caller.TraceParent;

        /// <summary>Its vendor part, or null.</summary>
        public string? TraceState => span is null ? caller.TraceState : span.TraceStateString;

        /// <summary>Ends it.</summary>
        /// <param name="error">A short code of what went wrong, or null.</param>
        /// <param name="code">The JSON-RPC error code; 0: none.</param>
        public void End(string? error, int code)
        {
            var status = code == 0 ? null : code.ToString(CultureInfo.InvariantCulture);
            if (duration.Enabled)
            {
                var tags = new TagList { { "mcp.method.name", method }, { "gateway.server", server.Id } };
                if (tool is not null)
                {
                    tags.Add("gen_ai.operation.name", "execute_tool");
                    tags.Add("gen_ai.tool.name", tool);
                }
                if (error is not null)
                {
                    tags.Add("error.type", error);
                }
                duration.Record(Stopwatch.GetElapsedTime(Since).TotalSeconds, tags);
            }
            if (span is null)
            {
                return;
            }
            if (error is not null)
            {
                span.SetTag("error.type", error).SetTag("rpc.response.status_code", status).SetStatus(ActivityStatusCode.Error);
            }
            span.Dispose();
        }
    }
}
