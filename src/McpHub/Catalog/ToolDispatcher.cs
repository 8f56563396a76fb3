using System.Diagnostics;
using System.Globalization;
using McpHub.Catalog.Rules;
using McpHub.Features;
using McpHub.Health;
using McpHub.Upstreams;
using Microsoft.Extensions.Logging;
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
internal sealed class ToolDispatcher(
    IToolViews views, ToolServers servers, AdmissionController admission, SnapshotStore snapshots, CallTelemetry telemetry, Approvals approvals, ToolGates gates, TimeProvider clock,
    ILogger<ToolDispatcher> logger) : IToolAccess
{
    public ReadOnlyMemory<byte> List(GatewayRequest caller) => views.ViewOf(caller.Snapshot, caller.Key!, caller.ToolScope).ToolsJson;

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
        return tool.Rules is { } rules ? CallUnderRulesAsync(caller, tool, rules, call, parameters, cancellationToken) : Admit(caller, tool, call, parameters, cancellationToken);
    }

    /// <summary>Takes what admission wants, and relays.</summary>
    private ValueTask<ToolCallOutcome> Admit(GatewayRequest caller, CatalogTool tool, ToolCall call, ToolParams parameters, CancellationToken cancellationToken)
    {
        var ask = AskOf(tool);
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

    private async ValueTask<ToolCallOutcome> CallUnderRulesAsync(GatewayRequest caller, CatalogTool tool, CallRules rules, ToolCall call, ToolParams parameters, CancellationToken cancellationToken)
    {
        if (rules.Check(parameters.Arguments.Span) is { } wrong)
        {
            return Refuse(caller, tool, "argument_refused", RpcError.Of(RpcError.InvalidParams, wrong));
        }
        if (rules.Approval is { } approval)
        {
            // What is asked for can be paid now. Nothing of it is held while a person thinks.
            if (admission.TryAdmit(caller, AskOf(tool), out var probe) is { } refusal)
            {
                return RpcError.Of(refusal);
            }
            probe!.Dispose();
            if (await ApproveAsync(caller, tool, approval, call, parameters, cancellationToken) is { } refused)
            {
                return Refuse(caller, tool, refused.Code, ToolTexts.Failed(refused.Words));
            }
            // Much may have changed meanwhile.
            if (Find(caller, call.Name) is not { } now)
            {
                return RpcError.UnknownTool(call.Name);
            }
            if (!ReferenceEquals(now.Rules, rules) && now.Rules?.Check(parameters.Arguments.Span) is { } wrongNow)
            {
                return Refuse(caller, now, "argument_refused", RpcError.Of(RpcError.InvalidParams, wrongNow));
            }
            tool = now;
            call = call.Peer is { } client ? call with { Peer = new ApprovedPeer(client) } : call;
        }
        if (tool.Rules?.Splice(parameters.Json) is { } spliced && !spliced.Equals(parameters.Json) && ToolParams.Read(spliced, out parameters) is { } broken)
        {
            throw new InvalidOperationException($"The parameters could not be put together: {broken}");
        }
        return await Admit(caller, tool, call, parameters, cancellationToken);
    }

    private async ValueTask<(string Code, string Words)?> ApproveAsync(GatewayRequest caller, CatalogTool tool, Approval approval, ToolCall call, ToolParams parameters, CancellationToken cancellationToken)
    {
        var since = Stopwatch.GetTimestamp();
        try
        {
            return await approvals.AskAsync(call.Peer, caller.Key!.Id, tool, approval, parameters.Arguments, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            Refuse(caller, tool, "approval_cancelled", default);
            throw;
        }
        finally
        {
            caller.CountUpstream(since);
        }
    }

    /// <summary>Records that a call was refused. It counts as a request, so that nobody can try arguments without end.</summary>
    private ToolCallOutcome Refuse(GatewayRequest caller, CatalogTool tool, string reason, ToolCallOutcome answer)
    {
        logger.Refused(tool.Server.Id, tool.UpstreamName, caller.Key!.Id, reason);
        if (admission.TryAdmit(caller, AdmissionAsk.Free, out var lease) is { } refusal)
        {
            return RpcError.Of(refusal);
        }
        using (lease)
        {
            if (lease!.TryBeginAttempt(tool.Start, AdmissionAsk.Free, out var attempt) is { } limited)
            {
                return RpcError.Of(limited);
            }
            attempt!.Settle(new AttemptResult { Outcome = CallOutcome.Refused, Source = UsageSource.None, Cost = Money.Zero, Error = reason });
        }
        return answer;
    }

    private static AdmissionAsk AskOf(CatalogTool tool) => tool.Cost == Money.Zero ? AdmissionAsk.Free : new AdmissionAsk { AtLeast = tool.Cost, AtMost = tool.Cost, PriceKnown = true };

    /// <summary>The tool, if the caller may use it now: a grant that was taken away since the request began counts no more.</summary>
    private CatalogTool? Find(GatewayRequest caller, string name)
    {
        var current = snapshots.Current;
        var key = ReferenceEquals(current, caller.Snapshot) ? caller.Key : current.FindCaller(caller.Key!.Id);
        return key is { RevokedAt: null } ? views.ViewOf(current, key, caller.ToolScope).Tools.GetValueOrDefault(name) : null;
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
            Peer = call.Peer,
            Headers = tool.UpstreamHeaders,
            LogLevel = call.LogLevel,
        };
        var error = UpstreamReasons.Internal;
        var code = 0;
        var visit = default(UpstreamHealth.Visit);
        try
        {
            visit = (upstream ?? throw NotThere(tool)).Health.Enter(tool.UpstreamName);
            var outcome = tool.Rules is null ? await upstream.CallAsync(sent, cancellationToken) : await RelayAsync(upstream, tool.Rules, tool, sent, cancellationToken);
            if (tool.Rules?.Result is { } limit && outcome.Result.Length > limit.MaxBytes && !InputRounds.IsInputRequired(outcome))
            {
                // What asks for something first is the server's state, of which nothing may be taken out.
                if (ResultSize.Cut(outcome.Result.Span, limit) is not { } shorter)
                {
                    error = "result_too_large";
                    Settle(attempt, tool, CallOutcome.Failed, error, isDue: true);
                    return new ToolCallOutcome(ResultSize.Refusal(outcome.Result.Length, limit), default);
                }
                outcome = new ToolCallOutcome(shorter, default);
            }
            code = outcome.IsError ? JsonMembers.FindNumber(outcome.Error.Span, "code"u8) ?? 0 : 0;
            error = outcome.IsError ? "rpc_error" : IsToolError(outcome.Result.Span) ? "tool_error" : null;
            var asksFirst = tool.Cost != Money.Zero && (code == RpcError.UrlElicitationRequired || InputRounds.IsInputRequired(outcome));
            Settle(attempt, tool, error is null ? CallOutcome.Succeeded : CallOutcome.Failed, error, isDue: !asksFirst);
            return outcome.IsError || caller.ToolScope.Server is not null ? outcome : new ToolCallOutcome(ResourceAddresses.InResult(outcome.Result, tool.Server), default);
        }
        catch (UpstreamException exception)
        {
            (error, code) = (exception.Reason, exception.Code);
            Settle(attempt, tool, CallOutcome.Broken, error, exception.WasSent);
            return exception.Answer ?? RpcError.Of(exception);
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
            visit.End(error, code);
        }
    }

    /// <summary>Calls within the time and the number of calls that the tool's own rules allow.</summary>
    private async ValueTask<ToolCallOutcome> RelayAsync(Upstream upstream, CallRules rules, CatalogTool tool, UpstreamCall call, CancellationToken cancellationToken)
    {
        using var deadline = new Deadline(rules.Timeout ?? tool.Server.CallTimeout, clock, cancellationToken);
        try
        {
            using var turn = rules.MaxConcurrentCalls is { } limit ? await gates.TakeAsync(tool, limit, deadline.Token) : default;
            call.Outer = deadline;
            return await upstream.CallAsync(call, deadline.Token);
        }
        catch (OperationCanceledException) when (deadline.HasPassed)
        {
            throw new UpstreamException(RpcError.UpstreamTimeout, UpstreamReasons.Timeout,
                string.Create(CultureInfo.InvariantCulture, $"Tool '{tool.ExposedName}' did not answer within {deadline.Limit.TotalSeconds:0.###} s."), call.WasSent);
        }
    }

    private static UpstreamException NotThere(CatalogTool tool) =>
        new(RpcError.UpstreamUnavailable, UpstreamReasons.NotConnected, $"Tool server '{tool.Server.Id}' is not connected (it was just taken away).", wasSent: false);

    /// <summary>
    /// A price per call is due for every call that reached the server, whatever came of it; except that one which first asks for something is paid for when it is made again with
    /// the answer.
    /// </summary>
    private static void Settle(AttemptLease attempt, CatalogTool tool, CallOutcome outcome, string? error, bool isDue) => attempt.Settle(new AttemptResult
    {
        Outcome = outcome,
        Source = !isDue || tool.Cost == Money.Zero ? UsageSource.None : UsageSource.PerCall,
        Cost = isDue ? tool.Cost : Money.Zero,
        Error = error,
    });

    // Most results do not have the member at all, which the vectorised search finds out without reading them as JSON.
    private static bool IsToolError(ReadOnlySpan<byte> result) => result.IndexOf("isError"u8) >= 0 && JsonMembers.IsTrue(result, "isError"u8);
}
