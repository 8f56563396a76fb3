using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>
/// A JSON-RPC client on a transport: numbers requests, finds the answer to each, and speaks either era of the protocol, the handshake first.
/// </summary>
internal sealed class RpcConnection : IToolServer
{
    /// <summary>The newest revision with a handshake; the server may answer with an older one.</summary>
    private const string OfferedVersion = "2025-11-25";

    /// <summary>The revision without one.</summary>
    private const string ModernVersion = "2026-07-28";

    private const int MaxPages = 100;
    private const int MaxTools = 5_000;

    private static readonly string[] HandshakeVersions = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

    private static readonly byte[] ModernEnvelope = Encoding.UTF8.GetBytes(
        $$$""","io.modelcontextprotocol/protocolVersion":"{{{ModernVersion}}}","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"agent-gateway","version":"{{{HubVersion.Text}}}"}""");

    private readonly ToolManifest manifest;
    private readonly IRpcTransport transport;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private readonly ConcurrentDictionary<long, PendingRequest> pending = new();
    private readonly SemaphoreSlim calls;
    private long lastId;
    private bool isModern;
    private int strays;

    private RpcConnection(ToolManifest manifest, IRpcTransport transport, TimeProvider clock, ILogger logger)
    {
        (this.manifest, this.transport, this.clock, this.logger) = (manifest, transport, clock, logger);
        calls = new SemaphoreSlim(manifest.MaxConcurrentCalls);
        _ = transport.Lost.ContinueWith(lost => FailPending(lost.Result), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    public event Action? ToolsChanged;

    public Task<string> Lost => transport.Lost;

    public string ProtocolVersion { get; private set; } = "";

    /// <summary>Connects and agrees on a revision.</summary>
    /// <exception cref="UpstreamException">The server cannot be reached or speaks no known revision.</exception>
    public static async Task<RpcConnection> ConnectAsync(ToolManifest manifest, IRpcTransport transport, TimeProvider clock, ILogger logger, CancellationToken cancellationToken)
    {
        var connection = new RpcConnection(manifest, transport, clock, logger);
        try
        {
            await transport.StartAsync(connection.TakeAsync, cancellationToken);
            await connection.AgreeAsync(cancellationToken);
            return connection;
        }
        catch
        {
            await transport.DisposeAsync();
            throw;
        }
    }

    public async Task<IReadOnlyList<ReadOnlyMemory<byte>>> ListToolsAsync(CancellationToken cancellationToken)
    {
        var tools = new List<ReadOnlyMemory<byte>>();
        var cursors = new HashSet<string>(StringComparer.Ordinal);
        string? cursor = null;
        for (var page = 0; page < MaxPages; page++)
        {
            var parameters = new ArrayBufferWriter<byte>(256);
            parameters.Write("{"u8);
            if (cursor is not null)
            {
                parameters.Write("\"cursor\":"u8);
                parameters.Write(RawJson.String(cursor));
            }
            WriteEnvelope(parameters, isFirst: cursor is null);
            parameters.Write("}"u8);
            var reply = await RequestAsync("tools/list", null, parameters.WrittenMemory, cancellationToken);
            if (reply.IsError)
            {
                throw new UpstreamException(RpcError.UpstreamInvalid, "list_refused", $"Tool server '{manifest.Id}' refuses to list its tools.");
            }
            cursor = ReadPage(reply.Result, tools);
            if (cursor is null)
            {
                return tools;
            }
            if (tools.Count > MaxTools || !cursors.Add(cursor))
            {
                break;
            }
        }
        logger.ListCut(manifest.Id, tools.Count);
        return tools.Count > MaxTools ? tools[..MaxTools] : tools;
    }

    public async ValueTask<ToolCallOutcome> CallAsync(UpstreamCall call, CancellationToken cancellationToken)
    {
        if (!await calls.WaitAsync(manifest.CallTimeout, cancellationToken))
        {
            throw new UpstreamException(RpcError.UpstreamTimeout, "busy", $"Tool server '{manifest.Id}' is busy with {manifest.MaxConcurrentCalls} other calls.", wasSent: false);
        }
        try
        {
            if (ToolParams.Read(call.Params, out var parameters) is { } wrong)
            {
                return RpcError.Of(RpcError.InvalidParams, wrong);
            }
            var wantsProgress = call.OnProgress is not null && !parameters.ProgressToken.IsEmpty;
            var request = NewRequest();
            request.OnProgress = wantsProgress ? call.OnProgress : null;
            request.CallerToken = parameters.ProgressToken;
            var message = new ArrayBufferWriter<byte>(call.Params.Length + 512);
            WriteHead(message, request.Id, "tools/call");
            parameters.Write(message, RawJson.String(call.Tool), wantsProgress ? request.Id : 0, call.TraceParent, call.TraceState, isModern ? ModernEnvelope : default);
            message.Write("}"u8);
            return await ExchangeAsync(request, message.WrittenMemory, new Outgoing("tools/call", call.Tool, true), cancellationToken);
        }
        finally
        {
            calls.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await transport.DisposeAsync();
        FailPending("closed");
    }

    private async Task AgreeAsync(CancellationToken cancellationToken)
    {
        ToolCallOutcome reply;
        try
        {
            reply = await RequestAsync("initialize", null, Encoding.UTF8.GetBytes(
                $$$"""{"protocolVersion":"{{{OfferedVersion}}}","capabilities":{},"clientInfo":{"name":"agent-gateway","version":"{{{HubVersion.Text}}}"}}"""), cancellationToken);
        }
        catch (UpstreamException exception) when (exception.Reason is "http_400" or "http_404")
        {
            reply = RpcError.Of(RpcError.MethodNotFound, exception.Message);
        }
        if (!reply.IsError)
        {
            var version = ReadString(reply.Result, "protocolVersion"u8);
            if (version is null || !HandshakeVersions.Contains(version))
            {
                throw new UpstreamException(RpcError.UpstreamInvalid, "protocol_version", $"Tool server '{manifest.Id}' speaks a revision of the protocol that is not known here.");
            }
            ProtocolVersion = version;
            transport.Agreed(version, isModern: false);
            await NotifyAsync("notifications/initialized", "{}"u8.ToArray(), cancellationToken);
            return;
        }
        isModern = true;
        transport.Agreed(ModernVersion, isModern: true);
        var parameters = new ArrayBufferWriter<byte>(256);
        parameters.Write("{"u8);
        WriteEnvelope(parameters, isFirst: true);
        parameters.Write("}"u8);
        if ((await RequestAsync("server/discover", null, parameters.WrittenMemory, cancellationToken)).IsError)
        {
            throw new UpstreamException(RpcError.UpstreamInvalid, "handshake_refused", $"Tool server '{manifest.Id}' refused the handshake.");
        }
        ProtocolVersion = ModernVersion;
    }

    private void WriteEnvelope(IBufferWriter<byte> output, bool isFirst)
    {
        if (isModern)
        {
            output.Write(isFirst ? "\"_meta\":{"u8 : ",\"_meta\":{"u8);
            output.Write(ModernEnvelope.AsSpan(1));
            output.Write("}"u8);
        }
    }

    private PendingRequest NewRequest()
    {
        var request = new PendingRequest(Interlocked.Increment(ref lastId));
        pending[request.Id] = request;
        return request;
    }

    private ValueTask<ToolCallOutcome> RequestAsync(string method, string? name, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken)
    {
        var request = NewRequest();
        var message = new ArrayBufferWriter<byte>(parameters.Length + 128);
        WriteHead(message, request.Id, method);
        message.Write(parameters.Span);
        message.Write("}"u8);
        return ExchangeAsync(request, message.WrittenMemory, new Outgoing(method, name, true), cancellationToken);
    }

    private async ValueTask<ToolCallOutcome> ExchangeAsync(PendingRequest request, ReadOnlyMemory<byte> message, Outgoing about, CancellationToken cancellationToken)
    {
        var limit = about.Method == "initialize" ? manifest.ConnectTimeout : manifest.CallTimeout;
        using var timeout = new CancellationTokenSource(limit, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            if (transport.Lost.IsCompleted)
            {
                throw new UpstreamException(RpcError.UpstreamUnavailable, "broken", $"Tool server '{manifest.Id}' is not connected.", wasSent: false);
            }
            await transport.SendAsync(message, about, either.Token);
            if (transport is StreamableHttpTransport && !request.Answer.IsCompleted)
            {
                throw new UpstreamException(RpcError.UpstreamInvalid, "invalid_response", $"Tool server '{manifest.Id}' closed its answer without a result.");
            }
            return await request.Answer.WaitAsync(either.Token);
        }
        catch (OperationCanceledException)
        {
            await CancelAsync(request.Id, about.Method, timeout.IsCancellationRequested ? "The gateway's time limit for this call has passed." : "The caller cancelled.");
            if (cancellationToken.IsCancellationRequested)
            {
                throw;
            }
            throw new UpstreamException(RpcError.UpstreamTimeout, "timeout",
                string.Create(CultureInfo.InvariantCulture, $"Tool server '{manifest.Id}' did not answer within {limit.TotalSeconds:0.#} seconds."));
        }
        finally
        {
            pending.TryRemove(request.Id, out _);
        }
    }

    private async Task CancelAsync(long id, string method, string reason)
    {
        if (method == "initialize" || (isModern && transport is StreamableHttpTransport))
        {
            return; // closing the stream is the cancellation there
        }
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2), clock);
        try
        {
            await NotifyAsync("notifications/cancelled", Encoding.UTF8.GetBytes($$"""{"requestId":{{id}},"reason":"{{reason}}"}"""), patience.Token);
        }
        catch (Exception exception) when (exception is UpstreamException or OperationCanceledException)
        {
            logger.CancelNotSent(manifest.Id, exception.GetType().Name);
        }
    }

    private async ValueTask NotifyAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken)
    {
        var message = new ArrayBufferWriter<byte>(parameters.Length + 64);
        message.Write("{\"jsonrpc\":\"2.0\",\"method\":\""u8);
        message.Write(Encoding.ASCII.GetBytes(method));
        message.Write("\",\"params\":"u8);
        message.Write(parameters.Span);
        message.Write("}"u8);
        await transport.SendAsync(message.WrittenMemory, new Outgoing(method, null, false), cancellationToken);
    }

    private static void WriteHead(ArrayBufferWriter<byte> output, long id, string method)
    {
        output.Write("{\"jsonrpc\":\"2.0\",\"id\":"u8);
        RawJson.WriteNumber(output, id);
        output.Write(",\"method\":\""u8);
        Encoding.ASCII.GetBytes(method, output);
        output.Write("\",\"params\":"u8);
    }

    /// <summary>Takes one message from the server.</summary>
    private ValueTask TakeAsync(ReadOnlyMemory<byte> message)
    {
        if (!RpcFrame.TryRead(message.Span, out var frame))
        {
            if (strays++ < 5)
            {
                logger.NotJson(manifest.Id, message.Length);
            }
            return ValueTask.CompletedTask;
        }
        if (frame.IsResponse)
        {
            if (pending.TryRemove(frame.OwnId(), out var request))
            {
                request.Complete(frame.Error.IsEmpty ? new ToolCallOutcome(frame.Result.ToArray(), default) : new ToolCallOutcome(default, frame.Error.ToArray()));
            }
            else if (strays++ < 5)
            {
                logger.StrayAnswer(manifest.Id);
            }
            return ValueTask.CompletedTask;
        }
        switch (frame.Method)
        {
            case "notifications/progress":
                return ProgressAsync(frame.Params.ToArray());
            case "notifications/tools/list_changed":
                ToolsChanged?.Invoke();
                return ValueTask.CompletedTask;
            default:
                return frame.Id.IsEmpty ? ValueTask.CompletedTask : AnswerAsync(frame.Id.ToArray(), frame.Method == "ping");
        }
    }

    /// <summary>Hands progress to the call that it belongs to, under the caller's own token.</summary>
    private ValueTask ProgressAsync(byte[] parameters)
    {
        var (start, end, token) = (0, 0, -1L);
        var reader = new Utf8JsonReader(parameters);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isToken = reader.ValueTextEquals("progressToken"u8);
            reader.Read();
            if (isToken && reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out token))
            {
                (start, end) = ((int)reader.TokenStartIndex, (int)reader.BytesConsumed);
            }
            reader.Skip();
        }
        if (!pending.TryGetValue(token, out var request) || request.OnProgress is not { } take)
        {
            return ValueTask.CompletedTask;
        }
        return take((byte[])[.. parameters.AsSpan(0, start), .. request.CallerToken.Span, .. parameters.AsSpan(end)]);
    }

    /// <summary>Answers a request of the server: a ping with nothing, all else with an error, as no capability was offered.</summary>
    private async ValueTask AnswerAsync(byte[] id, bool isPing)
    {
        var message = new ArrayBufferWriter<byte>(128);
        message.Write("{\"jsonrpc\":\"2.0\",\"id\":"u8);
        message.Write(id);
        message.Write(isPing ? ",\"result\":{}}"u8 : ",\"error\":{\"code\":-32601,\"message\":\"Method not found\"}}"u8);
        try
        {
            await transport.SendAsync(message.WrittenMemory, new Outgoing("", null, false), CancellationToken.None);
        }
        catch (UpstreamException exception)
        {
            logger.CancelNotSent(manifest.Id, exception.Reason);
        }
    }

    /// <summary>Fails what still waits, once the connection is lost.</summary>
    private void FailPending(string reason)
    {
        foreach (var id in pending.Keys)
        {
            if (pending.TryRemove(id, out var request))
            {
                request.Fail(new UpstreamException(RpcError.UpstreamUnavailable, reason, $"Tool server '{manifest.Id}' broke off before it answered."));
            }
        }
    }

    private static string? ReadPage(ReadOnlyMemory<byte> result, List<ReadOnlyMemory<byte>> tools)
    {
        string? cursor = null;
        var reader = new Utf8JsonReader(result.Span, new JsonReaderOptions { MaxDepth = 256 });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isTools = reader.ValueTextEquals("tools"u8);
            var isCursor = reader.ValueTextEquals("nextCursor"u8);
            reader.Read();
            if (isTools && reader.TokenType == JsonTokenType.StartArray)
            {
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    var start = (int)reader.TokenStartIndex;
                    reader.Skip();
                    tools.Add(result[start..(int)reader.BytesConsumed]);
                }
                continue;
            }
            if (isCursor && reader.TokenType == JsonTokenType.String)
            {
                cursor = reader.GetString();
            }
            reader.Skip();
        }
        return cursor;
    }

    private static string? ReadString(ReadOnlyMemory<byte> json, ReadOnlySpan<byte> name)
    {
        var reader = new Utf8JsonReader(json.Span, new JsonReaderOptions { MaxDepth = 256 });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isIt = reader.ValueTextEquals(name);
            reader.Read();
            if (isIt)
            {
                return reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
            }
            reader.Skip();
        }
        return null;
    }
}

/// <summary>A request that waits for its answer.</summary>
internal sealed class PendingRequest(long id)
{
    private readonly TaskCompletionSource<ToolCallOutcome> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public long Id { get; } = id;

    public Task<ToolCallOutcome> Answer => answer.Task;

    public Func<ReadOnlyMemory<byte>, ValueTask>? OnProgress { get; set; }

    /// <summary>The caller's raw progress token.</summary>
    public ReadOnlyMemory<byte> CallerToken { get; set; }

    public void Complete(ToolCallOutcome outcome) => answer.TrySetResult(outcome);

    public void Fail(UpstreamException exception) => answer.TrySetException(exception);
}

/// <summary>The hub's own version, as it tells its peers.</summary>
internal static class HubVersion
{
    public static string Text { get; } = typeof(HubVersion).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";
}
