using McpHub.Upstreams;
using Shared.Tools;

namespace McpHub.Catalog.Rules;

/// <summary>Results of tools that the gateway writes itself, for models to read.</summary>
internal static class ToolTexts
{
    /// <summary>A result that says that a tool failed.</summary>
    public static byte[] Error(string text) => [.. "{\"content\":[{\"type\":\"text\",\"text\":"u8, .. RawJson.String(text), .. "}],\"isError\":true}"u8];

    /// <summary>The same as outcome.</summary>
    public static ToolCallOutcome Failed(string text) => new(Error(text), default);
}
