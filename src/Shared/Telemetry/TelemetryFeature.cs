using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Shared.Http;

namespace Shared.Telemetry;

/// <summary>Registration of metrics, traces and health.</summary>
public static class TelemetryFeature
{
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
        services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("agent-gateway", serviceVersion: typeof(TelemetryFeature).Assembly.GetName().Version?.ToString(3)))
            .WithMetrics(metrics => metrics
                .AddMeter(GatewayTracing.Name, "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Net.Http", "System.Runtime")
                .AddPrometheusExporter())
            .WithTracing();
        services.ConfigureOpenTelemetryMeterProvider(OtlpExport.AddMetrics);
        services.ConfigureOpenTelemetryTracerProvider(OtlpExport.AddTraces);
        return services;
    }

    /// <summary>Maps <c>/metrics</c>, <c>/health/live</c> and <c>/health/ready</c>.</summary>
    /// <param name="app">The application.</param>
    /// <param name="metricsCaller">Whose credential <c>/metrics</c> wants: nobody's while only this machine reaches it.</param>
    public static IEndpointRouteBuilder MapGatewayTelemetry(this IEndpointRouteBuilder app, CallerKind metricsCaller)
    {
        app.MapPrometheusScrapingEndpoint("/metrics").ForCaller(metricsCaller, ProblemFormat.Instance);
        app.MapGet("/health/live", HealthEndpoints.LiveAsync).ForCaller(CallerKind.Anonymous, ProblemFormat.Instance);
        app.MapGet("/health/ready", HealthEndpoints.ReadyAsync).ForCaller(CallerKind.Anonymous, ProblemFormat.Instance);
        return app;
    }
}
