using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Gateway.Tests.Bridging;

/// <summary>A request that the scripted gateway got.</summary>
internal sealed record Received(string Method, string Body, IReadOnlyDictionary<string, string> Headers);

/// <summary>The far end of a bridge: it answers as a test says, and remembers what it was asked.</summary>
internal sealed class ScriptedGateway : IAsyncDisposable
{
    private readonly WebApplication app;

    private ScriptedGateway(WebApplication app) => this.app = app;

    /// <summary>What came in, in order.</summary>
    public ConcurrentQueue<Received> All { get; } = new();

    /// <summary>Where it listens.</summary>
    public string Url => app.Urls.First();

    /// <summary>Starts one.</summary>
    public static async Task<ScriptedGateway> StartAsync(Func<HttpContext, Received, Task> answer)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var gateway = new ScriptedGateway(builder.Build());
        gateway.app.Map("/mcp", async context =>
        {
            using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
            var received = new Received(context.Request.Method, await reader.ReadToEndAsync(), context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase));
            gateway.All.Enqueue(received);
            await answer(context, received);
        });
        await gateway.app.StartAsync(TestContext.Current.CancellationToken);
        return gateway;
    }

    /// <summary>Answers a handshake.</summary>
    public static async Task AgreeAsync(HttpContext context, string session, int id = 0)
    {
        context.Response.Headers["Mcp-Session-Id"] = session;
        await JsonAsync(context, $$$$"""{"jsonrpc":"2.0","id":{{{{id}}}},"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"scripted","version":"1"}}}""");
    }

    /// <summary>Answers with JSON.</summary>
    public static Task JsonAsync(HttpContext context, string json, int status = 200)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(json);
    }

    /// <summary>Sends a piece of an event stream at once.</summary>
    public static async Task EventAsync(HttpContext context, string text)
    {
        if (!context.Response.HasStarted)
        {
            context.Response.ContentType = "text/event-stream";
        }
        await context.Response.WriteAsync(text);
        await context.Response.Body.FlushAsync();
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => app.DisposeAsync();
}
