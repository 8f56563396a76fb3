using LlmProxy.Relay;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Shared.Admission;
using Shared.Http;

namespace LlmProxy.Media;

/// <summary>One call on its way: what was asked, what it holds, and what went wrong so far.</summary>
internal sealed class MediaCall(HttpContext context, GatewayRequest request, MediaEndpoint endpoint, RouteEntry entry, MediaTarget[] targets, MediaFields fields) : IDisposable
{
    public HttpContext Context { get; } = context;

    public GatewayRequest Request { get; } = request;

    public MediaEndpoint Endpoint { get; } = endpoint;

    /// <summary>The body that is held; null: it is <see cref="Form"/>.</summary>
    public PooledBody? Body { get; init; }

    /// <summary>The form that goes up while it comes in; null: the body is held.</summary>
    public FormBody? Form { get; init; }

    /// <summary>Whether the request can be sent again from its beginning.</summary>
    public bool IsRepeatable => Form is null or { IsRepeatable: true, Refusal: null };

    public RouteEntry Entry { get; } = entry;

    public MediaTarget[] Targets { get; } = targets;

    public MediaFields Fields { get; } = fields;

    /// <summary>Cancelled when the client leaves.</summary>
    public CancellationToken Aborted { get; } = context.RequestAborted;

    public RequestLease Lease { get; set; } = null!;

    /// <summary>The target that is being tried.</summary>
    public TargetPlan Target { get; set; } = targets[0].Plan;

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

    public void Dispose()
    {
        HttpError?.Dispose();
        Lease?.Dispose();
    }
}
