using System.Globalization;
using System.Text;

namespace Gateway.SignIn;

/// <summary>A program that asks people for access in their name.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">What it calls itself.</param>
/// <param name="Redirects">Where people may be sent back to it.</param>
/// <param name="Host">The host that vouches for it by its metadata document; null: it registered itself, and nobody vouches.</param>
internal sealed record OAuthClient(string Id, string Name, IReadOnlyList<string> Redirects, string? Host)
{
    public const int MaxRedirects = 10;

    private const int LongestAddress = 512;
    private const int LongestName = 80;

    // A browser would run or show them itself.
    private static readonly HashSet<string> Forbidden = new(StringComparer.OrdinalIgnoreCase)
    {
        "javascript", "data", "vbscript", "file", "about", "blob", "filesystem", "view-source", "ws", "wss", "ftp", "chrome", "mailto", "tel",
    };

    /// <summary>Whether people may be sent back to an address: one of those, written exactly so, but for the port where it is this person's own machine (RFC 8252, section 7.3).</summary>
    public bool HasRedirect(string address) => Redirects.Contains(address, StringComparer.Ordinal)
        || (IsLoopback(address, out var asked) && Redirects.Any(known => IsLoopback(known, out var own) && SameButPort(own, asked)));

    /// <summary>What is wrong with an address to be sent back to; null: nothing.</summary>
    public static string? ProblemOf(string? address)
    {
        if (address is null || address.Length > LongestAddress || !Uri.TryCreate(address, UriKind.Absolute, out var uri) || address.Any(c => c is <= ' ' or > '~' or '\\'))
        {
            return $"expected an absolute address of at most {LongestAddress} characters";
        }
        if (uri.Fragment.Length > 0 || address.Contains('#', StringComparison.Ordinal) || uri.UserInfo.Length > 0)
        {
            return "it must hold neither a fragment nor credentials";
        }
        if (Forbidden.Contains(uri.Scheme))
        {
            return $"'{uri.Scheme}:' cannot be sent back to";
        }
        return uri.Scheme == Uri.UriSchemeHttp && !uri.IsLoopback ? "http:// is taken on this person's own machine only (127.0.0.1, [::1], localhost); use https://" : null;
    }

    /// <summary>A name fit to be shown: no characters that hide or turn others around, and not too long.</summary>
    public static string Shown(string? name, string otherwise)
    {
        var text = new StringBuilder();
        foreach (var rune in (name ?? "").EnumerateRunes())
        {
            if (text.Length < LongestName && Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned))
            {
                text.Append(rune);
            }
        }
        return text.ToString().Trim() is { Length: > 0 } shown ? shown : otherwise;
    }

    private static bool IsLoopback(string address, out Uri uri) =>
        Uri.TryCreate(address, UriKind.Absolute, out uri!) && uri.Scheme == Uri.UriSchemeHttp && uri.IsLoopback;

    private static bool SameButPort(Uri left, Uri right) => left.Host == right.Host && left.PathAndQuery == right.PathAndQuery;
}
