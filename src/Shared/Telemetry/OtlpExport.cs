using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;
using Shared.Snapshots;

namespace Shared.Telemetry;

/// <summary>
/// Export to a collector, decided when the configuration has been loaded: only then is it known whether there is one. Without one nothing listens to spans.
/// </summary>
internal static class OtlpExport
{
    private const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

    public static void AddTraces(IServiceProvider services, TracerProviderBuilder traces)
    {
        if (OptionsOf(services, "v1/traces") is { } options)
        {
            traces.AddSource(GatewayTracing.Name).AddProcessor(new BatchActivityExportProcessor(new OtlpTraceExporter(options)));
        }
    }

    public static void AddMetrics(IServiceProvider services, MeterProviderBuilder metrics)
    {
        if (OptionsOf(services, "v1/metrics") is { } options)
        {
            metrics.AddReader(new PeriodicExportingMetricReader(new OtlpMetricExporter(options)));
        }
    }

    private static OtlpExporterOptions? OptionsOf(IServiceProvider services, string httpPath)
    {
        // The usual variables (headers, protocol, timeout) are read by the options themselves.
        var options = new OtlpExporterOptions();
        if (services.GetService<SnapshotLoader>()?.Telemetry.OtlpEndpoint is { } configured)
        {
            options.Endpoint = options.Protocol == OtlpExportProtocol.HttpProtobuf ? new Uri($"{configured.AbsoluteUri.TrimEnd('/')}/{httpPath}") : configured;
            return options;
        }
        return services.GetRequiredService<IConfiguration>()[EndpointVariable] is { Length: > 0 } ? options : null;
    }
}
