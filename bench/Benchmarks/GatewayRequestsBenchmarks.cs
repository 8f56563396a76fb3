using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Shared.Http;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Gateway.Benchmarks;

/// <summary>What every request pays before and after its endpoint: id, trace, snapshot, authentication, reply headers, measurements.</summary>
[MemoryDiagnoser]
public class GatewayRequestsBenchmarks
{
    private readonly IHeaderDictionary headers = new HeaderDictionary();
    private readonly ResponseFeature response = new();
    private RequestDelegate gateway = null!;
    private RequestDelegate bare = null!;
    private Endpoint endpoint = null!;

    [GlobalSetup]
    public void Setup()
    {
        var issued = KeyToken.NewVirtualKey();
        var key = new VirtualKey { Kind = OwnerKind.Key, Id = issued.Id, Name = "bench", Secrets = [new KeySecret(issued.SecretHash)] };
        headers.Authorization = $"Bearer {issued.Token}";
        headers.ContentType = "application/json";
        var store = new SnapshotStore();
        var services = new ServiceCollection();
        services.AddLogging().AddMetrics().AddRouting().AddSingleton(store).AddSingleton<IAdminAuthenticator, NoAdmins>().AddGatewayRequests();
        var provider = services.BuildServiceProvider();
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
        snapshot.Compile(provider.GetServices<ISnapshotCompiler>(), []);
        store.Publish(snapshot);
        bare = _ => response.StartAsync();
        gateway = new ApplicationBuilder(provider).UseGatewayRequests().Use(_ => bare).Build();
        endpoint = new Endpoint(bare, new EndpointMetadataCollection(new RequiredCaller(CallerKind.VirtualKey), ProblemFormat.Instance), "bench");
    }

    [Benchmark(Baseline = true)]
    public Task Bare() => bare(NewContext());

    [Benchmark]
    public Task ThroughTheMiddleware() => gateway(NewContext());

    private DefaultHttpContext NewContext()
    {
        var features = new FeatureCollection();
        features.Set<IHttpRequestFeature>(new HttpRequestFeature { Method = "POST", Path = "/v1/chat/completions", Headers = headers });
        features.Set<IHttpResponseFeature>(response);
        response.Headers.Clear();
        var context = new DefaultHttpContext(features);
        context.SetEndpoint(endpoint);
        return context;
    }

    private sealed class ResponseFeature : HttpResponseFeature
    {
        private (Func<object, Task> Callback, object State)? starting;

        public override void OnStarting(Func<object, Task> callback, object state) => starting = (callback, state);

        public Task StartAsync() => starting is { } registered ? registered.Callback(registered.State) : Task.CompletedTask;
    }

    private sealed class NoAdmins : IAdminAuthenticator
    {
        public bool TryVerify(ReadOnlySpan<char> token, [NotNullWhen(true)] out AdminKey? key)
        {
            key = null;
            return false;
        }
    }
}
