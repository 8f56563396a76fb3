using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Shared.Tools;

/// <summary>One tool as a key's clients are shown it.</summary>
/// <param name="Name">The name that clients see.</param>
/// <param name="Server">The id of its server.</param>
/// <param name="Tool">The server's own name of it.</param>
/// <param name="Bytes">The size of its definition, which a client hands on to its model.</param>
public sealed record ShownTool(string Name, string Server, string Tool, int Bytes);

/// <summary>How many tools a client takes from all its servers together; it cuts off or refuses what is beyond.</summary>
/// <param name="Client">The client, for people.</param>
/// <param name="Most">The most tools.</param>
public sealed record ClientCap(string Client, int Most);

/// <summary>What a key's clients are shown.</summary>
/// <param name="Tools">The tools, ordered by name.</param>
/// <param name="Bytes">The size of their definitions together.</param>
/// <param name="TooManyFor">Clients that are known to take fewer, those that take the fewest first.</param>
public sealed record KeyTools(IReadOnlyList<ShownTool> Tools, long Bytes, IReadOnlyList<ClientCap> TooManyFor);

/// <summary>What keys are shown of the hub, for those who administer them.</summary>
public interface IKeyTools
{
    /// <summary>What a key's clients are shown at an endpoint now, whether the key is valid or not. In memory.</summary>
    KeyTools Read(Snapshot snapshot, VirtualKey key, ToolScope scope);
}
