using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using Shared.Egress;
using Shared.Http;

namespace Shared.Telemetry;

/// <summary>Registration of metrics, traces and health.</summary>
public static class TelemetryFeature
{
    internal static readonly string[] Meters = [GatewayTracing.Name, "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime"];

    /// <summary>
    /// Adds metrics (always) and, where <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> or <c>telemetry.otlpEndpoint</c> in the configuration names a collector, the
    /// export of spans and metrics to it. Without one nothing listens to spans, and they cost nothing. Export runs on its own threads with a bounded queue: a
    /// collector that is away loses spans, never requests. The configuration must have been loaded when the host starts.
    /// </summary>
    public static IServiceCollection AddGatewayTelemetry(this IServiceCollection services)
    {
        DistributedContextPropagator.Current = new TraceContextPropagator();
        services.TryAddSingleton<GatewayMetrics>();
        services.AddSingleton<IReadinessCheck, ConfigurationCheck>();
        services.AddSingleton<IReadinessCheck, LedgerCheck>();
        services.AddOpenTelemetry().ConfigureResource(Describe).WithMetrics(metrics => metrics.AddMeter(Meters).AddPrometheusExporter());
        services.AddEgress();
        services.AddHostedService<OtlpExport>();
        return services;
    }

    /// <summary>
    /// Begins to collect metrics. The host does so when it starts; who calls this from another thread while the configuration is loading saves the time
    /// that it takes.
    /// </summary>
    public static void CollectMetrics(this IServiceProvider services) => services.GetRequiredService<MeterProvider>();

    /// <summary>Maps <c>/metrics</c>, <c>/health/live</c> and <c>/health/ready</c>.</summary>
    /// <param name="app">The application.</param>
    /// <param name="metricsCaller">Whose credential <c>/metrics</c> wants: nobody's while only this machine reaches it. Asked once the gateway listens.</param>
    public static IEndpointRouteBuilder MapGatewayTelemetry(this IEndpointRouteBuilder app, Func<CallerKind> metricsCaller)
    {
        // Built at the first request, as building it builds everything that collects metrics.
        var scrape = new Lazy<RequestDelegate>(() => app.CreateApplicationBuilder().UseOpenTelemetryPrometheusScrapingEndpoint(_ => true).Build());
        app.MapGet("/metrics", context => scrape.Value(context)).Add(endpoint =>
        {
            endpoint.Metadata.Add(new RequiredCaller(metricsCaller()));
            endpoint.Metadata.Add(ProblemFormat.Instance);
        });
        app.MapGet("/health/live", HealthEndpoints.LiveAsync).ForCaller(CallerKind.Anonymous, ProblemFormat.Instance);
        app.MapGet("/health/ready", HealthEndpoints.ReadyAsync).ForCaller(CallerKind.Anonymous, ProblemFormat.Instance);
        return app;
    }

    internal static void Describe(ResourceBuilder resource) =>
        resource.AddService("agent-gateway", serviceVersion: typeof(TelemetryFeature).Assembly.GetName().Version?.ToString(3));
}
