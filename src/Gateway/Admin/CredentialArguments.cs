using System.Text.RegularExpressions;

namespace Gateway.Admin;

/// <summary>Tells which arguments of a tool server's command look like credentials. To take one too many for one does no harm: it is kept encrypted all the same.</summary>
internal static partial class CredentialArguments
{
    /// <summary>Whether an argument is the value of a flag such as <c>--token</c>, is such a flag with its value, or looks like a credential by itself.</summary>
    public static bool IsOne(string? before, string argument) =>
        (before is not null && NamesCredential(before) && !argument.StartsWith('-')) || FlagWithValue().IsMatch(argument) || Known().IsMatch(argument) || IsRandom(argument);

    private static bool NamesCredential(string flag) => flag == "-H" || Flag().IsMatch(flag);

    // A long word of letters of both cases and digits is no path, no package and no flag.
    private static bool IsRandom(string argument) => argument.Length >= 20 && argument.Any(char.IsAsciiDigit) && argument.Any(char.IsAsciiLetterLower) && argument.Any(char.IsAsciiLetterUpper)
        && argument.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '+' or '=');

    private const string Words = "token|key|secret|passw|pwd|auth|credential|bearer|cookie|header|connection|dsn";

    [GeneratedRegex($"^--?[a-z0-9_.-]*({Words})[a-z0-9_.-]*$", RegexOptions.IgnoreCase)]
    private static partial Regex Flag();

    [GeneratedRegex($"^-{{0,2}}[a-z0-9_.-]*({Words})[a-z0-9_.-]*[=:].", RegexOptions.IgnoreCase | RegexOptions.Singleline)]
    private static partial Regex FlagWithValue();

    [GeneratedRegex("""(^|[\s=:"'])(sk-|[srp]k_(live|test)_|gh[a-z]_|github_pat_|glpat-|xox[a-z]-|npm_|hf_|pypi-|AKIA|ASIA|AIza|eyJ)[A-Za-z0-9]|^(Bearer|Basic) |://[^/\s@]+@|[?&](api_?key|key|token|access_token|sig|signature|secret|password)=|-----BEGIN """, RegexOptions.IgnoreCase)]
    private static partial Regex Known();
}
