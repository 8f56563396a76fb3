using System.Net.WebSockets;
using LlmProxy.Errors;
using LlmProxy.Providers;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Polly;
using Polly.CircuitBreaker;
using Shared.Admission;
using Shared.Egress;
using Shared.Http;
using Shared.Snapshots;

namespace LlmProxy.Media;

/// <summary><c>GET /v1/realtime?model=…</c>: opens a WebSocket at the first target that takes it, and relays.</summary>
internal sealed class RealtimeRelay(AdmissionController admission, BodyMemory memory, TimeProvider clock, ILogger<RealtimeRelay> logger)
{
    private static readonly MediaFamily Family = new("realtime", "/realtime", "realtime");

    // Of the client's subprotocols, those that name an account stay here: it is the gateway's.
    private static readonly string[] Kept = ["openai-insecure-api-key.", "openai-organization.", "openai-project."];

    private readonly Pipelines<Connection> pipelines = new(clock, new Verdict<Connection>(
        static outcome => outcome.Result is { CanRetry: true }, static outcome => outcome.Result is { IsUnhealthy: true }, static _ => null));

    private static readonly GatewayError NoSocket = new(StatusCodes.Status426UpgradeRequired, "websocket_required", "This endpoint speaks WebSocket: send 'Upgrade: websocket'.");

    /// <summary>Answers a request.</summary>
    public async Task AnswerAsync(HttpContext context)
    {
        var request = GatewayRequest.Of(context);
        if (!context.WebSockets.IsWebSocketRequest)
        {
            context.Response.Headers.Upgrade = "websocket";
            await RefuseAsync(context, NoSocket);
            return;
        }
        var name = context.Request.Query["model"].ToString();
        if (name.Length is 0 or > 512)
        {
            await RefuseAsync(context, OpenAiErrors.Missing("model"));
            return;
        }
        if (request.Snapshot.Part<RouteTable>().Find(name, Family) is not { } entry || !ModelEndpoint.IsGranted(request.Key!, entry.Name))
        {
            await RefuseAsync(context, OpenAiErrors.ModelNotFound(name));
            return;
        }
        var targets = entry.Targets.Where(target => Family.IsAt(target.Provider)).Select(Family.Prepare).ToList();
        if (targets.Count == 0)
        {
            await RefuseAsync(context, OpenAiErrors.EndpointNotSupported(Family, entry));
            return;
        }
        await RelayAsync(context, request, entry, name, targets);
    }

    private async Task RelayAsync(HttpContext context, GatewayRequest request, RouteEntry entry, string name, List<TargetPlan> targets)
    {
        var services = context.RequestServices;
        if (context.Request.Query["intent"] == "transcription" && AdmissionController.NeedsBound(request) && entry.Route?.FixedReservation is null)
        {
            await RefuseAsync(context, new GatewayError(StatusCodes.Status400BadRequest, "unbounded_cost",
                "'intent' makes the cost of this session boundless, and the key has a hard budget. Leave it out, or ask an admin for a route with a fixed 'reservation'.") { Field = "intent" });
            return;
        }
        var (snapshots, keys) = (services.GetRequiredService<SnapshotStore>(), services.GetRequiredService<LiveKeys>());
        GatewayError? error = null;
        foreach (var target in targets)
        {
            using var billing = new RealtimeBilling(request, target, entry.Route, admission, snapshots, keys, logger);
            if (billing.Begin() is { } refusal)
            {
                error ??= refusal;
                continue;
            }
            using var connection = await ConnectAsync(context, request, target);
            var provider = connection.Socket;
            if (connection.Error is { } failure)
            {
                error = failure;
                billing.Fail(failure.Code);
                logger.FallingBack(request.RequestId, target.Provider.Id, target.Model, entry.Name, failure.Code);
                continue;
            }
            context.Response.Headers["x-gateway-provider"] = target.ProviderHeader;
            context.Response.Headers["x-gateway-model"] = target.ModelHeader;
            using var client = await context.WebSockets.AcceptWebSocketAsync(provider.SubProtocol ?? (Offered(context).Contains("realtime") ? "realtime" : null));
            using var session = new RealtimeSession(client, provider, target, name, billing,
                model => snapshots.Current.Part<RouteTable>().Find($"{target.Provider.Id}/{model}") is { } found && keys.Find(request) is { } key && ModelEndpoint.IsGranted(key, found.Name),
                () => keys.Find(request) is not null, memory, clock, logger);
            await session.RunAsync(context.RequestAborted);
            return;
        }
        if (!context.RequestAborted.IsCancellationRequested)
        {
            await RefuseAsync(context, error ?? OpenAiErrors.UpstreamFailed);
        }
    }

    /// <summary>Opens a session, as often as the provider's retries allow.</summary>
    private async ValueTask<Connection> ConnectAsync(HttpContext context, GatewayRequest request, TargetPlan target)
    {
        var resilience = ResilienceContextPool.Shared.Get(context.RequestAborted);
        Outcome<Connection> outcome;
        try
        {
            outcome = await pipelines.For(target.Provider, target.Model, Family.Id, target.Provider.MaxRetries).ExecuteOutcomeAsync(
                static async (_, state) => Outcome.FromResult(await state.relay.TryConnectAsync(state.context, state.request, state.target)), resilience, (relay: this, context, request, target));
        }
        finally
        {
            ResilienceContextPool.Shared.Return(resilience);
        }
        if (outcome.Exception is BrokenCircuitException open)
        {
            return new Connection(new ClientWebSocket(), OpenAiErrors.CoolingDown(open.RetryAfter ?? TimeSpan.FromSeconds(1)));
        }
        if (outcome.Exception is OperationCanceledException && context.RequestAborted.IsCancellationRequested)
        {
            return new Connection(new ClientWebSocket(), OpenAiErrors.UpstreamFailed); // the client left while a retry was waited for
        }
        outcome.ThrowIfException();
        return outcome.Result!;
    }

    private async ValueTask<Connection> TryConnectAsync(HttpContext context, GatewayRequest request, TargetPlan target)
    {
        var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;
        socket.Options.KeepAliveInterval = TimeSpan.FromSeconds(30);
        socket.Options.KeepAliveTimeout = TimeSpan.FromSeconds(30);
        foreach (var protocol in Offered(context).Where(protocol => !Array.Exists(Kept, start => protocol.StartsWith(start, StringComparison.Ordinal))).Distinct(StringComparer.Ordinal))
        {
            socket.Options.AddSubProtocol(protocol);
        }
        var address = AddressOf(context, target);
        using var headers = new HttpRequestMessage(HttpMethod.Get, address); // a signature covers the whole address
        UpstreamHeaders.Add(headers, target, context, request, null);
        using var patience = new CancellationTokenSource(target.Provider.HeaderTimeout, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, context.RequestAborted);
        var since = System.Diagnostics.Stopwatch.GetTimestamp();
        try
        {
            if (target.Authorizer is { } authorizer)
            {
                await authorizer.AuthorizeAsync(headers, either.Token);
            }
            foreach (var header in headers.Headers.NonValidated)
            {
                socket.Options.SetRequestHeader(header.Key, header.Value.ToString());
            }
            await target.Client.ConnectAsync(socket, SocketOf(address), either.Token);
            return new Connection(socket, null);
        }
        catch (Exception exception) when (exception is WebSocketException or HttpRequestException or IOException or OperationCanceledException)
        {
            var (isRefused, hasLeft, status) = (EgressRefusedException.Causes(exception), context.RequestAborted.IsCancellationRequested, (int)socket.HttpStatusCode);
            return new Connection(socket, isRefused ? OpenAiErrors.UpstreamRefusedByPolicy
                : patience.IsCancellationRequested ? OpenAiErrors.UpstreamTimeout
                : exception is CredentialException ? OpenAiErrors.NoCredential
                : status >= 400 ? new GatewayError(StatusCodes.Status502BadGateway, "upstream_error", $"The model's provider refused the session with status {status}.")
                : OpenAiErrors.UpstreamFailed)
            {
                CanRetry = !isRefused && !hasLeft && status is < 400 or 408 or 429 or >= 500,
                IsUnhealthy = !isRefused && !hasLeft && status is < 400 or >= 500,
            };
        }
        finally
        {
            request.CountUpstream(since);
        }
    }

    /// <summary>The provider's address, which names the model, with the client's other parameters.</summary>
    private static Uri AddressOf(HttpContext context, TargetPlan target)
    {
        var address = target.Address.AbsoluteUri;
        foreach (var (name, values) in context.Request.Query)
        {
            if (!name.Equals("model", StringComparison.OrdinalIgnoreCase) && !name.Equals("provider", StringComparison.OrdinalIgnoreCase))
            {
                address = QueryHelpers.AddQueryString(address, name, values.ToString());
            }
        }
        return new Uri(address);
    }

    private static Uri SocketOf(Uri address)
    {
        var uri = new UriBuilder(address);
        uri.Scheme = uri.Scheme == Uri.UriSchemeHttps ? Uri.UriSchemeWss : Uri.UriSchemeWs;
        return uri.Uri;
    }

    private static IEnumerable<string> Offered(HttpContext context) => context.WebSockets.WebSocketRequestedProtocols.Where(protocol => protocol.Length > 0);

    private static Task RefuseAsync(HttpContext context, GatewayError error) => OpenAiErrorFormat.Instance.WriteAsync(context, error);

    /// <summary>A session at a provider, or why there is none.</summary>
    private sealed record Connection(ClientWebSocket Socket, GatewayError? Error) : IDisposable
    {
        public bool CanRetry { get; init; }

        public bool IsUnhealthy { get; init; }

        public void Dispose() => Socket.Dispose();
    }
}
