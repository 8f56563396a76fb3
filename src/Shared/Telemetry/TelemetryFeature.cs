using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Shared.Http;

namespace Shared.Telemetry;

/// <summary>Registration of metrics, traces and health.</summary>
public static class TelemetryFeature
{
    private const string OtlpEndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private const string OtlpEndpointSetting = "telemetry:otlpEndpoint";

    /// <summary>
    /// Adds metrics (always) and, where <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> or the host setting <c>telemetry:otlpEndpoint</c> names a collector, the export
    /// of spans and metrics to it. Without one nothing listens to spans, and they cost nothing. Export runs on its own threads with a bounded queue: a
    /// collector that is away loses spans, never requests.
    /// </summary>
    /// <param name="services">The host's services.</param>
    /// <param name="configuration">Host settings and environment.</param>
    /// <exception cref="UriFormatException">The endpoint is not an absolute address.</exception>
    public static IServiceCollection AddGatewayTelemetry(this IServiceCollection services, IConfiguration configuration)
    {
        DistributedContextPropagator.Current = new TraceContextPropagator();
        services.TryAddSingleton<GatewayMetrics>();
        services.AddSingleton<IReadinessCheck, ConfigurationCheck>();
        services.AddSingleton<IReadinessCheck, LedgerCheck>();
        var endpoint = configuration[OtlpEndpointSetting] is { Length: > 0 } setting ? new Uri(setting, UriKind.Absolute) : null;
        var exports = endpoint is not null || configuration[OtlpEndpointVariable] is { Length: > 0 };

        // The exporter reads its own environment variables; only our own setting has to be passed on.
        void Target(OtlpExporterOptions options) => options.Endpoint = endpoint ?? options.Endpoint;

        var telemetry = services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("agent-gateway", serviceVersion: typeof(TelemetryFeature).Assembly.GetName().Version?.ToString(3)))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(GatewayTracing.Name, "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Net.Http", "System.Runtime");
                metrics.AddPrometheusExporter();
                if (exports)
                {
                    metrics.AddOtlpExporter(Target);
                }
            });
        if (exports)
        {
            telemetry.WithTracing(traces => traces.AddSource(GatewayTracing.Name).AddOtlpExporter(Target));
        }
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
