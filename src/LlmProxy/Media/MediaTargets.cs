using System.Runtime.CompilerServices;
using LlmProxy.Routing;
using Polly;

namespace LlmProxy.Media;

/// <summary>One target of a call, with its retries.</summary>
/// <param name="Plan">The target, prepared for the endpoint.</param>
/// <param name="Pipeline">Its retries and its circuit breaker.</param>
internal sealed record MediaTarget(TargetPlan Plan, ResiliencePipeline<MediaAttempt> Pipeline);

/// <summary>
/// The targets of routes for each endpoint, prepared when they are first asked for. Retries and breakers outlive snapshots; a provider whose pictures fail may still
/// answer chats, so that they are not those of chat completions.
/// </summary>
internal sealed class MediaTargets(TimeProvider clock)
{
    private readonly ConditionalWeakTable<RouteEntry, MediaTarget[]?[]> prepared = [];

    private readonly Pipelines<MediaAttempt> pipelines = new(clock, new Verdict<MediaAttempt>(
        static outcome => outcome.Result is { CanRetry: true }, static outcome => outcome.Result is { IsUnhealthy: true }, static outcome => outcome.Result?.RetryAfter));

    /// <summary>The targets whose providers have the endpoint, in their order.</summary>
    public MediaTarget[] For(RouteEntry entry, MediaEndpoint endpoint)
    {
        var all = prepared.GetValue(entry, static _ => new MediaTarget[MediaEndpoint.All.Count][]);
        return all[endpoint.Index] ??= Prepare(entry, endpoint);
    }

    private MediaTarget[] Prepare(RouteEntry entry, MediaEndpoint endpoint) =>
        [.. entry.Targets.Where(target => endpoint.Family.IsAt(target.Provider)).Select(target => new MediaTarget(endpoint.Family.Prepare(target), pipelines.For(target.Provider, target.Model, endpoint.Family.Id, target.Provider.MaxRetries)))];
}
