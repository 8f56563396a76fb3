using LlmProxy.Dialects;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Routing;
using LlmProxy.Translation;
using Microsoft.AspNetCore.Http;
using Shared.Admission;
using Shared.Http;

namespace LlmProxy.ChatCompletions;

/// <summary>One call of a model on its way: what was asked, what it holds, and what went wrong so far.</summary>
internal sealed class ChatCall(HttpContext context, GatewayRequest request, PooledBody body, RouteEntry entry, TargetPlan[] targets, in RoutedFields fields) : IDisposable
{
    private NeutralRequest? neutral;
    private GatewayError? undecodable;

    /// <summary>A field, so that this large value is read in place.</summary>
    public readonly RoutedFields Fields = fields;

    public HttpContext Context { get; } = context;

    public GatewayRequest Request { get; } = request;

    public PooledBody Body { get; } = body;

    public RouteEntry Entry { get; } = entry;

    /// <summary>Those of the entry's targets that can answer, in their order; at least one.</summary>
    public TargetPlan[] Targets { get; } = targets;

    /// <summary>Cancelled when the client leaves.</summary>
    public CancellationToken Aborted { get; } = context.RequestAborted;

    public RequestLease Lease { get; set; } = null!;

    /// <summary>The target that is being tried.</summary>
    public TargetPlan Target { get; set; } = targets[0];

    /// <summary>The request as it was encoded for <see cref="Target"/>; null: it is relayed as it is.</summary>
    public TranslatedRequest? Translated { get; set; }

    /// <summary>What was left out of the request on its way to <see cref="Target"/>; null: nothing.</summary>
    public DropReport? Dropped => Translated?.Dropped ?? LeftOut;

    /// <summary>What was left out of a request that is relayed: defaults of the route that its format has no word for.</summary>
    public DropReport? LeftOut { get; set; }

    /// <summary>Whether what a translation cannot express is a reason to refuse the request.</summary>
    public bool IsStrict { get; init; }

    /// <summary>See <see cref="AddressedCall.JsonArray"/>.</summary>
    public bool JsonArray { get; init; }

    /// <summary>No fewer than the tokens of the request's text, in whatever format it goes up.</summary>
    public long InputBytes => Math.Max(Body.Bytes.Length, Translated?.Body.Length ?? 0);

    /// <summary>Attempts begun so far.</summary>
    public int Attempts { get; set; }

    /// <summary>When the last attempt failed; what passes from then to the next one is the upstream's doing.</summary>
    public long FailedAt { get; set; }

    /// <summary>The last error answer of an upstream; it is relayed when nothing better comes.</summary>
    public UpstreamError? HttpError { get; private set; }

    /// <summary>Why there is no answer, where no upstream said so itself.</summary>
    public GatewayError? Error { get; private set; }

    /// <summary>Notes an error answer in place of an earlier one.</summary>
    public void Note(UpstreamError error)
    {
        HttpError?.Dispose();
        HttpError = error;
    }

    /// <summary>Notes why a target gave no answer. That a target could not be paid matters only if nothing else went wrong.</summary>
    public void Note(GatewayError error, bool skipped)
    {
        if (!skipped || Error is null)
        {
            Error = error;
        }
    }

    /// <summary>Those of the client's headers that mean something and have no place at a target.</summary>
    public IReadOnlyList<string> LostHeaders(TargetPlan target) => target.LostHeaders.Count == 0 ? [] : [.. target.LostHeaders.Where(Context.Request.Headers.ContainsKey)];

    /// <summary>The request in the neutral form, decoded when it is first asked for.</summary>
    public GatewayError? Decode(out NeutralRequest? decoded)
    {
        if (neutral is null && undecodable is null)
        {
            undecodable = Target.Family.Dialect!.Decode(BodyEdits.DefaultsOf(this) is { Count: > 0 } edits ? edits.Apply(Body.Bytes) : Body.Bytes, Fields.Stream, out neutral);
            if (neutral is not null && Target.Family is not OpenAiFamily)
            {
                Entry.ForeignDefaults?.AddTo(neutral);
            }
        }
        decoded = neutral;
        return undecodable;
    }

    public void Dispose()
    {
        HttpError?.Dispose();
        Lease?.Dispose();
    }
}
