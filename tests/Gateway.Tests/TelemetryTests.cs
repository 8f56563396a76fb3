using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Shared.Snapshots;
using TestSupport;

namespace Gateway.Tests;

[CollectionDefinition(DisableParallelization = true)]
public sealed class AloneCollection;

// Listeners to spans are process-wide, so these tests run while no other gateway does.
[Collection(typeof(AloneCollection))]
public sealed class TelemetryTests
{
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";
    private const string Parent = $"00-{TraceId}-b7ad6b7169203331-01";

    [Fact]
    public async Task Trace_FromClientAndNoListener_GoesOnUnchanged()
    {
        await using var gateway = await Hosts.StartAsync();
        Assert.Equal($"{Parent} vendor=1", await TraceAsync(gateway, Parent, "vendor=1"));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("garbage")]
    [InlineData("00-00000000000000000000000000000000-b7ad6b7169203331-01")]
    public async Task Trace_NotSentOrMalformed_IsANewOne(string? sent)
    {
        await using var gateway = await Hosts.StartAsync();
        var trace = await TraceAsync(gateway, sent, "vendor=1");
        Assert.Matches("^00-[0-9a-f]{32}-[0-9a-f]{16}-01 $", trace);
        Assert.DoesNotContain("00000000000000000000000000000000", trace);
    }

    [Fact]
    public async Task Span_WithListener_IsTheClientsChildAndTheUpstreamsParent()
    {
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Gateway",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        await using var gateway = await Hosts.StartAsync();

        var trace = await TraceAsync(gateway, Parent, "vendor=1");

        // The span stops after the reply has left.
        Assert.True(SpinWait.SpinUntil(() => !spans.IsEmpty, TimeSpan.FromSeconds(30)));
        var span = Assert.Single(spans);
        Assert.Equal("GET /test/trace", span.DisplayName);
        Assert.Equal(ActivityKind.Server, span.Kind);
        Assert.Equal("b7ad6b7169203331", span.ParentSpanId.ToHexString());
        Assert.Equal($"00-{TraceId}-{span.SpanId.ToHexString()}-01 vendor=1", trace);
        Assert.Equal(200, span.GetTagItem("http.response.status_code"));
    }

    [Fact]
    public async Task Propagation_OfBaggage_NeverHappens()
    {
        await using var gateway = await Hosts.StartAsync();
        using var activity = new Activity("call").SetIdFormat(ActivityIdFormat.W3C).AddBaggage("customer", "confidential").Start();
        activity.TraceStateString = "vendor=1";
        var sent = new Dictionary<string, string>();

        DistributedContextPropagator.Current.Inject(activity, sent, (carrier, name, value) => ((Dictionary<string, string>)carrier!)[name] = value);

        Assert.Equal(["traceparent", "tracestate"], sent.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(activity.Id, sent["traceparent"]);
    }

    [Fact]
    public async Task Metrics_AfterRequests_CountThemByPlaneAndStatusClass()
    {
        await using var gateway = await Hosts.StartAsync();
        using (await gateway.AdminClient.GetAsync("/admin/v1/keys", TestContext.Current.CancellationToken))
        using (await gateway.Anonymous.GetAsync("/admin/v1/keys", TestContext.Current.CancellationToken))
        {
            await gateway.IdleAsync();
            var metrics = await gateway.Anonymous.GetStringAsync("/metrics", TestContext.Current.CancellationToken);
            foreach (var statusClass in new[] { "2xx", "4xx" })
            {
                Assert.Contains(metrics.Split('\n'), line => line.StartsWith("gateway_request_duration_seconds_count", StringComparison.Ordinal) && line.Contains("gateway_plane=\"admin\"", StringComparison.Ordinal) && line.Contains($"http_response_status_class=\"{statusClass}\"", StringComparison.Ordinal));
            }
            Assert.Contains("gateway_request_overhead_seconds_bucket", metrics);
            Assert.Contains("kestrel_active_connections", metrics);
            Assert.Contains("dotnet_gc_collections_total", metrics);
        }
    }

    [Fact]
    public async Task Export_ToACollectorThatIsAway_BreaksNoRequest()
    {
        var port = FreePort.Next();
        await using var gateway = await Hosts.StartAsync(new TestGatewayOptions
        {
            Configuration = $"telemetry:\n  otlpEndpoint: http://127.0.0.1:{port}\n",
        });
        for (var i = 0; i < 20; i++)
        {
            using var response = await gateway.Anonymous.GetAsync("/health/live", TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
    }

    [Fact]
    public async Task Export_ToACollector_SendsSpansAndMetricsWhenTheGatewayStops()
    {
        var paths = new ConcurrentBag<string>();
        using var collector = new HttpListener();
        var port = FreePort.Next();
        collector.Prefixes.Add($"http://127.0.0.1:{port}/");
        collector.Start();
        var collecting = CollectAsync(collector, paths);
        Environment.SetEnvironmentVariable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
        try
        {
            await using var gateway = await Hosts.StartAsync(new TestGatewayOptions { Configuration = $"telemetry:\n  otlpEndpoint: http://127.0.0.1:{port}\n" });
            using var response = await gateway.Anonymous.GetAsync("/health/live", TestContext.Current.CancellationToken);
        }
        finally
        {
            Environment.SetEnvironmentVariable("OTEL_EXPORTER_OTLP_PROTOCOL", null);
            collector.Stop();
        }
        await collecting;
        Assert.Contains("/v1/traces", paths);
        Assert.Contains("/v1/metrics", paths);
    }

    [Fact]
    public async Task Live_Always_Answers200()
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await gateway.Anonymous.GetAsync("/health/live", TestContext.Current.CancellationToken);
        Assert.Equal("live", (await response.JsonAsync()).GetProperty("status").GetString());
    }

    [Fact]
    public async Task Ready_ConfigurationRefusedLater_StaysReadyAndSaysWhereTheReasonIs()
    {
        await using var gateway = await Hosts.StartAsync();
        gateway.Services.GetRequiredService<SnapshotStore>().Reject(["gateway.yaml:3: unknown key 'rout'"]);

        using var response = await gateway.Anonymous.GetAsync("/health/ready", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var check = (await response.JsonAsync()).GetProperty("checks").GetProperty("configuration");
        Assert.Equal("degraded", check.GetProperty("state").GetString());
        var detail = Assert.Single(check.GetProperty("details").EnumerateArray()).GetString();
        Assert.Contains("refused for 1 error", detail, StringComparison.Ordinal);
        // Anybody may ask; what stands in the files is for admins.
        Assert.DoesNotContain("rout'", detail, StringComparison.Ordinal);
        Assert.Contains("unknown key 'rout'", await gateway.AdminClient.GetStringAsync(new Uri("/admin/v1/configuration", UriKind.Relative), TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ready_ACheckFailed_Answers503()
    {
        await using var gateway = await Hosts.StartAsync(new TestGatewayOptions { Builder = builder => builder.Services.AddSingleton<Shared.Telemetry.IReadinessCheck, FailedCheck>() });
        using var response = await gateway.Anonymous.GetAsync("/health/ready", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal("not ready", (await response.JsonAsync()).GetProperty("status").GetString());
    }

    private static async Task CollectAsync(HttpListener collector, ConcurrentBag<string> paths)
    {
        while (true)
        {
            HttpListenerContext context;
            try
            {
                context = await collector.GetContextAsync();
            }
            catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException)
            {
                // The collector was stopped: the test has what it waits for.
                return;
            }
            paths.Add(context.Request.Url!.AbsolutePath);
            await context.Request.InputStream.CopyToAsync(Stream.Null);
            context.Response.Close();
        }
    }

    private static async Task<string> TraceAsync(TestGateway gateway, string? traceParent, string? traceState)
    {
        // The client's own instrumentation would replace the header.
        using var client = new HttpClient(new SocketsHttpHandler { ActivityHeadersPropagator = null, UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(gateway.BaseAddress, "/test/trace"));
        if (traceParent is not null)
        {
            request.Headers.TryAddWithoutValidation("traceparent", traceParent);
        }
        request.Headers.TryAddWithoutValidation("tracestate", traceState);
        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        return await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
    }

    private sealed class FailedCheck : Shared.Telemetry.IReadinessCheck
    {
        public string Name => "test";

        public Shared.Telemetry.Readiness Check() => new(Shared.Telemetry.ReadinessState.Failed, ["full"]);
    }
}
