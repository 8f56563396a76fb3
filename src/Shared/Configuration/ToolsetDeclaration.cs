using Shared.Configuration.Schemas;

namespace Shared.Configuration;

/// <summary>An entry under <c>toolsets</c>. It narrows what a key may use and never widens it, unless the key is granted the toolset itself.</summary>
internal sealed record ToolsetDeclaration : Declaration
{
    /// <summary>A title for people.</summary>
    public string? Title { get; init; }

    /// <summary>What it is for, for people.</summary>
    public string? Description { get; init; }

    /// <summary>Instructions for models that are connected to it.</summary>
    public string? Instructions { get; init; }

    /// <summary>Globs over <c>server/tool</c>, the servers' own names; a leading <c>!</c> takes away, what tags choose included.</summary>
    public IReadOnlyList<string> Tools { get; init; } = [];

    /// <summary>Tags of manifests and of their rules: tools with any of them are part of it, too.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>Globs over <c>server/prompt</c>; a leading <c>!</c> takes away.</summary>
    [DefaultText("those of servers of which it holds all tools")]
    public IReadOnlyList<string>? Prompts { get; init; }

    /// <summary>Globs over <c>server/uri</c>; a leading <c>!</c> takes away.</summary>
    [DefaultText("those of servers of which it holds all tools")]
    public IReadOnlyList<string>? Resources { get; init; }
}
