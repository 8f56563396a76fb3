using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;
using Shared.Egress;
using Shared.Snapshots;

namespace Shared.Telemetry;

/// <summary>
/// Export to a collector, where one is named. Decided at start, when the configuration has been loaded; without a collector nothing listens to spans.
/// </summary>
internal sealed class OtlpExport(SnapshotLoader loader, IConfiguration environment, EgressPolicy egress) : IHostedService
{
    private const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

    private TracerProvider? traces;
    private MeterProvider? metrics;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        var configured = loader.Telemetry.OtlpEndpoint;
        if (configured is null && string.IsNullOrEmpty(environment[EndpointVariable]))
        {
            return Task.CompletedTask;
        }
        traces = Sdk.CreateTracerProviderBuilder().ConfigureResource(TelemetryFeature.Describe)
            .AddSource(GatewayTracing.Name).AddOtlpExporter(options => Target(options, configured, "v1/traces")).Build();
        metrics = Sdk.CreateMeterProviderBuilder().ConfigureResource(TelemetryFeature.Describe)
            .AddMeter(TelemetryFeature.Meters).AddOtlpExporter(options => Target(options, configured, "v1/metrics")).Build();
        return Task.CompletedTask;
    }

    /// <summary>Sends what is left, within the exporter's own deadline.</summary>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        var (endingTraces, endingMetrics) = (traces, metrics);
        return endingTraces is null ? Task.CompletedTask : Task.Run(
            () =>
            {
                endingTraces.Dispose();
                endingMetrics?.Dispose();
            },
            cancellationToken);
    }

    /// <summary>The usual variables (headers, protocol, timeout) are read by the options themselves; an address of our own is completed as they would.</summary>
    private void Target(OtlpExporterOptions options, Uri? configured, string httpPath)
    {
        // The SDK's own client would follow redirects and proxies.
        options.HttpClientFactory = () => new HttpClient(egress.NewHandler("the collector of telemetry", EgressTrust.Operator)) { Timeout = TimeSpan.FromMilliseconds(options.TimeoutMilliseconds) };
        if (configured is not null)
        {
            options.Endpoint = options.Protocol == OtlpExportProtocol.HttpProtobuf ? new Uri($"{configured.AbsoluteUri.TrimEnd('/')}/{httpPath}") : configured;
        }
    }
}
