using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using ModelContextProtocol.Protocol;
using Shared.Http;

namespace McpHub.Serving;

/// <summary>Spans and figures of the requests that clients make of the hub.</summary>
internal static class ServingTelemetry
{
    private static readonly ActivitySource Source = new("Gateway");
    private static readonly Meter Meter = new("Gateway");

    private static readonly Histogram<double> Duration = Meter.CreateHistogram(
        "mcp.server.operation.duration",
        "s",
        "Time from receiving an MCP request to its answer.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300] });

    /// <summary>Begins a request. Its span is the current one until it ends.</summary>
    /// <param name="message">The request.</param>
    /// <param name="caller">Who makes it.</param>
    /// <param name="tool">The tool, where the caller has one of that name; a name that nobody has would give every typing error its own series.</param>
    /// <param name="sessionId">Its session, or null.</param>
    /// <param name="version">The protocol version, or null where none is agreed upon yet.</param>
    public static Operation Begin(RpcMessage message, GatewayRequest caller, string? tool, string? sessionId, string? version)
    {
        Activity? span = null;
        if (Source.HasListeners())
        {
            span = StartSpan(message, caller, tool);
        }
        if (span is { IsAllDataRequested: true })
        {
            span.SetTag("mcp.method.name", message.Method);
            span.SetTag("jsonrpc.request.id", message.Id.ToString());
            span.SetTag("mcp.session.id", sessionId);
            span.SetTag("mcp.protocol.version", version);
            span.SetTag("network.transport", "tcp");
            span.SetTag("network.protocol.name", "http");
            if (message.Method == RequestMethods.ToolsCall)
            {
                span.SetTag("gen_ai.operation.name", "execute_tool");
                span.SetTag("gen_ai.tool.name", message.Name);
            }
        }
        return new Operation(span, Stopwatch.GetTimestamp(), message.Method, tool, version);
    }

    private static Activity? StartSpan(RpcMessage message, GatewayRequest caller, string? tool)
    {
        var name = tool is null ? message.Method : $"{message.Method} {tool}";
        var http = Activity.Current;
        if (message.TraceParent is { } inMessage && ActivityContext.TryParse(inMessage, message.TraceState, true, out var parent))
        {
            // The client's trace goes on in the message; the HTTP request is a second way to the same place.
            return Source.StartActivity(name, ActivityKind.Server, parent, links: http is null ? null : [new ActivityLink(http.Context)]);
        }
        return http is null && ActivityContext.TryParse(caller.TraceParent, caller.TraceState, true, out var inHeader)
            ? Source.StartActivity(name, ActivityKind.Server, inHeader)
            : Source.StartActivity(name, ActivityKind.Server);
    }

    /// <summary>A request under way.</summary>
    internal readonly struct Operation(Activity? span, long started, string method, string? tool, string? version)
    {
        /// <summary>Ends the span and counts the request.</summary>
        /// <param name="error">A short code of what went wrong, or null.</param>
        /// <param name="code">The JSON-RPC error code; 0: none.</param>
        public void End(string? error = null, int code = 0)
        {
            if (Duration.Enabled)
            {
                var tags = new TagList { { "mcp.method.name", method } };
                Add(ref tags, "mcp.protocol.version", version);
                Add(ref tags, "gen_ai.tool.name", tool);
                Add(ref tags, "gen_ai.operation.name", method == RequestMethods.ToolsCall ? "execute_tool" : null);
                Add(ref tags, "error.type", error);
                Add(ref tags, "rpc.response.status_code", code == 0 ? null : code.ToString(CultureInfo.InvariantCulture));
                Duration.Record(Stopwatch.GetElapsedTime(started).TotalSeconds, tags);
            }
            if (span is null)
            {
                return;
            }
            if (error is not null)
            {
                span.SetTag("error.type", error);
                span.SetStatus(ActivityStatusCode.Error);
            }
            if (code != 0)
            {
                span.SetTag("rpc.response.status_code", code.ToString(CultureInfo.InvariantCulture));
            }
            span.Dispose();
        }

        private static void Add(ref TagList tags, string name, string? value)
        {
            if (value is not null)
            {
                tags.Add(name, value);
            }
        }
    }
}
