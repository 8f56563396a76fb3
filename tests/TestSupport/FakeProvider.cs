using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Shared.Pricing;

namespace TestSupport;

/// <summary>
/// A model provider on a loopback port: real HTTP, scripted answers. Requests take the queued replies in their order, then what
/// <see cref="Otherwise"/> says. It keeps what it received, to the byte.
/// </summary>
public sealed class FakeProvider : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly ConcurrentQueue<FakeReply> replies = new();
    private readonly Lock gate = new();
    private readonly List<FakeProviderRequest> requests = [];
    private readonly List<(int Count, TaskCompletionSource Reached)> waiters = [];
    private long billedNano;

    private FakeProvider(WebApplication app) => this.app = app;

    /// <summary>Where its endpoints hang, version segment included.</summary>
    public Uri BaseAddress { get; private set; } = null!;

    /// <summary>What requests get once the queue is empty.</summary>
    public Func<FakeProviderRequest, FakeReply> Otherwise { get; set; } = _ => FakeReply.Completion("Hello!");

    /// <summary>All requests so far, in the order in which their bodies were complete.</summary>
    public IReadOnlyList<FakeProviderRequest> Requests
    {
        get
        {
            lock (gate)
            {
                return [.. requests];
            }
        }
    }

    /// <summary>What the replies of <see cref="SpendTheLimit"/> cost together.</summary>
    public Money Billed => new(Interlocked.Read(ref billedNano));

    public static async Task<FakeProvider> StartAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1);
        });
        var app = builder.Build();
        var fake = new FakeProvider(app);
        app.Run(fake.HandleAsync);
        await app.StartAsync(cancellationToken);
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        fake.BaseAddress = new Uri(address + "/v1");
        return fake;
    }

    /// <summary>Adds a reply for the next request that has none yet.</summary>
    public void Enqueue(params ReadOnlySpan<FakeReply> next)
    {
        foreach (var reply in next)
        {
            replies.Enqueue(reply);
        }
    }

    /// <summary>Completes when so many requests have arrived.</summary>
    public Task WaitForRequestsAsync(int count)
    {
        lock (gate)
        {
            if (requests.Count >= count)
            {
                return Task.CompletedTask;
            }
            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            waiters.Add((count, reached));
            return reached.Task.WaitAsync(TimeSpan.FromSeconds(30));
        }
    }

    /// <summary>
    /// Every answer uses exactly the output limit that it was sent, for each choice, and is billed at a price. Without a limit it uses a million
    /// tokens, as a provider well might.
    /// </summary>
    public void SpendTheLimit(ModelPrice price) => Otherwise = request =>
    {
        var body = request.Json;
        var limit = body.TryGetProperty("max_completion_tokens", out var newer) ? newer.GetInt64() : body.TryGetProperty("max_tokens", out var older) ? older.GetInt64() : 1_000_000;
        var choices = body.TryGetProperty("n", out var n) ? n.GetInt64() : 1;
        var usage = new TokenUsage { Input = Math.Max(1, request.Body.Length / 3), Output = limit * choices };
        Interlocked.Add(ref billedNano, price.CostOf(usage).Nano);
        return body.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.True
            ? FakeReply.Stream(FakeReply.Content("spent"), FakeReply.Finish(), FakeReply.Usage(usage.Input, usage.Output), FakeReply.Done)
            : FakeReply.Completion("spent", usage.Input, usage.Output);
    };

    public async ValueTask DisposeAsync()
    {
        foreach (var request in Requests)
        {
            request.Release();
        }
        await app.DisposeAsync();
    }

    private async Task HandleAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        var request = new FakeProviderRequest(context.Request.Path, body.ToArray(),
            context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase))
        {
            Method = context.Request.Method,
            Query = context.Request.QueryString.Value ?? "",
        };
        await using var abort = context.RequestAborted.UnsafeRegister(static state => ((FakeProviderRequest)state!).MarkAborted(), request);
        var reply = replies.TryDequeue(out var next) ? next : Otherwise(request);
        lock (gate)
        {
            requests.Add(request);
            foreach (var (count, reached) in waiters)
            {
                if (requests.Count >= count)
                {
                    reached.TrySetResult();
                }
            }
        }
        await ReplyAsync(context, request, reply);
    }

    private static async Task ReplyAsync(HttpContext context, FakeProviderRequest request, FakeReply reply)
    {
        if (reply.HangsBeforeHeaders)
        {
            await request.EndedAsync();
            return;
        }
        context.Features.Get<IHttpResponseBodyFeature>()!.DisableBuffering();
        context.Response.StatusCode = reply.Status;
        context.Response.ContentType = reply.ContentType;
        foreach (var (name, value) in reply.Headers)
        {
            context.Response.Headers[name] = value;
        }
        if (reply.ContentLength is { } length)
        {
            context.Response.ContentLength = length;
        }
        try
        {
            foreach (var piece in reply.Pieces)
            {
                if (piece.After is { } after)
                {
                    await after.WaitAsync(TimeSpan.FromSeconds(30), context.RequestAborted);
                }
                await context.Response.Body.WriteAsync(piece.Bytes, context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
            }
        }
        catch (OperationCanceledException)
        {
            return; // the request says so
        }
        switch (reply.Ending)
        {
            case FakeEnding.Abort:
                context.Abort();
                break;
            case FakeEnding.Hang:
                await request.EndedAsync();
                break;
        }
    }
}

/// <summary>One request that a <see cref="FakeProvider"/> received.</summary>
public sealed class FakeProviderRequest(string path, byte[] body, IReadOnlyDictionary<string, string> headers)
{
    private readonly TaskCompletionSource aborted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Path { get; } = path;

    public string Method { get; init; } = "POST";

    /// <summary>The query, question mark included; "": none.</summary>
    public string Query { get; init; } = "";

    /// <summary>The body's bytes as they came.</summary>
    public byte[] Body { get; } = body;

    public IReadOnlyDictionary<string, string> Headers { get; } = headers;

    /// <summary>The body, parsed.</summary>
    public JsonElement Json => JsonDocument.Parse(Body).RootElement;

    /// <summary>Completes when the caller gives up on the request; fails after 30 s.</summary>
    public Task AbortedAsync() => aborted.Task.WaitAsync(TimeSpan.FromSeconds(30));

    /// <summary>Whether the caller gave up on it.</summary>
    public bool IsAborted => aborted.Task.IsCompleted;

    internal void MarkAborted() => aborted.TrySetResult();

    internal void Release() => released.TrySetResult();

    internal Task EndedAsync() => Task.WhenAny(aborted.Task, released.Task);
}
