using LlmProxy.Relay;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Shared.Admission;
using Shared.Http;

namespace LlmProxy.ChatCompletions;

/// <summary>One call of a model on its way: what was asked, what it holds, and what went wrong so far.</summary>
internal sealed class ChatCall(HttpContext context, GatewayRequest request, PooledBody body, RouteEntry entry, TargetPlan first, in RoutedFields fields) : IDisposable
{
    /// <summary>A field, so that this large value is read in place.</summary>
    public readonly RoutedFields Fields = fields;

    public HttpContext Context { get; } = context;

    public GatewayRequest Request { get; } = request;

    public PooledBody Body { get; } = body;

    public RouteEntry Entry { get; } = entry;

    /// <summary>The entry's targets that have the endpoint, in their order.</summary>
    public TargetPlan[] Targets => Entry.TargetsFor(Target.Family);

    /// <summary>Cancelled when the client leaves.</summary>
    public CancellationToken Aborted { get; } = context.RequestAborted;

    public RequestLease Lease { get; set; } = null!;

    /// <summary>The target that is being tried.</summary>
    public TargetPlan Target { get; set; } = first;

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
