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

    private static readonly byte[] Offer = Encoding.UTF8.GetBytes(
        $$"""{"protocolVersion":"{{ProtocolEra.OfferedVersion}}","capabilities":{},"clientInfo":{{ProtocolEra.ClientInfo}}}""");

    /// <exception cref="UpstreamException">The server cannot be reached or speaks no known revision.</exception>
    public static async Task<ProtocolEra> AgreeAsync(RpcConnection connection, IRpcTransport transport, ToolManifest manifest, CancellationToken cancellationToken)
    {
        ToolCallOutcome reply;
        try
        {
            reply = await connection.AskAsync("initialize", Offer, cancellationToken);
        }
        catch (UpstreamException exception) when (exception.Reason is "http_400" or "http_404" or "http_405")
        {
            // Some answer so to a method that they do not know.
            reply = RpcError.Of(RpcError.MethodNotFound, exception.Message);
        }
        if (reply.IsError)
        {
            return await DiscoverAsync(connection, transport, manifest, cancellationToken);
        }
        var era = ProtocolEra.OfHandshake(JsonMembers.FindString(reply.Result.Span, "protocolVersion"u8)) ?? throw Unknown(manifest);
        transport.Agreed(era.Version, isModern: false);
        await connection.NotifyAsync("notifications/initialized", "{}"u8.ToArray(), cancellationToken);
        return era with { ServerInfo = InfoIn(reply.Result.Span) };
    }

    private static async Task<ProtocolEra> DiscoverAsync(RpcConnection connection, IRpcTransport transport, ToolManifest manifest, CancellationToken cancellationToken)
    {
        transport.Agreed(ProtocolEra.ModernVersion, isModern: true);
        var reply = await connection.AskAsync("server/discover", ProtocolEra.Modern.Params(default), cancellationToken);
        if (reply.IsError)
        {
            throw new UpstreamException(RpcError.UpstreamInvalid, UpstreamReasons.HandshakeRefused, $"Tool server '{manifest.Id}' refused the handshake.");
        }
        return JsonMembers.ListHolds(reply.Result.Span, "supportedVersions"u8, "2026-07-28"u8) ? ProtocolEra.Modern with { ServerInfo = InfoIn(reply.Result.Span) } : throw Unknown(manifest);
    }

    // What admins are shown of it; a server that says more than a few words of itself is not quoted.
    private static ReadOnlyMemory<byte> InfoIn(ReadOnlySpan<byte> result)
    {
        var info = JsonMembers.FindObject(result, "serverInfo"u8);
        return info.Length is > 0 and <= MaxInfoBytes && System.Text.Unicode.Utf8.IsValid(info) ? info.ToArray() : default;
    }

    private static UpstreamException Unknown(ToolManifest manifest) => new(RpcError.UpstreamInvalid, UpstreamReasons.ProtocolVersion,
        $"Tool server '{manifest.Id}' speaks no revision of the protocol that is known here.");
}
