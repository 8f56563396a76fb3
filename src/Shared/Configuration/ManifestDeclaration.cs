using Shared.Configuration.Schemas;
using Shared.Pricing;

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
}

/// <summary>Conditions beside <c>enabled</c>: the server is connected only while all hold.</summary>
internal sealed record EnabledWhen : Declaration
{
    /// <summary>A program that must be found on the PATH.</summary>
    public required string Command { get; init; } = "";
}

/// <summary>How a tool server is reached: by a command (stdio) or at an address (Streamable HTTP).</summary>
internal sealed record ManifestUpstream : Declaration
{
    /// <summary>How the server is spoken to.</summary>
    [Choices("stdio", "streamable-http")]
    [DefaultText("as `command` or `url` implies")]
    public string? Transport { get; init; }

    /// <summary>Address of a Streamable HTTP server. May hold <c>${env:NAME}</c>, of which the value is shown to admins.</summary>
    [References]
    public Uri? Url { get; init; }

    /// <summary>Headers sent with each request to a Streamable HTTP server, by name.</summary>
    public IReadOnlyDictionary<string, Secret> Headers { get; init; } = new Dictionary<string, Secret>();

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

    /// <summary>Times and sizes.</summary>
    public ManifestLimits Limits { get; init; } = new();
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

    /// <summary>The most calls in flight at once; more wait for their turn.</summary>
    [Bounds("1", "10000")]
    public int MaxConcurrentCalls { get; init; } = 64;
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

    /// <summary>A description in place of the server's, for models.</summary>
    public string? Description { get; init; }

    /// <summary><c>readOnlyHint</c>, <c>destructiveHint</c>, <c>idempotentHint</c>, <c>openWorldHint</c>: set or replaced.</summary>
    [Pattern("^(readOnlyHint|destructiveHint|idempotentHint|openWorldHint)$")]
    public IReadOnlyDictionary<string, bool> Annotations { get; init; } = new Dictionary<string, bool>();

    /// <summary>US dollars for one call.</summary>
    [DefaultText("free")]
    public Money? Cost { get; init; }
}
