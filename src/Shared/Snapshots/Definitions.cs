using System.Collections.Immutable;
using Shared.Egress;
using Shared.Pricing;
using Shared.Storage;

namespace Shared.Snapshots;

/// <summary>A vendor's endpoint, as data.</summary>
public sealed record Provider
{
    /// <summary>Its id: the part before the slash in <c>provider/model</c>.</summary>
    public required string Id { get; init; }

    /// <summary>The wire format it speaks: <c>openai-chat</c>, or <c>simulator</c> for the built-in one that answers offline.</summary>
    public required string Dialect { get; init; }

    /// <summary>Where its endpoints hang, version segment included, e.g. <c>https://api.openai.com/v1</c>. Unused by the simulator.</summary>
    public Uri? BaseAddress { get; init; }

    /// <summary>The credential sent as bearer token; null: none. Never logged, never shown.</summary>
    public string? ApiKey { get; init; }

    /// <summary>Headers sent with each call, e.g. an organization.</summary>
    public ImmutableDictionary<string, string> Headers { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Models it is known to have, for lists; others may be asked for as well.</summary>
    public ImmutableArray<string> Models { get; init; } = [];

    /// <summary>The endpoints that it has: <c>chat</c>, <c>completions</c>, <c>embeddings</c>, <c>moderations</c>; null: all of them.</summary>
    public ImmutableArray<string>? Endpoints { get; init; }

    /// <summary>The request member by which this provider takes an output limit: <c>max_completion_tokens</c> or <c>max_tokens</c>.</summary>
    public string OutputLimitMember { get; init; } = "max_completion_tokens";

    /// <summary>Whether it understands <c>stream_options.include_usage</c>.</summary>
    public bool StreamUsage { get; init; } = true;

    /// <summary>Time allowed until the response headers arrive.</summary>
    public TimeSpan HeaderTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>Time allowed between two pieces of a stream, and until its first.</summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>How often the same target is tried again after a retryable failure; 0 to 10.</summary>
    public int MaxRetries { get; init; } = 2;

    /// <summary>Where it was declared: a file, <c>environment</c> or <c>built-in</c>.</summary>
    public required string Origin { get; init; }

    /// <summary>
    /// Whether it came in through the admin API rather than from a file of the operator's. The egress policy then denies loopback, private and
    /// link-local addresses unless they are allowed by name.
    /// </summary>
    public bool FromAdminApi { get; init; }

    /// <summary>Whether it has an endpoint.</summary>
    /// <param name="name">One of the names that <see cref="Endpoints"/> lists.</param>
    public bool HasEndpoint(string name) => Endpoints is not { } endpoints || endpoints.Contains(name);
}

/// <summary>One upstream model of a route.</summary>
/// <param name="Provider">Provider id.</param>
/// <param name="Model">The provider's model id.</param>
public sealed record Target(string Provider, string Model);

/// <summary>A public model name and the ordered targets that serve it.</summary>
public sealed record Route
{
    /// <summary>The name that clients ask for.</summary>
    public required string Name { get; init; }

    /// <summary>Targets in the order they are tried.</summary>
    public required ImmutableArray<Target> Targets { get; init; }

    /// <summary>Output limit in tokens for a request that gives none; null: the model's documented maximum.</summary>
    public long? DefaultOutputTokens { get; init; }

    /// <summary>The largest output limit that a request may ask for; a larger one is lowered to it. Null: no cap.</summary>
    public long? MaxOutputTokens { get; init; }

    /// <summary>Members added to a request that lacks them, as raw JSON values by member name.</summary>
    public ImmutableDictionary<string, string> Defaults { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>A fixed reservation for requests whose price has no provable bound (server-side tools, files by id); null: such requests are refused under a hard budget.</summary>
    public Money? FixedReservation { get; init; }
}

/// <summary>How an upstream tool server is reached.</summary>
public enum UpstreamTransport
{
    /// <summary>A child process that speaks JSON-RPC on its standard streams.</summary>
    Stdio,

    /// <summary>Streamable HTTP.</summary>
    StreamableHttp,

    /// <summary>The gateway's own tools, in process.</summary>
    BuiltIn,
}

/// <summary>A condition and an override for tools of one upstream; all rules that match a tool apply, in order, the last one wins.</summary>
public sealed record ToolRule
{
    /// <summary>Glob over the upstream's own tool names.</summary>
    public required string Match { get; init; }

    /// <summary>Whether matching tools are shown; null: as decided before.</summary>
    public bool? Enabled { get; init; }

    /// <summary>Name shown in place of the upstream's (prefix still added); only with a <see cref="Match"/> without wildcards.</summary>
    public string? As { get; init; }

    /// <summary>Description shown in place of the upstream's.</summary>
    public string? Description { get; init; }

    /// <summary>Annotations set or replaced, by name (<c>readOnlyHint</c>, <c>destructiveHint</c>, <c>idempotentHint</c>, <c>openWorldHint</c>).</summary>
    public ImmutableDictionary<string, bool> Annotations { get; init; } = ImmutableDictionary<string, bool>.Empty;

    /// <summary>Price of one call; null: free.</summary>
    public Money? Cost { get; init; }
}

/// <summary>One upstream tool server, as its manifest declares it.</summary>
public sealed record ToolManifest
{
    /// <summary>Its id: the part before the slash in a grant's <c>server/tool</c>.</summary>
    public required string Id { get; init; }

    /// <summary>A title for people.</summary>
    public string? Title { get; init; }

    /// <summary>What the server is for.</summary>
    public string? Description { get; init; }

    /// <summary>Whether it is connected at all.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>How it is reached.</summary>
    public required UpstreamTransport Transport { get; init; }

    /// <summary>Address of a Streamable HTTP server.</summary>
    public Uri? Url { get; init; }

    /// <summary>Headers sent with each HTTP request.</summary>
    public ImmutableDictionary<string, string> Headers { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Program of a stdio server.</summary>
    public string? Command { get; init; }

    /// <summary>Its arguments.</summary>
    public ImmutableArray<string> Arguments { get; init; } = [];

    /// <summary>Its working directory; null: the gateway's.</summary>
    public string? WorkingDirectory { get; init; }

    /// <summary>Its environment, beside the few variables every process needs (PATH, HOME, …). Nothing else is inherited.</summary>
    public ImmutableDictionary<string, string> Environment { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>What its tools' names are prefixed with; <c>""</c>: nothing.</summary>
    public required string Prefix { get; init; }

    /// <summary>Whether tools that no rule names are shown.</summary>
    public bool ExposeByDefault { get; init; } = true;

    /// <summary>Rules for its tools.</summary>
    public ImmutableArray<ToolRule> Tools { get; init; } = [];

    /// <summary>Time allowed for connecting and the handshake.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time allowed for one call; progress does not extend it.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>The most bytes one message from the server may have.</summary>
    public int MaxMessageBytes { get; init; } = 16 * 1024 * 1024;

    /// <summary>The most calls in flight at once; more wait for their turn.</summary>
    public int MaxConcurrentCalls { get; init; } = 64;

    /// <summary>Where it was declared: a file, or <c>built-in</c>.</summary>
    public required string Origin { get; init; }

    /// <summary>
    /// Whether it came in through the admin API rather than from a file of the operator's. The egress policy then denies loopback, private and
    /// link-local addresses unless they are allowed by name.
    /// </summary>
    public bool FromAdminApi { get; init; }
}

/// <summary>How a call is charged whose usage nobody reported (client gone, connection lost, process killed).</summary>
public enum UnknownUsagePolicy
{
    /// <summary>At its full reservation: the only choice under which a hard budget stays provable. The default.</summary>
    Reserved,

    /// <summary>At the input's bound and the output seen.</summary>
    Observed,
}

/// <summary>Settings that a reload may change. Those that hold from start to end (addresses, the data folder) are host options.</summary>
public sealed record GatewaySettings
{
    /// <summary>The largest request body, in bytes.</summary>
    public long MaxBodyBytes { get; init; } = 32 * 1024 * 1024;

    /// <summary>The most bytes of request and response bodies held at once by the whole process.</summary>
    public long BodyMemoryBytes { get; init; } = 512 * 1024 * 1024;

    /// <summary>The longest exposed tool name, prefix included; 24 to 128.</summary>
    public int MaxToolNameLength { get; init; } = 45;

    /// <summary>How long what is kept.</summary>
    public RetentionSettings Retention { get; init; } = new();

    /// <summary>The most MCP sessions that one key may have open. Idle ones of all keys together are ended beyond 1000, a few seconds later.</summary>
    public int MaxSessionsPerKey { get; init; } = 2000;

    /// <summary>How calls of unknown usage are charged.</summary>
    public UnknownUsagePolicy UnknownUsage { get; init; }

    /// <summary>Which addresses the gateway may connect to.</summary>
    public EgressRules Egress { get; init; } = EgressRules.Default;
}
