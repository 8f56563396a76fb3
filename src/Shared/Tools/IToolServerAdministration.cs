using Shared.Stored;

namespace Shared.Tools;

/// <summary>A tool of an upstream server as admins see it.</summary>
/// <param name="Name">The upstream's own name.</param>
/// <param name="ExposedName">The name that clients see; null: it is not served.</param>
/// <param name="Annotations">Its boolean annotations, the manifest's overrides applied.</param>
public sealed record AdministeredTool(string Name, string? ExposedName, IReadOnlyDictionary<string, bool> Annotations)
{
    /// <summary>How its calls went; null: it was not called.</summary>
    public ToolHealth? Health { get; init; }
}

/// <summary>A tool that is not served.</summary>
/// <param name="Name">Its server's name of it, or its place in the list where it has none.</param>
/// <param name="Reason">Why: what is wrong with its definition, or the admin's words.</param>
/// <param name="Hold">Who holds it back; null: nobody, it is unusable.</param>
public sealed record WithheldTool(string Name, string Reason, ToolHold? Hold);

/// <summary>Everything that is known of a tool server.</summary>
public sealed record ToolServerDetail
{
    /// <summary>What lists show.</summary>
    public required ToolServerState State { get; init; }

    /// <summary>Since when it is in this state; null: it is switched off.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>The revision of the protocol that was agreed on; null while it is not connected.</summary>
    public string? ProtocolVersion { get; init; }

    /// <summary>How the server introduced itself: a raw JSON object; null: it did not, or is not connected.</summary>
    public string? ServerInfo { get; init; }

    /// <summary>A short code of why it is not connected, or was not when it was tried last; null: it is.</summary>
    public string? LastError { get; init; }

    /// <summary>The end of what its process wrote to its error stream, with the values of its declared headers, environment and arguments masked; "": nothing.</summary>
    public required string LastWords { get; init; }

    /// <summary>Its circuit breaker; null: it is switched off.</summary>
    public ToolServerBreaker? Breaker { get; init; }

    /// <summary>Who holds the whole server back; null: nobody.</summary>
    public ToolHold? Hold { get; init; }

    /// <summary>Its served tools, by the upstream's names.</summary>
    public required IReadOnlyList<AdministeredTool> Tools { get; init; }

    /// <summary>Tools that are held back.</summary>
    public required IReadOnlyList<WithheldTool> Withheld { get; init; }
}

/// <summary>What admins do with tool servers. Takes effect at once; clients whose tools change by it are told.</summary>
public interface IToolServerAdministration
{
    /// <summary>Everything of a server; null: there is none of that id.</summary>
    ToolServerDetail? Find(string id);

    /// <summary>Drops a server's connection and connects anew, without the pause that follows failures. False: there is none of that id, or it is switched off.</summary>
    bool Reconnect(string id);

    /// <summary>Connects a server that waits for its next attempt at once. One that is connected, switched off or unknown is left alone.</summary>
    void Hasten(string id);

    /// <summary>Holds a server, or one of its tools, back. The tool need not be there now.</summary>
    /// <param name="id">The server.</param>
    /// <param name="tool">The upstream's own name of the tool; "": the server as a whole.</param>
    /// <param name="reason">Why.</param>
    /// <param name="by">Who.</param>
    /// <exception cref="Storage.StorageException">The database cannot be written; nothing has changed.</exception>
    void Hold(string id, string tool, string reason, ChangedBy by);

    /// <summary>Lets it go. False: it was not held.</summary>
    /// <exception cref="Storage.StorageException">The database cannot be written; nothing has changed.</exception>
    bool Release(string id, string tool, ChangedBy by);
}
