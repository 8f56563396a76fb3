using System.Text.RegularExpressions;

namespace Gateway.Commands.Manifests;

/// <summary>Tells from a name and a text whether the text is probably a credential.</summary>
internal static partial class SecretShapes
{
    /// <summary>Whether a text looks like a credential, whatever it is called.</summary>
    public static bool LooksLikeToken(string text) =>
        KnownPrefixes().IsMatch(text) || UserInfo().IsMatch(text) || LooksRandom(text);

    /// <summary>Whether a name is one under which credentials are given, and the text could be one.</summary>
    public static bool IsNamedSecret(string name, string text) =>
        SecretNames().IsMatch(name) && !PlaceNames().IsMatch(name) && text.Length >= 4 && !PlainValues().IsMatch(text) && !IsPlace(text);

    /// <summary>Whether a text only stands for what is to be filled in.</summary>
    public static bool IsPlaceholder(string text) => Placeholders().IsMatch(text.Trim());

    /// <summary>The part of a header or argument that comes before its credential: <c>Bearer </c>, or nothing.</summary>
    public static string SchemeOf(string text) => Schemes().Match(text).Value;

    private static bool IsPlace(string text) => (text.StartsWith('/') || text.Contains("://", StringComparison.Ordinal)) && !UserInfo().IsMatch(text);

    // A long run of mixed characters that is neither an address, a path, a name of a package nor words.
    private static bool LooksRandom(string text)
    {
        if (text.Length is < 24 or > 4096 || !TokenCharacters().IsMatch(text) || Guids().IsMatch(text))
        {
            return false;
        }
        var kinds = (text.Any(char.IsAsciiDigit) ? 1 : 0) + (text.Any(char.IsAsciiLetterUpper) ? 1 : 0) + (text.Any(char.IsAsciiLetterLower) ? 1 : 0);
        var hex = text.All(char.IsAsciiHexDigit) && text.Length >= 32;
        var entropy = text.GroupBy(c => c).Select(group => (double)group.Count() / text.Length).Sum(share => -share * Math.Log2(share));
        return hex ? entropy > 2.5 : kinds == 3 && entropy > 3.5;
    }

    [GeneratedRegex(@"^(sk-|sk_|pk_live|rk_live|ghp_|gho_|ghu_|ghs_|ghr_|github_pat_|glpat-|xox[abeprs]-|xapp-|AKIA|ASIA|AIza|ya29\.|eyJ[A-Za-z0-9_-]{8,}\.|hf_|npm_|pypi-|dop_v1_|shpat_|SG\.|ntn_|lin_api_|tvly-|figd_|ATATT|gsk_|r8_|whsec_|ak-gw-|-----BEGIN )[^\s]{6,}")]
    private static partial Regex KnownPrefixes();

    [GeneratedRegex(@"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/@\s:]+:[^/@\s]+@")]
    private static partial Regex UserInfo();

    [GeneratedRegex(@"(token|secret|passw|passphrase|pwd|api[-_]?key|access[-_]?key|private[-_]?key|credential|cookie|connection[-_]?string|(^|[-_])(auth|authorization|bearer|pat|key|dsn)$)", RegexOptions.IgnoreCase)]
    private static partial Regex SecretNames();

    [GeneratedRegex("(file|path|dir|folder|name|limit|count|type|mode)$", RegexOptions.IgnoreCase)]
    private static partial Regex PlaceNames();

    [GeneratedRegex("^(true|false|none|null|yes|no|[0-9.]{1,7})$", RegexOptions.IgnoreCase)]
    private static partial Regex PlainValues();

    [GeneratedRegex(@"^((Bearer|Basic|Token|token|ApiKey) +)?(<[^<>]*>|\[[^\[\]]*\]|\{[^{}$]*\}|(your|my|insert|replace|enter|put)[-_ ].*|changeme|x{3,}|\*{3,}|\.{3,}|…|.*(YOUR|your)[-_](API|TOKEN|KEY|SECRET|api|token|key|secret).*)$", RegexOptions.IgnoreCase)]
    private static partial Regex Placeholders();

    [GeneratedRegex("^(Bearer|Basic|Token|ApiKey|Api-Key) +", RegexOptions.IgnoreCase)]
    private static partial Regex Schemes();

    [GeneratedRegex(@"^[A-Za-z0-9_+=.~-]+$")]
    private static partial Regex TokenCharacters();

    [GeneratedRegex("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
    private static partial Regex Guids();
}
