using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>
/// A JSON-RPC client on a transport: numbers requests, finds the answer to each, keeps their deadlines, and hands on what the server says by itself.
/// What it says in answer to whom is settled by ids alone, so one connection carries the calls of many callers.
/// </summary>
internal sealed class RpcConnection : IToolServer
{
    private static readonly TimeSpan ProbePatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan WordPatience = TimeSpan.FromSeconds(2);

    private readonly ToolManifest manifest;
    private readonly IRpcTransport transport;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private readonly PendingRequests pending = new();
    private readonly CallSlots slots;
    private readonly ServerMessages incoming;
    private readonly ClientRelay clients;
    private readonly ClientOffer offer;
    private readonly CancellationTokenSource stopping = new();
    private ProtocolEra era = ProtocolEra.None;
    private ChangeSubscription? subscription;
    private Task watching = Task.CompletedTask;

    private RpcConnection(ToolManifest manifest, IRpcTransport transport, ClientOffer offer, TimeProvider clock, ILogger logger)
    {
        (this.manifest, this.transport, this.offer, this.clock, this.logger) = (manifest, transport, offer, clock, logger);
        slots = new CallSlots(manifest);
        clients = new ClientRelay(manifest, pending, (message, cancellationToken) => transport.SendAsync(message, new Outgoing("", null, null), cancellationToken), clock, logger) { Owner = offer.Owner };
        incoming = new ServerMessages(manifest.Id, pending, clients, logger);
        if (!transport.HasExchanges)
        {
            _ = transport.Lost.ContinueWith(lost => pending.FailAll(lost.Result), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    public event Action? ToolsChanged
    {
        add => incoming.ToolsChanged += value;
        remove => incoming.ToolsChanged -= value;
    }

    public event Action<string>? ResourceUpdated
    {
        add => incoming.ResourceUpdated += value;
        remove => incoming.ResourceUpdated -= value;
    }

    public Task<UpstreamException> Lost => transport.Lost;

    public string ProtocolVersion => era.Version;

    public string LastWords => transport.LastWords;

    public ReadOnlyMemory<byte> ServerInfo => era.ServerInfo;

    public ReadOnlyMemory<byte> Capabilities => era.Capabilities;

    public string? Instructions => era.Instructions;

    public bool WantsProbes => transport.HasExchanges;

    /// <summary>Messages that made no sense: not JSON-RPC, or answers that nobody waits for.</summary>
    public int Strays => incoming.Strays;

    /// <summary>Connects and agrees on a revision.</summary>
    /// <exception cref="UpstreamException">The server cannot be reached or speaks no known revision.</exception>
    public static async Task<RpcConnection> ConnectAsync(ToolManifest manifest, IRpcTransport transport, ClientOffer offer, TimeProvider clock, ILogger logger, CancellationToken cancellationToken)
    {
        var connection = new RpcConnection(manifest, transport, offer, clock, logger);
        try
        {
            await transport.StartAsync(connection.incoming.Take, cancellationToken);
            connection.era = await Handshake.AgreeAsync(connection, transport, manifest, offer, cancellationToken);
            transport.Listen();
            if (connection.era.IsModern)
            {
                connection.subscription = new ChangeSubscription(connection, clock, logger, manifest.Id);
                connection.watching = connection.subscription.RunAsync(connection.stopping.Token);
            }
            return connection;
        }
        catch (Exception exception)
        {
            await connection.DisposeAsync();
            if (exception is UpstreamException failed)
            {
                failed.LastWords = transport.LastWords;
            }
            throw;
        }
    }

    public Task<IReadOnlyList<ReadOnlyMemory<byte>>> ListToolsAsync(CancellationToken cancellationToken) =>
        ListAsync(ListKind.Tools, cancellationToken);

    public Task<IReadOnlyList<ReadOnlyMemory<byte>>> ListAsync(ListKind kind, CancellationToken cancellationToken) =>
        ToolList.ReadAsync(this, kind, manifest, era, logger, cancellationToken);

    public void Watch(IReadOnlyCollection<string> resources) => subscription?.Watch(resources);

    public async Task ProbeAsync(CancellationToken cancellationToken)
    {
        using var patience = new Deadline(manifest.ConnectTimeout < ProbePatience ? manifest.ConnectTimeout : ProbePatience, clock, cancellationToken);
        await AskAsync(era.IsModern ? "server/discover" : "ping", era.Params(default), patience);
    }

    public async ValueTask<ToolCallOutcome> CallAsync(UpstreamCall call, CancellationToken cancellationToken)
    {
        using var deadline = new Deadline(manifest.CallTimeout, clock, cancellationToken);
        try
        {
            await slots.TakeAsync(deadline.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw TimedOut(manifest.CallTimeout, wasSent: false);
        }
        try
        {
            var request = pending.Add(call, deadline);
            var wantsProgress = call.OnProgress is not null && !call.Params.ProgressToken.IsEmpty;
            var wantsWords = wantsProgress || call.Peer is { CanBeTold: true };
            if (call.Peer is not null)
            {
                clients.NoteUse(call.Peer);
            }
            if (wantsWords)
            {
                request.WantWords();
            }
            var message = new ArrayBufferWriter<byte>(call.Params.Json.Length + 512);
            WriteHead(message, request.Id, call.Method == "tools/call" ? "tools/call"u8 : Encoding.UTF8.GetBytes(call.Method));
            var envelope = era.EnvelopeFor(call.Peer is null ? default : call.Peer.Capabilities, call.LogLevel);
            call.Params.Write(message, call.Tool, wantsProgress ? request.Id : 0, call.TraceParent, call.TraceState, envelope.Span);
            message.Write("}"u8);
            call.WasSent = true;
            var about = new Outgoing(call.Method, call.Tool.Length == 0 ? null : call.Tool, request) { Headers = call.Headers, Arguments = call.Headers is null ? default : call.Params.Arguments };
            var exchange = ExchangeAsync(request, message.WrittenMemory, about, deadline);
            return await (wantsWords ? WordRelay.RunAsync(call, request, exchange, logger, cancellationToken) : exchange);
        }
        finally
        {
            slots.Release();
        }
    }

    public async ValueTask<ToolCallOutcome> AskAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken)
    {
        using var deadline = new Deadline(manifest.ConnectTimeout, clock, cancellationToken);
        return await AskAsync(method, parameters, deadline);
    }

    /// <summary>The same with a deadline of one's own.</summary>
    internal ValueTask<ToolCallOutcome> AskAsync(string method, ReadOnlyMemory<byte> parameters, Deadline deadline)
    {
        var request = pending.Add();
        var message = new ArrayBufferWriter<byte>(parameters.Length + 128);
        WriteHead(message, request.Id, Encoding.UTF8.GetBytes(method));
        message.Write(parameters.IsEmpty ? era.Params(default).Span : parameters.Span);
        message.Write("}"u8);
        return ExchangeAsync(request, message.WrittenMemory, new Outgoing(method, null, request), deadline);
    }

    public ValueTask NotifyAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken)
    {
        var message = new ArrayBufferWriter<byte>(parameters.Length + 96);
        message.Write("{\"jsonrpc\":\"2.0\",\"method\":\""u8);
        message.Write(JsonEncodedText.Encode(method).EncodedUtf8Bytes);
        message.Write("\",\"params\":"u8);
        message.Write(parameters.IsEmpty ? "{}"u8 : parameters.Span);
        message.Write("}"u8);
        return transport.SendAsync(message.WrittenMemory, new Outgoing(method, null, null), cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await watching;
        await transport.DisposeAsync();
        if (!transport.HasExchanges)
        {
            pending.FailAll(new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Closed, $"The connection to tool server '{manifest.Id}' was closed before it answered."));
        }
    }

    private async ValueTask<ToolCallOutcome> ExchangeAsync(PendingRequest request, ReadOnlyMemory<byte> message, Outgoing about, Deadline deadline)
    {
        try
        {
            if (transport.Lost.IsCompleted)
            {
                throw (await transport.Lost).Again(wasSent: false);
            }
            await transport.SendAsync(message, about, deadline.Token);
            return request.Answer.IsCompleted ? await request.Answer : await request.Answer.WaitAsync(deadline.Token);
        }
        catch (OperationCanceledException) when (deadline.Token.IsCancellationRequested)
        {
            _ = TellCancelledAsync(request.Id, about.Method, deadline.HasPassed);
            deadline.ThrowIfCallerLeft();
            throw TimedOut(deadline.Limit, wasSent: true);
        }
        finally
        {
            request.End();
            pending.Take(request.Id);
        }
    }

    private UpstreamException TimedOut(TimeSpan limit, bool wasSent) => new(RpcError.UpstreamTimeout, UpstreamReasons.Timeout,
        string.Create(CultureInfo.InvariantCulture, $"Tool server '{manifest.Id}' did not answer within {limit.TotalSeconds:0.###} seconds."), wasSent);

    /// <summary>Tells the server that nobody waits for an answer any more. Its caller does not wait for that.</summary>
    private async Task TellCancelledAsync(long id, string method, bool isLate)
    {
        // The handshake must not be cancelled (specification, basic/utilities/cancellation); without a session, closing the stream has said it.
        if (method == "initialize" || (era.IsModern && transport.HasExchanges))
        {
            return;
        }
        var reason = isLate ? "The time allowed for this call has passed."u8 : "The caller cancelled."u8;
        byte[] parameters = [.. "{\"requestId\":"u8, .. Encoding.ASCII.GetBytes(id.ToString(CultureInfo.InvariantCulture)), .. ",\"reason\":\""u8, .. reason, .. "\"}"u8];
        using var patience = new CancellationTokenSource(WordPatience, clock);
        try
        {
            await NotifyAsync("notifications/cancelled", parameters, patience.Token);
        }
        catch (Exception exception) when (exception is UpstreamException or OperationCanceledException)
        {
            logger.NotTold(manifest.Id, exception.GetType().Name);
        }
    }

    private static void WriteHead(ArrayBufferWriter<byte> output, long id, ReadOnlySpan<byte> method)
    {
        output.Write("{\"jsonrpc\":\"2.0\",\"id\":"u8);
        RawJson.WriteNumber(output, id);
        output.Write(",\"method\":\""u8);
        output.Write(method.IndexOfAny((byte)'"', (byte)'\\') < 0 ? method : JsonEncodedText.Encode(method).EncodedUtf8Bytes);
        output.Write("\",\"params\":"u8);
    }
}
