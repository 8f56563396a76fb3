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

    private static bool IsId(string name) =>
        name.Length is > 0 and <= Longest && char.IsAsciiLetterOrDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' or '@');
}
