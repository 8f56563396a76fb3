using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace TestSupport;

/// <summary>A request as a <see cref="FakeApi"/> got it.</summary>
/// <param name="Method">The method.</param>
/// <param name="Target">The request line's target, to the byte.</param>
/// <param name="Headers">Its headers, whatever the case of their names.</param>
/// <param name="Body">Its body.</param>
public sealed record FakeApiRequest(string Method, string Target, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    /// <summary>The body as text.</summary>
    public string Text => Encoding.UTF8.GetString(Body);
}

/// <summary>A web API on a loopback port: real HTTP, scripted answers. It keeps what it received.</summary>
public sealed class FakeApi : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly Lock gate = new();
    private readonly List<FakeApiRequest> requests = [];
    private readonly List<(int Count, TaskCompletionSource Reached)> waiters = [];

    private FakeApi(WebApplication app) => this.app = app;

    /// <summary>Where it listens, without a slash at the end.</summary>
    public string Address { get; private set; } = "";

    /// <summary>Answers a request; the default is an empty JSON object.</summary>
    public Func<FakeApiRequest, HttpContext, Task> Answer { get; set; } = (_, context) => JsonAsync(context, "{}");

    /// <summary>All requests so far.</summary>
    public IReadOnlyList<FakeApiRequest> Requests
    {
        get
        {
            lock (gate)
            {
                return [.. requests];
            }
        }
    }

    /// <summary>The last request.</summary>
    public FakeApiRequest Last => Requests[^1];

    /// <summary>Starts one.</summary>
    /// <param name="cancellationToken">Stops the start.</param>
    /// <param name="certificate">Its certificate; null: it speaks no TLS.</param>
    public static async Task<FakeApi> StartAsync(CancellationToken cancellationToken, X509Certificate2? certificate = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Listen(IPAddress.Loopback, 0, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                if (certificate is not null)
                {
                    listen.UseHttps(certificate);
                }
            });
        });
        var app = builder.Build();
        var api = new FakeApi(app);
        app.Run(api.HandleAsync);
        await app.StartAsync(cancellationToken);
        api.Address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First().TrimEnd('/');
        return api;
    }

    /// <summary>Writes a JSON answer.</summary>
    public static Task JsonAsync(HttpContext context, string json, int status = 200) => WriteAsync(context, "application/json", Encoding.UTF8.GetBytes(json), status);

    /// <summary>Writes an answer.</summary>
    public static async Task WriteAsync(HttpContext context, string type, byte[] bytes, int status = 200)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = type;
        context.Response.ContentLength = bytes.Length;
        await context.Response.Body.WriteAsync(bytes);
    }

    /// <summary>Completes once so many requests have come.</summary>
    public Task ReceivedAsync(int count)
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

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync(new CancellationToken(canceled: true));
        await app.DisposeAsync();
    }

    private async Task HandleAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        var request = new FakeApiRequest(context.Request.Method, context.Features.Get<IHttpRequestFeature>()!.RawTarget,
            context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase), body.ToArray());
        lock (gate)
        {
            requests.Add(request);
            foreach (var waiter in waiters.Where(waiter => waiter.Count <= requests.Count))
            {
                waiter.Reached.TrySetResult();
            }
        }
        await Answer(request, context);
    }
}
