using System.Globalization;
using System.Net.Http.Headers;
using LlmProxy.ChatCompletions;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Shared.Admission;

namespace LlmProxy.Relay;

/// <summary>The headers of an answer: a closed list of the upstream's, and the gateway's own.</summary>
internal static class ResponseHeaders
{
    private static readonly string[] Kept = ["retry-after", "retry-after-ms", "x-should-retry", "x-amzn-errortype"];
    private static readonly StringValues[] SmallNumbers = [.. Enumerable.Range(0, 32).Select(number => new StringValues(number.ToString(CultureInfo.InvariantCulture)))];

    /// <summary>The name under which an upstream's header is passed on, or null: it is not.</summary>
    /// <param name="name">The upstream's name.</param>
    /// <param name="limitsAreOurs">Whether the rate limits shown are the gateway's; the provider's would contradict them.</param>
    public static string? NameFor(string name, bool limitsAreOurs)
    {
        if (name.StartsWith("openai-", StringComparison.OrdinalIgnoreCase))
        {
            // The account behind the gateway is nobody's business.
            return name.Equals("openai-organization", StringComparison.OrdinalIgnoreCase) || name.Equals("openai-project", StringComparison.OrdinalIgnoreCase) ? null : name;
        }
        if (name.StartsWith("x-ratelimit-", StringComparison.OrdinalIgnoreCase) || name.StartsWith("anthropic-ratelimit-", StringComparison.OrdinalIgnoreCase))
        {
            return limitsAreOurs ? null : name;
        }
        if (name.Equals("x-request-id", StringComparison.OrdinalIgnoreCase) || name.Equals("request-id", StringComparison.OrdinalIgnoreCase))
        {
            return "x-upstream-request-id";
        }
        if (name.StartsWith("x-amzn-", StringComparison.OrdinalIgnoreCase))
        {
            if (name.Equals("x-amzn-requestid", StringComparison.OrdinalIgnoreCase))
            {
                return "x-upstream-request-id";
            }
            if (name.StartsWith("x-amzn-bedrock-", StringComparison.OrdinalIgnoreCase))
            {
                return name;
            }
        }
        foreach (var kept in Kept)
        {
            if (name.Equals(kept, StringComparison.OrdinalIgnoreCase))
            {
                return kept;
            }
        }
        return null;
    }

    /// <summary>Whether a header's value can be sent at all: neither HTTP client nor server takes other characters, and nobody's odd header may fail a call.</summary>
    public static bool IsPlain(string? value) => value is not null && !value.AsSpan().ContainsAnyExceptInRange(' ', '~');

    /// <summary>Passes the upstream's headers on.</summary>
    public static void Relay(ChatCall call, HttpResponseHeaders upstream)
    {
        var limitsAreOurs = call.Lease.RequestRate is not null || call.Lease.TokenRate is not null;
        var headers = call.Context.Response.Headers;
        foreach (var header in upstream.NonValidated)
        {
            if (NameFor(header.Key, limitsAreOurs) is { } name && header.Value.ToString() is var value && IsPlain(value))
            {
                headers[name] = value;
            }
        }
    }

    /// <summary>Names what served the request.</summary>
    public static void Describe(ChatCall call, UpstreamAnswer answer)
    {
        var headers = call.Context.Response.Headers;
        headers["x-gateway-provider"] = answer.Target.ProviderHeader;
        headers["x-gateway-model"] = answer.Target.ModelHeader;
        if (answer.OutputLimit is { } limit && limit != call.Fields.OutputLimit)
        {
            headers["x-gateway-output-limit"] = limit.ToString(CultureInfo.InvariantCulture);
        }
        var lost = call.LostHeaders(answer.Target);
        if (call.Dropped is { IsEmpty: false } dropped)
        {
            headers["x-gateway-dropped"] = string.Join(", ", dropped.Names.Select(name => IsPlain(name) ? name : "?").Concat(lost));
        }
        else if (lost.Count > 0)
        {
            headers["x-gateway-dropped"] = string.Join(", ", lost);
        }
    }

    /// <summary>How often upstreams were asked, and where the caller's rate limits stand.</summary>
    public static void Describe(ChatCall call)
    {
        var headers = call.Context.Response.Headers;
        headers["x-gateway-attempts"] = call.Attempts < SmallNumbers.Length ? SmallNumbers[call.Attempts] : call.Attempts.ToString(CultureInfo.InvariantCulture);
        if (call.Target.Family.Dialect?.RequestIdHeader is { } requestId)
        {
            headers[requestId] = call.Request.RequestId;
        }
        Describe(headers, call.Lease);
    }

    /// <summary>Where the caller's rate limits stand.</summary>
    public static void Describe(IHeaderDictionary headers, RequestLease lease)
    {
        if (lease.RequestRate is { } requests)
        {
            Add(headers, requests, "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests");
        }
        if (lease.TokenRate is { } tokens)
        {
            Add(headers, tokens, "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens");
        }
    }

    /// <summary>A duration as OpenAI's headers have it: <c>2ms</c>, <c>1.5s</c>, <c>1m30s</c>, <c>2h0m0s</c>.</summary>
    public static string Duration(TimeSpan span)
    {
        if (span < TimeSpan.FromSeconds(1))
        {
            return string.Create(CultureInfo.InvariantCulture, $"{Math.Max(0, (long)Math.Ceiling(span.TotalMilliseconds))}ms");
        }
        var milliseconds = (long)Math.Ceiling(span.TotalMilliseconds);
        var (minutes, rest) = Math.DivRem(milliseconds, 60_000);
        var (hours, minutesOfHour) = Math.DivRem(minutes, 60);
        var (seconds, fraction) = Math.DivRem(rest, 1000);
        Span<char> text = stackalloc char[48];
        var length = 0;
        if (hours > 0)
        {
            text.TryWrite(CultureInfo.InvariantCulture, $"{hours}h", out length);
        }
        if (minutes > 0)
        {
            text[length..].TryWrite(CultureInfo.InvariantCulture, $"{minutesOfHour}m", out var written);
            length += written;
        }
        var tail = text[length..];
        _ = fraction == 0 ? tail.TryWrite(CultureInfo.InvariantCulture, $"{seconds}s", out var end)
            : tail.TryWrite(CultureInfo.InvariantCulture, $"{seconds}.{fraction:D3}", out end);
        if (fraction != 0)
        {
            end = tail[..end].TrimEnd('0').Length;
            tail[end++] = 's';
        }
        return text[..(length + end)].ToString();
    }

    private static void Add(IHeaderDictionary headers, in RateStatus status, string limit, string remaining, string reset)
    {
        headers[limit] = status.Limit.ToString(CultureInfo.InvariantCulture);
        headers[remaining] = status.Remaining.ToString(CultureInfo.InvariantCulture);
        headers[reset] = Duration(status.Reset);
    }
}
