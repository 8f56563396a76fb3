namespace Shared.Tools;

/// <summary>Which part of the hub an endpoint serves, and how. The default is all of it, as it is.</summary>
/// <param name="Server">The one tool server that it serves, under the server's own names; null: all.</param>
/// <param name="Toolset">The one toolset that it serves; null: all.</param>
public readonly record struct ToolScope(string? Server, string? Toolset)
{
    /// <summary>Whether clients are shown tools that find, describe and call the others in place of all of them.</summary>
    public bool Search { get; init; }

    /// <summary>Whether it is all of the hub, as it is.</summary>
    public bool IsAll => Server is null && Toolset is null && !Search;

    /// <summary>The same part with its tools as they are.</summary>
    /// <remarks>A method, as a record prints its properties: one that holds another such scope would never come to an end.</remarks>
    public ToolScope WithoutSearch() => this with { Search = false };
}
