using System.Collections.Frozen;
using System.Collections.Immutable;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Features;

/// <summary>A list of one kind as one caller sees it, ready to be sent.</summary>
/// <param name="Json">The JSON array of definitions.</param>
/// <param name="Fingerprint">Hash of it: two of the same fingerprint look the same, so no <c>list_changed</c> is due between them.</param>
internal sealed record FeatureList(ReadOnlyMemory<byte> Json, string Fingerprint);

/// <summary>What one caller sees beside tools. Immutable.</summary>
internal sealed record FeatureView
{
    /// <summary>The prompts.</summary>
    public required FeatureList Prompts { get; init; }

    /// <summary>The resources.</summary>
    public required FeatureList Resources { get; init; }

    /// <summary>The templates of resources.</summary>
    public required FeatureList Templates { get; init; }

    /// <summary>The prompts by the name that the caller sees.</summary>
    public required FrozenDictionary<string, CatalogItem> PromptsByName { get; init; }

    /// <summary>The servers of which the caller sees anything, ordered by id.</summary>
    public required ImmutableArray<ToolManifest> Servers { get; init; }

    /// <summary>What the servers tell models of their use, merged; null: nothing.</summary>
    public required string? Instructions { get; init; }

    /// <summary>The capabilities of the one server that the endpoint serves, raw; empty: it serves more than one.</summary>
    public ReadOnlyMemory<byte> OwnCapabilities { get; init; }

    /// <summary>How the one server that the endpoint serves introduced itself, raw; empty: it serves more than one, or it did not.</summary>
    public ReadOnlyMemory<byte> OwnInfo { get; init; }
}

/// <summary>A request beside tools that one server is to answer.</summary>
/// <param name="Method">The method.</param>
/// <param name="Params">The whole <c>params</c> as the caller sent it; empty: none.</param>
internal sealed record FeatureCall(string Method, ReadOnlyMemory<byte> Params)
{
    /// <summary>The client behind it; null: nobody can be asked.</summary>
    public IClientPeer? Peer { get; init; }

    /// <summary>Receives raw progress parameters with the caller's token, in order; null: none wanted.</summary>
    public Func<ReadOnlyMemory<byte>, ValueTask>? OnProgress { get; init; }

    /// <summary>The least severe log messages that the caller wants while it runs; null: none.</summary>
    public string? LogLevel { get; init; }

    /// <summary>Whether the client speaks the stateless revision, whose errors have other codes and which takes <c>input_required</c> results.</summary>
    public bool IsStateless { get; init; }
}

/// <summary>What clients ask of the hub beside tools.</summary>
internal interface IFeatures
{
    /// <summary>Raised with the server, the server's own address and the scope of the connection (null: the shared one) when a resource changed.</summary>
    event Action<ToolManifest, string, string?>? ResourceUpdated;

    /// <summary>The caller's view. Cached.</summary>
    FeatureView ViewOf(Snapshot snapshot, VirtualKey key, ToolScope scope);

    /// <summary>Whether a method is one that some server may know although the hub does not, and there is one to ask.</summary>
    bool CanRelay(Shared.Http.GatewayRequest caller, string method);

    /// <summary>Has a server answer. Never throws for what the server did wrong; only for cancellation.</summary>
    ValueTask<ToolCallOutcome> CallAsync(Shared.Http.GatewayRequest caller, FeatureCall call, CancellationToken cancellationToken);

    /// <summary>Tells the servers behind a view something that the client said; those that cannot be told now miss it.</summary>
    void Tell(Shared.Http.GatewayRequest caller, IClientPeer? peer, string method, ReadOnlyMemory<byte> parameters);

    /// <summary>A session wants log messages from a level on.</summary>
    void SetLogLevel(Shared.Http.GatewayRequest caller, IClientPeer peer, string level);

    /// <summary>Begins to hear of a resource. Null: it does, and the result ends it; else what is wrong.</summary>
    ValueTask<(IDisposable? Subscription, ToolCallOutcome Error)> SubscribeAsync(Shared.Http.GatewayRequest caller, IClientPeer? peer, string address, Func<string, ValueTask> updated, bool isStateless, CancellationToken cancellationToken);

    /// <summary>A client's session has ended.</summary>
    void EndSession(string sessionId);
}
