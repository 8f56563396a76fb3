using System.Diagnostics;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Media;

/// <summary>The headers of a request to a provider: its credential, what is configured, the trace, and a closed list of the client's own.</summary>
internal static class UpstreamHeaders
{
    // Credentials and account names never go up.
    private static readonly string[] Forwarded = ["idempotency-key", "openai-beta"];

    public static void Add(HttpRequestMessage request, TargetPlan target, HttpContext context, GatewayRequest gateway, Activity? attempt)
    {
        foreach (var (name, value) in target.Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        foreach (var name in Forwarded)
        {
            if (context.Request.Headers.TryGetValue(name, out var values) && ResponseHeaders.IsPlain(values) && !request.Headers.NonValidated.Contains(name))
            {
                request.Headers.TryAddWithoutValidation(name, (string?)values);
            }
        }
        var activity = attempt ?? Activity.Current;
        request.Headers.TryAddWithoutValidation("traceparent", activity?.Id ?? gateway.TraceParent);
        if ((activity?.TraceStateString ?? gateway.TraceState) is { Length: > 0 } state && ResponseHeaders.IsPlain(state))
        {
            request.Headers.TryAddWithoutValidation("tracestate", state);
        }
    }
}
