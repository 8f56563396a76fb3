using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Shared.VirtualKeys;

namespace LlmProxy.Passthrough;

/// <summary>Where a request below a root goes.</summary>
internal static partial class PassthroughAddress
{
    private static readonly string[] KeyParameters = ["key", "api_key", "api-key", "access_token"];

    /// <summary>A provider's address without the version at its end, below which vendors' SDKs put the version themselves.</summary>
    public static string RootOf(Uri baseAddress)
    {
        var text = baseAddress.AbsoluteUri.TrimEnd('/');
        var slash = text.LastIndexOf('/');
        return Version().IsMatch(text[(slash + 1)..]) ? text[..slash] : text;
    }

    /// <summary>
    /// The address, or null: the path is one that routing and the provider might read differently (an encoded slash, an empty segment), so that it could lead past the gateway's own endpoints.
    /// </summary>
    /// <param name="baseAddress">The provider's address.</param>
    /// <param name="path">What follows the root, decoded as routing saw it, without a slash before it.</param>
    /// <param name="query">The query with its question mark, or "".</param>
    public static Uri? Of(Uri baseAddress, string path, string query)
    {
        if (path.AsSpan().ContainsAny('%', '\\') || path.Contains("//", StringComparison.Ordinal) || path.StartsWith('/') || path.Any(char.IsControl) || path.Split('/').Any(segment => segment is "." or ".."))
        {
            return null;
        }
        var text = baseAddress.AbsoluteUri.TrimEnd('/');
        var root = RootOf(baseAddress);
        // With a version in the path, or where other things than the version stand before it (Google's /upload), the path says it all.
        var first = path.Split('/', 2)[0];
        var start = Version().IsMatch(first) || first == "upload" ? root : text;
        return new Uri(start + new PathString("/" + path).ToUriComponent() + Without(query));
    }

    /// <summary>The query without what could hold the client's credential.</summary>
    private static string Without(string query)
    {
        if (query.Length < 2)
        {
            return "";
        }
        var kept = query[1..].Split('&').Where(pair => !KeyParameters.Contains(pair.Split('=', 2)[0], StringComparer.OrdinalIgnoreCase) && !KeyToken.Occurs(Uri.UnescapeDataString(pair)));
        var text = string.Join('&', kept);
        return text.Length == 0 ? "" : "?" + text;
    }

    [GeneratedRegex("^v[0-9]{1,3}([a-z]{1,8}[0-9]{0,3})?\\z")]
    private static partial Regex Version();
}
