using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Shared.Admission;
using Shared.Budgets;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.Storage;
using Shared.Stored;
using Shared.VirtualKeys;
using TestSupport;

namespace LlmProxy.Tests.Hosting;

/// <summary>What a test's proxy is configured with.</summary>
internal sealed record ProxySetup
{
    public ImmutableArray<Provider> Providers { get; init; } = [];

    public ImmutableArray<Route> Routes { get; init; } = [];

    public ImmutableArray<ModelPrice> Prices { get; init; } = [];

    public ImmutableArray<string> Models { get; init; } = ["*"];

    public Owner? Parent { get; init; }

    public Money? HardBudget { get; init; }

    public ImmutableArray<RateLimit> RateLimits { get; init; } = [];

    public GatewaySettings Settings { get; init; } = new();

    public TimeProvider Clock { get; init; } = TimeProvider.System;
}

/// <summary>The proxy's endpoints on a loopback port, with one key, and a ledger in memory.</summary>
internal sealed class ProxyHost : IAsyncDisposable
{
    public const string TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    private const string ChatPath = "/v1/chat/completions";

    private readonly WebApplication app;
    private readonly HttpMessageInvoker invoker;
    private readonly SemaphoreSlim ended;
    private readonly Snapshot snapshot;

    private ProxyHost(WebApplication app, MemoryLedger ledger, BodyMemory memory, SemaphoreSlim ended, Snapshot snapshot)
    {
        (this.app, this.ended, Ledger, Memory, this.snapshot) = (app, ended, ledger, memory, snapshot);
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        Address = new Uri(address);
        invoker = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false, ResponseDrainTimeout = TimeSpan.Zero, RequestHeaderEncodingSelector = (_, _) => Encoding.UTF8 });
    }

    public Uri Address { get; }

    public MemoryLedger Ledger { get; }

    public BodyMemory Memory { get; }

    public IServiceProvider Services => app.Services;

    /// <summary>A request of the key's within the process.</summary>
    public GatewayRequest NewCaller() => new("req-inside", snapshot, ActivityTraceId.CreateRandom()) { TraceParent = TraceParent, Key = snapshot.Keys["key"] };

    public static async Task<ProxyHost> StartAsync(ProxySetup setup)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Listen(IPAddress.Loopback, 0);
        });
        var ledger = new MemoryLedger();
        var memory = new BodyMemory(setup.Settings.BodyMemoryBytes);
        builder.Services.AddSingleton(setup.Clock);
        builder.Services.AddSingleton(memory);
        builder.Services.AddSingleton(TestEgress.NewPolicy());
        builder.Services.AddSingleton<ILedger>(ledger);
        builder.Services.AddSingleton<ISpendHistory>(ledger);
        // Opened when it is first asked for, which few tests do.
        builder.Services.AddSingleton<TemporaryFolder>();
        builder.Services.AddSingleton(services => GatewayDatabase.Open(new StorageOptions { Folder = services.GetRequiredService<TemporaryFolder>().Path }, TimeProvider.System));
        builder.Services.AddSingleton<ProviderObjects>();
        builder.Services.AddAdmission();
        builder.Services.AddLlmProxy();
        builder.Services.AddRoutingCore();
        var app = builder.Build();
        var snapshot = Snapshot(setup, app.Services.GetServices<ISnapshotCompiler>());
        var ended = new SemaphoreSlim(0);
        app.Use(async (context, next) =>
        {
            context.Features.Set(new GatewayRequest("req-test", snapshot, ActivityTraceId.CreateRandom()) { TraceParent = TraceParent, Key = snapshot.Keys["key"] });
            try
            {
                await next(context);
            }
            finally
            {
                ended.Release();
            }
        });
        app.MapLlmProxy();
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new ProxyHost(app, ledger, memory, ended, snapshot);
    }

    public static Snapshot Snapshot(ProxySetup setup, IEnumerable<ISnapshotCompiler> compilers)
    {
        var errors = new List<string>();
        var snapshot = Uncompiled(setup);
        snapshot.Compile(compilers, errors);
        Assert.Empty(errors);
        return snapshot;
    }

    public static Snapshot Uncompiled(ProxySetup setup) => new()
    {
        Revision = "test",
        Keys = new Dictionary<string, VirtualKey>
        {
            ["key"] = new()
            {
                Kind = OwnerKind.Key,
                Id = "key",
                Name = "test",
                Secrets = [],
                Parent = setup.Parent,
                Grants = new Grants { Models = setup.Models },
                RateLimits = setup.RateLimits,
                Budgets = setup.HardBudget is { } limit ? [new Budget { Id = "key:key/daily", Limit = limit, Window = Window.Rolling(TimeSpan.FromDays(1)) }] : [],
            },
        }.ToFrozenDictionary(),
        Providers = setup.Providers.ToFrozenDictionary(provider => provider.Id),
        Routes = setup.Routes.ToFrozenDictionary(route => route.Name),
        Manifests = [],
        Prices = new PriceBook(setup.Prices),
        Settings = setup.Settings,
    };

    public static Provider Provider(FakeProvider fake, string id = "fake", int retries = 0) => new()
    {
        Id = id,
        Dialect = "openai-chat",
        BaseAddress = fake.BaseAddress,
        ApiKey = "sk-upstream",
        Models = ["small"],
        MaxRetries = retries,
        Origin = "test",
    };

    /// <summary>A price of so many dollars per million input and output tokens.</summary>
    public static ModelPrice Price(decimal input, decimal output, string provider = "fake", string model = "*") => new()
    {
        Provider = provider,
        Model = model,
        Version = "test:1",
        Rates = new TokenRates { Input = Money.FromDollars(input).Nano, Output = Money.FromDollars(output).Nano },
    };

    /// <summary>Posts a chat completion, or to another endpoint; returns when the headers are there.</summary>
    public Task<HttpResponseMessage> PostAsync(string body, CancellationToken? cancellationToken = null, string path = ChatPath) => PostAsync(Encoding.UTF8.GetBytes(body), cancellationToken, path: path);

    public async Task<HttpResponseMessage> PostAsync(byte[] body, CancellationToken? cancellationToken = null, string idempotencyKey = "idem-1", bool isChunked = false, string path = ChatPath)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(Address, path));
        request.Content = new ByteArrayContent(body);
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.TransferEncodingChunked = isChunked;
        request.Headers.TryAddWithoutValidation("Authorization", "Bearer sk-gw-client-secret");
        request.Headers.TryAddWithoutValidation("Idempotency-Key", idempotencyKey);
        request.Headers.TryAddWithoutValidation("X-Stainless-Lang", "js");
        return await invoker.SendAsync(request, cancellationToken ?? TestContext.Current.CancellationToken);
    }

    public async Task<HttpResponseMessage> GetAsync(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(Address, path));
        return await invoker.SendAsync(request, TestContext.Current.CancellationToken);
    }

    public async Task<HttpResponseMessage> DeleteAsync(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Delete, new Uri(Address, path));
        return await invoker.SendAsync(request, TestContext.Current.CancellationToken);
    }

    /// <summary>Waits until the handler of one more request has ended.</summary>
    public async Task RequestEndedAsync() => Assert.True(await ended.WaitAsync(TimeSpan.FromSeconds(30)));

    public async ValueTask DisposeAsync()
    {
        invoker.Dispose();
        await app.DisposeAsync();
    }
}

internal static class ResponseExtensions
{
    public static Task<string> TextAsync(this HttpResponseMessage response) => response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

    /// <summary>The one value of a header, or null.</summary>
    public static string? Header(this HttpResponseMessage response, string name) => response.Headers.TryGetValues(name, out var values) ? values.Single() : null;
}
