using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;
using McpHub.Upstreams;
using Shared.Admission;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Tools;

namespace McpHub.Catalog;

/// <summary>
/// Calls tools for callers: checks the grant again, takes what admission wants, relays, and completes the record.
/// </summary>
internal sealed class ToolDispatcher : IToolAccess
{
    private static readonly ActivitySource Source = new("Gateway");

    private readonly IToolViews views;
    private readonly ToolServers servers;
    private readonly AdmissionController admission;
    private readonly Histogram<double> duration;

    public ToolDispatcher(IToolViews views, ToolServers servers, AdmissionController admission, IMeterFactory meters)
    {
        (this.views, this.servers, this.admission) = (views, servers, admission);
        duration = meters.Create("Gateway").CreateHistogram("mcp.client.operation.duration", "s", "Duration of requests to tool servers.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300] });
    }

    public ReadOnlyMemory<byte> List(GatewayRequest caller) => views.ViewOf(caller.Snapshot, caller.Key!).ToolsJson;

    public async ValueTask<ToolCallOutcome> CallAsync(GatewayRequest caller, ToolCall call, CancellationToken cancellationToken)
    {
        if (!views.ViewOf(caller.Snapshot, caller.Key!).Tools.TryGetValue(call.Name, out var tool))
        {
            return RpcError.UnknownTool(call.Name);
        }
        var ask = tool.Cost == Money.Zero ? AdmissionAsk.Free : new AdmissionAsk { AtLeast = tool.Cost, AtMost = tool.Cost, PriceKnown = true };
        if (admission.TryAdmit(caller, ask, out var lease) is { } refusal)
        {
            return RpcError.Of(GatewayError.From(refusal));
        }
        using (lease)
        {
            if (lease!.TryBeginAttempt(tool.Start, ask, out var attempt) is { } limited)
            {
                return RpcError.Of(GatewayError.From(limited));
            }
            using (attempt)
            {
                return await CallAsync(caller, tool, call, attempt!, cancellationToken);
            }
        }
    }

    private async ValueTask<ToolCallOutcome> CallAsync(GatewayRequest caller, CatalogTool tool, ToolCall call, AttemptLease attempt, CancellationToken cancellationToken)
    {
        using var activity = StartActivity(caller, tool);
        var since = Stopwatch.GetTimestamp();
        var error = "cancelled";
        try
        {
            var (server, status) = servers.Find(tool.Server.Id);
            if (server is null)
            {
                throw new UpstreamException(RpcError.UpstreamUnavailable, "not_connected",
                    $"Tool server '{tool.Server.Id}' is not connected ({(status == UpstreamStatus.Connecting ? "it is being connected" : "it is tried again shortly")}).", wasSent: false);
            }
            var outcome = await CallAsync(server, tool.Server.Id, new UpstreamCall(caller, tool.UpstreamName, call.Params, activity?.Id ?? caller.TraceParent, activity?.TraceStateString ?? caller.TraceState, call.OnProgress), cancellationToken);
            error = outcome.IsError ? "rpc_error" : IsToolError(outcome.Result.Span) ? "tool_error" : null;
            Settle(attempt, tool, error is null ? CallOutcome.Succeeded : CallOutcome.Failed, error);
            return outcome;
        }
        catch (UpstreamException exception)
        {
            error = exception.Reason;
            Settle(attempt, tool, CallOutcome.Broken, error, isFree: !exception.WasSent);
            return RpcError.Of(exception.Code, exception.Message);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            Settle(attempt, tool, CallOutcome.Cancelled, "cancelled");
            throw;
        }
        finally
        {
            caller.CountUpstream(since);
            if (error is not null)
            {
                activity?.SetTag("error.type", error).SetStatus(ActivityStatusCode.Error);
            }
            if (duration.Enabled)
            {
                var tags = new TagList { { "mcp.method.name", "tools/call" }, { "gen_ai.tool.name", tool.ExposedName }, { "gateway.server", tool.Server.Id } };
                if (error is not null)
                {
                    tags.Add("error.type", error);
                }
                duration.Record(Stopwatch.GetElapsedTime(since).TotalSeconds, tags);
            }
        }
    }

    /// <summary>Calls; a server that has forgotten its session, and so cannot have run the tool, is called once more over a new one.</summary>
    private async ValueTask<ToolCallOutcome> CallAsync(IToolServer server, string id, UpstreamCall call, CancellationToken cancellationToken)
    {
        try
        {
            return await server.CallAsync(call, cancellationToken);
        }
        catch (UpstreamException exception) when (exception is { WasSent: false, Reason: "session_lost" })
        {
            if (await servers.ReconnectedAsync(id, server, cancellationToken) is not { } next)
            {
                throw;
            }
            return await next.CallAsync(call, cancellationToken);
        }
    }

    private static Activity? StartActivity(GatewayRequest caller, CatalogTool tool)
    {
        if (!Source.HasListeners() || Source.StartActivity($"tools/call {tool.UpstreamName}", ActivityKind.Client) is not { } activity)
        {
            return null;
        }
        return activity.SetTag("mcp.method.name", "tools/call").SetTag("gen_ai.operation.name", "execute_tool").SetTag("gen_ai.tool.name", tool.UpstreamName)
            .SetTag("gateway.server", tool.Server.Id).SetTag("gateway.request_id", caller.RequestId);
    }

    /// <summary>A price per call is due for every call that reached the server, whatever came of it.</summary>
    private static void Settle(AttemptLease attempt, CatalogTool tool, CallOutcome outcome, string? error, bool isFree = false) => attempt.Settle(new AttemptResult
    {
        Outcome = outcome,
        Source = isFree || tool.Cost == Money.Zero ? UsageSource.None : UsageSource.PerCall,
        Cost = isFree ? Money.Zero : tool.Cost,
        Error = error,
    });

    private static bool IsToolError(ReadOnlySpan<byte> result)
    {
        if (result.IndexOf("\"isError\""u8) < 0)
        {
            return false;
        }
        var reader = new Utf8JsonReader(result, new JsonReaderOptions { MaxDepth = 256 });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isIt = reader.ValueTextEquals("isError"u8);
            reader.Read();
            if (isIt)
            {
                return reader.TokenType == JsonTokenType.True;
            }
            reader.Skip();
        }
        return false;
    }
}
