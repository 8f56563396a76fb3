using Shared.Configuration.Schemas;
using Shared.Pricing;
using Shared.Snapshots;

namespace Shared.Configuration;

/// <summary>The whole of <c>gateway.yaml</c>.</summary>
internal sealed record GatewayDeclaration : Declaration
{
    /// <summary>Where the gateway listens and whom it answers. Read at start only.</summary>
    public ServerDeclaration Server { get; init; } = new();

    /// <summary>Which addresses the gateway may connect to.</summary>
    public EgressDeclaration Egress { get; init; } = new();

    /// <summary>Bounds of the process: sizes of bodies, lengths of names.</summary>
    public LimitsDeclaration Limits { get; init; } = new();

    /// <summary>How calls are charged and recorded.</summary>
    public LedgerDeclaration Ledger { get; init; } = new();

    /// <summary>Model providers by id, the part before the slash in <c>provider/model</c>. Known ones are found from the environment without an entry.</summary>
    [Pattern("^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
    public IReadOnlyDictionary<string, ProviderDeclaration> Providers { get; init; } = new Dictionary<string, ProviderDeclaration>();

    /// <summary>Public model names, and the targets that serve them. A name has 1 to 128 characters, none of them a space, <c>*</c>, <c>?</c> or <c>!</c>.</summary>
    [Pattern(@"^[^\s*?!]{1,128}$")]
    public IReadOnlyDictionary<string, RouteDeclaration> Routes { get; init; } = new Dictionary<string, RouteDeclaration>();

    /// <summary>Virtual keys whose token is kept by whoever writes the file. Most keys are made with <c>gateway keys create</c> instead.</summary>
    public IReadOnlyDictionary<string, KeyDeclaration> Keys { get; init; } = new Dictionary<string, KeyDeclaration>();

    /// <summary>Users by id: the first link above a key.</summary>
    [Pattern("^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
    public IReadOnlyDictionary<string, UserDeclaration> Users { get; init; } = new Dictionary<string, UserDeclaration>();

    /// <summary>Teams by id: the link above users.</summary>
    [Pattern("^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
    public IReadOnlyDictionary<string, TeamDeclaration> Teams { get; init; } = new Dictionary<string, TeamDeclaration>();

    /// <summary>Customers by id: the link above teams.</summary>
    [Pattern("^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
    public IReadOnlyDictionary<string, CustomerDeclaration> Customers { get; init; } = new Dictionary<string, CustomerDeclaration>();

    /// <summary>What happens to models without a price.</summary>
    public PricingDeclaration Pricing { get; init; } = new();

    /// <summary>Prices of models, in US dollars per million tokens. An entry replaces that of <c>priceFile</c> and of the shipped catalog.</summary>
    public IReadOnlyList<PriceDeclaration> Prices { get; init; } = [];

    /// <summary>A file with more prices, relative to the folder of <c>gateway.yaml</c>. An entry replaces that of the shipped catalog.</summary>
    public string? PriceFile { get; init; }

    /// <summary>Where traces and metrics go. Read at start only.</summary>
    public TelemetryDeclaration Telemetry { get; init; } = new();

    /// <summary>Whether a manifest of the admin API may name a program to run: whoever holds an admin key can then run any.</summary>
    public bool AllowProcessesFromApi { get; init; }

    /// <summary>How long what is kept, and how much of the disk it may take.</summary>
    public RetentionDeclaration Retention { get; init; } = new();
}

/// <summary>Bounds of the process.</summary>
internal sealed record LimitsDeclaration : Declaration
{
    /// <summary>The largest request body; a larger one is refused.</summary>
    [Bounds("1KiB", "1GiB")]
    public ByteSize MaxBodyBytes { get; init; } = new(32L << 20);

    /// <summary>Bodies of requests and responses held at once by the whole process; at least <c>maxBodyBytes</c>.</summary>
    [Bounds("1MiB", "1024GiB")]
    public ByteSize BodyMemory { get; init; } = new(512L << 20);

    /// <summary>The longest name of a tool that clients see, in characters, prefix included. Longer ones are cut and end in a hash.</summary>
    [Bounds("24", "128")]
    public int MaxToolNameLength { get; init; } = 45;

    /// <summary>The most MCP sessions that one key may have open.</summary>
    [Bounds("1", "1000000")]
    public int MaxSessionsPerKey { get; init; } = 2000;
}

/// <summary>How calls are charged and recorded.</summary>
internal sealed record LedgerDeclaration : Declaration
{
    /// <summary>What a call costs whose usage nobody reported (the client left, the connection broke).</summary>
    public UnknownUsagePolicy UnknownUsage { get; init; }
}

/// <summary>How long what is kept.</summary>
internal sealed record RetentionDeclaration : Declaration
{
    /// <summary>How long attempts are kept.</summary>
    [Bounds("1d", "3660d")]
    public TimeSpan Ledger { get; init; } = TimeSpan.FromDays(90);

    /// <summary>How long the sums are kept from which usage is answered.</summary>
    [Bounds("32d", "36600d")]
    public TimeSpan Usage { get; init; } = TimeSpan.FromDays(1830);

    /// <summary>How long the audit is kept.</summary>
    [Bounds("1d", "36600d")]
    public TimeSpan Audit { get; init; } = TimeSpan.FromDays(730);

    /// <summary>How long the texts of revisions are kept.</summary>
    [Bounds("1d", "36600d")]
    public TimeSpan Revisions { get; init; } = TimeSpan.FromDays(365);

    /// <summary>What the database may take on the disk.</summary>
    [Bounds("16MiB", "1024GiB")]
    public ByteSize MaxDatabaseSize { get; init; } = new(4L << 30);

    /// <summary>What must be left free of the disk.</summary>
    [Bounds("1MiB", "1024GiB")]
    public ByteSize MinFreeDisk { get; init; } = new(256L << 20);
}

/// <summary>An entry under <c>providers</c>.</summary>
internal sealed record ProviderDeclaration : Declaration
{
    /// <summary>The wire format that it speaks. <c>simulator</c> answers offline.</summary>
    [Choices("openai-chat", "simulator")]
    public string Dialect { get; init; } = "openai-chat";

    /// <summary>Where its endpoints hang, version segment included, e.g. <c>https://llm.example.com/v1</c>. Required for an id that is not known. May hold <c>${env:NAME}</c>, of which the value is shown to admins.</summary>
    [DefaultText("that of the known provider")]
    [References]
    public Uri? BaseUrl { get; init; }

    /// <summary>Sent as bearer token. The variable of a known provider counts only where <c>baseUrl</c> is not given: a key is never sent to an address that it was not made for.</summary>
    [DefaultText("the known provider's variable")]
    public Secret? ApiKey { get; init; }

    /// <summary>Headers sent with each call, by name.</summary>
    public IReadOnlyDictionary<string, Secret> Headers { get; init; } = new Dictionary<string, Secret>();

    /// <summary>Models to show in lists; others may be asked for as well.</summary>
    [DefaultText("those of the known provider")]
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>The endpoints that it has; a route passes over it for others.</summary>
    [Choices("chat", "completions", "embeddings", "moderations")]
    [DefaultText("those of the known provider, else all")]
    public IReadOnlyList<string>? Endpoints { get; init; }

    /// <summary>The request member that carries the output limit. A provider that ignores the one it is sent can pass a hard budget.</summary>
    [Choices("max_completion_tokens", "max_tokens")]
    [DefaultText("that of the known provider, else `max_tokens`")]
    public string? OutputLimitMember { get; init; }

    /// <summary>Whether it understands <c>stream_options.include_usage</c>.</summary>
    [DefaultText("that of the known provider, else `true`")]
    public bool? StreamUsage { get; init; }

    /// <summary>Time allowed until the response's headers arrive.</summary>
    [Bounds("1s", "1h")]
    public TimeSpan HeaderTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>Time allowed between two pieces of a stream, and until its first.</summary>
    [Bounds("1s", "1h")]
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>How often the same target is tried again after a failure that may pass.</summary>
    [Bounds("0", "10")]
    public int MaxRetries { get; init; } = 2;
}

/// <summary>An entry under <c>routes</c>.</summary>
internal sealed record RouteDeclaration : Declaration
{
    /// <summary><c>provider/model</c>, in the order they are tried; one alone needs no list.</summary>
    [OneOrMany]
    public required IReadOnlyList<string> Targets { get; init; } = [];

    /// <summary>Output limit in tokens for a request that gives none.</summary>
    [DefaultText("the model's documented maximum")]
    [Bounds("1", "100000000")]
    public long? DefaultOutputTokens { get; init; }

    /// <summary>The largest output limit in tokens; a larger one is lowered to it.</summary>
    [Bounds("1", "100000000")]
    public long? MaxOutputTokens { get; init; }

    /// <summary>Members added to requests that lack them, any JSON value. <c>model</c>, <c>messages</c>, <c>stream</c>, <c>stream_options</c>, <c>n</c> and the output limits cannot have one.</summary>
    public IReadOnlyDictionary<string, RawJson> Defaults { get; init; } = new Dictionary<string, RawJson>();

    /// <summary>US dollars that a request reserves whose price has no bound (server-side tools, files by id); without it such requests are refused under a hard budget.</summary>
    public Money? Reservation { get; init; }
}

/// <summary>Where traces and metrics go.</summary>
public sealed record TelemetryDeclaration : Declaration
{
    /// <summary>Address of an OTLP collector.</summary>
    [DefaultText("as the `OTEL_*` variables say, else none")]
    public Uri? OtlpEndpoint { get; init; }

    /// <summary>The name under which this gateway reports.</summary>
    [DefaultText("the gateway's own")]
    public string? ServiceName { get; init; }
}
