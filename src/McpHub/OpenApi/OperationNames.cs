using System.Security.Cryptography;
using System.Text;

namespace McpHub.OpenApi;

/// <summary>The tools' names of operations. A name depends on its own operation, and on whether another one claims the same; never on the order of the document.</summary>
internal static class OperationNames
{
    private const int Longest = 64;
    private const int HashLength = 6;

    /// <summary>The names of all operations, in their order.</summary>
    /// <param name="operations">Each with its method in capitals, its path and its own id, if it has one.</param>
    public static string[] Of(IReadOnlyList<(string Method, string Path, string? Id)> operations)
    {
        var plain = operations.Select(operation => Plain(operation.Id is { Length: > 0 } id ? id : $"{operation.Method.ToLowerInvariant()}_{(operation.Path == "/" ? "root" : operation.Path)}")).ToArray();
        var claims = plain.CountBy(name => name, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal);
        return [.. plain.Select((name, i) => claims[name] == 1 && name.Length is > 0 and <= Longest ? name : WithHash(name, operations[i]))];
    }

    /// <summary>A name that every client takes as a property's.</summary>
    public static string Argument(string name)
    {
        var plain = Plain(name);
        return IsArgument(name) ? name : plain.Length is 0 or > Longest ? $"{plain[..Math.Min(plain.Length, Longest - HashLength - 1)]}_{Hash(name)}".TrimStart('_') : plain;
    }

    /// <summary>Whether a name can be an argument's as it is.</summary>
    public static bool IsArgument(string name) => name.Length is > 0 and <= Longest && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.');

    // Runs of other characters become one underline.
    private static string Plain(string name)
    {
        var plain = new StringBuilder(Math.Min(name.Length, 256));
        foreach (var c in name)
        {
            if (char.IsAsciiLetterOrDigit(c) || c is '_' or '-')
            {
                plain.Append(c);
            }
            else if (plain.Length > 0 && plain[^1] != '_')
            {
                plain.Append('_');
            }
        }
        return plain.ToString().Trim('_');
    }

    private static string WithHash(string name, (string Method, string Path, string? Id) operation) =>
        $"{name[..Math.Min(name.Length, Longest - HashLength - 1)]}_{Hash($"{operation.Method} {operation.Path}")}".TrimStart('_');

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..HashLength];
}
