using System.Net.Http.Headers;
using Gateway;
using Gateway.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Shared.Tools;

namespace TestSupport;

/// <summary>What a <see cref="TestGateway"/> is started with.</summary>
public sealed record TestGatewayOptions
{
    /// <summary>Text of <c>gateway.yaml</c>; null: none.</summary>
    public string? Configuration { get; init; }

    /// <summary>Manifests by file name.</summary>
    public IReadOnlyDictionary<string, string> Manifests { get; init; } = new Dictionary<string, string>();

    /// <summary>The environment that configuration refers to and in which providers are found; the process's own is not seen.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>The clock; null: the system's.</summary>
    public TimeProvider? Clock { get; init; }

    /// <summary>A data folder to start on, which outlives the gateway; null: one of its own.</summary>
    public string? DataFolder { get; init; }

    /// <summary>Addresses to listen on.</summary>
    public string Urls { get; init; } = "http://127.0.0.1:0";

    /// <summary>Changes of the host before it is built.</summary>
    public Action<WebApplicationBuilder>? Builder { get; init; }

    /// <summary>Further endpoints.</summary>
    public Action<WebApplication>? Endpoints { get; init; }
}

/// <summary>The whole gateway in this process, on a port of its own, with its files in a temporary folder.</summary>
public sealed class TestGateway : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly TemporaryFolder folder;
    private readonly FirstStartKeys? keys;

    private TestGateway(WebApplication app, TemporaryFolder folder, FirstStartKeys? keys, LogCapture logs)
    {
        (this.app, this.folder, this.keys, Logs) = (app, folder, keys, logs);
        BaseAddress = new Uri(Banner.BaseAddress(app));
        Anonymous = NewClient(null);
        Client = NewClient(keys?.VirtualKey);
        AdminClient = NewClient(keys?.AdminKey);
    }

    /// <summary>Where it listens, e.g. <c>http://127.0.0.1:41234/</c>.</summary>
    public Uri BaseAddress { get; }

    /// <summary>The first virtual key: all models and tools, 5 dollars a day.</summary>
    public string VirtualKey => keys?.VirtualKey ?? throw new InvalidOperationException("The data folder had keys before; nobody knows them.");

    /// <summary>The first admin key.</summary>
    public string AdminKey => keys?.AdminKey ?? throw new InvalidOperationException("The data folder had keys before; nobody knows them.");

    /// <summary>Sends the virtual key.</summary>
    public HttpClient Client { get; }

    /// <summary>Sends the admin key.</summary>
    public HttpClient AdminClient { get; }

    /// <summary>Sends no key.</summary>
    public HttpClient Anonymous { get; }

    /// <summary>What it logged.</summary>
    public LogCapture Logs { get; }

    /// <summary>The host's services.</summary>
    public IServiceProvider Services => app.Services;

    /// <summary>The folder that holds <c>gateway.yaml</c>, <c>tool-manifests</c> and, unless another was given, <c>data</c>.</summary>
    public string Folder => folder.Path;

    /// <summary>Starts a gateway as the process does, the command line and the printed message aside.</summary>
    public static async Task<TestGateway> StartAsync(TestGatewayOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new TestGatewayOptions();
        var folder = new TemporaryFolder();
        var logs = new LogCapture();
        try
        {
            var app = Program.Build(Prepare(folder.Path, options), builder =>
            {
                builder.Services.AddSingleton<RunningRequests>().AddSingleton<IStartupFilter>(services => services.GetRequiredService<RunningRequests>());
                builder.Logging.ClearProviders().AddProvider(logs).SetMinimumLevel(LogLevel.Debug);
                if (options.Clock is { } clock)
                {
                    builder.Services.Replace(ServiceDescriptor.Singleton(clock));
                }
                options.Builder?.Invoke(builder);
            });
            try
            {
                options.Endpoints?.Invoke(app);
                var gateway = new TestGateway(app, folder, await Server.StartAsync(app, cancellationToken), logs);
                // Its own tools, which come a moment after the port is open.
                await gateway.WaitForToolServerAsync("gateway", state => state.State == "connected", cancellationToken);
                return gateway;
            }
            catch
            {
                await app.DisposeAsync();
                throw;
            }
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>Completes when the gateway is done with all requests, and so has billed those that were answered.</summary>
    public Task IdleAsync() => app.Services.GetRequiredService<RunningRequests>().IdleAsync();

    /// <summary>Waits until a tool server has reached a state.</summary>
    public async Task WaitForToolServerAsync(string server, Func<ToolServerState, bool> reached, CancellationToken cancellationToken)
    {
        var states = app.Services.GetRequiredService<IToolServerStates>();
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Look(ToolServerState? _)
        {
            if (states.ReadAll().Any(state => state.Id == server && reached(state)))
            {
                done.TrySetResult();
            }
        }
        states.Changed += Look;
        Look(null);
        await done.Task.WaitAsync(TimeSpan.FromSeconds(30), cancellationToken);
        states.Changed -= Look;
    }

    /// <summary>A client that sends a key of one's choice, or none. Its owner disposes of it.</summary>
    public HttpClient NewClient(string? key)
    {
        var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = BaseAddress };
        if (key is not null)
        {
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }
        return client;
    }

    /// <summary>Stops the gateway as the process does and removes its folder.</summary>
    public async ValueTask DisposeAsync()
    {
        Anonymous.Dispose();
        Client.Dispose();
        AdminClient.Dispose();
        await app.StopAsync();
        await app.DisposeAsync();
        folder.Dispose();
    }

    private static ServeOptions Prepare(string folder, TestGatewayOptions options)
    {
        var manifests = Directory.CreateDirectory(Path.Combine(folder, ServeOptions.DefaultManifestFolder)).FullName;
        foreach (var (name, text) in options.Manifests)
        {
            File.WriteAllText(Path.Combine(manifests, name), text);
        }
        var configuration = Path.Combine(folder, ServeOptions.DefaultConfigurationFile);
        File.WriteAllText(configuration, options.Configuration ?? "");
        return new ServeOptions
        {
            DataFolder = options.DataFolder ?? Path.Combine(folder, ServeOptions.DefaultDataFolder),
            ConfigurationFile = configuration,
            ManifestFolder = manifests,
            Urls = options.Urls,
            Environment = name => options.Environment.GetValueOrDefault(name),
        };
    }
}
