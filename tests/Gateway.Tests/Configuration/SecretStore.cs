using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Gateway.Tests.Configuration;

/// <summary>Stands at the far end of the admin API and keeps what it is sent.</summary>
internal sealed class SecretStore : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly ConcurrentQueue<(string, string, string)> requests = new();

    private SecretStore()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        app = builder.Build();
        app.Run(async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            requests.Enqueue(($"{context.Request.Method} {context.Request.Path}", context.Request.Headers.Authorization.ToString(), await reader.ReadToEndAsync()));
            context.Response.StatusCode = (int)Status;
            await context.Response.WriteAsync("{}");
        });
    }

    public HttpStatusCode Status { get; set; } = HttpStatusCode.Created;

    public string Address => app.Urls.First();

    public IEnumerable<(string, string, string)> Requests => requests;

    public static async Task<SecretStore> StartAsync()
    {
        var store = new SecretStore();
        await store.app.StartAsync(TestContext.Current.CancellationToken);
        return store;
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();
}
