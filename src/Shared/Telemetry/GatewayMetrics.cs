using System.Diagnostics.Metrics;
using Shared.Http;

namespace Shared.Telemetry;

/// <summary>Durations of requests, on the meter <c>Gateway</c>. Labels are few on purpose: keys and models would multiply the series.</summary>
internal sealed class GatewayMetrics
{
    private static readonly string[] StatusClasses = ["unknown", "1xx", "2xx", "3xx", "4xx", "5xx"];

    private readonly Histogram<double> duration;
    private readonly Histogram<double> overhead;

    public GatewayMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(GatewayTracing.Name);
        duration = meter.CreateHistogram("gateway.request.duration", "s", "Time from the request's arrival to the end of its reply.", advice: new InstrumentAdvice<double>
        {
            HistogramBucketBoundaries = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
        });
        overhead = meter.CreateHistogram("gateway.request.overhead", "s", "The same less the time spent waiting for upstreams: what the gateway itself cost.", advice: new InstrumentAdvice<double>
        {
            HistogramBucketBoundaries = [0.00001, 0.00002, 0.00003, 0.00004, 0.00005, 0.00006, 0.00008, 0.0001, 0.00015, 0.0002, 0.0003, 0.0004, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 1, 10],
        });
    }

    /// <summary>Records a finished request.</summary>
    public void Record(EndpointFacts endpoint, int status, GatewayRequest request)
    {
        var plane = new KeyValuePair<string, object?>("gateway.plane", endpoint.Plane);
        var statusClass = new KeyValuePair<string, object?>("http.response.status_class", StatusClasses[status is >= 100 and < 600 ? status / 100 : 0]);
        duration.Record(request.Elapsed.TotalSeconds, plane, statusClass);
        overhead.Record(request.Overhead.TotalSeconds, plane, statusClass);
    }
}
