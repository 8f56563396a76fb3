namespace McpHub.Search;

/// <summary>How many tools clients take from all their servers together; what is beyond it they cut off or refuse.</summary>
internal static class ToolCaps
{
    // Parts of the name that a client gives itself, and the number. Sources: users' reports, gathered in 2026 (Snowflake-Labs/mcp#77 for Cursor, enuno/unifi-mcp-server#69 for Antigravity,
    // Zhwt/go-mcp-mysql#3 for Windsurf, G-Research/bobbit#483 for OpenAI and VS Code).
    private static readonly (string Part, int Most)[] Known =
    [
        ("cursor", 80), ("antigravity", 50), ("windsurf", 50), ("visual studio code", 128), ("vscode", 128), ("copilot", 128), ("openai", 128), ("codex", 128),
    ];

    /// <summary>The cap of a client; null: none is known.</summary>
    /// <param name="client">What the client calls itself.</param>
    public static int? Of(string? client)
    {
        foreach (var (part, most) in Known)
        {
            if (client?.Contains(part, StringComparison.OrdinalIgnoreCase) == true)
            {
                return most;
            }
        }
        return null;
    }
}
