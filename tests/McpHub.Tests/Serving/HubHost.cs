using System.Collections.Frozen;
using System.Diagnostics;
using System.Security.Claims;
using McpHub.Catalog;
using McpHub.Features;
using McpHub.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelContextProtocol.Client;
using Shared.Http;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Tests.Serving;

/// <summary>The hub's endpoint on real Kestrel, with fakes where the catalog and the upstreams are. The bearer token is the id of the key.</summary>
internal sealed class HubHost : IAsyncDisposable
{
    public const string Key = "alice";
    public const string OtherKey = "bob";

    private readonly WebApplication app;
    private int revision;

    private HubHost(WebApplication app) => this.app = app;

    public FakeTools Tools => app.Services.GetRequiredService<FakeTools>();

    public FakeViews Views => app.Services.GetRequiredService<FakeViews>();

    public SessionRegistry Sessions => app.Services.GetRequiredService<SessionRegistry>();

    public LegacySseEndpoints Legacy => app.Services.GetRequiredService<LegacySseEndpoints>();

    public EventStore Events => app.Services.GetRequiredService<EventStore>();

    public ServingSwitches Switches => app.Services.GetRequiredService<ServingSwitches>();

    public SnapshotStore Snapshots => app.Services.GetRequiredService<SnapshotStore>();

    public BodyMemory Memory => app.Services.GetRequiredService<BodyMemory>();

    public Uri Endpoint { get; private set; } = null!;

    public static async Task<HubHost> StartAsync(TimeProvider? time = null, bool allThroughSdk = false, GatewaySettings? settings = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton(time ?? TimeProvider.System);
        builder.Services.AddSingleton<SnapshotStore>();
        builder.Services.AddSingleton(new BodyMemory(64 * 1024 * 1024));
        builder.Services.AddSingleton<FakeTools>();
        builder.Services.AddSingleton<FakeViews>();
        builder.Services.AddSingleton<IToolAccess>(services => services.GetRequiredService<FakeTools>());
        builder.Services.AddSingleton<IToolViews>(services => services.GetRequiredService<FakeViews>());
        builder.Services.AddSingleton<IFeatures, FakeFeatures>();
        builder.Services.AddMcpServing();
        var app = builder.Build();
        var host = new HubHost(app);
        host.Publish([NewKey(Key), NewKey(OtherKey)], settings);
        host.Switches.AllThroughSdk = allThroughSdk;
        app.Use(AuthenticateAsync);
        app.MapMcpHub();
        await app.StartAsync(TestContext.Current.CancellationToken);
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        host.Endpoint = new Uri(address + "/mcp");
        return host;
    }

    public static VirtualKey NewKey(string id, DateTimeOffset? expires = null, DateTimeOffset? revoked = null) =>
        new() { Kind = Shared.VirtualKeys.OwnerKind.Key, Id = id, Name = id, Secrets = [], ExpiresAt = expires, RevokedAt = revoked };

    public void Publish(VirtualKey[] keys, GatewaySettings? settings = null) => Snapshots.Publish(new Snapshot
    {
        Revision = $"r{++revision}",
        Keys = keys.ToFrozenDictionary(key => key.Id),
        Providers = FrozenDictionary<string, Provider>.Empty,
        Routes = FrozenDictionary<string, Route>.Empty,
        Manifests = [],
        Prices = PriceBook.Empty,
        Settings = settings ?? new GatewaySettings(),
    });

    public HttpClientTransport NewTransport(string key = Key) => new(new HttpClientTransportOptions
    {
        Endpoint = Endpoint,
        TransportMode = HttpTransportMode.StreamableHttp,
        AdditionalHeaders = new Dictionary<string, string> { ["Authorization"] = $"Bearer {key}" },
    });

    public Task<McpClient> ConnectAsync(string version, string key = Key) =>
        McpClient.CreateAsync(NewTransport(key), new McpClientOptions { ProtocolVersion = version }, cancellationToken: TestContext.Current.CancellationToken);

    public Wire NewWire(string key = Key) => new(Endpoint, key);

    public Task StopAsync() => app.StopAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync() => await app.DisposeAsync();

    private static async Task AuthenticateAsync(HttpContext context, RequestDelegate next)
    {
        var snapshot = context.RequestServices.GetRequiredService<SnapshotStore>().Current;
        var time = context.RequestServices.GetRequiredService<TimeProvider>();
        var traceId = ActivityTraceId.CreateRandom();
        var request = new GatewayRequest(Guid.NewGuid().ToString("N"), snapshot, traceId) { TraceParent = $"00-{traceId}-{ActivitySpanId.CreateRandom()}-00" };
        context.Features.Set(request);
        var token = context.Request.Headers.Authorization.ToString().Replace("Bearer ", "", StringComparison.Ordinal);
        if (!snapshot.Keys.TryGetValue(token, out var key) || key.RevokedAt is not null || key.ExpiresAt <= time.GetUtcNow())
        {
            await McpErrorFormat.Instance.WriteAsync(context, new GatewayError(StatusCodes.Status401Unauthorized, "invalid_key", "The virtual key is not valid."));
            return;
        }
        request.Key = key;
        context.User = new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, key.Id)], "VirtualKey"));
        context.Response.Headers["x-request-id"] = request.RequestId;
        await next(context);
    }
}
