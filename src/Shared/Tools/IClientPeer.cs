using System.Text.Json;

namespace Shared.Tools;

/// <summary>
/// The client behind a call, for as long as the call lasts: whoever serves the call can ask it something and tell it something, whatever revision of the protocol it speaks.
/// A client of a handshake revision gets a request on the call's stream; one of the stateless revision gets an <c>input_required</c> result, and its retry brings the answer
/// (specification 2026-07-28, basic/utilities/mrtr). Thread-safe.
/// </summary>
public interface IClientPeer
{
    /// <summary>The session that the call belongs to; null: the client has none.</summary>
    string? SessionId { get; }

    /// <summary>What the client declared that it can do: the raw <c>capabilities</c> object, UTF-8; <c>{}</c>: nothing.</summary>
    ReadOnlyMemory<byte> Capabilities { get; }

    /// <summary>The same client beyond this call, for as long as its session lasts; null: it has no session.</summary>
    IClientPeer? Session => null;

    /// <summary>Whether the client is still there.</summary>
    bool IsOpen => true;

    /// <summary>Whether the client can be told anything while the call runs.</summary>
    bool CanBeTold => true;

    /// <summary>Whether the client takes an <c>input_required</c> result of a tool server as it is, and answers it by itself.</summary>
    bool TakesInputRequired => false;

    /// <summary>Asks the client. What it answers, or why it does not, comes back raw; it is never thrown.</summary>
    /// <param name="method"><c>elicitation/create</c>, <c>sampling/createMessage</c> or <c>roots/list</c>.</param>
    /// <param name="parameters">The raw <c>params</c> object, UTF-8; empty: none.</param>
    /// <param name="cancellationToken">Ends the waiting; the client is told.</param>
    ValueTask<ToolCallOutcome> AskAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken);

    /// <summary>The same, and hears how far the client is, if the question has a progress token. A client without a session says nothing of it.</summary>
    /// <param name="method">As above.</param>
    /// <param name="parameters">As above.</param>
    /// <param name="onProgress">Receives the raw <c>params</c> of each progress notification of the client's, UTF-8, with the question's own token.</param>
    /// <param name="cancellationToken">As above.</param>
    ValueTask<ToolCallOutcome> AskAsync(string method, ReadOnlyMemory<byte> parameters, Func<ReadOnlyMemory<byte>, ValueTask> onProgress, CancellationToken cancellationToken) =>
        AskAsync(method, parameters, cancellationToken);

    /// <summary>Tells the client something. A client that cannot be told now misses it.</summary>
    /// <param name="method">The notification.</param>
    /// <param name="parameters">Its raw <c>params</c> object, UTF-8; empty: none.</param>
    /// <param name="cancellationToken">Ends the sending.</param>
    ValueTask NotifyAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken);
}

/// <summary>What clients declare of themselves.</summary>
public static class ClientPeerExtensions
{
    /// <summary>Whether a client declared a capability.</summary>
    /// <param name="peer">The client.</param>
    /// <param name="path">Members of the capabilities object joined by dots, e.g. <c>elicitation.url</c>. A bare <c>elicitation: {}</c> stands for its form mode, as it does in the specification (2025-11-25, client/elicitation).</param>
    public static bool Can(this IClientPeer? peer, string path)
    {
        if (peer is null)
        {
            return false;
        }
        using var document = JsonDocument.Parse(peer.Capabilities);
        var at = document.RootElement;
        foreach (var name in path == "elicitation.form" ? ["elicitation"] : path.Split('.'))
        {
            if (at.ValueKind != JsonValueKind.Object || !at.TryGetProperty(name, out at))
            {
                return false;
            }
        }
        return at.ValueKind == JsonValueKind.Object && (path != "elicitation.form" || at.TryGetProperty("form", out _) || !at.TryGetProperty("url", out _));
    }
}
