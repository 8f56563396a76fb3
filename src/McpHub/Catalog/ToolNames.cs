using System.Security.Cryptography;
using System.Text;

namespace McpHub.Catalog;

/// <summary>
/// The names that clients see: <c>prefix__tool</c> in the characters and the length that every client and model API takes. A name depends on nothing but
/// its own tool and manifest, so no tool that comes later can take or change it: one that had to be altered, or that another prefix and tool could
/// spell as well, carries a hash of the tool's full id.
/// </summary>
internal static class ToolNames
{
    private const string Separator = "__";
    private const int HashLength = 4;
    private const string HashAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";

    /// <summary>The exposed name of a tool.</summary>
    /// <param name="serverId">Its server's id.</param>
    /// <param name="tool">The server's own name of it.</param>
    /// <param name="prefix">What names of this server begin with; "": nothing.</param>
    /// <param name="wanted">The name that the manifest gives it in place of its own; null: its own.</param>
    /// <param name="isContested">Whether the manifest gives this name to another of its tools as well.</param>
    /// <param name="maxLength">The longest name.</param>
    public static string Expose(string serverId, string tool, string prefix, string? wanted, bool isContested, int maxLength)
    {
        var plain = prefix.Length == 0 ? wanted ?? tool : $"{prefix}{Separator}{wanted ?? tool}";
        var name = string.Create(plain.Length, plain, static (output, text) =>
        {
            for (var i = 0; i < text.Length; i++)
            {
                output[i] = char.IsAsciiLetterOrDigit(text[i]) || text[i] is '_' or '-' ? text[i] : '_';
            }
        });
        return name == plain && name.Length <= maxLength && !isContested && IsUnmistakable(prefix, wanted ?? tool) ? name : WithHash(name, serverId, tool, maxLength);
    }

    /// <summary>Whether the first separator in the full name is the one between this prefix and this name, so that no other pair makes the same.</summary>
    private static bool IsUnmistakable(string prefix, string name) =>
        prefix.Length == 0 ? !name.Contains(Separator, StringComparison.Ordinal) : !prefix.Contains(Separator, StringComparison.Ordinal) && !prefix.EndsWith('_');

    private static string WithHash(string name, string serverId, string tool, int maxLength)
    {
        var digest = SHA256.HashData(Encoding.UTF8.GetBytes($"{serverId}/{tool}"));
        var hash = string.Create(HashLength, digest, static (output, bytes) =>
        {
            for (var i = 0; i < output.Length; i++)
            {
                output[i] = HashAlphabet[bytes[i] & 31];
            }
        });
        return $"{name[..Math.Min(name.Length, maxLength - HashLength - 1)]}_{hash}";
    }
}
