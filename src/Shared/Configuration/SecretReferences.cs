using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Shared.Configuration;

/// <summary>
/// Resolves <c>${env:NAME}</c>, <c>${file:/path}</c> and <c>${secret:name}</c> wherever they stand in a text; <c>$${</c> stands for a literal
/// <c>${</c>. A message names the variable, the file or the secret, never a value.
/// </summary>
internal sealed class SecretReferences(Func<string, string?> environment, Func<string, string?> readFile, Func<string, string?> readSecret)
{
    private const string Opening = "${";

    /// <summary>For documents in which nothing may refer to the process's own secrets, such as request bodies.</summary>
    public static SecretReferences None { get; } = new(_ => null, _ => null, _ => null) { allowed = [] };

    private string[] allowed = ["env", "file", "secret"];

    private Func<string, bool> mayRefer = static _ => true;

    /// <summary>Whether a reference that cannot be resolved counts as empty, as in the manifest of a server that is switched off.</summary>
    public bool Lenient { get; init; }

    /// <summary>The same references, but lenient.</summary>
    public SecretReferences AsLenient() => new(environment, readFile, readSecret) { Lenient = true, allowed = allowed, mayRefer = mayRefer };

    /// <summary>The same references as far as the admin API may use them: those of the encrypted store, and nothing of the process or its files.</summary>
    public SecretReferences ForAdminApi() => new(environment, readFile, readSecret) { Lenient = Lenient, allowed = ["secret"] };

    /// <summary>The same references, but to these secrets of the encrypted store only.</summary>
    public SecretReferences Only(Func<string, bool> secrets) => new(environment, readFile, readSecret) { Lenient = Lenient, allowed = allowed, mayRefer = secrets };

    /// <summary>The same references as far as they may stand where the value is shown: variables, and nothing that is a secret by its nature.</summary>
    public SecretReferences OnlyVariables() => new(environment, readFile, readSecret) { Lenient = Lenient, allowed = [.. allowed.Intersect(["env"])] };

    /// <summary>Whether a text holds a reference.</summary>
    public static bool Occur(string text) =>
        text.Contains("${env:", StringComparison.Ordinal) || text.Contains("${file:", StringComparison.Ordinal) || text.Contains("${secret:", StringComparison.Ordinal);

    /// <summary>Replaces all references.</summary>
    public bool TryResolve(string text, [NotNullWhen(true)] out Secret? secret, [NotNullWhen(false)] out string? error)
    {
        secret = null;
        error = null;
        var referred = false;
        var result = new StringBuilder(text.Length);
        var rest = text.AsSpan();
        for (var at = rest.IndexOf(Opening); at >= 0; at = rest.IndexOf(Opening))
        {
            if (at > 0 && rest[at - 1] == '$')
            {
                result.Append(rest[..(at - 1)]).Append(Opening);
                rest = rest[(at + Opening.Length)..];
                continue;
            }
            var end = rest[at..].IndexOf('}');
            if (end < 0)
            {
                error = "a reference begins with '${' and is not closed with '}'; a literal '${' is written '$${'";
                return false;
            }
            if (!TryRead(rest.Slice(at + Opening.Length, end - Opening.Length).ToString(), out var value, out error))
            {
                return false;
            }
            referred = true;
            result.Append(rest[..at]).Append(value);
            rest = rest[(at + end + 1)..];
        }
        secret = referred ? new Secret(result.Append(rest).ToString(), text) : new Secret(result.Append(rest).ToString());
        return true;
    }

    private bool TryRead(string reference, [NotNullWhen(true)] out string? value, [NotNullWhen(false)] out string? error)
    {
        value = null;
        error = null;
        var colon = reference.IndexOf(':', StringComparison.Ordinal);
        var (scheme, name) = colon < 0 ? ("", "") : (reference[..colon], reference[(colon + 1)..]);
        if (scheme is not ("env" or "file" or "secret") || name.Length == 0)
        {
            error = "a reference is ${env:NAME}, ${file:/path} or ${secret:name}; a literal '${' is written '$${'";
        }
        else if (!allowed.Contains(scheme))
        {
            error = allowed switch
            {
                [] => "references are not allowed here",
                ["env"] => "only ${env:NAME} may be used here; what is secret belongs into a header, an argument or a variable",
                _ => "only ${secret:name} may be used here; variables and files of the process are for its own files",
            };
        }
        else if (scheme == "secret" && !mayRefer(name))
        {
            error = $"the secret '{name}' belongs to something else, which alone may use it; set one under a name of your own";
        }
        else
        {
            value = scheme switch
            {
                "env" => environment(name),
                "file" => readFile(name)?.TrimEnd('\r', '\n'),
                _ => readSecret(name),
            };
            if (string.IsNullOrEmpty(value) && Lenient)
            {
                value = "";
            }
            else if (string.IsNullOrEmpty(value))
            {
                error = scheme switch
                {
                    "env" => $"the environment variable {name} is not set",
                    "file" => $"the file {name} cannot be read or is empty",
                    _ => $"there is no secret '{name}' in the encrypted store, or its key is not the one that it was sealed with",
                };
            }
        }
        return error is null && value is not null;
    }
}
