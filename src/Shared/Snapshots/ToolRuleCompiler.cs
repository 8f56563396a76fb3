using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Shared.Configuration;

namespace Shared.Snapshots;

/// <summary>Compiles what a manifest's rules say of arguments, limits and tags.</summary>
internal sealed class ToolRuleCompiler(ICollection<ConfigError> errors)
{
    private const int LongestTag = 64;

    public ImmutableArray<string> TagsOf(Declaration declaration, IReadOnlyList<string> tags)
    {
        for (var i = 0; i < tags.Count; i++)
        {
            if (tags[i].Length is 0 or > LongestTag || tags[i].Any(char.IsWhiteSpace))
            {
                errors.Add(declaration.Error("tags", i, $"expected a word of 1 to {LongestTag} characters, found '{tags[i]}'"));
            }
        }
        return [.. tags];
    }

    public ImmutableDictionary<string, string> PromptNamesOf(ManifestPrompts prompts)
    {
        foreach (var (own, name) in prompts.Rename)
        {
            if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-'))
            {
                errors.Add(prompts.Error("rename", $"expected letters, digits, '_' or '-' for '{own}', found '{name}'"));
            }
        }
        foreach (var twice in prompts.Rename.GroupBy(pair => pair.Value).Where(group => group.Count() > 1))
        {
            errors.Add(prompts.Error("rename", $"'{twice.Key}' is the name of {string.Join(" and ", twice.Select(pair => $"'{pair.Key}'"))}; give them different names"));
        }
        return prompts.Rename.ToImmutableDictionary();
    }

    public ImmutableDictionary<string, FixedArgument> SetOf(ManifestTool tool)
    {
        var set = ImmutableDictionary.CreateBuilder<string, FixedArgument>();
        foreach (var (name, value) in tool.Set)
        {
            if (SecretReferences.Occur(value.Text))
            {
                errors.Add(tool.Error("set", $"the value of '{name}' holds a reference; references go into setSecret"));
            }
            set[name] = new FixedArgument(value.Text, IsSecret: false);
        }
        foreach (var (name, value) in tool.SetSecret)
        {
            if (!set.TryAdd(name, new FixedArgument(JsonSerializer.Serialize(value.Reveal()), IsSecret: true)))
            {
                errors.Add(tool.Error("setSecret", $"'{name}' stands in set as well"));
            }
        }
        foreach (var name in tool.HideArgs.Where(set.ContainsKey))
        {
            errors.Add(tool.Error("hideArgs", $"'{name}' has a fixed value, and is hidden by that already"));
        }
        return set.ToImmutable();
    }

    public ImmutableArray<ArgumentRule> ArgumentsOf(ManifestTool tool)
    {
        var rules = ImmutableArray.CreateBuilder<ArgumentRule>();
        foreach (var (name, argument) in tool.Args)
        {
            var path = PathOf(name);
            if (path.Any(part => part.Length == 0))
            {
                errors.Add(tool.Error("args", $"expected names with a dot between, found '{name}'"));
                continue;
            }
            if (tool.HideArgs.Contains(path[0]) || tool.Set.ContainsKey(path[0]) || tool.SetSecret.ContainsKey(path[0]))
            {
                errors.Add(tool.Error("args", $"'{path[0]}' is hidden, so that no call can send it; a rule for it says nothing"));
            }
            rules.Add(RuleOf(path, argument));
        }
        return rules.ToImmutable();
    }

    public TimeSpan? TimeoutOf(ManifestTool tool, TimeSpan callTimeout)
    {
        if (tool.Timeout > callTimeout)
        {
            errors.Add(tool.Error("timeout", $"is longer than the server's, upstream.limits.callTimeout ({Scalars.FormatDuration(callTimeout)})"));
        }
        return tool.Timeout;
    }

    public ToolRate? RateOf(ManifestTool tool)
    {
        if (tool.RateLimit is not { } rate)
        {
            return null;
        }
        if (rate.PerMinute is null && rate.TotalPerMinute is null)
        {
            errors.Add(rate.Error("", "expected perMinute, totalPerMinute or both"));
        }
        return new ToolRate(rate.PerMinute, rate.TotalPerMinute);
    }

    private ArgumentRule RuleOf(ImmutableArray<string> path, ManifestArgument argument)
    {
        if (path.Length > 1 && argument.Default is not null)
        {
            errors.Add(argument.Error("default", "is for arguments themselves; a member of one cannot have it"));
        }
        if (argument.Default is { } value && SecretReferences.Occur(value.Text))
        {
            errors.Add(argument.Error("default", "a reference cannot be used here; a default is shown to clients"));
        }
        if (argument.Default is not null && argument.Required)
        {
            errors.Add(argument.Error("required", "has no meaning beside a default"));
        }
        for (var i = 0; i < argument.Allowed.Count; i++)
        {
            if (argument.Allowed[i].Text[0] is '{' or '[')
            {
                errors.Add(argument.Error("allowed", i, "expected a text, a number or a boolean"));
            }
        }
        if (argument.Min > argument.Max)
        {
            errors.Add(argument.Error("min", "is greater than max"));
        }
        return new ArgumentRule
        {
            Path = path,
            Description = argument.Description,
            Default = argument.Default?.Text,
            Required = argument.Required,
            Allowed = [.. argument.Allowed.Select(allowed => allowed.Text)],
            Pattern = PatternOf(argument),
            Within = FoldersOf(argument),
            MaxLength = argument.MaxLength,
            Min = argument.Min,
            Max = argument.Max,
        };
    }

    private Regex? PatternOf(ManifestArgument argument)
    {
        if (argument.Pattern is null)
        {
            return null;
        }
        try
        {
            // The text itself must be an expression; closing the group in it would let the anchors bind to a part only.
            _ = new Regex(argument.Pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
            return new Regex($@"\A(?:{argument.Pattern})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
        {
            errors.Add(argument.Error("pattern", $"is no regular expression without look-around, back references and atomic groups: {exception.Message}"));
            return null;
        }
    }

    private ImmutableArray<string> FoldersOf(ManifestArgument argument)
    {
        var folders = ImmutableArray.CreateBuilder<string>();
        for (var i = 0; i < argument.Within.Count; i++)
        {
            if (FolderPath.Normalize(argument.Within[i], FolderPath.IsWindows(argument.Within[i]), out var folder) is { } wrong)
            {
                errors.Add(argument.Error("within", i, $"'{argument.Within[i]}' {wrong}"));
            }
            else
            {
                folders.Add(folder);
            }
        }
        return folders.ToImmutable();
    }

    /// <summary>The names in a path: a dot parts them, one after a backslash belongs to its name.</summary>
    private static ImmutableArray<string> PathOf(string name)
    {
        var parts = ImmutableArray.CreateBuilder<string>();
        var part = new StringBuilder();
        for (var i = 0; i < name.Length; i++)
        {
            if (name[i] == '\\' && i + 1 < name.Length && name[i + 1] is '.' or '\\')
            {
                part.Append(name[++i]);
            }
            else if (name[i] == '.')
            {
                parts.Add(part.ToString());
                part.Clear();
            }
            else
            {
                part.Append(name[i]);
            }
        }
        parts.Add(part.ToString());
        return parts.ToImmutable();
    }
}
