using Shared.Tools;

namespace McpHub.Catalog.Rules;

/// <summary>
/// The client behind a call that its person has allowed. What the tool server wants to know on the way is asked within this very call: a client that answered by making the call
/// anew would have its person asked anew, too.
/// </summary>
internal sealed class ApprovedPeer(IClientPeer client) : IClientPeer
{
    public string? SessionId => client.SessionId;

    public ReadOnlyMemory<byte> Capabilities => client.Capabilities;

    public IClientPeer? Session => client.Session;

    public bool IsOpen => client.IsOpen;

    public bool CanBeTold => client.CanBeTold;

    public bool TakesInputRequired => false;

    public ValueTask<ToolCallOutcome> AskAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken) => client.AskAsync(method, parameters, cancellationToken);

    public ValueTask<ToolCallOutcome> AskAsync(string method, ReadOnlyMemory<byte> parameters, Func<ReadOnlyMemory<byte>, ValueTask> onProgress, CancellationToken cancellationToken) =>
        client.AskAsync(method, parameters, onProgress, cancellationToken);

    public ValueTask NotifyAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken) => client.NotifyAsync(method, parameters, cancellationToken);
}
