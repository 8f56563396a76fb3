using System.Collections.Immutable;
using System.Text;

namespace McpHub.OpenApi;

/// <summary>Takes the path of an operation apart.</summary>
internal static class PathTemplate
{
    /// <summary>Texts that are ready to be sent, and places of parameters, in turn.</summary>
    /// <exception cref="DocumentException">The path is none.</exception>
    public static ImmutableArray<PathPart> Parse(string path)
    {
        if (!path.StartsWith('/'))
        {
            throw new DocumentException("Its path does not begin with '/'.");
        }
        if (path.AsSpan().IndexOfAny('?', '#', '\\') >= 0)
        {
            throw new DocumentException("Its path holds '?', '#' or '\\'.");
        }
        var parts = ImmutableArray.CreateBuilder<PathPart>();
        for (var at = 0; at < path.Length;)
        {
            var open = path.IndexOf('{', at);
            var text = open < 0 ? path[at..] : path[at..open];
            if (text.Contains('}', StringComparison.Ordinal))
            {
                throw new DocumentException("Its path holds a '}' without a '{'.");
            }
            if (text.Length > 0)
            {
                parts.Add(new PathPart(Encode(text), IsParameter: false));
            }
            if (open < 0)
            {
                break;
            }
            var close = path.IndexOf('}', open);
            if (close < open + 2 || path.IndexOf('{', open + 1, close - open - 1) >= 0)
            {
                throw new DocumentException("Its path holds a '{' without a name and a '}'.");
            }
            parts.Add(new PathPart(path[(open + 1)..close], IsParameter: true));
            at = close + 1;
        }
        if (string.Concat(parts.Select(part => part.IsParameter ? "x" : part.Text)).Split('/').Any(IsDots))
        {
            throw new DocumentException("Its path holds '.' or '..'.");
        }
        return parts.ToImmutable();
    }

    /// <summary>Whether a segment of a path, encoded or not, leads elsewhere in it.</summary>
    public static bool IsDots(string segment) => segment.Length <= 6 && Uri.UnescapeDataString(segment) is "." or "..";

    // What stands in a path as it is stays; what is encoded already is not encoded twice.
    private static string Encode(string text)
    {
        var encoded = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.IsAscii && (char.IsAsciiLetterOrDigit((char)rune.Value) || "/-._~!$&'()*+,;=:@%".Contains((char)rune.Value, StringComparison.Ordinal)))
            {
                encoded.Append((char)rune.Value);
            }
            else
            {
                encoded.Append(Uri.EscapeDataString(rune.ToString()));
            }
        }
        return encoded.ToString();
    }
}
