using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace Shared.SignIn;

/// <summary>The gateway's endpoints as resources of OAuth (RFC 8707, RFC 9728).</summary>
internal static class Resources
{
    private static readonly string[] Planes = ["/mcp", "/v1"];

    /// <summary>The gateway's address without a slash at its end; null: it is not known, as the request was sent to a name that may be anybody's.</summary>
    public static string? BaseOf(HttpContext context, SignInSettings settings) =>
        settings.PublicUrl ?? (GatewayRequest.Of(context).Perimeter is { } perimeter && perimeter.IsOwnAddress(context) ? $"{context.Request.Scheme}://{context.Request.Host.ToUriComponent()}" : null);

    /// <summary>The resource that a path belongs to, as a path: <c>/mcp</c>, <c>/mcp/&lt;server&gt;</c>, <c>/mcp/t/&lt;toolset&gt;</c>, <c>/v1</c>, or "" for any other.</summary>
    public static string PathOf(string path)
    {
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        return parts switch
        {
            [var first, "t", var toolset, ..] when Is(first, "mcp") => $"/mcp/t/{Uri.EscapeDataString(toolset)}",
            [var first, var server, ..] when Is(first, "mcp") => $"/mcp/{Uri.EscapeDataString(server)}",
            [var first] when Is(first, "mcp") => "/mcp",
            [var first, ..] when Is(first, "v1") => "/v1",
            _ => "",
        };
    }

    /// <summary>The path of a resource of the gateway; null: it is none.</summary>
    /// <param name="address">The gateway's address.</param>
    /// <param name="resource">The resource's address as a client named it.</param>
    public static string? PathOf(string address, string resource)
    {
        if (!Uri.TryCreate(resource, UriKind.Absolute, out var uri) || uri.Query.Length > 0 || uri.Fragment.Length > 0 || uri.UserInfo.Length > 0
            || !uri.GetLeftPart(UriPartial.Authority).Equals(new Uri(address).GetLeftPart(UriPartial.Authority), StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }
        var path = uri.AbsolutePath.TrimEnd('/');
        return path.Length == 0 || PathOf(Uri.UnescapeDataString(path)) == path ? path : null;
    }

    /// <summary>Whether a token may be used at a resource.</summary>
    /// <param name="audiences">For whom the token is.</param>
    /// <param name="taken">What the issuer's tokens may be for; empty: the gateway's own addresses.</param>
    /// <param name="address">The gateway's address; null: it is not known.</param>
    /// <param name="path">The resource's path.</param>
    public static bool IsFor(IEnumerable<string> audiences, IReadOnlyCollection<string> taken, string? address, string path)
    {
        foreach (var audience in audiences.Select(audience => audience.TrimEnd('/')))
        {
            var covered = taken.Count > 0 ? (taken.Contains(audience, StringComparer.Ordinal) ? PlaneOf(audience) : null) : address is null ? null : PathOf(address, audience);
            if (covered is not null && Covers(covered, path))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Whether a resource is another one or lies below it.</summary>
    public static bool Covers(string outer, string path) => path.StartsWith(outer, StringComparison.Ordinal) && (path.Length == outer.Length || outer.Length == 0 || path[outer.Length] == '/');

    // Of an audience that is an address of an endpoint, the path tells which one, whatever name of the gateway's it holds.
    private static string PlaneOf(string audience)
    {
        if (!Uri.TryCreate(audience, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
        {
            return "";
        }
        var path = uri.AbsolutePath.TrimEnd('/');
        return Planes.Any(plane => Covers(plane, path)) ? path : "";
    }

    private static bool Is(string segment, string name) => segment.Equals(name, StringComparison.OrdinalIgnoreCase);
}
