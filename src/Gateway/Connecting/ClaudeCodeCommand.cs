namespace Gateway.Connecting;

/// <summary>The command that adds the gateway to Claude Code. It stands alone, for the message at start shows it too and shall load nothing for it.</summary>
internal static class ClaudeCodeCommand
{
    /// <summary>Writes it.</summary>
    /// <param name="name">The entry's name.</param>
    /// <param name="address">The MCP endpoint, as a word of a shell.</param>
    /// <param name="key">A virtual key; null: Claude Code reads it from <c>GATEWAY_KEY</c> each time it connects.</param>
    public static string Write(string name, string address, string? key) =>
        $"claude mcp add --transport http {name} {address} --header 'Authorization: Bearer {key ?? "${GATEWAY_KEY}"}'";
}
