using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace TestSupport;

/// <summary>A tool server over Streamable HTTP with sessions, on a loopback port: real HTTP, scripted answers, written without any library of the protocol.</summary>
public sealed class FakeMcpServer : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly ConcurrentQueue<(string Method, string Text)> received = new();
    private readonly ConcurrentDictionary<string, TaskCompletionSource> awaited = new();
    private readonly TaskCompletionSource released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim pushes = new(0);
    private int sessions;

    private FakeMcpServer(WebApplication app) => this.app = app;

    /// <summary>Its endpoint.</summary>
    public Uri Endpoint { get; private set; } = null!;

    /// <summary>The array under <c>tools</c>.</summary>
    public string Tools { get; set; } = """[{"name":"echo","inputSchema":{"type":"object"}}]""";

    /// <summary>Answers tools/call: the raw text of the whole response, as JSON or, where it begins with <c>data:</c>, as an event stream; null: it never comes.</summary>
    public Func<JsonNode, string?> Call { get; set; } = request => Result(request, """{"content":[{"type":"text","text":"ok"}]}""");

    /// <summary>Whether it speaks only the revision without a handshake.</summary>
    public bool IsModern { get; set; }

    /// <summary>Headers of the last tools/call.</summary>
    public IReadOnlyDictionary<string, string> LastHeaders { get; private set; } = new Dictionary<string, string>();

    /// <summary>All messages so far: method and raw text.</summary>
    public IReadOnlyList<(string Method, string Text)> Received => [.. received];

    /// <summary>How many sessions were opened.</summary>
    public int Sessions => Volatile.Read(ref sessions);

    public static async Task<FakeMcpServer> StartAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var fake = new FakeMcpServer(app);
        app.Run(fake.HandleAsync);
        await app.StartAsync(cancellationToken);
        fake.Endpoint = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single() + "/mcp");
        return fake;
    }

    /// <summary>A response with a result.</summary>
    public static string Result(JsonNode request, string result) => $"{{\"jsonrpc\":\"2.0\",\"id\":{request["id"]!.ToJsonString()},\"result\":{result}}}";

    /// <summary>Forgets all sessions, as a restart does.</summary>
    public void ForgetSessions() => Interlocked.Increment(ref sessions);

    /// <summary>Says on the GET stream that the tools changed.</summary>
    public void PushListChanged() => pushes.Release();

    /// <summary>Completes when a message of a method has arrived.</summary>
    public Task ReceivedAsync(string method) =>
        awaited.GetOrAdd(method, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task.WaitAsync(TimeSpan.FromSeconds(30));

    public async ValueTask DisposeAsync()
    {
        released.TrySetResult();
        await app.DisposeAsync();
        pushes.Dispose();
    }

    private async Task HandleAsync(HttpContext context)
    {
        if (context.Request.Method == "GET")
        {
            await PushAsync(context);
            return;
        }
        if (context.Request.Method == "DELETE")
        {
            return;
        }
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        var text = await reader.ReadToEndAsync(context.RequestAborted);
        var message = JsonNode.Parse(text)!;
        var method = (string?)message["method"] ?? "";
        received.Enqueue((method, text));
        awaited.GetOrAdd(method, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
        if (!IsModern && method != "initialize" && context.Request.Headers["Mcp-Session-Id"] != $"s{Sessions}")
        {
            context.Response.StatusCode = 404;
            return;
        }
        if (message["id"] is null)
        {
            context.Response.StatusCode = 202;
            return;
        }
        var answer = method switch
        {
            "initialize" when IsModern => $"{{\"jsonrpc\":\"2.0\",\"id\":{message["id"]!.ToJsonString()},\"error\":{{\"code\":-32601,\"message\":\"Method not found\"}}}}",
            "initialize" => Initialize(context, message),
            "server/discover" => Result(message, """{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"resultType":"complete"}"""),
            "tools/list" => Result(message, $$"""{"tools":{{Tools}}}"""),
            "tools/call" => Answer(context, message),
            _ => Result(message, "{}"),
        };
        if (answer is null)
        {
            await Task.WhenAny(released.Task, Task.Delay(Timeout.Infinite, context.RequestAborted));
            return;
        }
        context.Response.ContentType = answer.StartsWith("data:", StringComparison.Ordinal) ? "text/event-stream" : "application/json";
        await context.Response.WriteAsync(answer, context.RequestAborted);
    }

    private string Initialize(HttpContext context, JsonNode message)
    {
        context.Response.Headers["Mcp-Session-Id"] = $"s{Interlocked.Increment(ref sessions)}";
        return Result(message, """{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"fake","version":"1"}}""");
    }

    private string? Answer(HttpContext context, JsonNode message)
    {
        LastHeaders = context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        return Call(message);
    }

    private async Task PushAsync(HttpContext context)
    {
        context.Response.ContentType = "text/event-stream";
        await context.Response.Body.FlushAsync(context.RequestAborted);
        try
        {
            while (true)
            {
                await pushes.WaitAsync(context.RequestAborted);
                await context.Response.WriteAsync("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n", context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
            }
        }
        catch (OperationCanceledException)
        {
            // The listener left.
        }
    }
}
