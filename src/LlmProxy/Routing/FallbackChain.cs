using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using LlmProxy.Relay;
using Microsoft.Extensions.Logging;
using Polly;
using Polly.CircuitBreaker;

namespace LlmProxy.Routing;

/// <summary>Asks a route's targets in their order, each as often as its retries allow, until one answers.</summary>
internal sealed class FallbackChain(AttemptSender sender, ILogger<FallbackChain> logger)
{
    /// <summary>The first answer, or null: the call then says what went wrong, unless its client has left.</summary>
    public async ValueTask<UpstreamAnswer?> SendAsync(ChatCall call)
    {
        foreach (var target in call.Targets)
        {
            call.Target = target;
            var outcome = await AskAsync(call, target);
            if (outcome.Exception is BrokenCircuitException open)
            {
                call.Note(OpenAiErrors.CoolingDown(open.RetryAfter ?? TimeSpan.FromSeconds(1)), skipped: true);
                logger.FallingBack(call.Request.RequestId, target.Provider.Id, target.Model, call.Entry.Name, "cooling down");
                continue;
            }
            if (outcome.Exception is OperationCanceledException && call.Aborted.IsCancellationRequested)
            {
                return null; // the client left while a retry was waited for
            }
            outcome.ThrowIfException();
            var answer = outcome.Result!;
            if (answer.Failure == AttemptFailure.None)
            {
                return answer;
            }
            if (answer.Failure == AttemptFailure.Cancelled)
            {
                logger.ClientLeft(call.Request.RequestId, target.Provider.Id, target.Model);
                return null;
            }
            if (!answer.IsExplained)
            {
                call.Note(answer.ToError(), skipped: answer.Failure == AttemptFailure.Refused);
            }
            if (!answer.CanFallBack)
            {
                return null;
            }
            logger.FallingBack(call.Request.RequestId, target.Provider.Id, target.Model, call.Entry.Name, answer.Reason);
        }
        return null;
    }

    private async ValueTask<Outcome<UpstreamAnswer>> AskAsync(ChatCall call, TargetPlan target)
    {
        var context = ResilienceContextPool.Shared.Get(call.Aborted);
        try
        {
            return await target.Pipeline.ExecuteOutcomeAsync(
                static async (_, state) => Outcome.FromResult(await state.sender.SendAsync(state.call)), context, (sender, call));
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }
}
