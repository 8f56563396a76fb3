using Shared.Configuration;

namespace Gateway.Commands.Manifests;

/// <summary>Reads the members of a mapping of a foreign document, and knows which of them nobody has read.</summary>
internal sealed class SourceMembers(ConfigMapping mapping, ImportContext context)
{
    private readonly HashSet<string> read = new(StringComparer.Ordinal);

    /// <summary>The mapping.</summary>
    public ConfigMapping Mapping { get; } = mapping;

    /// <summary>A member under one of its spellings; null where it is missing or nothing.</summary>
    public ConfigNode? Find(params ReadOnlySpan<string> names)
    {
        ConfigNode? found = null;
        foreach (var name in names)
        {
            read.Add(name);
            if (found is null && Mapping.Find(name)?.Value is { } value and not ConfigScalar { Style: ScalarStyle.Null })
            {
                found = value;
            }
        }
        return found;
    }

    /// <summary>A text, number or boolean as its text; anything else is an error.</summary>
    public string? Text(params ReadOnlySpan<string> names) => Find(names) is { } node ? TextOf(node) : null;

    /// <summary>Whether a member is <c>true</c>; null where it is missing.</summary>
    public bool? Flag(params ReadOnlySpan<string> names)
    {
        if (Find(names) is not { } node)
        {
            return null;
        }
        if (node is ConfigScalar { Text: "true" or "false" } scalar)
        {
            return scalar.Text == "true";
        }
        context.Errors.Add(node.Error($"expected true or false, found {node.Describe()}"));
        return null;
    }

    /// <summary>The items of a list; empty where it is missing.</summary>
    public IReadOnlyList<ConfigNode> List(params ReadOnlySpan<string> names)
    {
        switch (Find(names))
        {
            case null:
                return [];
            case ConfigSequence sequence:
                return sequence.Items;
            case var node:
                context.Errors.Add(node.Error($"expected a list, found {node.Describe()}"));
                return [];
        }
    }

    /// <summary>The texts of a list.</summary>
    public IReadOnlyList<string> Texts(params ReadOnlySpan<string> names) => [.. List(names).Select(TextOf).OfType<string>()];

    /// <summary>The members of a mapping; empty where it is missing.</summary>
    public IReadOnlyList<ConfigMember> Map(params ReadOnlySpan<string> names)
    {
        switch (Find(names))
        {
            case null:
                return [];
            case ConfigMapping map:
                return map.Members;
            case var node:
                context.Errors.Add(node.Error($"expected an object, found {node.Describe()}"));
                return [];
        }
    }

    /// <summary>A member that is an object of its own.</summary>
    public SourceMembers? Object(params ReadOnlySpan<string> names)
    {
        if (Find(names) is not { } node)
        {
            return null;
        }
        if (node is ConfigMapping inner)
        {
            return new SourceMembers(inner, context);
        }
        context.Errors.Add(node.Error($"expected an object, found {node.Describe()}"));
        return null;
    }

    /// <summary>The text of a scalar; anything else is an error.</summary>
    public string? TextOf(ConfigNode node)
    {
        if (node is ConfigScalar { Style: not ScalarStyle.Null } scalar)
        {
            if (scalar.Text.Contains('\0', StringComparison.Ordinal))
            {
                context.Errors.Add(node.Error("holds a NUL character, which no program or header takes"));
                return null;
            }
            return scalar.Text;
        }
        context.Errors.Add(node.Error(node is ConfigScalar ? "expected a text, found nothing" : $"expected a text, found {node.Describe()}"));
        return null;
    }

    /// <summary>Reports members that are known, and carry nothing that a manifest could say.</summary>
    public void Leave(ImportedServer server, string why, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (Find(name) is not null)
            {
                server.NotCarriedOver.Add($"{PathOf(name)}: {why}");
            }
        }
    }

    /// <summary>Reports each member that nobody has read.</summary>
    public void LeaveTheRest(ImportedServer server)
    {
        foreach (var member in Mapping.Members.Where(member => !read.Contains(member.Key)))
        {
            server.NotCarriedOver.Add($"{PathOf(member.Key)}: not known to the import");
        }
    }

    private string PathOf(string name) => ImportContext.Show(ConfigNode.Join(Mapping.Path, name)).Trim('\'');
}
