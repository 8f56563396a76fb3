using System.Collections.Immutable;

namespace Shared.VirtualKeys;

/// <summary>A part of the tools under a name of its own.</summary>
public sealed record Toolset
{
    /// <summary>Its id.</summary>
    public required string Id { get; init; }

    /// <summary>A title for people.</summary>
    public string? Title { get; init; }

    /// <summary>What it is for, for people.</summary>
    public string? Description { get; init; }

    /// <summary>Instructions for models that are connected to it.</summary>
    public string? Instructions { get; init; }

    /// <summary>Globs over <c>server/tool</c>, the upstreams' own names, its tags resolved; one that begins with <c>!</c> takes away.</summary>
    public required ImmutableArray<string> Tools { get; init; }

    /// <summary>Globs over <c>server/prompt</c>; null: the prompts of servers of which it holds all tools.</summary>
    public ImmutableArray<string>? Prompts { get; init; }

    /// <summary>Globs over <c>server/uri</c>; null: the resources of servers of which it holds all tools.</summary>
    public ImmutableArray<string>? Resources { get; init; }

    /// <summary>Whether a tool is part of it.</summary>
    /// <param name="serverAndTool"><c>server/tool</c>, the upstream's own names.</param>
    public bool IncludesTool(string serverAndTool) => GlobList.Allows(Tools, serverAndTool);

    /// <summary>Whether a prompt is part of it.</summary>
    /// <param name="server">The server's id.</param>
    /// <param name="name">The server's own name of the prompt.</param>
    public bool IncludesPrompt(string server, string name) => Prompts is { } globs ? GlobList.Allows(globs, $"{server}/{name}") : GlobList.CoversServer(Tools, server);

    /// <summary>Whether a resource is part of it.</summary>
    /// <param name="server">The server's id.</param>
    /// <param name="uri">The server's own URI, or the text of a URI template.</param>
    public bool IncludesResource(string server, string uri) => Resources is { } globs
        ? (GlobList.CoversServer(globs, server) || GlobList.IsPlainUri(uri)) && GlobList.Allows(globs, $"{server}/{uri}")
        : GlobList.CoversServer(Tools, server);

    /// <summary>Whether anything of a server may be part of it. Errs on the side of yes.</summary>
    /// <param name="server">The server's id.</param>
    public bool MayReachServer(string server) =>
        GlobList.MayReachServer(Tools, server) || (Prompts is { } prompts && GlobList.MayReachServer(prompts, server)) || (Resources is { } resources && GlobList.MayReachServer(resources, server));

    /// <summary>Whether prompts or resources of a server may be part of it. Errs on the side of yes.</summary>
    /// <param name="server">The server's id.</param>
    public bool MayReachFeatures(string server) =>
        (Prompts is { } prompts ? GlobList.MayReachServer(prompts, server) : GlobList.CoversServer(Tools, server))
        || (Resources is { } resources ? GlobList.MayReachServer(resources, server) : GlobList.CoversServer(Tools, server));
}
