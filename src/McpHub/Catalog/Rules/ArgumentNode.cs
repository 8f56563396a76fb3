using System.Collections.Frozen;
using Shared.Snapshots;

namespace McpHub.Catalog.Rules;

/// <summary>What the rules say of one argument, or of a member of one, and of its members.</summary>
internal sealed class ArgumentNode
{
    /// <summary>Its name, as the rules spell it; "": it is the arguments.</summary>
    public required string Name { get; init; }

    /// <summary>Rules for the value itself.</summary>
    public required ArgumentRule[] Rules { get; init; }

    /// <summary>Rules for its members. Found by any case, since some servers read names so.</summary>
    public required FrozenDictionary<string, ArgumentNode> Members { get; init; }

    /// <summary>Its members that must be there, those that hold such a one included.</summary>
    public required string[] Required { get; init; }

    /// <summary>Builds the tree of all rules; null: there are none.</summary>
    public static ArgumentNode? Of(IEnumerable<ArgumentRule> rules)
    {
        var list = rules.ToList();
        return list.Count == 0 ? null : Build("", list, 0);
    }

    private static ArgumentNode Build(string name, List<ArgumentRule> rules, int depth)
    {
        var groups = rules.Where(rule => rule.Path.Length > depth).GroupBy(rule => rule.Path[depth]).ToList();
        return new ArgumentNode
        {
            Name = name,
            Rules = [.. rules.Where(rule => rule.Path.Length == depth)],
            // Two rules for names that differ in case only are two of the same argument.
            Members = groups.GroupBy(group => group.Key, StringComparer.OrdinalIgnoreCase)
                .ToFrozenDictionary(same => same.First().Key, same => Build(same.First().Key, [.. same.SelectMany(group => group)], depth + 1), StringComparer.OrdinalIgnoreCase),
            Required = [.. groups.Where(group => group.Any(rule => rule.Required)).Select(group => group.Key)],
        };
    }
}
