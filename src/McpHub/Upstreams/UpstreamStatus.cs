namespace McpHub.Upstreams;

/// <summary>Where the connection to a tool server stands.</summary>
public enum UpstreamStatus
{
    /// <summary>Being connected.</summary>
    Connecting,

    /// <summary>Connected, tools known.</summary>
    Ready,

    /// <summary>Lost or never reached; tried again later.</summary>
    Waiting,

    /// <summary>Switched off by its manifest.</summary>
    Disabled,
}
