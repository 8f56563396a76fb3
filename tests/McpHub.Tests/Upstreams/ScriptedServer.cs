using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace McpHub.Tests.Upstreams;

/// <summary>
/// A tool server over Streamable HTTP on a loopback port: real HTTP, raw JSON, scripted behaviour. It keeps what it received.
/// </summary>
internal sealed class ScriptedServer : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly Lock gate = new();
    private readonly List<ScriptedRequest> requests = [];
    private readonly List<(Func<ScriptedRequest, bool> Condition, int Count, TaskCompletionSource Reached)> waiters = [];
    private readonly ConcurrentDictionary<string, byte> sessions = new();
    private readonly ConcurrentDictionary<Channel<string>, string> streams = new();
    private readonly List<(string Session, string Message)> held = [];
    private readonly CancellationTokenSource stopping = new();
    private int lastSession;

    private ScriptedServer(WebApplication app) => this.app = app;

    /// <summary>Where it answers.</summary>
    public Uri Endpoint { get; private set; } = null!;

    /// <summary>Raw definitions of its tools.</summary>
    public IReadOnlyList<string> Tools { get; set; } = ["""{"name":"echo","inputSchema":{"type":"object"}}"""];

    /// <summary>How many tools a page of its list has.</summary>
    public int PageSize { get; set; } = int.MaxValue;

    /// <summary>The revision that it chooses in the handshake.</summary>
    public string ProtocolVersion { get; set; } = "2025-11-25";

    /// <summary>Whether it speaks only the revision without a handshake.</summary>
    public bool IsModern { get; set; }

    /// <summary>Whether it hands out sessions and wants them back.</summary>
    public bool HasSessions { get; set; } = true;

    /// <summary>Whether it offers a GET stream.</summary>
    public bool HasStream { get; set; } = true;

    /// <summary>Answers calls.</summary>
    public Func<ScriptedRequest, ScriptedReply> Call { get; set; } = request => ScriptedReply.Result(request, """{"content":[{"type":"text","text":"called"}]}""");

    /// <summary>Answers any request in place of all else; null: it does not want to.</summary>
    public Func<ScriptedRequest, ScriptedReply?> Script { get; set; } = _ => null;

    /// <summary>All requests so far.</summary>
    public IReadOnlyList<ScriptedRequest> Requests
    {
        get
        {
            lock (gate)
            {
                return [.. requests];
            }
        }
    }

    /// <summary>Starts a server; a port of 0 is any free one.</summary>
    public static async Task<ScriptedServer> StartAsync(CancellationToken cancellationToken, int port = 0)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http1));
        var app = builder.Build();
        var fake = new ScriptedServer(app);
        app.Run(fake.HandleAsync);
        await app.StartAsync(cancellationToken);
        fake.Endpoint = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single() + "/mcp");
        return fake;
    }

    /// <summary>The requests of a JSON-RPC method (or, for what is not a POST, of an HTTP method).</summary>
    public IReadOnlyList<ScriptedRequest> RequestsOf(string method) => [.. Requests.Where(request => IsOf(request, method))];

    /// <summary>The requests of a method, as soon as there are so many; fails after 30 s.</summary>
    public async Task<IReadOnlyList<ScriptedRequest>> WaitForAsync(string method, int count = 1)
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (gate)
        {
            if (requests.Count(request => IsOf(request, method)) >= count)
            {
                return [.. requests.Where(request => IsOf(request, method))];
            }
            waiters.Add((request => IsOf(request, method), count, reached));
        }
        await reached.Task.WaitAsync(TimeSpan.FromSeconds(30));
        return RequestsOf(method);
    }

    /// <summary>Sends a message on each GET stream that is open, and on that of the last session when it opens.</summary>
    public void Push(string message)
    {
        lock (gate)
        {
            foreach (var stream in streams.Keys)
            {
                stream.Writer.TryWrite(message);
            }
            if (!streams.Values.Contains(LastSession))
            {
                held.Add((LastSession, message));
            }
        }
    }

    /// <summary>Forgets all sessions, as a restart does.</summary>
    public void ForgetSessions() => sessions.Clear();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await app.DisposeAsync();
    }

    private string LastSession => HasSessions ? $"session-{Volatile.Read(ref lastSession)}" : "";

    private static bool IsOf(ScriptedRequest request, string method) => request.Method == method || (request.Method.Length == 0 && request.HttpMethod == method);

    private async Task HandleAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body);
        var body = await reader.ReadToEndAsync(context.RequestAborted);
        var (method, id) = Read(body);
        var headers = context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        var request = new ScriptedRequest(context.Request.Method, headers, body, method, id);
        await using var abort = context.RequestAborted.UnsafeRegister(static state => ((ScriptedRequest)state!).MarkAborted(), request);
        var reply = Script(request);
        Keep(request);
        if (reply is not null)
        {
            await WriteAsync(context, reply);
        }
        else if (context.Request.Method == "POST")
        {
            await WriteAsync(context, Answer(context, request));
        }
        else
        {
            await ServeOtherAsync(context, request);
        }
    }

    private void Keep(ScriptedRequest request)
    {
        lock (gate)
        {
            requests.Add(request);
            foreach (var (condition, count, reached) in waiters)
            {
                if (requests.Count(condition) >= count)
                {
                    reached.TrySetResult();
                }
            }
        }
    }

    private ScriptedReply Answer(HttpContext context, ScriptedRequest request)
    {
        if (!IsModern && HasSessions && request.Method != "initialize" && (request.Session is null || !sessions.ContainsKey(request.Session)))
        {
            return ScriptedReply.Json("""{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}""", 404);
        }
        if (request.Id.Length == 0)
        {
            return new ScriptedReply { Status = 202 };
        }
        switch (request.Method)
        {
            case "initialize" when IsModern:
                return ScriptedReply.Json("""{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"Unsupported protocol version","data":{"supported":["2026-07-28"]}}}""", 400);
            case "initialize":
                if (HasSessions)
                {
                    var session = $"session-{Interlocked.Increment(ref lastSession)}";
                    sessions[session] = 0;
                    context.Response.Headers["Mcp-Session-Id"] = session;
                }
                return ScriptedReply.Result(request, $$$"""{"protocolVersion":"{{{ProtocolVersion}}}","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"fake","version":"1"}}""");
            case "server/discover" when IsModern:
                return ScriptedReply.Result(request, """{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"resultType":"complete","ttlMs":0,"cacheScope":"private"}""");
            case "tools/list":
                return ScriptedReply.Result(request, ListPage(request));
            case "tools/call":
                return Call(request);
            default:
                return ScriptedReply.Error(request, """{"code":-32601,"message":"Method not found"}""", IsModern ? 404 : 200);
        }
    }

    private string ListPage(ScriptedRequest request)
    {
        using var parameters = JsonDocument.Parse(request.Params);
        var start = parameters.RootElement.TryGetProperty("cursor", out var cursor) ? int.Parse(cursor.GetString()!, System.Globalization.CultureInfo.InvariantCulture) : 0;
        var page = Tools.Skip(start).Take(PageSize);
        var next = start + (long)PageSize < Tools.Count ? $",\"nextCursor\":\"{start + PageSize}\"" : "";
        return $$"""{"tools":[{{string.Join(',', page)}}]{{next}}}""";
    }

    private async Task ServeOtherAsync(HttpContext context, ScriptedRequest request)
    {
        if (context.Request.Method == "DELETE")
        {
            sessions.TryRemove(request.Session ?? "", out _);
            return;
        }
        if (!HasStream || IsModern)
        {
            context.Response.StatusCode = 405;
            return;
        }
        if (HasSessions && (request.Session is null || !sessions.ContainsKey(request.Session)))
        {
            context.Response.StatusCode = 404;
            return;
        }
        context.Response.ContentType = "text/event-stream";
        await context.Response.Body.FlushAsync(context.RequestAborted);
        var stream = Channel.CreateUnbounded<string>();
        lock (gate)
        {
            streams[stream] = request.Session ?? "";
            foreach (var (_, message) in held.Where(held => held.Session == (request.Session ?? "")))
            {
                stream.Writer.TryWrite(message);
            }
            held.RemoveAll(held => held.Session == (request.Session ?? ""));
        }
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping.Token);
        try
        {
            await foreach (var message in stream.Reader.ReadAllAsync(ended.Token))
            {
                await context.Response.Body.WriteAsync(ScriptedReply.Encode($"data: {message}\n\n"), ended.Token);
                await context.Response.Body.FlushAsync(ended.Token);
            }
        }
        catch (OperationCanceledException)
        {
            streams.TryRemove(stream, out _);
        }
    }

    private async Task WriteAsync(HttpContext context, ScriptedReply reply)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping.Token);
        try
        {
            if (reply.IsSilent)
            {
                await Task.Delay(Timeout.Infinite, ended.Token);
            }
            context.Features.Get<IHttpResponseBodyFeature>()!.DisableBuffering();
            context.Response.StatusCode = reply.Status;
            if (reply.Pieces.Count > 0)
            {
                context.Response.ContentType = reply.ContentType;
            }
            foreach (var (text, after) in reply.Pieces)
            {
                if (after is not null)
                {
                    await after.WaitAsync(TimeSpan.FromSeconds(30), ended.Token);
                }
                await context.Response.Body.WriteAsync(ScriptedReply.Encode(text), ended.Token);
                await context.Response.Body.FlushAsync(ended.Token);
            }
            if (reply.StaysOpen)
            {
                await Task.Delay(Timeout.Infinite, ended.Token);
            }
            if (reply.IsCut)
            {
                context.Abort();
            }
        }
        catch (OperationCanceledException)
        {
            // The client left, or the test is over; the request says so.
        }
    }

    private static (string Method, string Id) Read(string body)
    {
        if (body.Length == 0)
        {
            return ("", "");
        }
        using var message = JsonDocument.Parse(body);
        return (message.RootElement.TryGetProperty("method", out var method) ? method.GetString()! : "", message.RootElement.TryGetProperty("id", out var id) ? id.GetRawText() : "");
    }
}
