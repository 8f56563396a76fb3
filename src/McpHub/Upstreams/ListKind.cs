namespace McpHub.Upstreams;

/// <summary>What servers list.</summary>
internal enum ListKind
{
    /// <summary>Tools.</summary>
    Tools,

    /// <summary>Prompts.</summary>
    Prompts,

    /// <summary>Resources.</summary>
    Resources,

    /// <summary>Templates of resources' addresses.</summary>
    Templates,
}

/// <summary>How lists are asked for.</summary>
internal static class ListKinds
{
    /// <summary>The method that reads a list.</summary>
    public static string Method(this ListKind kind) => kind switch
    {
        ListKind.Prompts => "prompts/list",
        ListKind.Resources => "resources/list",
        ListKind.Templates => "resources/templates/list",
        _ => "tools/list",
    };

    /// <summary>The member of the result that holds the items.</summary>
    public static ReadOnlySpan<byte> Member(this ListKind kind) => kind switch
    {
        ListKind.Prompts => "prompts"u8,
        ListKind.Resources => "resources"u8,
        ListKind.Templates => "resourceTemplates"u8,
        _ => "tools"u8,
    };

    /// <summary>The capability that a server with such a list declares.</summary>
    public static ReadOnlySpan<byte> Capability(this ListKind kind) => kind switch
    {
        ListKind.Prompts => "prompts"u8,
        ListKind.Resources or ListKind.Templates => "resources"u8,
        _ => "tools"u8,
    };
}
