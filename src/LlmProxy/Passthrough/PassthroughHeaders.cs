using System.Diagnostics;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Shared.Http;
using Shared.VirtualKeys;

namespace LlmProxy.Passthrough;

/// <summary>The headers of relayed requests and answers.</summary>
internal static class PassthroughHeaders
{
    private const string UploadStart = "x-goog-upload-";

    // Credentials, accounts, what concerns one connection alone, and what the gateway says itself. All else goes up: new headers of vendors work the day they ship.
    private static readonly HashSet<string> Withheld = new(StringComparer.OrdinalIgnoreCase)
    {
        "authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "cookie2", "proxy-authorization", "proxy-authenticate", "proxy-connection", "www-authenticate", "openai-organization",
        "openai-project", "x-goog-user-project", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect",
        "content-length", "http2-settings", "via", "forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip", "origin", "referer", "accept-encoding", "user-agent", "traceparent", "tracestate",
        "baggage", "x-request-id",
    };

    private static readonly string[] WithheldStarts = ["x-forwarded-", "sec-", "access-control-", "x-gateway-", ":"];

    private static readonly HashSet<string> Returned = new(StringComparer.OrdinalIgnoreCase)
    {
        "content-type", "content-disposition", "content-encoding", "content-language", "content-range", "accept-ranges", "etag", "last-modified", "cache-control", "expires", "link",
    };

    /// <summary>Adds the client's headers to a request, and the target's in place of them.</summary>
    public static void Add(HttpRequestMessage request, TargetPlan target, HttpContext context, GatewayRequest gateway, Activity? activity)
    {
        foreach (var (name, value) in target.Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        var hop = context.Request.Headers.Connection.ToString().Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        foreach (var (name, values) in context.Request.Headers)
        {
            if (IsWithheld(name) || hop.Contains(name, StringComparer.OrdinalIgnoreCase) || request.Headers.NonValidated.Contains(name))
            {
                continue;
            }
            var value = values.ToString();
            if (!ResponseHeaders.IsPlain(value) || KeyToken.Occurs(value))
            {
                continue;
            }
            if (!request.Headers.TryAddWithoutValidation(name, value))
            {
                request.Content?.Headers.TryAddWithoutValidation(name, value);
            }
        }
        request.Headers.TryAddWithoutValidation("traceparent", activity?.Id ?? gateway.TraceParent);
        if ((activity?.TraceStateString ?? gateway.TraceState) is { Length: > 0 } state && ResponseHeaders.IsPlain(state))
        {
            request.Headers.TryAddWithoutValidation("tracestate", state);
        }
    }

    /// <summary>Puts an answer's headers on the response.</summary>
    /// <param name="context">The client's request.</param>
    /// <param name="answer">The provider's answer.</param>
    /// <param name="limitsAreOurs">Whether the rate limits shown are the gateway's.</param>
    /// <param name="providerRoot">The provider's address, which is not shown: addresses below it become ours, others are left out.</param>
    /// <param name="ownRoot">Our address in place of it.</param>
    public static void Return(HttpContext context, HttpResponseMessage answer, bool limitsAreOurs, string providerRoot, string ownRoot)
    {
        var headers = context.Response.Headers;
        foreach (var (name, values) in answer.Headers.NonValidated.Concat(answer.Content.Headers.NonValidated))
        {
            var value = values.ToString();
            if (!ResponseHeaders.IsPlain(value))
            {
                continue;
            }
            if (name.Equals("location", StringComparison.OrdinalIgnoreCase) || (name.StartsWith(UploadStart, StringComparison.OrdinalIgnoreCase) && name.EndsWith("url", StringComparison.OrdinalIgnoreCase)))
            {
                if (value.StartsWith(providerRoot + "/", StringComparison.OrdinalIgnoreCase))
                {
                    headers[name] = ownRoot + value[providerRoot.Length..];
                }
            }
            else if (Returned.Contains(name) || name.StartsWith(UploadStart, StringComparison.OrdinalIgnoreCase))
            {
                headers[name] = value;
            }
            else if (ResponseHeaders.NameFor(name, limitsAreOurs) is { } kept)
            {
                headers[kept] = value;
            }
        }
    }

    private static bool IsWithheld(string name) => Withheld.Contains(name) || WithheldStarts.Any(start => name.StartsWith(start, StringComparison.OrdinalIgnoreCase));
}
