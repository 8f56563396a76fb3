using Shared.Tools;

namespace McpHub.Search;

/// <summary>How many tools clients take from all their servers together; what is beyond it they cut off or refuse.</summary>
internal static class ToolCaps
{
    // The client, parts of the names that it gives itself, and the number. Sources: users' reports, gathered in 2026 (Snowflake-Labs/mcp#77 for Cursor, enuno/unifi-mcp-server#69 for
    // Antigravity, Zhwt/go-mcp-mysql#3 for Windsurf, G-Research/bobbit#483 for OpenAI and VS Code).
    private static readonly (ClientCap Cap, string[] Parts)[] Known =
    [
        (new("Antigravity", 50), ["antigravity"]),
        (new("Windsurf", 50), ["windsurf"]),
        (new("Cursor", 80), ["cursor"]),
        (new("VS Code and Copilot", 128), ["visual studio code", "vscode", "copilot"]),
        (new("OpenAI", 128), ["openai", "codex"]),
    ];

    /// <summary>The cap of a client; null: none is known.</summary>
    /// <param name="client">What the client calls itself.</param>
    public static int? Of(string? client)
    {
        foreach (var (cap, parts) in Known)
        {
            if (client is not null && Array.Exists(parts, part => client.Contains(part, StringComparison.OrdinalIgnoreCase)))
            {
                return cap.Most;
            }
        }
        return null;
    }

    /// <summary>The clients that take fewer tools than these, those that take the fewest first.</summary>
    public static IReadOnlyList<ClientCap> Below(int count) => [.. Known.Where(known => known.Cap.Most < count).Select(known => known.Cap)];
}
