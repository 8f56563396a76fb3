using System.Text.Json;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;

namespace McpHub.Serving;

/// <summary>How the gateway presents itself, and the SDK's JSON settings.</summary>
internal static class McpJson
{
    /// <summary>The SDK's serializer settings.</summary>
    public static JsonSerializerOptions Options => McpJsonUtilities.DefaultOptions;

    /// <summary>What the gateway calls itself.</summary>
    public static Implementation ServerInfo { get; } = new()
    {
        Name = "agent-gateway",
        Title = "Agent Gateway",
        Version = typeof(McpJson).Assembly.GetName().Version?.ToString(3) ?? "0.0.0",
    };

    /// <summary>The member that answers of the stateless revision carry in <c>_meta</c>, UTF-8, without a comma.</summary>
    public static byte[] ServerInfoMember { get; } =
        [.. "\"io.modelcontextprotocol/serverInfo\":"u8, .. JsonSerializer.SerializeToUtf8Bytes(ServerInfo, Options.GetTypeInfo(typeof(Implementation)))];
}
