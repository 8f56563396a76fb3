using Shared.Configuration.Schemas;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.Tools;

namespace Shared.Configuration;

/// <summary>A file under <c>tool-manifests</c>.</summary>
internal sealed record ManifestDeclaration : Declaration
{
    /// <summary>The version of this format.</summary>
    [Choices("hub/v1")]
    public required string ApiVersion { get; init; } = "";

    /// <summary>What the file declares.</summary>
    [Choices("ToolManifest")]
    public required string Kind { get; init; } = "";

    /// <summary>What the tool server is called.</summary>
    public required ManifestMetadata Metadata { get; init; } = new() { Id = "" };

    /// <summary>Whether the server is connected at all. One that is switched off may lack its secrets.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>Conditions beside <c>enabled</c>: the server is connected only while they hold.</summary>
    public EnabledWhen? EnabledWhen { get; init; }

    /// <summary>How the tool server is reached.</summary>
    public required ManifestUpstream Upstream { get; init; } = new();

    /// <summary>Which of its tools are shown, and how.</summary>
    public ManifestExpose Expose { get; init; } = new();

    /// <summary>What becomes of tools whose definition changes. What is not said here holds as in gateway.yaml.</summary>
    public PinningDeclaration Pinning { get; init; } = new();

    /// <summary>What becomes of tools with suspicious definitions. What is not said here holds as in gateway.yaml.</summary>
    public ScanDeclaration Scan { get; init; } = new();

    /// <summary>How its health is watched.</summary>
    public ManifestHealth Health { get; init; } = new();
}

/// <summary>How a tool server's health is watched.</summary>
internal sealed record ManifestHealth : Declaration
{
    /// <summary>How often a server over Streamable HTTP is asked for a sign of life; the loss of other connections is seen at once.</summary>
    [Bounds("1s", "1h")]
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>When calls are kept away from the server, so that they fail at once and not after the time that a call may take.</summary>
    public ManifestBreaker Breaker { get; init; } = new();
}

/// <summary>
/// When calls are kept away from a server. A call fails here when the server does not answer in time, cannot be reached, breaks off or answers with HTTP status 5xx; whatever
/// it answers otherwise, errors among it, is an answer.
/// </summary>
internal sealed record ManifestBreaker : Declaration
{
    /// <summary>Whether calls are ever kept away.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>Failures in a row after which the circuit opens.</summary>
    [Bounds("1", "1000")]
    public int Failures { get; init; } = 5;

    /// <summary>The circuit opens as well when so many percent of the calls within <c>window</c> failed.</summary>
    [Bounds("1", "100")]
    public int FailurePercent { get; init; } = 50;

    /// <summary>The fewest calls within <c>window</c> for <c>failurePercent</c> to count.</summary>
    [Bounds("1", "1000000")]
    public int MinimumCalls { get; init; } = 20;

    /// <summary>The time over which <c>failurePercent</c> is counted.</summary>
    [Bounds("1s", "1h")]
    public TimeSpan Window { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How long the circuit stays open until trial calls go through; the first that is answered closes it.</summary>
    [Bounds("1s", "1h")]
    public TimeSpan OpenFor { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The most trial calls at once.</summary>
    [Bounds("1", "100")]
    public int Trials { get; init; } = 1;
}

/// <summary>What becomes of tools whose definition changes.</summary>
internal sealed record PinningDeclaration : Declaration
{
    /// <summary>
    /// What becomes of a tool whose definition (name, title, description, schemas, annotations, anything that clients see) is not the approved one. A rule's <c>pin</c> holds in every mode.
    /// </summary>
    [DefaultText("as in gateway.yaml; there `warn`")]
    public PinningMode? Mode { get; init; }

    /// <summary>What becomes of a tool that was never seen before; without a meaning where the mode is <c>off</c>.</summary>
    [DefaultText("as in gateway.yaml; there `approve`")]
    public FirstSeen? FirstSeen { get; init; }
}

/// <summary>What becomes of tools in whose definition hidden instructions, invisible characters or the like are found.</summary>
internal sealed record ScanDeclaration : Declaration
{
    /// <summary>What becomes of a tool with findings.</summary>
    [DefaultText("as in gateway.yaml; there `warn`")]
    public ScanMode? Mode { get; init; }

    /// <summary>Ids of rules that do not count.</summary>
    [DefaultText("as in gateway.yaml; there none")]
    public IReadOnlyList<string>? Ignore { get; init; }
}

/// <summary>What a tool server is called.</summary>
internal sealed record ManifestMetadata : Declaration
{
    /// <summary>The part before the slash in a grant's <c>server/tool</c>; unique among all manifests. <c>gateway</c> is built in.</summary>
    [Pattern("^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
    public required string Id { get; init; } = "";

    /// <summary>A title for people.</summary>
    public string? Title { get; init; }

    /// <summary>What the server is for, for people.</summary>
    public string? Description { get; init; }

    /// <summary>Words that toolsets choose all its tools by.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];
}

/// <summary>Conditions beside <c>enabled</c>: the server is connected only while all hold.</summary>
internal sealed record EnabledWhen : Declaration
{
    /// <summary>A program that must be found on the PATH.</summary>
    public required string Command { get; init; } = "";
}

/// <summary>How a tool server is reached: by a command (stdio), at an address (Streamable HTTP), or as a web API that an OpenAPI document describes.</summary>
internal sealed record ManifestUpstream : Declaration
{
    /// <summary>How the server is spoken to. <c>sse</c> is the HTTP+SSE of 2024-11-05; a server at a <c>url</c> that refuses Streamable HTTP is asked for it without being told to.</summary>
    [Choices("stdio", "streamable-http", "sse", "openapi")]
    [DefaultText("as `command`, `url` or `document` implies")]
    public string? Transport { get; init; }

    /// <summary>Address of a Streamable HTTP server. May hold <c>${env:NAME}</c>, of which the value is shown to admins.</summary>
    [References]
    public Uri? Url { get; init; }

    /// <summary>Headers sent with each request to a Streamable HTTP server or a web API, by name.</summary>
    public IReadOnlyDictionary<string, Secret> Headers { get; init; } = new Dictionary<string, Secret>();

    /// <summary>
    /// The OpenAPI document (3.0 or 3.1, JSON or YAML) of a web API: a file, relative to the folder of this one, or an http or https address. Each of its
    /// operations becomes a tool. May hold <c>${env:NAME}</c>.
    /// </summary>
    [References]
    public string? Document { get; init; }

    /// <summary>The web API's address, in place of the servers that its document names; the document's paths are added to it. May hold <c>${env:NAME}</c>.</summary>
    [DefaultText("the document's first server")]
    [References]
    public Uri? BaseUrl { get; init; }

    /// <summary>Values of the variables in the addresses of the document's servers, by name.</summary>
    public IReadOnlyDictionary<string, string> ServerVariables { get; init; } = new Dictionary<string, string>();

    /// <summary>Credentials of a web API, by the name of the security scheme in its document.</summary>
    public IReadOnlyDictionary<string, ManifestCredential> Credentials { get; init; } = new Dictionary<string, ManifestCredential>();

    /// <summary>Which operations of a web API become tools.</summary>
    public ManifestOperations Operations { get; init; } = new();

    /// <summary>How often a document at an address is read anew. A file is looked at every few seconds.</summary>
    [Bounds("10s", "30d")]
    public TimeSpan Refresh { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Program of a stdio server, looked up on the PATH.</summary>
    public string? Command { get; init; }

    /// <summary>Arguments of the program.</summary>
    public IReadOnlyList<Secret> Args { get; init; } = [];

    /// <summary>Working directory of the program. May hold <c>${env:NAME}</c>.</summary>
    [DefaultText("the gateway's")]
    [References]
    public string? Cwd { get; init; }

    /// <summary>Variables of the program, beside the few that every process needs; nothing else is inherited.</summary>
    public IReadOnlyDictionary<string, Secret> Env { get; init; } = new Dictionary<string, Secret>();

    /// <summary>The revision of the protocol to speak; <c>auto</c> agrees on the newest that both sides know, a handshake first.</summary>
    [Choices("auto", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")]
    public string Protocol { get; init; } = "auto";

    /// <summary>
    /// Who shares a connection to the server. A server that keeps something between calls (an open page, a working folder) should have one for each session.
    /// On a shared connection the server is told that clients can be asked for everything, and a client that cannot answers so; on the others it is told what the very client can.
    /// </summary>
    public SessionMode Session { get; init; }

    /// <summary>How the gateway signs in at a server over HTTP, or at the web API at <c>baseUrl</c>. See docs/upstream-sign-in.md.</summary>
    public UpstreamAuthDeclaration Auth { get; init; } = new();

    /// <summary>Times and sizes.</summary>
    public ManifestLimits Limits { get; init; } = new();
}

/// <summary>What a security scheme of an OpenAPI document is filled in with; a text alone is its <c>secret</c>.</summary>
[Shorthand(nameof(Secret))]
internal sealed record ManifestCredential : Declaration
{
    /// <summary>The key of an <c>apiKey</c> scheme, or the token of a <c>bearer</c>, <c>oauth2</c> or <c>openIdConnect</c> scheme.</summary>
    public Secret? Secret { get; init; }

    /// <summary>The user of a <c>basic</c> scheme.</summary>
    public Secret? Username { get; init; }

    /// <summary>The password of a <c>basic</c> scheme.</summary>
    [DefaultText("an empty one")]
    public Secret? Password { get; init; }
}

/// <summary>Which operations of an OpenAPI document become tools; <c>expose</c> then decides which of these are shown.</summary>
internal sealed record ManifestOperations : Declaration
{
    /// <summary>Only operations that match one of these.</summary>
    [DefaultText("all")]
    public IReadOnlyList<ManifestOperationRule> Include { get; init; } = [];

    /// <summary>No operations that match one of these.</summary>
    public IReadOnlyList<ManifestOperationRule> Exclude { get; init; } = [];

    /// <summary>What becomes of operations that the document calls deprecated.</summary>
    public DeprecatedOperations Deprecated { get; init; }

    /// <summary>
    /// Whether tools say what their results look like. Clients refuse a result that is not as announced, so switch this off for an API that does not
    /// keep to its document.
    /// </summary>
    public bool OutputSchemas { get; init; } = true;
}

/// <summary>What becomes of deprecated operations.</summary>
internal enum DeprecatedOperations
{
    /// <summary>They are tools whose description says so.</summary>
    Mark,

    /// <summary>They are no tools.</summary>
    Omit,
}

/// <summary>A condition on operations: all that it says must hold.</summary>
internal sealed record ManifestOperationRule : Declaration
{
    /// <summary>Methods, of which the operation has one.</summary>
    [OneOrMany]
    [DefaultText("any")]
    public IReadOnlyList<string> Method { get; init; } = [];

    /// <summary>Tags, of which the operation has one.</summary>
    [OneOrMany]
    [DefaultText("any")]
    public IReadOnlyList<string> Tag { get; init; } = [];

    /// <summary>A glob over the path as the document writes it: <c>*</c> is any run of characters, slashes included, <c>?</c> is one.</summary>
    [DefaultText("any")]
    public string? Path { get; init; }
}

/// <summary>Times and sizes of one tool server.</summary>
internal sealed record ManifestLimits : Declaration
{
    /// <summary>Time allowed for connecting and the handshake.</summary>
    [Bounds("100ms", "10m")]
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time allowed for one call; progress does not extend it.</summary>
    [Bounds("100ms", "1d")]
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>The largest message from the server; a larger one ends the connection.</summary>
    [Bounds("1KiB", "1GiB")]
    public ByteSize MaxMessageBytes { get; init; } = new(16L << 20);

    /// <summary>The most calls in flight at once on one connection; more wait for their turn.</summary>
    [Bounds("1", "10000")]
    public int MaxConcurrentCalls { get; init; } = 64;

    /// <summary>The most connections beside the shared one, where sessions, keys or users have their own; a caller beyond it is refused until one falls idle.</summary>
    [Bounds("1", "10000")]
    public int MaxConnections { get; init; } = 100;

    /// <summary>The most bytes of a web API's answer that a caller gets; text beyond it is cut, which the result says.</summary>
    [Bounds("1KiB", "256MiB")]
    public ByteSize MaxResultBytes { get; init; } = new(1L << 20);

    /// <summary>The largest OpenAPI document.</summary>
    [Bounds("1KiB", "256MiB")]
    public ByteSize MaxDocumentBytes { get; init; } = new(16L << 20);
}

/// <summary>Which tools are shown, and how.</summary>
internal sealed record ManifestExpose : Declaration
{
    /// <summary>Prefix of its tools' names: up to 24 letters, digits, <c>_</c> or <c>-</c>, unique among all manifests; an empty text for none.</summary>
    [DefaultText("the id")]
    [Pattern("^[A-Za-z0-9_-]{0,24}$")]
    public string? Prefix { get; init; }

    /// <summary>Whether tools that no rule names are shown.</summary>
    public ExposeDefault Default { get; init; }

    /// <summary>Rules for its tools; all that match a tool apply in order, the last one wins.</summary>
    public IReadOnlyList<ManifestTool> Tools { get; init; } = [];

    /// <summary>Which of its prompts are shown, and under which names.</summary>
    public ManifestPrompts Prompts { get; init; } = new();

    /// <summary>Which of its resources and resource templates are shown.</summary>
    public ManifestResources Resources { get; init; } = new();
}

/// <summary>Which prompts are shown, and under which names.</summary>
internal sealed record ManifestPrompts : Declaration
{
    /// <summary>Whether any are shown.</summary>
    [DefaultText("as `expose.default` says of tools: `true` for `allow`, `false` for `deny`")]
    public bool? Enabled { get; init; }

    /// <summary>Globs over the server's own names: what is shown.</summary>
    [DefaultText("all")]
    public IReadOnlyList<string>? Allow { get; init; }

    /// <summary>Globs over the server's own names: what is not shown although <c>allow</c> says so.</summary>
    public IReadOnlyList<string> Deny { get; init; } = [];

    /// <summary>Names in place of the server's, by the server's (the prefix is still added): letters, digits, <c>_</c> or <c>-</c>.</summary>
    public IReadOnlyDictionary<string, string> Rename { get; init; } = new Dictionary<string, string>();
}

/// <summary>Which resources and resource templates are shown.</summary>
internal sealed record ManifestResources : Declaration
{
    /// <summary>Whether any are shown.</summary>
    [DefaultText("as `expose.default` says of tools: `true` for `allow`, `false` for `deny`")]
    public bool? Enabled { get; init; }

    /// <summary>Globs over URIs, and over the texts of URI templates: what is shown and may be read. A URI with <c>..</c>, a backslash or an encoded separator matches none but <c>*</c>.</summary>
    [DefaultText("all")]
    public IReadOnlyList<string>? Allow { get; init; }

    /// <summary>Globs over the same: what is not shown although <c>allow</c> says so.</summary>
    public IReadOnlyList<string> Deny { get; init; } = [];
}

/// <summary>What becomes of tools that no rule names.</summary>
internal enum ExposeDefault
{
    /// <summary>They are shown.</summary>
    Allow,

    /// <summary>They are hidden; only what a rule enables is shown.</summary>
    Deny,
}

/// <summary>A rule for one tool (<c>name</c>) or for all that match a glob (<c>match</c>).</summary>
[ExactlyOne(nameof(Name), nameof(Match))]
internal sealed record ManifestTool : Declaration
{
    /// <summary>The server's own name of one tool; either this or <c>match</c>.</summary>
    public string? Name { get; init; }

    /// <summary>A glob over the server's own names: <c>*</c> is any run of characters, <c>?</c> is one.</summary>
    public string? Match { get; init; }

    /// <summary>Whether matching tools are shown.</summary>
    [DefaultText("as decided before")]
    public bool? Enabled { get; init; }

    /// <summary>A name in place of the server's (the prefix is still added): letters, digits, <c>_</c> or <c>-</c>; for one tool only.</summary>
    [Pattern("^[A-Za-z0-9_-]+$")]
    public string? As { get; init; }

    /// <summary>A title in place of the server's, for people.</summary>
    public string? Title { get; init; }

    /// <summary>A description in place of the server's, for models.</summary>
    public string? Description { get; init; }

    /// <summary>Words that toolsets choose it by, beside those of its manifest.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary><c>readOnlyHint</c>, <c>destructiveHint</c>, <c>idempotentHint</c>, <c>openWorldHint</c>: set or replaced.</summary>
    [Pattern("^(readOnlyHint|destructiveHint|idempotentHint|openWorldHint)$")]
    public IReadOnlyDictionary<string, bool> Annotations { get; init; } = new Dictionary<string, bool>();

    /// <summary>US dollars for one call.</summary>
    [DefaultText("free")]
    public Money? Cost { get; init; }

    /// <summary>
    /// The only definition of the tool that is served, as <c>gateway manifests pin</c> prints it: <c>sha256-</c> and 64 hex digits; for one tool only. It counts for more than an admin's approval, and holds
    /// in every mode of <c>pinning</c>.
    /// </summary>
    [Pattern("^sha256-[0-9a-f]{64}$")]
    public string? Pin { get; init; }

    /// <summary>Arguments with a fixed value, any JSON value, by name. They are not in the schema that clients see, and a call that sends one is refused.</summary>
    public IReadOnlyDictionary<string, RawJson> Set { get; init; } = new Dictionary<string, RawJson>();

    /// <summary>The same for texts that nobody may see, best as references such as <c>${env:NAME}</c>.</summary>
    public IReadOnlyDictionary<string, Secret> SetSecret { get; init; } = new Dictionary<string, Secret>();

    /// <summary>Optional arguments that are not in the schema that clients see; a call that sends one is refused.</summary>
    public IReadOnlyList<string> HideArgs { get; init; } = [];

    /// <summary>What is shown of arguments, and what they may hold, by name. Members of an argument that is an object are named with a dot between (<c>options.path</c>); a dot within a name is written <c>\.</c>.</summary>
    public IReadOnlyDictionary<string, ManifestArgument> Args { get; init; } = new Dictionary<string, ManifestArgument>();

    /// <summary>Time allowed for one call; at most that of the server, <c>upstream.limits.callTimeout</c>.</summary>
    [DefaultText("that of the server")]
    [Bounds("100ms", "1d")]
    public TimeSpan? Timeout { get; init; }

    /// <summary>The largest result, and what becomes of a larger one.</summary>
    public ManifestResult? Result { get; init; }

    /// <summary>The most calls of it in flight at once, of all callers together; more wait for their turn.</summary>
    [DefaultText("no limit but that of the server")]
    [Bounds("1", "10000")]
    public int? MaxConcurrentCalls { get; init; }

    /// <summary>How often it may be called.</summary>
    public ManifestToolRate? RateLimit { get; init; }

    /// <summary>Whether a person is asked before each call.</summary>
    public ManifestApproval? Approval { get; init; }
}

/// <summary>What is shown of an argument, and what it may hold. For a list, the rules are those of each item.</summary>
internal sealed record ManifestArgument : Declaration
{
    /// <summary>A description in place of the server's, for models.</summary>
    public string? Description { get; init; }

    /// <summary>The value of an argument that a call leaves out, any JSON value; shown in the schema, too. Not for members of arguments.</summary>
    [DefaultText("none")]
    public RawJson? Default { get; init; }

    /// <summary>Whether a call that leaves it out is refused.</summary>
    [DefaultText("as the server says")]
    public bool Required { get; init; }

    /// <summary>The values that it may have: texts, numbers, booleans. The schema shows them as <c>enum</c>.</summary>
    public IReadOnlyList<RawJson> Allowed { get; init; } = [];

    /// <summary>A regular expression that the whole of a text must match; without look-around and back references.</summary>
    public string? Pattern { get; init; }

    /// <summary>Folders of which a path must be one or lie below one. Refused is what has <c>..</c>, encoded separators, and backslashes unless the folder begins with a drive letter.</summary>
    public IReadOnlyList<string> Within { get; init; } = [];

    /// <summary>The most characters of a text.</summary>
    [Bounds("0", "1000000000")]
    public int? MaxLength { get; init; }

    /// <summary>The least number.</summary>
    public decimal? Min { get; init; }

    /// <summary>The greatest number.</summary>
    public decimal? Max { get; init; }
}

/// <summary>The largest result of a tool, and what becomes of a larger one.</summary>
[Shorthand(nameof(MaxBytes))]
internal sealed record ManifestResult : Declaration
{
    /// <summary>The most bytes of a result as JSON.</summary>
    [Bounds("1KiB", "1GiB")]
    public required ByteSize MaxBytes { get; init; } = new(1L << 20);

    /// <summary>What becomes of a larger one.</summary>
    public ResultExcess OnExcess { get; init; }
}

/// <summary>How often a tool may be called, in any minute.</summary>
[Shorthand(nameof(PerMinute))]
internal sealed record ManifestToolRate : Declaration
{
    /// <summary>The most calls by one key.</summary>
    [DefaultText("no limit")]
    [Bounds("1", "1000000000")]
    public int? PerMinute { get; init; }

    /// <summary>The most calls by all keys together.</summary>
    [DefaultText("no limit")]
    [Bounds("1", "1000000000")]
    public int? TotalPerMinute { get; init; }
}

/// <summary>Whether the person behind the client is asked before a call.</summary>
[Shorthand(nameof(Mode))]
internal sealed record ManifestApproval : Declaration
{
    /// <summary>Whether anybody is asked.</summary>
    public required ApprovalMode Mode { get; init; }

    /// <summary>Time for the answer; without one in time the call is not made.</summary>
    [Bounds("1s", "1h")]
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Whether the person may say that further calls of the tool need no answer.</summary>
    public ApprovalMemory Remember { get; init; }
}
