using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Shared.Egress;
using Shared.Pricing;
using Shared.Storage;
using Shared.Tools;
using Shared.VirtualKeys;

namespace Shared.Snapshots;

/// <summary>A vendor's endpoint, as data.</summary>
public sealed record Provider
{
    /// <summary>Its id: the part before the slash in <c>provider/model</c>.</summary>
    public required string Id { get; init; }

    /// <summary>
    /// The wire format in which its models are called when a request comes in another one than it has endpoints for: <c>openai-chat</c>, <c>openai-responses</c>, <c>anthropic</c>, <c>gemini</c>,
    /// <c>bedrock</c>, or <c>simulator</c> for the built-in one that answers offline.
    /// </summary>
    public required string Dialect { get; init; }

    /// <summary>How it wants its credential; null: as its dialect's vendor does.</summary>
    public ProviderAuth? Auth { get; init; }

    /// <summary>The account by which tokens or signatures are made; null: the one that the machine has, where <see cref="Auth"/> is a scheme that wants one.</summary>
    public ProviderCredentials? Credentials { get; init; }

    /// <summary>The root (<c>openai</c>, <c>anthropic</c>, <c>genai</c>, <c>bedrock</c>) below which paths that are nobody else's are relayed to it as they are; null: none.</summary>
    public string? Passthrough { get; init; }

    /// <summary>The region in its address; null: it has none.</summary>
    public string? Region { get; init; }

    /// <summary>The address of each endpoint that it has, by its name; empty: <see cref="Endpoints"/>, each below <see cref="BaseAddress"/> where its format has it.</summary>
    public ImmutableDictionary<string, EndpointAddress> EndpointAddresses { get; init; } = ImmutableDictionary<string, EndpointAddress>.Empty;

    /// <summary>Where its endpoints hang, version segment included, e.g. <c>https://api.openai.com/v1</c>. Unused by the simulator.</summary>
    public Uri? BaseAddress { get; init; }

    /// <summary>What it makes of members that not all of its format have, as the catalog says of its id and of the host of its address.</summary>
    public ProviderQuirks Quirks => ProviderCatalog.Instance.QuirksOf(Id, BaseAddress?.Host ?? "");

    /// <summary>Its key, sent as <see cref="Auth"/> says; null: none. Never logged, never shown.</summary>
    public string? ApiKey { get; init; }

    /// <summary>Headers sent with each call, e.g. an organization.</summary>
    public ImmutableDictionary<string, string> Headers { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Models it is known to have, for lists; others may be asked for as well.</summary>
    public ImmutableArray<string> Models { get; init; } = [];

    /// <summary>The endpoints that it has, such as <c>chat</c> or <c>embeddings</c>; null: the usual ones of its dialect.</summary>
    public ImmutableArray<string>? Endpoints { get; init; }

    /// <summary>The request member by which this provider takes an output limit: <c>max_completion_tokens</c> or <c>max_tokens</c>.</summary>
    public string OutputLimitMember { get; init; } = "max_completion_tokens";

    /// <summary>Whether it understands <c>stream_options.include_usage</c>.</summary>
    public bool StreamUsage { get; init; } = true;

    /// <summary>Whether it keeps responses (<c>/responses</c>), for <c>previous_response_id</c>; where it does not, the gateway does.</summary>
    public bool StoresResponses { get; init; } = true;

    /// <summary>Time allowed until the response headers arrive.</summary>
    public TimeSpan HeaderTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>Time allowed between two pieces of a stream, and until its first.</summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>How often the same target is tried again after a retryable failure; 0 to 10.</summary>
    public int MaxRetries { get; init; } = 2;

    /// <summary>What a batch reserves under a hard budget, as its price has no bound; null: it is refused there.</summary>
    public Money? BatchReservation { get; init; }

    /// <summary>Where it was declared: a file, <c>environment</c> or <c>built-in</c>.</summary>
    public required string Origin { get; init; }

    /// <summary>
    /// Whether it came in through the admin API rather than from a file of the operator's. The egress policy then denies loopback, private and
    /// link-local addresses unless they are allowed by name.
    /// </summary>
    public bool FromAdminApi { get; init; }

    /// <summary>Whether it has an endpoint.</summary>
    /// <param name="name">One of the names that <see cref="Endpoints"/> lists.</param>
    public bool HasEndpoint(string name) => !EndpointAddresses.IsEmpty ? EndpointAddresses.ContainsKey(name) : Endpoints is { } endpoints ? endpoints.Contains(name) : ProviderAddresses.UsualOf(Dialect).Contains(name);

    /// <summary>Its id alone: credentials stand among the rest.</summary>
    public override string ToString() => Id;
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

    /// <summary>Whether a request is refused rather than translated for a provider whose format cannot express all of it.</summary>
    public bool Strict { get; init; }
}

/// <summary>How an upstream tool server is reached.</summary>
public enum UpstreamTransport
{
    /// <summary>A child process that speaks JSON-RPC on its standard streams.</summary>
    Stdio,

    /// <summary>Streamable HTTP.</summary>
    StreamableHttp,

    /// <summary>HTTP with server-sent events as revision 2024-11-05 has it.</summary>
    Sse,

    /// <summary>The gateway's own tools, in process.</summary>
    BuiltIn,

    /// <summary>A web API that an OpenAPI document describes.</summary>
    OpenApi,
}

/// <summary>Who shares a connection to a tool server.</summary>
public enum SessionMode
{
    /// <summary>Everybody.</summary>
    Shared,

    /// <summary>The requests of one client session; a client without sessions shares one with all others of its key.</summary>
    PerSession,

    /// <summary>All requests of one virtual key.</summary>
    PerKey,

    /// <summary>All requests of one user; a key without a user counts as one of its own.</summary>
    PerUser,
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

    /// <summary>The only definition that is served; null: the rule says nothing of it.</summary>
    public string? Pin { get; init; }

    /// <summary>Title shown in place of the upstream's.</summary>
    public string? Title { get; init; }

    /// <summary>Words that toolsets choose it by.</summary>
    public ImmutableArray<string> Tags { get; init; } = [];

    /// <summary>Arguments with a fixed value, as raw JSON, by name.</summary>
    public ImmutableDictionary<string, FixedArgument> Set { get; init; } = ImmutableDictionary<string, FixedArgument>.Empty;

    /// <summary>Arguments that are neither shown nor taken.</summary>
    public ImmutableArray<string> HiddenArguments { get; init; } = [];

    /// <summary>What is shown of arguments and what they may hold.</summary>
    public ImmutableArray<ArgumentRule> Arguments { get; init; } = [];

    /// <summary>Time allowed for one call; null: that of the server.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>The largest result; null: any.</summary>
    public ResultLimit? Result { get; init; }

    /// <summary>The most calls in flight at once; null: no limit.</summary>
    public int? MaxConcurrentCalls { get; init; }

    /// <summary>The most calls in any minute; null: no limit.</summary>
    public ToolRate? Rate { get; init; }

    /// <summary>Who is asked before a call; null: as decided before, nobody by default.</summary>
    public Approval? Approval { get; init; }
}

/// <summary>The value of an argument that the manifest fixes.</summary>
/// <param name="Json">The value as raw JSON on one line.</param>
/// <param name="IsSecret">Whether nobody may see it.</param>
public sealed record FixedArgument(string Json, bool IsSecret)
{
    /// <summary>Nothing of the value.</summary>
    public override string ToString() => IsSecret ? "***" : Json;
}

/// <summary>What is shown of one argument and what it may hold; of a list, each item.</summary>
public sealed record ArgumentRule
{
    /// <summary>Names from the arguments object inwards; at least one.</summary>
    public required ImmutableArray<string> Path { get; init; }

    /// <summary>Description shown in place of the upstream's.</summary>
    public string? Description { get; init; }

    /// <summary>The value, as raw JSON, of an argument that a call leaves out; null: none.</summary>
    public string? Default { get; init; }

    /// <summary>Whether a call that leaves it out is refused.</summary>
    public bool Required { get; init; }

    /// <summary>The values it may have, as raw JSON scalars; empty: any.</summary>
    public ImmutableArray<string> Allowed { get; init; } = [];

    /// <summary>What the whole of a text must match; runs in linear time.</summary>
    public Regex? Pattern { get; init; }

    /// <summary>Folders, normalised, of which a path must be one or lie below one; empty: any.</summary>
    public ImmutableArray<string> Within { get; init; } = [];

    /// <summary>The most characters of a text.</summary>
    public int? MaxLength { get; init; }

    /// <summary>The least number.</summary>
    public decimal? Min { get; init; }

    /// <summary>The greatest number.</summary>
    public decimal? Max { get; init; }

    /// <summary>Whether it says what the argument may hold, and not only how it is shown.</summary>
    public bool Restricts => Required || Allowed.Length > 0 || Pattern is not null || Within.Length > 0 || MaxLength is not null || Min is not null || Max is not null;

    /// <summary>The path as messages show it.</summary>
    public string Name => string.Join('.', Path);
}

/// <summary>What becomes of a result that is larger than its limit.</summary>
public enum ResultExcess
{
    /// <summary>Texts are cut and a notice is added; other content that does not fit is left out.</summary>
    Cut,

    /// <summary>The call fails.</summary>
    Refuse,
}

/// <summary>The largest result of a tool.</summary>
/// <param name="MaxBytes">The most bytes as JSON.</param>
/// <param name="OnExcess">What becomes of a larger one.</param>
public sealed record ResultLimit(int MaxBytes, ResultExcess OnExcess);

/// <summary>How often a tool may be called in any minute.</summary>
/// <param name="PerKey">The most calls by one key; null: no limit.</param>
/// <param name="Total">The most calls by all keys together; null: no limit.</param>
public sealed record ToolRate(int? PerKey, int? Total);

/// <summary>Whether anybody is asked before a call.</summary>
public enum ApprovalMode
{
    /// <summary>Nobody is.</summary>
    None,

    /// <summary>The person behind the client is. A client that cannot ask its person cannot call the tool.</summary>
    Confirm,
}

/// <summary>How long an approval holds.</summary>
public enum ApprovalMemory
{
    /// <summary>For one call.</summary>
    Never,

    /// <summary>As the person chooses: for one call, or for all calls of the tool in the same client session.</summary>
    Session,
}

/// <summary>Who is asked before a call.</summary>
/// <param name="Mode">Whether anybody is.</param>
/// <param name="Timeout">Time for the answer.</param>
/// <param name="Memory">How long the approval holds.</param>
public sealed record Approval(ApprovalMode Mode, TimeSpan Timeout, ApprovalMemory Memory);

/// <summary>Which of a server's prompts or resources are shown.</summary>
/// <param name="Enabled">Whether any are.</param>
/// <param name="Allow">Globs: what is.</param>
/// <param name="Deny">Globs: what is not, although <paramref name="Allow"/> says so.</param>
public sealed record Exposure(bool Enabled, ImmutableArray<string> Allow, ImmutableArray<string> Deny)
{
    /// <summary>All are shown.</summary>
    public static Exposure All { get; } = new(true, ["*"], []);

    internal bool Shows(string name, bool isUri = false)
    {
        if (!Enabled)
        {
            return false;
        }
        // What such a URI stands for is the server's to say; no glob can tell.
        if (isUri && !(Allow.Contains("*") && Deny.IsEmpty) && !GlobList.IsPlainUri(name))
        {
            return false;
        }
        return Allow.Any(glob => Glob.IsMatch(glob, name)) && !Deny.Any(glob => Glob.IsMatch(glob, name));
    }
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

    /// <summary>Address of a server over HTTP.</summary>
    public Uri? Url { get; init; }

    /// <summary>Headers sent with each HTTP request.</summary>
    public ImmutableDictionary<string, string> Headers { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>How the gateway signs in there; null: it does not, beyond the headers. Tokens go to <see cref="Address"/> alone.</summary>
    public UpstreamAuth? Auth { get; init; }

    /// <summary>The one address that requests go to; null: a program, or a web API at the addresses that its document names.</summary>
    public Uri? Address => Url ?? OpenApi?.BaseUrl;

    /// <summary>What a web API is described by and called with; null for every other transport.</summary>
    public OpenApiSource? OpenApi { get; init; }

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

    /// <summary>Words that toolsets choose all its tools by.</summary>
    public ImmutableArray<string> Tags { get; init; } = [];

    /// <summary>Which of its prompts are shown.</summary>
    public Exposure Prompts { get; init; } = Exposure.All;

    /// <summary>Which of its resources and resource templates are shown.</summary>
    public Exposure Resources { get; init; } = Exposure.All;

    /// <summary>Names shown in place of its prompts' own, by their own.</summary>
    public ImmutableDictionary<string, string> PromptNames { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Whether a prompt is shown and may be had.</summary>
    /// <param name="name">The server's own name.</param>
    public bool ExposesPrompt(string name) => Prompts.Shows(name);

    /// <summary>Whether a resource is shown and may be read. To be asked of the URI of each read as well: what a template shows says nothing of what is put into it.</summary>
    /// <param name="uri">The server's own URI, or the text of a URI template.</param>
    public bool ExposesResource(string uri) => Resources.Shows(uri, isUri: true);

    /// <summary>The name that a prompt is shown under, without a prefix.</summary>
    /// <param name="name">The server's own name.</param>
    public string PromptNameOf(string name) => PromptNames.GetValueOrDefault(name, name);

    /// <summary>Time allowed for connecting and the handshake.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time allowed for one call; progress does not extend it.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>The most bytes one message from the server may have.</summary>
    public int MaxMessageBytes { get; init; } = 16 * 1024 * 1024;

    /// <summary>The most calls in flight at once; more wait for their turn.</summary>
    public int MaxConcurrentCalls { get; init; } = 64;

    /// <summary>How its health is watched.</summary>
    public HealthRules Health { get; init; } = new();

    /// <summary>The only revision of the protocol that is spoken with it; null: what both sides agree on.</summary>
    public string? Protocol { get; init; }

    /// <summary>Who shares a connection to it.</summary>
    public SessionMode Session { get; init; }

    /// <summary>The most connections beside the shared one.</summary>
    public int MaxConnections { get; init; } = 100;

    /// <summary>How far its tools' definitions are trusted.</summary>
    public DefinitionPolicy Definitions { get; init; } = DefinitionPolicy.Default;

    /// <summary>Where it was declared: a file, or <c>built-in</c>.</summary>
    public required string Origin { get; init; }

    /// <summary>
    /// Whether it came in through the admin API rather than from a file of the operator's. The egress policy then denies loopback, private and
    /// link-local addresses unless they are allowed by name.
    /// </summary>
    public bool FromAdminApi { get; init; }
}

/// <summary>How a tool server's health is watched.</summary>
public sealed record HealthRules
{
    /// <summary>How often a server whose connection nobody sees break is asked for a sign of life.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>When calls are kept away from it.</summary>
    public BreakerRules Breaker { get; init; } = new();
}

/// <summary>When calls are kept away from a server that fails.</summary>
public sealed record BreakerRules
{
    /// <summary>Whether they ever are.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>Failures in a row after which they are.</summary>
    public int Failures { get; init; } = 5;

    /// <summary>The share of failed calls within the window, in percent, at which they are.</summary>
    public int FailurePercent { get; init; } = 50;

    /// <summary>The fewest calls within the window for that share to count.</summary>
    public int MinimumCalls { get; init; } = 20;

    /// <summary>The window.</summary>
    public TimeSpan Window { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How long until the first trial call.</summary>
    public TimeSpan OpenFor { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The most trial calls at once.</summary>
    public int Trials { get; init; } = 1;
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

    /// <summary>The largest file that is uploaded to a provider, in bytes. It passes through and is not held.</summary>
    public long MaxUploadBytes { get; init; } = 512 * 1024 * 1024;

    /// <summary>The most bytes of request and response bodies held at once by the whole process.</summary>
    public long BodyMemoryBytes { get; init; } = 512 * 1024 * 1024;

    /// <summary>The longest exposed tool name, prefix included; 24 to 128.</summary>
    public int MaxToolNameLength { get; init; } = 45;

    /// <summary>How long what is kept.</summary>
    public RetentionSettings Retention { get; init; } = new();

    /// <summary>The most MCP sessions that one key may have open. Idle ones of all keys together are ended beyond 1000, a few seconds later.</summary>
    public int MaxSessionsPerKey { get; init; } = 2000;

    /// <summary>The most MCP sessions that may be open in all.</summary>
    public int MaxSessions { get; init; } = 10_000;

    /// <summary>Whether clients of the HTTP+SSE of 2024-11-05 are served.</summary>
    public bool LegacySse { get; init; }

    /// <summary>How calls of unknown usage are charged.</summary>
    public UnknownUsagePolicy UnknownUsage { get; init; }

    /// <summary>The address under which browsers reach the gateway, without a slash at its end; null: the first that is listened on.</summary>
    public string? PublicUrl { get; init; }

    /// <summary>Headers of clients that some tool server is passed; those alone are kept of a request.</summary>
    public ImmutableArray<string> PassedHeaders { get; init; } = [];

    /// <summary>Which addresses the gateway may connect to.</summary>
    public EgressRules Egress { get; init; } = EgressRules.Default;
}
