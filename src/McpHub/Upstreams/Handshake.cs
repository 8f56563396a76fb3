using System.Text;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>
/// Agrees on a revision. The handshake is tried first, as nearly all servers have one; what refuses it is asked whether it speaks the revision without one.
/// </summary>
internal static class Handshake
{
    private const int MaxInfoBytes = 16 * 1024;

    private const int MaxCapabilitiesBytes = 64 * 1024;
    private const int MaxInstructions = 64 * 1024;

    /// <exception cref="UpstreamException">The server cannot be reached or speaks no known revision.</exception>
    public static async Task<ProtocolEra> AgreeAsync(RpcConnection connection, IRpcTransport transport, ToolManifest manifest, ClientOffer offer, CancellationToken cancellationToken)
    {
        if (manifest.Protocol == ProtocolEra.ModernVersion)
        {
            return await DiscoverAsync(connection, transport, manifest, cancellationToken);
        }
        ToolCallOutcome reply;
        try
        {
            reply = await connection.AskAsync("initialize", OfferOf(manifest.Protocol ?? ProtocolEra.OfferedVersion, offer), cancellationToken);
        }
        catch (UpstreamException exception) when (exception.Reason is "http_400" or "http_404" or "http_405" && manifest.Protocol is null)
        {
            // Some answer so to a method that they do not know.
            reply = RpcError.Of(RpcError.MethodNotFound, exception.Message);
        }
        if (reply.IsError)
        {
            return manifest.Protocol is null ? await DiscoverAsync(connection, transport, manifest, cancellationToken) : throw Refused(manifest);
        }
        var version = JsonMembers.FindString(reply.Result.Span, "protocolVersion"u8);
        if (version == ProtocolEra.ModernVersion && manifest.Protocol is null)
        {
            return await DiscoverAsync(connection, transport, manifest, cancellationToken); // it has a handshake, but its revision has none
        }
        var era = (manifest.Protocol ?? version) == version ? ProtocolEra.OfHandshake(version) : null;
        if (era is null)
        {
            throw Unknown(manifest);
        }
        transport.Agreed(era.Version, isModern: false);
        await connection.NotifyAsync("notifications/initialized", "{}"u8.ToArray(), cancellationToken);
        return Introduced(era, reply.Result.Span);
    }

    private static byte[] OfferOf(string version, ClientOffer offer) =>
        [.. "{\"protocolVersion\":"u8, .. RawJson.String(version), .. ",\"capabilities\":"u8, .. offer.Capabilities.Span, .. ",\"clientInfo\":"u8, .. Encoding.UTF8.GetBytes(ProtocolEra.ClientInfo), .. "}"u8];

    private static async Task<ProtocolEra> DiscoverAsync(RpcConnection connection, IRpcTransport transport, ToolManifest manifest, CancellationToken cancellationToken)
    {
        transport.Agreed(ProtocolEra.ModernVersion, isModern: true);
        var reply = await connection.AskAsync("server/discover", ProtocolEra.Modern.Params(default), cancellationToken);
        if (reply.IsError)
        {
            throw Refused(manifest);
        }
        return JsonMembers.ListHolds(reply.Result.Span, "supportedVersions"u8, "2026-07-28"u8) ? Introduced(ProtocolEra.Modern, reply.Result.Span) : throw Unknown(manifest);
    }

    private static ProtocolEra Introduced(ProtocolEra era, ReadOnlySpan<byte> result)
    {
        var capabilities = JsonMembers.FindObject(result, "capabilities"u8);
        var instructions = JsonMembers.FindString(result, "instructions"u8);
        return era with
        {
            ServerInfo = InfoIn(result),
            Capabilities = capabilities.Length is > 0 and <= MaxCapabilitiesBytes ? capabilities.ToArray() : default,
            Instructions = instructions is { Length: > MaxInstructions } ? instructions[..MaxInstructions] : instructions,
        };
    }

    // What admins are shown of it; a server that says more than a few words of itself is not quoted.
    private static ReadOnlyMemory<byte> InfoIn(ReadOnlySpan<byte> result)
    {
        var info = JsonMembers.FindObject(result, "serverInfo"u8);
        if (info.IsEmpty && JsonMembers.FindObject(result, "_meta"u8) is { IsEmpty: false } meta)
        {
            info = JsonMembers.FindObject(meta, "io.modelcontextprotocol/serverInfo"u8);
        }
        return info.Length is > 0 and <= MaxInfoBytes && System.Text.Unicode.Utf8.IsValid(info) ? info.ToArray() : default;
    }

    private static UpstreamException Refused(ToolManifest manifest) => new(RpcError.UpstreamInvalid, UpstreamReasons.HandshakeRefused, $"Tool server '{manifest.Id}' refused the handshake.");

    private static UpstreamException Unknown(ToolManifest manifest) => new(RpcError.UpstreamInvalid, UpstreamReasons.ProtocolVersion,
        $"Tool server '{manifest.Id}' speaks no revision of the protocol that is known here.");
}
