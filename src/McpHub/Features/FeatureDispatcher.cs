using System.Collections.Concurrent;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpHub.Catalog;
using McpHub.Health;
using McpHub.Upstreams;
using Shared.Admission;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Features;

/// <summary>
/// Takes callers' requests beside tools to the server that each is for, under the server's own names: checks the grant, takes what admission wants, relays, and completes
/// the record, as for calls of tools.
/// </summary>
internal sealed class FeatureDispatcher : IFeatures
{
    private const int ResourceNotFound = -32002;
    private static readonly string[] Severities = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = RpcFrame.MaxDepth };
    private static readonly JsonSerializerOptions Writing = new() { MaxDepth = RpcFrame.MaxDepth, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly TimeSpan WordPatience = TimeSpan.FromSeconds(5);

    private readonly FeatureViews views;
    private readonly ToolServers servers;
    private readonly AdmissionController admission;
    private readonly SnapshotStore snapshots;
    private readonly CallTelemetry telemetry;
    private readonly TimeProvider clock;
    private readonly ResourceSubscriptions subscriptions;
    private readonly ConcurrentDictionary<string, string> logLevels = new(StringComparer.Ordinal);

    public FeatureDispatcher(FeatureViews views, ToolServers servers, AdmissionController admission, SnapshotStore snapshots, CallTelemetry telemetry, TimeProvider clock)
    {
        (this.views, this.servers, this.admission, this.snapshots, this.telemetry, this.clock) = (views, servers, admission, snapshots, telemetry, clock);
        subscriptions = new ResourceSubscriptions(servers);
        servers.Changed += OnServer;
    }

    public event Action<ToolManifest, string, string?>? ResourceUpdated
    {
        add => servers.ResourceUpdated += value;
        remove => servers.ResourceUpdated -= value;
    }

    public FeatureView ViewOf(Snapshot snapshot, VirtualKey key, ToolScope scope) => views.ViewOf(snapshot, key, scope);

    public bool CanRelay(GatewayRequest caller, string method) => OnlyServer(caller) is not null;

    public async ValueTask<ToolCallOutcome> CallAsync(GatewayRequest caller, FeatureCall call, CancellationToken cancellationToken)
    {
        var member = call.Method switch { "prompts/get" => "name", "resources/read" or "resources/subscribe" or "resources/unsubscribe" => "uri", _ => "" };
        if (ToolParams.Read(call.Params, out var parameters, member) is { } wrong)
        {
            return RpcError.Of(RpcError.InvalidParams, wrong);
        }
        var (server, name, error) = Address(caller, call, ref parameters);
        return server is null ? error : await CallAsync(caller, server, name, call, parameters, cancellationToken);
    }

    public void Tell(GatewayRequest caller, IClientPeer? peer, string method, ReadOnlyMemory<byte> parameters)
    {
        var raw = parameters.ToArray();
        foreach (var server in views.ViewOf(caller.Snapshot, caller.Key!, caller.ToolScope).Servers)
        {
            if (servers.Find(server.Id) is { } upstream && upstream.ServerOf(upstream.ScopeOf(caller, peer)) is { } connection && connection.ProtocolVersion != ProtocolEra.ModernVersion)
            {
                _ = QuietAsync(token => connection.NotifyAsync(method, raw, token));
            }
        }
    }

    public void SetLogLevel(GatewayRequest caller, IClientPeer peer, string level)
    {
        if (peer.SessionId is { } session)
        {
            logLevels[session] = level;
        }
        foreach (var server in views.ViewOf(caller.Snapshot, caller.Key!, caller.ToolScope).Servers)
        {
            if (servers.Find(server.Id) is not { } upstream)
            {
                continue;
            }
            var scope = upstream.ScopeOf(caller, peer);
            SetLogLevel(upstream.ServerOf(scope), scope is null ? Lowest() : level);
        }
    }

    public async ValueTask<(IDisposable? Subscription, ToolCallOutcome Error)> SubscribeAsync(
        GatewayRequest caller, IClientPeer? peer, string address, Func<string, ValueTask> updated, bool isStateless, CancellationToken cancellationToken)
    {
        if (Resolve(caller, address) is not ({ } server, { } own))
        {
            return (null, NotFound(address, isStateless));
        }
        var prefix = caller.ToolScope.Server is null ? ResourceAddresses.PrefixOf(server) : "";
        return await subscriptions.AddAsync(server, own, caller, peer, changed => updated(prefix + changed), cancellationToken);
    }

    public void EndSession(string sessionId)
    {
        logLevels.TryRemove(sessionId, out _);
        servers.EndSession(sessionId);
    }

    private async ValueTask<ToolCallOutcome> CallAsync(GatewayRequest caller, ToolManifest server, string name, FeatureCall call, ToolParams parameters, CancellationToken cancellationToken)
    {
        if (admission.TryAdmit(caller, AdmissionAsk.Free, out var lease) is { } refusal)
        {
            return RpcError.Of(refusal);
        }
        using var request = lease!;
        // An address may say more than a name; the record says which server was asked for what, as it does of tools.
        var start = new AttemptStart { Kind = CallKind.Tool, Upstream = server.Id, Name = call.Method == "prompts/get" ? $"{call.Method} {name}" : call.Method, RequestedName = call.Method, PriceVersion = "manifest" };
        if (request.TryBeginAttempt(start, AdmissionAsk.Free, out var begun) is { } limited)
        {
            return RpcError.Of(limited);
        }
        using var attempt = begun!;
        var upstream = servers.Find(server.Id);
        var operation = telemetry.Begin(caller, server, call.Method, call.Method == "prompts/get" ? name : null, upstream?.Current.Server?.ProtocolVersion);
        var sent = new UpstreamCall
        {
            Method = call.Method,
            Caller = caller,
            Tool = name,
            Params = parameters,
            TraceParent = operation.TraceParent,
            TraceState = operation.TraceState,
            OnProgress = call.OnProgress,
            Peer = call.Peer,
            LogLevel = call.LogLevel,
        };
        string? error = UpstreamReasons.Internal;
        var code = 0;
        var visit = default(UpstreamHealth.Visit);
        try
        {
            visit = (upstream ?? throw NotThere(server)).Health.Enter(call.Method);
            var outcome = await upstream.CallAsync(sent, cancellationToken);
            code = outcome.IsError ? JsonMembers.FindNumber(outcome.Error.Span, "code"u8) ?? 0 : 0;
            error = outcome.IsError ? "rpc_error" : null;
            Settle(attempt, error is null ? CallOutcome.Succeeded : CallOutcome.Failed, error);
            return outcome.IsError || caller.ToolScope.Server is not null ? outcome : new ToolCallOutcome(ResourceAddresses.InResult(outcome.Result, server), default);
        }
        catch (UpstreamException exception)
        {
            (error, code) = (exception.Reason, exception.Code);
            Settle(attempt, CallOutcome.Broken, error);
            return exception.Answer ?? RpcError.Of(exception);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            error = "cancelled";
            Settle(attempt, CallOutcome.Cancelled, error);
            throw;
        }
        finally
        {
            caller.CountUpstream(operation.Since);
            operation.End(error, code);
            visit.End(error, code);
        }
    }

    private static void Settle(AttemptLease attempt, CallOutcome outcome, string? error) =>
        attempt.Settle(new AttemptResult { Outcome = outcome, Source = UsageSource.None, Cost = Money.Zero, Error = error });

    private static UpstreamException NotThere(ToolManifest server) =>
        new(RpcError.UpstreamUnavailable, UpstreamReasons.NotConnected, $"Tool server '{server.Id}' is not connected (it was just taken away).", wasSent: false);

    /// <summary>Which server is to answer, and by which name of its own it is asked.</summary>
    private (ToolManifest? Server, string Name, ToolCallOutcome Error) Address(GatewayRequest caller, FeatureCall call, ref ToolParams parameters)
    {
        switch (call.Method)
        {
            case "prompts/get":
                var wanted = JsonMembers.FindString(call.Params.Span, "name"u8) ?? "";
                return FindPrompt(caller, wanted) is { } prompt
                    ? (prompt.Server, prompt.OwnName, default)
                    : (null, "", RpcError.Of(RpcError.InvalidParams, $"Unknown prompt: {wanted}"));
            case "resources/read":
                var address = JsonMembers.FindString(call.Params.Span, "uri"u8) ?? "";
                return Resolve(caller, address) is ({ } owner, { } own) ? (owner, own, default) : (null, "", NotFound(address, call.IsStateless));
            case "completion/complete":
                return AddressCompletion(caller, call, ref parameters);
            default:
                return OnlyServer(caller) is { } only ? (only, "", default) : (null, "", RpcError.Of(RpcError.MethodNotFound, $"Method '{call.Method}' is not available."));
        }
    }

    private (ToolManifest?, string, ToolCallOutcome) AddressCompletion(GatewayRequest caller, FeatureCall call, ref ToolParams parameters)
    {
        var reference = JsonMembers.FindObject(call.Params.Span, "ref"u8);
        var (isPrompt, member) = JsonMembers.FindString(reference.IsEmpty ? "{}"u8 : reference, "type"u8) switch
        {
            "ref/prompt" => (true, "name"),
            "ref/resource" => (false, "uri"),
            _ => (false, ""),
        };
        var wanted = member.Length == 0 ? null : JsonMembers.FindString(reference, Encoding.UTF8.GetBytes(member));
        if (wanted is null)
        {
            return (null, "", RpcError.Of(RpcError.InvalidParams, "'params.ref' must be {\"type\":\"ref/prompt\",\"name\":…} or {\"type\":\"ref/resource\",\"uri\":…}."));
        }
        ToolManifest? server;
        string own;
        if (isPrompt)
        {
            var prompt = FindPrompt(caller, wanted);
            (server, own) = (prompt?.Server, prompt?.OwnName ?? "");
        }
        else
        {
            var found = Resolve(caller, wanted);
            (server, own) = (found?.Server, found?.Own ?? "");
        }
        if (server is null)
        {
            return (null, "", RpcError.Of(RpcError.InvalidParams, $"Unknown {(isPrompt ? "prompt" : "resource")}: {wanted}"));
        }
        var raw = JsonEdits.WithString(reference, Encoding.UTF8.GetBytes(member), own);
        return ToolParams.Read(JsonEdits.With(call.Params.Span, "ref"u8, raw), out parameters, "") is { } wrong ? (null, "", RpcError.Of(RpcError.InvalidParams, wrong)) : (server, "", default);
    }

    private CatalogItem? FindPrompt(GatewayRequest caller, string name) => CurrentKey(caller) is { } key ? views.ViewOf(snapshots.Current, key, caller.ToolScope).PromptsByName.GetValueOrDefault(name) : null;

    /// <summary>The server of an address, if the caller may read it there now. Servers know addresses that they do not list.</summary>
    private (ToolManifest Server, string Own)? Resolve(GatewayRequest caller, string address)
    {
        if (CurrentKey(caller) is not { } key || ResourceAddresses.Resolve(snapshots.Current.Manifests, caller.ToolScope.Server, address) is not { } found)
        {
            return null;
        }
        if (caller.ToolScope.Toolset is { } toolset && snapshots.Current.Toolsets.GetValueOrDefault(toolset)?.IncludesResource(found.Server.Id, found.Address) != true)
        {
            return null;
        }
        var isSeen = views.ViewOf(snapshots.Current, key, caller.ToolScope).Servers.Any(server => server.Id == found.Server.Id);
        return isSeen && found.Server.ExposesResource(found.Address) && key.AllowsResource(found.Server.Id, found.Address) ? found : null;
    }

    /// <summary>The one server that a request without any name can be meant for.</summary>
    private ToolManifest? OnlyServer(GatewayRequest caller)
    {
        if (CurrentKey(caller) is not { } key)
        {
            return null;
        }
        ToolManifest? only = null;
        foreach (var server in views.ViewOf(snapshots.Current, key, caller.ToolScope).Servers)
        {
            if (server.Transport != UpstreamTransport.BuiltIn)
            {
                if (only is not null)
                {
                    return null;
                }
                only = server;
            }
        }
        // What nobody knows the meaning of is for those who may use the whole server.
        return only is not null && key.CoversServer(only.Id) ? only : null;
    }

    private VirtualKey? CurrentKey(GatewayRequest caller) =>
        ReferenceEquals(snapshots.Current, caller.Snapshot) ? caller.Key : snapshots.Current.FindCaller(caller.Key!.Id) is { RevokedAt: null } key ? key : null;

    private static ToolCallOutcome NotFound(string address, bool isStateless)
    {
        var error = new JsonObject { ["code"] = isStateless ? RpcError.InvalidParams : ResourceNotFound, ["message"] = "Resource not found", ["data"] = new JsonObject { ["uri"] = address } };
        return new ToolCallOutcome(default, JsonSerializer.SerializeToUtf8Bytes(error, Writing));
    }

    /// <summary>A server was connected: it does not know yet what its clients want to hear.</summary>
    private void OnServer(ToolServerState state)
    {
        if (state.State == "connected" && !logLevels.IsEmpty)
        {
            SetLogLevel(servers.Find(state.Id)?.Current.Server, Lowest());
        }
    }

    private string Lowest() => Severities.FirstOrDefault(severity => logLevels.Values.Contains(severity)) ?? "info";

    private void SetLogLevel(IToolServer? connection, string level)
    {
        if (connection is not null && connection.ProtocolVersion != ProtocolEra.ModernVersion && !connection.Capabilities.IsEmpty && !JsonMembers.FindObject(connection.Capabilities.Span, "logging"u8).IsEmpty)
        {
            byte[] parameters = [.. "{\"level\":"u8, .. RawJson.String(level), .. "}"u8];
            _ = QuietAsync(async token => await connection.AskAsync("logging/setLevel", parameters, token));
        }
    }

    private async Task QuietAsync(Func<CancellationToken, ValueTask> tell)
    {
        using var patience = new CancellationTokenSource(WordPatience, clock);
        try
        {
            await tell(patience.Token);
        }
        catch (Exception exception) when (exception is UpstreamException or OperationCanceledException)
        {
            // It is told again when it is connected anew.
        }
    }
}
