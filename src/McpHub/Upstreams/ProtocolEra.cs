using System.Text;

namespace McpHub.Upstreams;

/// <summary>The revision that a connection agreed on, and what it demands of each request.</summary>
/// <param name="Version">The revision; "" before there is one.</param>
/// <param name="IsModern">Whether it is one without a handshake.</param>
/// <param name="Envelope">The members that each request carries in <c>_meta</c>, with a comma before each; empty for revisions with a handshake.</param>
internal sealed record ProtocolEra(string Version, bool IsModern, ReadOnlyMemory<byte> Envelope)
{
    /// <summary>The newest revision with a handshake; the server may answer with an older one.</summary>
    public const string OfferedVersion = "2025-11-25";

    /// <summary>The revision without one.</summary>
    public const string ModernVersion = "2026-07-28";

    private static readonly string[] HandshakeVersions = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

    /// <summary>How the server introduced itself: a raw JSON object; empty: it did not.</summary>
    public ReadOnlyMemory<byte> ServerInfo { get; init; }

    /// <summary>How the gateway introduces itself.</summary>
    public static string ClientInfo { get; } = $$"""{"name":"agent-gateway","version":"{{typeof(ProtocolEra).Assembly.GetName().Version?.ToString(3) ?? "0.0.0"}}"}""";

    public static ProtocolEra None { get; } = new("", false, default);

    // No capability is offered: on a connection that many callers share, the server could not know whom to ask.
    public static ProtocolEra Modern { get; } = new(ModernVersion, true, Encoding.UTF8.GetBytes(
        $$$""","io.modelcontextprotocol/protocolVersion":"{{{ModernVersion}}}","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{{{ClientInfo}}}"""));

    /// <summary>The era of a revision that a server chose in the handshake; null: it is not known.</summary>
    public static ProtocolEra? OfHandshake(string? version) => version is not null && HandshakeVersions.Contains(version) ? new ProtocolEra(version, false, default) : null;

    /// <summary>Parameters of a request that has none but these members, each with a comma before it, and the envelope.</summary>
    public ReadOnlyMemory<byte> Params(ReadOnlySpan<byte> members)
    {
        byte[] all = Envelope.IsEmpty ? [.. members] : [.. members, .. ",\"_meta\":{"u8, .. Envelope.Span[1..], .. "}"u8];
        return (byte[])[.. "{"u8, .. all.Length == 0 ? all : all.AsSpan(1), .. "}"u8];
    }
}
