using LlmProxy.ChatCompletions;
using LlmProxy.Media;
using LlmProxy.Relay;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Shared.Http;
using Shared.Stored;

namespace LlmProxy.Dialects.Responses.Store;

/// <summary>
/// Responses that a provider makes in the background: what one used is known only when it is over, and nobody may be waiting for it then. Which there are outlives a restart; what one
/// used is charged when it is first seen to be over.
/// </summary>
internal static class BackgroundResponses
{
    /// <summary>Their <see cref="ProviderObject.Kind"/>; the label is the model.</summary>
    public const string Kind = "response";

    /// <summary>Takes note of one whose use is not known yet.</summary>
    /// <param name="call">The request that began it.</param>
    /// <param name="answer">The attempt, settled.</param>
    /// <param name="id">The response's id.</param>
    /// <exception cref="Shared.Storage.StorageException">The database cannot be written.</exception>
    public static void Note(ChatCall call, UpstreamAnswer answer, string id)
    {
        var services = call.Context.RequestServices;
        Objects(call.Context).Add(new ProviderObject(call.Request.Key!.Id, Kind, id, answer.Target.Provider.Id, answer.Target.Model, services.GetRequiredService<TimeProvider>().GetUtcNow())
        {
            Charged = answer.Charged,
        });
    }

    /// <summary>One that a request's key began; null: there is none of this id.</summary>
    /// <exception cref="Shared.Storage.StorageException">The database cannot be read.</exception>
    public static ProviderObject? Find(HttpContext context, string id) =>
        id.Length > ProviderObjectReader.MaxIdLength ? null : Objects(context).Find(GatewayRequest.Of(context).Key!.Id, Kind, id);

    /// <summary>Charges what one used, if it is over.</summary>
    /// <param name="call">The call that showed it.</param>
    /// <param name="response">Which it is.</param>
    /// <param name="body">What the provider says of it.</param>
    /// <exception cref="Shared.Storage.StorageException">It cannot be noted that it was charged.</exception>
    public static void Charge(ProviderCall call, ProviderObject response, ReadOnlySpan<byte> body)
    {
        if (ResponsesAnswerReader.TryRead(body, response.Label, out var facts) && !facts.IsRunning && facts.Usage is { Total: > 0 } usage)
        {
            call.ChargeOnce(Objects(call.Context), response, response.Label, $"{response.Provider}/{response.Label}", usage, facts.ServiceTier);
        }
    }

    private static ProviderObjects Objects(HttpContext context) => context.RequestServices.GetRequiredService<ProviderObjects>();
}
