using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace LlmProxy.Tests.Media;

/// <summary>A provider that counts what it receives and keeps none of it.</summary>
internal sealed class Sink : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly Lock gate = new();
    private readonly List<(long Bytes, TaskCompletionSource Reached)> waiters = [];
    private readonly TaskCompletionSource broken = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long received;

    private Sink(WebApplication app) => this.app = app;

    public Uri BaseAddress => new(app.Urls.Single() + "/v1");

    public long Received => Interlocked.Read(ref received);

    /// <summary>Waits until so many bytes have come.</summary>
    public Task ReceivedAsync(long bytes)
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (gate)
        {
            if (Received >= bytes)
            {
                return Task.CompletedTask;
            }
            waiters.Add((bytes, reached));
        }
        return reached.Task.WaitAsync(TimeSpan.FromSeconds(30));
    }

    /// <summary>Waits until a request broke off before its end.</summary>
    public Task BrokenOffAsync() => broken.Task.WaitAsync(TimeSpan.FromSeconds(30));

    public static async Task<Sink> StartAsync(string answer)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Listen(IPAddress.Loopback, 0);
        });
        var app = builder.Build();
        var sink = new Sink(app);
        app.Run(async context =>
        {
            var buffer = new byte[64 * 1024];
            try
            {
                int read;
                while ((read = await context.Request.Body.ReadAsync(buffer, context.RequestAborted)) > 0)
                {
                    sink.Count(read);
                }
            }
            catch (Exception exception) when (exception is IOException or OperationCanceledException)
            {
                sink.broken.TrySetResult();
                return;
            }
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(answer, context.RequestAborted);
        });
        await app.StartAsync(TestContext.Current.CancellationToken);
        return sink;
    }

    private void Count(int read)
    {
        var sum = Interlocked.Add(ref received, read);
        lock (gate)
        {
            foreach (var (bytes, reached) in waiters)
            {
                if (sum >= bytes)
                {
                    reached.TrySetResult();
                }
            }
        }
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();
}
