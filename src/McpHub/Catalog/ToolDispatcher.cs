using McpHub.Upstreams;
using Shared.Admission;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.Catalog;

/// <summary>
/// Calls tools for callers: checks the grant again, takes what admission wants, relays, and completes the record.
/// </summary>
internal sealed class ToolDispatcher(IToolViews views, ToolServers servers, AdmissionController admission, SnapshotStore snapshots, CallTelemetry telemetry) : IToolAccess
{
    public ReadOnlyMemory<byte> List(GatewayRequest caller) => views.ViewOf(caller.Snapshot, caller.Key!).ToolsJson;

    public ValueTask<ToolCallOutcome> CallAsync(GatewayRequest caller, ToolCall call, CancellationToken cancellationToken)
    {
        if (ToolParams.Read(call.Params, out var parameters) is { } wrong)
        {
            return ValueTask.FromResult(RpcError.Of(RpcError.InvalidParams, wrong));
        }
        if (Find(caller, call.Name) is not { } tool)
        {
            return ValueTask.FromResult(RpcError.UnknownTool(call.Name));
        }
        var ask = tool.Cost == Money.Zero ? AdmissionAsk.Free : new AdmissionAsk { AtLeast = tool.Cost, AtMost = tool.Cost, PriceKnown = true };
        if (admission.TryAdmit(caller, ask, out var lease) is { } refusal)
        {
            return ValueTask.FromResult(RpcError.Of(refusal));
        }
        if (lease!.TryBeginAttempt(tool.Start, ask, out var attempt) is { } limited)
        {
            lease.Dispose();
            return ValueTask.FromResult(RpcError.Of(limited));
        }
        return CallAsync(caller, tool, call, parameters, lease, attempt!, cancellationToken);
    }

    /// <summary>The tool, if the caller may use it now: a grant that was taken away since the request began counts no more.</summary>
    private CatalogTool? Find(GatewayRequest caller, string name)
    {
        var (current, key) = (snapshots.Current, caller.Key!);
        if (!ReferenceEquals(current, caller.Snapshot) && (!current.Keys.TryGetValue(key.Id, out key!) || key.RevokedAt is not null))
        {
            return null;
        }
        return views.ViewOf(current, key).Tools.GetValueOrDefault(name);
    }

    private async ValueTask<ToolCallOutcome> CallAsync(GatewayRequest caller, CatalogTool tool, ToolCall call, ToolParams parameters, RequestLease lease, AttemptLease attempt, CancellationToken cancellationToken)
    {
        using var request = lease;
        using var begun = attempt;
        var upstream = servers.Find(tool.Server.Id);
        var operation = telemetry.Begin(caller, tool, upstream?.Current.Server?.ProtocolVersion);
        var sent = new UpstreamCall
        {
            Caller = caller,
            Tool = tool.UpstreamName,
            Params = parameters,
            TraceParent = operation.TraceParent,
            TraceState = operation.TraceState,
            OnProgress = call.OnProgress,
        };
        var error = UpstreamReasons.Internal;
        var code = 0;
        try
        {
            var outcome = await (upstream ?? throw NotThere(tool)).CallAsync(sent, cancellationToken);
            code = outcome.IsError ? JsonMembers.FindNumber(outcome.Error.Span, "code"u8) ?? 0 : 0;
            error = outcome.IsError ? "rpc_error" : IsToolError(outcome.Result.Span) ? "tool_error" : null;
            Settle(attempt, tool, error is null ? CallOutcome.Succeeded : CallOutcome.Failed, error, wasSent: true);
            return outcome;
        }
        catch (UpstreamException exception)
        {
            (error, code) = (exception.Reason, exception.Code);
            Settle(attempt, tool, CallOutcome.Broken, error, exception.WasSent);
            return RpcError.Of(exception.Code, exception.Message);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            error = "cancelled";
            Settle(attempt, tool, CallOutcome.Cancelled, error, sent.WasSent);
            throw;
        }
        finally
        {
            caller.CountUpstream(operation.Since);
            operation.End(error, code);
        }
    }

    private static UpstreamException NotThere(CatalogTool tool) =>
        new(RpcError.UpstreamUnavailable, UpstreamReasons.NotConnected, $"Tool server '{tool.Server.Id}' is not connected (it was just taken away).", wasSent: false);

    /// <summary>A price per call is due for every call that reached the server, whatever came of it.</summary>
    private static void Settle(AttemptLease attempt, CatalogTool tool, CallOutcome outcome, string? error, bool wasSent) => attempt.Settle(new AttemptResult
    {
        Outcome = outcome,
        Source = !wasSent || tool.Cost == Money.Zero ? UsageSource.None : UsageSource.PerCall,
        Cost = wasSent ? tool.Cost : Money.Zero,
        Error = error,
    });

    // Most results do not have the member at all, which the vectorised search finds out without reading them as JSON.
    private static bool IsToolError(ReadOnlySpan<byte> result) => result.IndexOf("isError"u8) >= 0 && JsonMembers.IsTrue(result, "isError"u8);
}
