using System.Collections.Concurrent;
using LlmProxy.Routing;
using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Shared.Snapshots;

namespace LlmProxy.Media;

/// <summary>What a result says of whoever gave it.</summary>
/// <typeparam name="T">The result.</typeparam>
/// <param name="CanRetry">Whether the same may be asked again.</param>
/// <param name="IsUnhealthy">Whether it speaks against the health of the one that was asked.</param>
/// <param name="RetryAfter">How long that one asks to be left alone.</param>
internal sealed record Verdict<T>(Func<Outcome<T>, bool> CanRetry, Func<Outcome<T>, bool> IsUnhealthy, Func<Outcome<T>, TimeSpan?> RetryAfter);

/// <summary>
/// Retries and circuit breakers by the rules of chat, for what is asked in another way. They outlive snapshots; those of one endpoint are not those of another, as a provider
/// whose pictures fail may still answer chats.
/// </summary>
internal sealed class Pipelines<T>(TimeProvider clock, Verdict<T> verdict)
{
    private const int MaxKept = 4096;

    private readonly ConcurrentDictionary<(string Provider, string Model, string Endpoint, int Retries), ResiliencePipeline<T>> kept = new();

    /// <summary>The one for a target.</summary>
    /// <param name="provider">The provider.</param>
    /// <param name="model">The model; "": what is asked concerns none.</param>
    /// <param name="endpoint">The endpoint's name.</param>
    /// <param name="retries">How often the same may be asked again.</param>
    public ResiliencePipeline<T> For(Provider provider, string model, string endpoint, int retries)
    {
        var key = (provider.Id, model, endpoint, retries);
        if (kept.TryGetValue(key, out var pipeline))
        {
            return pipeline;
        }
        return kept.Count < MaxKept ? kept.GetOrAdd(key, _ => Build(retries)) : Build(retries);
    }

    private ResiliencePipeline<T> Build(int retries)
    {
        var builder = new ResiliencePipelineBuilder<T> { TimeProvider = clock };
        if (retries > 0)
        {
            builder.AddRetry(new RetryStrategyOptions<T>
            {
                MaxRetryAttempts = retries,
                Delay = TimeSpan.FromMilliseconds(250),
                MaxDelay = TimeSpan.FromSeconds(8),
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                ShouldHandle = arguments => ValueTask.FromResult(verdict.CanRetry(arguments.Outcome) && !(verdict.RetryAfter(arguments.Outcome) > TargetPipelines.LongestWait)),
                DelayGenerator = arguments => ValueTask.FromResult(verdict.RetryAfter(arguments.Outcome)),
            });
        }
        return builder.AddCircuitBreaker(new CircuitBreakerStrategyOptions<T>
        {
            FailureRatio = 0.5,
            MinimumThroughput = 20,
            SamplingDuration = TimeSpan.FromSeconds(30),
            BreakDuration = TimeSpan.FromSeconds(10),
            ShouldHandle = arguments => ValueTask.FromResult(verdict.IsUnhealthy(arguments.Outcome)),
        }).Build();
    }
}
