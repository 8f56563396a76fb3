namespace McpHub.Upstreams.SignIn;

/// <summary>What a server says it wants, in <c>WWW-Authenticate</c> of a 401 or 403 (RFC 6750 section 3, RFC 9728 section 5.1).</summary>
/// <param name="ResourceMetadata">Where its metadata are, or null.</param>
/// <param name="Scopes">The scopes that it wants; empty: it does not say.</param>
/// <param name="Error">The error code, or null.</param>
internal sealed record Challenge(Uri? ResourceMetadata, IReadOnlyList<string> Scopes, string? Error)
{
    private const int MaxLength = 8 * 1024;

    /// <summary>One that says nothing.</summary>
    public static Challenge None { get; } = new(null, [], null);

    /// <summary>Reads the headers; the parameters of the first Bearer challenge count. What cannot be read says nothing.</summary>
    public static Challenge Of(HttpResponseMessage response)
    {
        if (!response.Headers.NonValidated.TryGetValues("WWW-Authenticate", out var values))
        {
            return None;
        }
        foreach (var value in values)
        {
            if (value.Length <= MaxLength && Parse(value) is { } challenge)
            {
                return challenge;
            }
        }
        return None;
    }

    /// <summary>The Bearer challenge in a header's value; null: there is none.</summary>
    internal static Challenge? Parse(string text)
    {
        string? metadata = null, scope = null, error = null;
        var isBearer = false;
        var at = 0;
        while (at < text.Length)
        {
            SkipSeparators(text, ref at);
            var name = Token(text, ref at);
            if (name.Length == 0)
            {
                break;
            }
            var afterName = at;
            SkipSpaces(text, ref afterName);
            if (afterName >= text.Length || text[afterName] != '=' || (afterName > at && IsScheme(name)))
            {
                // A scheme: those after the first Bearer belong to somebody else.
                if (isBearer)
                {
                    break;
                }
                isBearer = name.Equals("Bearer", StringComparison.OrdinalIgnoreCase);
                continue;
            }
            at = afterName + 1;
            SkipSpaces(text, ref at);
            var value = at < text.Length && text[at] == '"' ? Quoted(text, ref at) : Token(text, ref at);
            while (at < text.Length && text[at] == '=')
            {
                at++;
            }
            if (isBearer)
            {
                (metadata, scope, error) = name.ToLowerInvariant() switch
                {
                    "resource_metadata" => (metadata ?? value, scope, error),
                    "scope" => (metadata, scope ?? value, error),
                    "error" => (metadata, scope, error ?? value),
                    _ => (metadata, scope, error),
                };
            }
        }
        return !isBearer ? null : new Challenge(
            Uri.TryCreate(metadata, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" ? uri : null,
            scope?.Split(' ', StringSplitOptions.RemoveEmptyEntries) ?? [],
            error);
    }

    private static bool IsScheme(string name) => name.Equals("Bearer", StringComparison.OrdinalIgnoreCase) || name.Equals("Basic", StringComparison.OrdinalIgnoreCase) || name.Equals("DPoP", StringComparison.OrdinalIgnoreCase);

    private static void SkipSeparators(string text, ref int at)
    {
        while (at < text.Length && text[at] is ' ' or '\t' or ',')
        {
            at++;
        }
    }

    private static void SkipSpaces(string text, ref int at)
    {
        while (at < text.Length && text[at] is ' ' or '\t')
        {
            at++;
        }
    }

    private static string Token(string text, ref int at)
    {
        var start = at;
        while (at < text.Length && text[at] is not (' ' or '\t' or ',' or '=' or '"'))
        {
            at++;
        }
        if (at == start && at < text.Length)
        {
            at++;
            return "";
        }
        return text[start..at];
    }

    private static string Quoted(string text, ref int at)
    {
        var value = new System.Text.StringBuilder();
        for (at++; at < text.Length && text[at] != '"'; at++)
        {
            if (text[at] == '\\' && at + 1 < text.Length)
            {
                at++;
            }
            value.Append(text[at]);
        }
        at++;
        return value.ToString();
    }
}
