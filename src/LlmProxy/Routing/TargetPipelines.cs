using System.Collections.Concurrent;
using LlmProxy.Relay;
using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Shared.Snapshots;

namespace LlmProxy.Routing;

/// <summary>
/// The retries and the circuit breaker of each target. They outlive snapshots, so that a reload does not forget that a provider is down.
/// </summary>
internal sealed class TargetPipelines(TimeProvider clock)
{
    /// <summary>A provider that asks for a longer wait than this is not waited for: the next target is tried.</summary>
    public static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(30);

    private const int MaxKept = 4096;

    private readonly ConcurrentDictionary<(string Provider, string Model, int Retries), ResiliencePipeline<UpstreamAnswer>> pipelines = new();

    public ResiliencePipeline<UpstreamAnswer> For(Provider provider, string model)
    {
        var key = (provider.Id, model, provider.MaxRetries);
        if (pipelines.TryGetValue(key, out var pipeline))
        {
            return pipeline;
        }
        return pipelines.Count < MaxKept ? pipelines.GetOrAdd(key, _ => Build(provider.MaxRetries)) : Build(provider.MaxRetries);
    }

    private ResiliencePipeline<UpstreamAnswer> Build(int retries)
    {
        var builder = new ResiliencePipelineBuilder<UpstreamAnswer> { TimeProvider = clock };
        if (retries > 0)
        {
            builder.AddRetry(new RetryStrategyOptions<UpstreamAnswer>
            {
                MaxRetryAttempts = retries,
                Delay = TimeSpan.FromMilliseconds(250),
                MaxDelay = TimeSpan.FromSeconds(8),
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                ShouldHandle = static arguments => ValueTask.FromResult(arguments.Outcome.Result is { CanRetry: true } answer && !(answer.RetryAfter > LongestWait)),
                DelayGenerator = static arguments => ValueTask.FromResult(arguments.Outcome.Result?.RetryAfter),
            });
        }
        return builder.AddCircuitBreaker(new CircuitBreakerStrategyOptions<UpstreamAnswer>
        {
            FailureRatio = 0.5,
            MinimumThroughput = 20,
            SamplingDuration = TimeSpan.FromSeconds(30),
            BreakDuration = TimeSpan.FromSeconds(10),
            ShouldHandle = static arguments => ValueTask.FromResult(arguments.Outcome.Result is { IsUnhealthy: true }),
        }).Build();
    }
}
