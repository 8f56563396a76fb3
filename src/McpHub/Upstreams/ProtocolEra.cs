using System.Text;
using Shared.Tools;
using Shared.VirtualKeys;

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

    /// <summary>What the server offers: the raw <c>capabilities</c> object; empty: it did not say.</summary>
    public ReadOnlyMemory<byte> Capabilities { get; init; }

    /// <summary>What the server tells models of its use; null: nothing.</summary>
    public string? Instructions { get; init; }

    /// <summary>How the gateway introduces itself.</summary>
    public static string ClientInfo { get; } = $$"""{"name":"agent-gateway","version":"{{typeof(ProtocolEra).Assembly.GetName().Version?.ToString(3) ?? "0.0.0"}}"}""";

    public static ProtocolEra None { get; } = new("", false, default);

    /// <summary>The revision without a handshake; no capability is offered with what the hub asks for itself.</summary>
    public static ProtocolEra Modern { get; } = new(ModernVersion, true, NewEnvelope("{}"u8, null));

    /// <summary>The era of a revision that a server chose in the handshake; null: it is not known.</summary>
    public static ProtocolEra? OfHandshake(string? version) => version is not null && HandshakeVersions.Contains(version) ? new ProtocolEra(version, false, default) : null;

    /// <summary>Parameters of a request that has none but these members, each with a comma before it, and the envelope.</summary>
    public ReadOnlyMemory<byte> Params(ReadOnlySpan<byte> members)
    {
        byte[] all = Envelope.IsEmpty ? [.. members] : [.. members, .. ",\"_meta\":{"u8, .. Envelope.Span[1..], .. "}"u8];
        return (byte[])[.. "{"u8, .. all.Length == 0 ? all : all.AsSpan(1), .. "}"u8];
    }

    /// <summary>The envelope of a request that is made for a caller: the server may ask for just what that very caller can be asked for.</summary>
    /// <param name="capabilities">The caller's raw capabilities; empty: nobody can be asked.</param>
    /// <param name="logLevel">The least severe log messages that the caller wants; null: none.</param>
    public ReadOnlyMemory<byte> EnvelopeFor(ReadOnlyMemory<byte> capabilities, string? logLevel) =>
        !IsModern || (logLevel is null && (capabilities.IsEmpty || capabilities.Span.SequenceEqual("{}"u8))) ? Envelope : NewEnvelope(capabilities.IsEmpty ? "{}"u8 : capabilities.Span, logLevel);

    private static byte[] NewEnvelope(ReadOnlySpan<byte> capabilities, string? logLevel) =>
    [
        .. ",\"io.modelcontextprotocol/protocolVersion\":\""u8, .. Encoding.ASCII.GetBytes(ModernVersion), .. "\",\"io.modelcontextprotocol/clientCapabilities\":"u8, .. capabilities,
        .. ",\"io.modelcontextprotocol/clientInfo\":"u8, .. Encoding.UTF8.GetBytes(ClientInfo),
        .. logLevel is null ? [] : (byte[])[.. ",\"io.modelcontextprotocol/logLevel\":"u8, .. RawJson.String(logLevel)],
    ];
}

/// <summary>What a connection tells its server of the clients behind it.</summary>
/// <param name="Capabilities">The raw capabilities object.</param>
/// <param name="Owner">The client that the connection belongs to; null: it is shared.</param>
internal sealed record ClientOffer(ReadOnlyMemory<byte> Capabilities, IClientPeer? Owner)
{
    /// <summary>The key that the connection was opened for; null: it is shared.</summary>
    public VirtualKey? Key { get; init; }

    /// <summary>Of a connection that many share: everything, as any of them may have it. A client that has not says so when it is asked.</summary>
    public static ClientOffer Shared { get; } = new("""{"roots":{"listChanged":true},"sampling":{},"elicitation":{"form":{},"url":{}}}"""u8.ToArray(), null);
}
