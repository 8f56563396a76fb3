using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace McpHub.Tests.Upstreams;

/// <summary>A tool server over the HTTP+SSE of 2024-11-05 on a loopback port: real HTTP, raw JSON, scripted behaviour.</summary>
internal sealed class SseServer : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly ConcurrentDictionary<string, Channel<string>> sessions = new();
    private readonly CancellationTokenSource stopping = new();
    private int lastSession;

    private SseServer(WebApplication app) => this.app = app;

    /// <summary>Where the stream is opened.</summary>
    public Uri Endpoint { get; private set; } = null!;

    /// <summary>What the stream begins with, for the relative address that a well-behaved server names.</summary>
    public Func<string, string> Opening { get; set; } = address => $"event: endpoint\ndata: {address}\n\n";

    /// <summary>Answers a message on the stream: method, raw id, body. Null: nothing is said.</summary>
    public Func<string, string, string, string?> Answer { get; set; } = DefaultAnswer;

    /// <summary>The status of a POST.</summary>
    public Func<string, int> StatusOf { get; set; } = _ => 202;

    /// <summary>The status of a POST to the address of the stream itself, which is how a client of Streamable HTTP begins.</summary>
    public int StatusOfOtherPosts { get; set; } = 405;

    /// <summary>Messages that came in, with the headers of their POST.</summary>
    public ConcurrentQueue<(string Method, IReadOnlyDictionary<string, string> Headers)> Posts { get; } = new();

    /// <summary>The GETs that came in.</summary>
    public ConcurrentQueue<IReadOnlyDictionary<string, string>> Gets { get; } = new();

    /// <summary>How many streams are open.</summary>
    public int Open => sessions.Count;

    public static async Task<SseServer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1));
        var app = builder.Build();
        var fake = new SseServer(app);
        app.MapGet("/sse", fake.StreamAsync);
        app.MapPost("/sse", context =>
        {
            context.Response.StatusCode = fake.StatusOfOtherPosts;
            return Task.CompletedTask;
        });
        app.MapPost("/messages", fake.PostAsync);
        await app.StartAsync(TestContext.Current.CancellationToken);
        fake.Endpoint = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single() + "/sse");
        return fake;
    }

    public static string? DefaultAnswer(string method, string id, string body) => method switch
    {
        "initialize" => $$$$"""{"jsonrpc":"2.0","id":{{{{id}}}},"result":{"protocolVersion":"2024-11-05","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"old","version":"1"}}}""",
        "tools/list" => $$$$"""{"jsonrpc":"2.0","id":{{{{id}}}},"result":{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}}""",
        "tools/call" => $$$$"""{"jsonrpc":"2.0","id":{{{{id}}}},"result":{"content":[{"type":"text","text":"called"}]}}""",
        _ => null,
    };

    /// <summary>Writes raw text on each open stream.</summary>
    public void Push(string text)
    {
        foreach (var session in sessions.Values)
        {
            session.Writer.TryWrite(text);
        }
    }

    /// <summary>Ends all open streams.</summary>
    public void EndStreams()
    {
        foreach (var session in sessions.Values)
        {
            session.Writer.TryComplete();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await app.DisposeAsync();
    }

    private static Dictionary<string, string> HeadersOf(HttpContext context) =>
        context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase);

    private async Task StreamAsync(HttpContext context)
    {
        Gets.Enqueue(HeadersOf(context));
        var id = $"s{Interlocked.Increment(ref lastSession)}";
        var session = Channel.CreateUnbounded<string>();
        sessions[id] = session;
        context.Response.ContentType = "text/event-stream";
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping.Token);
        try
        {
            await WriteAsync(context, Opening($"/messages?id={id}"), ended.Token);
            await foreach (var text in session.Reader.ReadAllAsync(ended.Token))
            {
                await WriteAsync(context, text, ended.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // The client left, or the test is over.
        }
        finally
        {
            sessions.TryRemove(id, out _);
        }
    }

    private static async Task WriteAsync(HttpContext context, string text, CancellationToken cancellationToken)
    {
        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(text), cancellationToken);
        await context.Response.Body.FlushAsync(cancellationToken);
    }

    private async Task PostAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body);
        var body = await reader.ReadToEndAsync(context.RequestAborted);
        using var message = JsonDocument.Parse(body);
        var method = message.RootElement.TryGetProperty("method", out var named) ? named.GetString()! : "";
        Posts.Enqueue((method, HeadersOf(context)));
        context.Response.StatusCode = StatusOf(method);
        if (context.Response.StatusCode >= 300 || !sessions.TryGetValue(context.Request.Query["id"].ToString(), out var session))
        {
            context.Response.StatusCode = Math.Max(400, context.Response.StatusCode);
            return;
        }
        await context.Response.WriteAsync("Accepted", context.RequestAborted);
        if (message.RootElement.TryGetProperty("id", out var id) && Answer(method, id.GetRawText(), body) is { } answer)
        {
            session.Writer.TryWrite($"event: message\ndata: {answer}\n\n");
        }
    }
}
