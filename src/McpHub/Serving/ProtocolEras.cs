namespace McpHub.Serving;

/// <summary>The revisions of the protocol and which of them begin with a handshake.</summary>
internal static class ProtocolEras
{
    /// <summary>The revision without handshake and sessions: each request says everything about itself.</summary>
    public const string Stateless = "2026-07-28";

    /// <summary>All revisions that are served, the newest first.</summary>
    public static IReadOnlyList<string> All { get; } = [Stateless, "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

    /// <summary>Header with a request's protocol version.</summary>
    public const string VersionHeader = "MCP-Protocol-Version";

    /// <summary>Header with a session's id.</summary>
    public const string SessionHeader = "Mcp-Session-Id";

    /// <summary>Header that repeats a stateless request's method.</summary>
    public const string MethodHeader = "Mcp-Method";

    /// <summary>Header that repeats the name of the tool that a stateless request calls.</summary>
    public const string NameHeader = "Mcp-Name";
}
