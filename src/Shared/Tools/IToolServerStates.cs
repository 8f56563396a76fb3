namespace Shared.Tools;

/// <summary>How an upstream tool server is, as admins, health checks and the start's messages show it. Holds no address, command or secret.</summary>
/// <param name="Id">The manifest's id.</param>
/// <param name="Title">A title for people.</param>
/// <param name="Transport"><c>stdio</c>, <c>http</c>, <c>sse</c>, <c>openapi</c> or <c>built-in</c>.</param>
/// <param name="State"><c>connecting</c>, <c>connected</c>, <c>disconnected</c> or <c>disabled</c>.</param>
/// <param name="Tools">Tools it offers now, curation applied.</param>
/// <param name="Quarantined">Names of tools that are held back alone because their definition is unusable.</param>
/// <param name="Problem">Why it is not connected, or what should be looked at although it is; or null.</param>
public sealed record ToolServerState(string Id, string Title, string Transport, string State, int Tools, IReadOnlyList<string> Quarantined, string? Problem);

/// <summary>The states of all upstream tool servers.</summary>
public interface IToolServerStates
{
    /// <summary>Raised with the new state after one changed. Handlers return at once.</summary>
    event Action<ToolServerState>? Changed;

    /// <summary>All servers, ordered by id. In memory.</summary>
    IReadOnlyList<ToolServerState> ReadAll();
}
