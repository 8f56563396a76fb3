using System.Net.Http.Headers;
using McpHub.Upstreams;

namespace Gateway.Bridging;

/// <summary>
/// The session of a client that shakes hands. When the gateway forgets it, as it does when it is restarted, the same handshake opens another, and the client need
/// not know.
/// </summary>
internal sealed class BridgeSession(GatewayConnection gateway, BridgeOutput output, BridgeLog log, CancellationToken stopping)
{
    /// <summary>The header with a session's id.</summary>
    public const string Header = "Mcp-Session-Id";

    private const string VersionHeader = "MCP-Protocol-Version";

    private static readonly byte[] Initialized = """{"jsonrpc":"2.0","method":"notifications/initialized"}"""u8.ToArray();
    private static readonly byte[] ToolsChanged = """{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"""u8.ToArray();
    private static readonly TimeSpan HandshakeLimit = TimeSpan.FromSeconds(30);

    private readonly SemaphoreSlim renewing = new(1, 1);
    private ClientMessage? handshake;
    private volatile Agreement? agreed;

    /// <summary>What was agreed on; null: no handshake was done.</summary>
    public Agreement? Current => agreed;

    /// <summary>Keeps the handshake, so that it can be repeated.</summary>
    public void Begin(ClientMessage initialize) => (handshake, agreed) = (initialize, null);

    /// <summary>Takes the agreement out of the answer to the handshake.</summary>
    /// <param name="response">The HTTP response; it carries the session's id.</param>
    /// <param name="message">The JSON-RPC answer.</param>
    public void Agree(HttpResponseMessage response, ReadOnlySpan<byte> message)
    {
        if (TryReadAgreement(response, message) is { } agreement)
        {
            agreed = agreement;
        }
    }

    /// <summary>Adds a session's headers.</summary>
    public static void Describe(HttpRequestHeaders headers, Agreement? agreement)
    {
        if (agreement is null)
        {
            return;
        }
        headers.TryAddWithoutValidation(VersionHeader, agreement.Version);
        if (agreement.SessionId is not null)
        {
            headers.TryAddWithoutValidation(Header, agreement.SessionId);
        }
    }

    /// <summary>Opens another session in place of one that was lost. Of many that ask, one does it.</summary>
    /// <exception cref="BridgeException">It cannot be had.</exception>
    public async Task RenewAsync(Agreement? lost, CancellationToken cancellationToken)
    {
        await renewing.WaitAsync(cancellationToken);
        try
        {
            if (lost is null || handshake is null || !ReferenceEquals(lost, agreed))
            {
                return;
            }
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(HandshakeLimit);
            try
            {
                await RepeatHandshakeAsync(lost, handshake, limit.Token);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw new BridgeException(BridgeException.Unavailable, $"The gateway did not open another session within {HandshakeLimit.TotalSeconds:0} seconds.");
            }
            catch (SessionLostException)
            {
                throw new BridgeException(BridgeException.Invalid, "The gateway forgets each session at once.");
            }
        }
        finally
        {
            renewing.Release();
        }
    }

    /// <summary>Ends the session, if one is open.</summary>
    public async Task EndAsync(CancellationToken cancellationToken)
    {
        if (agreed is not { SessionId: not null } last)
        {
            return;
        }
        agreed = null;
        try
        {
            using var response = await gateway.SendAsync(HttpMethod.Delete, default, headers => Describe(headers, last), cancellationToken);
        }
        catch (Exception exception) when (exception is BridgeException or SessionLostException or OperationCanceledException)
        {
            log.Write($"the session was not ended: {exception.Message}");
        }
    }

    private async Task RepeatHandshakeAsync(Agreement lost, ClientMessage initialize, CancellationToken cancellationToken)
    {
        Agreement? next = null;
        using (var response = await gateway.SendAsync(HttpMethod.Post, initialize.Bytes, BridgeRequest.Accept, cancellationToken))
        {
            await BridgeRequest.ReadAsync(gateway, response, null, message => next ??= TryReadAgreement(response, message), () => next is not null, cancellationToken);
        }
        if (next is null)
        {
            throw new BridgeException(BridgeException.Invalid, "The gateway opened no other session in place of the one it forgot.");
        }
        if (next.Version != lost.Version)
        {
            throw new BridgeException(BridgeException.Invalid, $"The gateway now speaks revision {next.Version} instead of {lost.Version}: restart the client.");
        }
        using (var response = await gateway.SendAsync(HttpMethod.Post, Initialized, headers => { BridgeRequest.Accept(headers); Describe(headers, next); }, cancellationToken))
        {
            agreed = next;
        }
        log.Write("the gateway had forgotten the session; another one is open");
        if (lost.AnnouncesTools && !stopping.IsCancellationRequested)
        {
            // Who started the gateway again may have changed the tools meanwhile, and a new session does not know what the old one showed.
            output.Write(ToolsChanged);
        }
    }

    private static Agreement? TryReadAgreement(HttpResponseMessage response, ReadOnlySpan<byte> message)
    {
        if (!RpcFrame.TryRead(message, out var frame) || !frame.IsResponse || frame.Result.IsEmpty || JsonMembers.FindString(frame.Result, "protocolVersion"u8) is not { } version || !IsVisible(version))
        {
            return null;
        }
        var tools = JsonMembers.FindRaw(JsonMembers.FindRaw(frame.Result, "capabilities"u8), "tools"u8);
        var id = response.Headers.NonValidated.TryGetValues(Header, out var ids) ? ids.ToString() : null;
        return new Agreement(id is { Length: > 0 } && IsVisible(id) ? id : null, version, !tools.IsEmpty && JsonMembers.IsTrue(tools, "listChanged"u8));
    }

    private static bool IsVisible(string text) => !text.AsSpan().ContainsAnyExceptInRange('!', '~');
}

/// <summary>What a handshake agreed on.</summary>
/// <param name="SessionId">The session's id; null: the gateway keeps none.</param>
/// <param name="Version">The protocol's revision.</param>
/// <param name="AnnouncesTools">Whether the client may be told that tools changed.</param>
internal sealed record Agreement(string? SessionId, string Version, bool AnnouncesTools);
