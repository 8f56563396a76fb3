using System.Diagnostics;
using System.Diagnostics.Metrics;
using LlmProxy.Routing;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;

namespace LlmProxy.Telemetry;

/// <summary>Spans and measurements of model calls, by the GenAI semantic conventions (v1.41 names) and our own names where those have none.</summary>
internal static class ModelTelemetry
{
    public const string SourceName = "Gateway";

    public const string OperationName = "gen_ai.operation.name";

    public const string ProviderName = "gen_ai.provider.name";

    public const string RequestModel = "gen_ai.request.model";

    private static readonly ActivitySource Source = new(SourceName);

    private static readonly Meter Meter = new(SourceName);

    private static readonly Histogram<double> Duration = Meter.CreateHistogram("gen_ai.client.operation.duration", "s", "Duration of an attempt at a model call.", null,
        new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92] });

    private static readonly Histogram<long> Tokens = Meter.CreateHistogram("gen_ai.client.token.usage", "{token}", "Tokens that a call used.", null,
        new InstrumentAdvice<long> { HistogramBucketBoundaries = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864] });

    private static readonly Counter<long> Attempts = Meter.CreateCounter<long>("gateway.attempts", "{attempt}", "Attempts by provider, model and how they ended.");

    private static readonly Counter<long> Exceeded = Meter.CreateCounter<long>("gateway.reservation.exceeded", "{attempt}", "Attempts that cost more than was reserved for them.");

    public static Activity? Start(GatewayRequest request, TargetPlan target, bool stream)
    {
        if (!Source.HasListeners())
        {
            return null;
        }
        var parent = Activity.Current is null && ActivityContext.TryParse(request.TraceParent, request.TraceState, out var remote) ? remote : default;
        var activity = Source.StartActivity(target.SpanName, ActivityKind.Client, parent);
        if (activity is { IsAllDataRequested: true })
        {
            activity.SetTag(OperationName, target.Family.Operation);
            activity.SetTag(ProviderName, target.Provider.Id);
            activity.SetTag(RequestModel, target.Model);
            activity.SetTag("server.address", target.Address.Host);
            activity.SetTag("server.port", target.Address.Port);
            if (stream)
            {
                activity.SetTag("gen_ai.request.stream", true);
            }
        }
        return activity;
    }

    /// <summary>Records how an attempt ended, on its span and in the measurements.</summary>
    public static void End(Activity? activity, TargetPlan target, in AttemptResult result, TimeSpan duration)
    {
        if (Attempts.Enabled)
        {
            Attempts.Add(1, Tag("gateway.provider", target.Provider.Id), Tag("gateway.model", target.Model), Tag("gateway.outcome", result.Error ?? OutcomeOf(result.Outcome)));
        }
        if (Duration.Enabled)
        {
            var tags = target.Tags;
            if (result.Error is { } error)
            {
                tags.Add("error.type", error);
            }
            Duration.Record(duration.TotalSeconds, tags);
        }
        if (Tokens.Enabled && result.Source == UsageSource.Reported)
        {
            Record(target, "input", result.Usage.TotalInput);
            if (target.Family.HasOutput)
            {
                Record(target, "output", result.Usage.TotalOutput);
            }
        }
        if (activity is not null)
        {
            Describe(activity, result);
            activity.Dispose();
        }
    }

    public static void ReservationExceeded(TargetPlan target) => Exceeded.Add(1, Tag("gateway.provider", target.Provider.Id), Tag("gateway.model", target.Model));

    private static void Record(TargetPlan target, string type, long tokens)
    {
        var tags = target.Tags;
        tags.Add("gen_ai.token.type", type);
        Tokens.Record(tokens, tags);
    }

    private static void Describe(Activity activity, in AttemptResult result)
    {
        if (result.Error is { } error)
        {
            activity.SetTag("error.type", error);
            activity.SetStatus(ActivityStatusCode.Error);
        }
        if (result.Status != 0)
        {
            activity.SetTag("http.response.status_code", result.Status);
        }
        if (result.ServedModel is { } model)
        {
            activity.SetTag("gen_ai.response.model", model);
        }
        if (result.Source == UsageSource.Reported)
        {
            Describe(activity, result.Usage);
        }
    }

    private static void Describe(Activity activity, in TokenUsage usage)
    {
        activity.SetTag("gen_ai.usage.input_tokens", usage.TotalInput);
        activity.SetTag("gen_ai.usage.output_tokens", usage.TotalOutput);
        if (usage.CacheRead > 0)
        {
            activity.SetTag("gen_ai.usage.cache_read.input_tokens", usage.CacheRead);
        }
        if (usage.CacheWrite + usage.CacheWrite1h > 0)
        {
            activity.SetTag("gen_ai.usage.cache_creation.input_tokens", usage.CacheWrite + usage.CacheWrite1h);
        }
        if (usage.Reasoning > 0)
        {
            activity.SetTag("gen_ai.usage.reasoning.output_tokens", usage.Reasoning);
        }
    }

    private static string OutcomeOf(CallOutcome outcome) => outcome == CallOutcome.Succeeded ? "succeeded" : "failed";

    private static KeyValuePair<string, object?> Tag(string name, string value) => new(name, value);
}
