using System.Diagnostics.CodeAnalysis;

namespace Gateway.Bridging;

/// <summary>Where a gateway's tools are, from what people write for it.</summary>
internal static class McpAddress
{
    private const string Path = "/mcp";

    /// <summary>Reads an address; <c>/mcp</c> is added where it is missing.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out Uri? address, [NotNullWhen(false)] out string? problem)
    {
        address = null;
        if (!Uri.TryCreate(text.Trim(), UriKind.Absolute, out var given) || given.Scheme is not ("http" or "https") || given.Host.Length == 0)
        {
            problem = $"'{text}' is not the address of a gateway; give one like {Hosting.ListenAddresses.Default}.";
            return false;
        }
        if (given.UserInfo.Length > 0 || given.Query.Length > 0 || given.Fragment.Length > 0)
        {
            problem = "The address of a gateway has no user, query or fragment; the key belongs elsewhere.";
            return false;
        }
        var path = given.AbsolutePath.TrimEnd('/');
        address = new UriBuilder(given) { Path = path.EndsWith(Path, StringComparison.Ordinal) ? path : path + Path }.Uri;
        problem = null;
        return true;
    }

    /// <summary>The gateway itself: the address without <c>/mcp</c> and without a slash at its end.</summary>
    public static string BaseOf(Uri address) => address.AbsoluteUri[..^Path.Length];
}
