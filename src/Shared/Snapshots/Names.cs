using System.Collections.Immutable;
using Shared.Configuration;

namespace Shared.Snapshots;

/// <summary>What ids may look like.</summary>
internal static class Names
{
    private const int Longest = 64;

    /// <summary>Whether a name can be an id; reports it where not.</summary>
    public static bool Check(string name, Declaration declaration, ICollection<ConfigError> errors, string member = "")
    {
        if (IsId(name))
        {
            return true;
        }
        errors.Add(declaration.Error(member, $"'{name}' cannot be an id: expected 1 to {Longest} letters, digits, '.', '_', '-' or '@', beginning with a letter or digit"));
        return false;
    }

    /// <summary>The headers that can be sent; reports those that cannot, and names that stand twice but for their case.</summary>
    public static ImmutableDictionary<string, string> Headers(IReadOnlyDictionary<string, Secret> headers, Declaration declaration, ICollection<ConfigError> errors)
    {
        var valid = ImmutableDictionary.CreateBuilder<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, value) in headers)
        {
            if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal)))
            {
                errors.Add(declaration.Error("headers", $"'{name}' cannot be a header's name"));
            }
            else if (!CanBeSent(value))
            {
                errors.Add(declaration.Error("headers", $"the value of '{name}' holds a line break or another character that a header cannot carry"));
            }
            else if (!valid.TryAdd(name, value.Reveal()))
            {
                errors.Add(declaration.Error("headers", $"'{name}' stands twice; the case of a header's name makes no difference"));
            }
        }
        return valid.ToImmutable();
    }

    /// <summary>Whether a header can carry a text.</summary>
    public static bool CanBeSent(Secret? value) => value is null || value.Reveal().All(c => c is >= ' ' and < '\u007f' or '\t');

    private static bool IsId(string name) =>
        name.Length is > 0 and <= Longest && char.IsAsciiLetterOrDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' or '@');
}
