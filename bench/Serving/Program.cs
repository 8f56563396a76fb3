// The hub's endpoint alone, with tools that answer at once: what serving costs, without catalog, admission and upstreams.
//   ServingBench <port> [sdk]      "sdk": every request goes through the SDK
using System.Collections.Frozen;
using System.Diagnostics;
using System.Security.Claims;
using System.Text;
using McpHub.Catalog;
using McpHub.Features;
using McpHub.Serving;
using McpHub.Tests.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Shared.Http;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls($"http://127.0.0.1:{args[0]}");
builder.Services.AddSingleton<SnapshotStore>();
builder.Services.AddSingleton(new BodyMemory(256 * 1024 * 1024));
builder.Services.AddSingleton<IToolAccess, ReadyTools>();
builder.Services.AddSingleton<IToolViews, ReadyViews>();
builder.Services.AddSingleton<IFeatures, FakeFeatures>();
builder.Services.AddMcpServing();
var app = builder.Build();
app.Services.GetRequiredService<ServingSwitches>().AllThroughSdk = args is [_, "sdk"];

var key = new VirtualKey { Kind = OwnerKind.Key, Id = "bench", Name = "bench", Secrets = [] };
var snapshot = new Snapshot
{
    Revision = "bench",
    Keys = new Dictionary<string, VirtualKey> { [key.Id] = key }.ToFrozenDictionary(),
    Providers = FrozenDictionary<string, Provider>.Empty,
    Routes = FrozenDictionary<string, Route>.Empty,
    Manifests = [],
    Prices = PriceBook.Empty,
    Settings = new GatewaySettings(),
};
app.Services.GetRequiredService<SnapshotStore>().Publish(snapshot);
var principal = new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, key.Id)], "VirtualKey"));
app.Use((context, next) =>
{
    context.Features.Set(new GatewayRequest("bench", snapshot, default) { Key = key, TraceParent = "" });
    context.User = principal;
    return next(context);
});
app.MapMcpHub();
await app.RunAsync();

internal sealed class ReadyTools : IToolAccess
{
    private static readonly ToolCallOutcome Answer = new(Encoding.UTF8.GetBytes("""{"content":[{"type":"text","text":"hello"}]}"""), default);

    public ReadOnlyMemory<byte> List(GatewayRequest caller) => throw new UnreachableException();

    public ValueTask<ToolCallOutcome> CallAsync(GatewayRequest caller, ToolCall call, CancellationToken cancellationToken) => ValueTask.FromResult(Answer);
}

internal sealed class ReadyViews : IToolViews
{
    private static readonly ToolView View = new(
        Encoding.UTF8.GetBytes("[" + string.Join(',', Enumerable.Range(0, 500).Select(Definition)) + "]"), FrozenDictionary<string, CatalogTool>.Empty, "bench");

    public event Action? Changed
    {
        add { }
        remove { }
    }

    public ToolView ViewOf(Snapshot snapshot, VirtualKey key, ToolScope scope = default) => View;

    /// <summary>About 330 bytes, so that the list has the size of that of ten upstreams with fifty tools each.</summary>
    private static string Definition(int i) =>
        $$$$"""{"name":"u{{{{i / 50}}}}__filler_{{{{i % 50}}}}","description":"Filler tool number {{{{i}}}} that does nothing but take the room a usual description takes.","inputSchema":{"type":"object","properties":{"message":{"type":"string","description":"What to say."},"count":{"type":"integer","description":"How often to say it."} },"required":["message"] },"annotations":{"readOnlyHint":true} }""";
}
