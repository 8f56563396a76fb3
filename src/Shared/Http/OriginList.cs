using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Shared.Http;

/// <summary>Origins (RFC 6454) that are accepted, some of them standing for all hosts below a name: <c>https://*.example.com</c>.</summary>
internal sealed class OriginList
{
    private const string AnyHost = "*.";

    private readonly FrozenSet<string> exact;
    private readonly ImmutableArray<(string Start, string End)> below;

    public OriginList(IEnumerable<string> origins)
    {
        var all = origins.ToList();
        exact = all.Where(origin => !origin.Contains('*', StringComparison.Ordinal)).ToFrozenSet(StringComparer.OrdinalIgnoreCase);
        below = [.. all.Where(origin => origin.Contains('*', StringComparison.Ordinal)).Select(Split)];
    }

    /// <summary>What is wrong with an entry; null: nothing.</summary>
    public static string? ProblemOf(string origin)
    {
        if (origin is "*" or "null")
        {
            return $"'{origin}' would let any page in; list the origins, such as https://app.example.com or https://*.example.com";
        }
        var at = origin.IndexOf("://", StringComparison.Ordinal);
        var host = at > 0 ? origin[(at + 3)..] : "";
        var plain = host.StartsWith(AnyHost, StringComparison.Ordinal) ? host[AnyHost.Length..] : host;
        return plain.Length > 0 && !plain.AsSpan().ContainsAny("/?#@*, ") && Uri.TryCreate($"{origin[..at]}://{plain}/", UriKind.Absolute, out var uri) && uri.Host.Length > 0
            && !HasUsualPort(uri, plain)
            ? null
            : $"expected an origin as browsers send it, scheme and host and no usual port, such as https://app.example.com or http://localhost:3000, found '{origin}'";
    }

    public bool Hold(string origin)
    {
        if (exact.Contains(origin))
        {
            return true;
        }
        foreach (var (start, end) in below)
        {
            if (origin.Length > start.Length + end.Length && origin.StartsWith(start, StringComparison.OrdinalIgnoreCase) && origin.EndsWith(end, StringComparison.OrdinalIgnoreCase)
                && !origin.AsSpan(start.Length, origin.Length - start.Length - end.Length).ContainsAny("/:@"))
            {
                return true;
            }
        }
        return false;
    }

    // A browser leaves 80 and 443 out, so an entry that has them would never match.
    private static bool HasUsualPort(Uri uri, string host) => uri.Scheme is "http" or "https" && uri.IsDefaultPort && host.LastIndexOf(':') > host.LastIndexOf(']');

    private static (string Start, string End) Split(string origin)
    {
        var star = origin.IndexOf('*', StringComparison.Ordinal);
        return (origin[..star], origin[(star + 1)..]);
    }
}
