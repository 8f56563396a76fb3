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

    /// <summary>Parts of the tools under a name of their own: each is served at <c>/mcp/t/</c> and its id, and can be granted as <c>toolset:id</c>.</summary>
    [Pattern("^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
    public IReadOnlyDictionary<string, ToolsetDeclaration> Toolsets { get; init; } = new Dictionary<string, ToolsetDeclaration>();

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

    /// <summary>How people sign in with an account of the company instead of a key.</summary>
    public SignInDeclaration? SignIn { get; init; }

    /// <summary>What becomes of tools whose definition changes, where their manifest does not say.</summary>
    public PinningDeclaration Pinning { get; init; } = new();

    /// <summary>What becomes of tools with suspicious definitions, where their manifest does not say.</summary>
    public ScanDeclaration Scan { get; init; } = new();

    /// <summary>How long what is kept, and how much of the disk it may take.</summary>
    public RetentionDeclaration Retention { get; init; } = new();
}

/// <summary>Bounds of the process.</summary>
internal sealed record LimitsDeclaration : Declaration
{
    /// <summary>The largest request body; a larger one is refused.</summary>
    [Bounds("1KiB", "1GiB")]
    public ByteSize MaxBodyBytes { get; init; } = new(32L << 20);

    /// <summary>The largest file that may be uploaded to a provider (<c>/v1/files</c>). Files pass through and are not held.</summary>
    [Bounds("1KiB", "64GiB")]
    public ByteSize MaxUploadBytes { get; init; } = new(512L << 20);

    /// <summary>Bodies of requests and responses held at once by the whole process; at least <c>maxBodyBytes</c>.</summary>
    [Bounds("1MiB", "1024GiB")]
    public ByteSize BodyMemory { get; init; } = new(512L << 20);

    /// <summary>The longest name of a tool that clients see, in characters, prefix included. Longer ones are cut and end in a hash.</summary>
    [Bounds("24", "128")]
    public int MaxToolNameLength { get; init; } = 45;

    /// <summary>The most MCP sessions that one key may have open.</summary>
    [Bounds("1", "1000000")]
    public int MaxSessionsPerKey { get; init; } = 2000;

    /// <summary>The most MCP sessions that may be open in all.</summary>
    [Bounds("1", "1000000")]
    public int MaxSessions { get; init; } = 10_000;
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
    /// <summary>The wire format in which its models are called when a request comes in another one than it has endpoints for. <c>simulator</c> answers offline.</summary>
    [Choices("openai-chat", "openai-responses", "anthropic", "gemini", "bedrock", "anthropic-bedrock", "anthropic-vertex", "simulator")]
    [DefaultText("that of the known provider, else `openai-chat`")]
    public string? Dialect { get; init; }

    /// <summary>Where its endpoints hang, version segment included, e.g. <c>https://llm.example.com/v1</c>. Required for an id that is not known. May hold <c>${env:NAME}</c>, of which the value is shown to admins.</summary>
    [DefaultText("that of the known provider")]
    [References]
    public Uri? BaseUrl { get; init; }

    /// <summary>Sent as bearer token. The variable of a known provider counts only where <c>baseUrl</c> is not given: a key is never sent to an address that it was not made for.</summary>
    [DefaultText("the known provider's variable")]
    public Secret? ApiKey { get; init; }

    /// <summary>
    /// How the credential is sent: <c>bearer</c>; the name of a header that carries the key as it is, such as <c>x-api-key</c>; <c>none</c>; <c>google</c> or <c>azure</c>, short-lived tokens of
    /// the account that the machine has; <c>aws</c>, the key as bearer token or a signature.
    /// </summary>
    [DefaultText("that of the known provider, else that of the dialect")]
    [Pattern("^[A-Za-z0-9-]{1,64}$")]
    public string? Auth { get; init; }

    /// <summary>The account by which tokens are had (<c>google</c>, <c>azure</c>) or requests signed (<c>aws</c>), where it is not the one that the machine has.</summary>
    public ProviderCredentialsDeclaration? Credentials { get; init; }

    /// <summary>The region in a known provider's address, and in signatures (Amazon Bedrock).</summary>
    [DefaultText("`AWS_REGION`")]
    [Pattern("^[a-z0-9-]{1,64}$")]
    public string? Region { get; init; }

    /// <summary>The project in a known provider's address (Vertex AI).</summary>
    [DefaultText("`GOOGLE_CLOUD_PROJECT`")]
    [Pattern("^[A-Za-z0-9:._-]{1,64}$")]
    public string? Project { get; init; }

    /// <summary>The location in a known provider's address (Vertex AI); <c>global</c> is one.</summary>
    [DefaultText("`GOOGLE_CLOUD_LOCATION`")]
    [Pattern("^[a-z0-9-]{1,64}$")]
    public string? Location { get; init; }

    /// <summary>The resource in a known provider's address (Azure OpenAI).</summary>
    [DefaultText("`AZURE_OPENAI_RESOURCE`")]
    [Pattern("^[A-Za-z0-9-]{1,64}$")]
    public string? Resource { get; init; }

    /// <summary>A dated version of a service that has such (Azure OpenAI): its endpoints are then called at deployments, as that version has them, e.g. <c>2024-10-21</c>.</summary>
    [DefaultText("the undated endpoints")]
    [Pattern("^[0-9A-Za-z.-]{1,32}$")]
    public string? ApiVersion { get; init; }

    /// <summary>
    /// The root below which paths that the gateway does not know are relayed to this provider as they are, for keys that are granted all its models. Nothing is relayed where
    /// no provider says so.
    /// </summary>
    [Choices("openai", "anthropic", "genai", "bedrock")]
    [DefaultText("none")]
    public string? Passthrough { get; init; }

    /// <summary>Headers sent with each call, by name.</summary>
    public IReadOnlyDictionary<string, Secret> Headers { get; init; } = new Dictionary<string, Secret>();

    /// <summary>Models to show in lists; others may be asked for as well.</summary>
    [DefaultText("those of the known provider")]
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>The endpoints that it has; a route passes over it for others.</summary>
    [Choices("chat", "completions", "embeddings", "moderations", "responses", "messages", "count_tokens", "generate", "count", "embed", "batch_embed", "converse", "invoke", "raw_predict", "rerank", "images.generate", "images.edit", "images.variations", "audio.speech", "audio.transcriptions", "audio.translations", "files", "batches", "realtime")]
    [DefaultText("those of the known provider, else those of the dialect")]
    public IReadOnlyList<string>? Endpoints { get; init; }

    /// <summary>Endpoints that are not where their format has them: a path below <c>baseUrl</c> or a whole address, by the endpoint's name. <c>{model}</c> stands for the model; behind a bar stands the path for streams where that is another one.</summary>
    public IReadOnlyDictionary<string, string> Paths { get; init; } = new Dictionary<string, string>();

    /// <summary>The request member that carries the output limit. A provider that ignores the one it is sent can pass a hard budget.</summary>
    [Choices("max_completion_tokens", "max_tokens")]
    [DefaultText("that of the known provider, else `max_tokens`")]
    public string? OutputLimitMember { get; init; }

    /// <summary>Whether it understands <c>stream_options.include_usage</c>.</summary>
    [DefaultText("that of the known provider, else `true`")]
    public bool? StreamUsage { get; init; }

    /// <summary>Whether it keeps responses (<c>/responses</c>) for `previous_response_id`. Where it does not, the gateway keeps them.</summary>
    [DefaultText("that of the known provider, else `true`")]
    public bool? StoresResponses { get; init; }

    /// <summary>Time allowed until the response's headers arrive.</summary>
    [Bounds("1s", "1h")]
    public TimeSpan HeaderTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>Time allowed between two pieces of a stream, and until its first.</summary>
    [Bounds("1s", "1h")]
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>How often the same target is tried again after a failure that may pass.</summary>
    [Bounds("0", "10")]
    public int MaxRetries { get; init; } = 2;

    /// <summary>US dollars that a batch reserves, and is charged when it is made, under a hard budget, as its price has no bound; without it such batches are refused.</summary>
    public Money? BatchReservation { get; init; }
}

/// <summary>The account of a provider whose credential is no fixed key.</summary>
internal sealed record ProviderCredentialsDeclaration : Declaration
{
    /// <summary>Google: the text of a credentials file, usually <c>${file:/run/secrets/google.json}</c>: a service account, an authorized user or an external account.</summary>
    [DefaultText("Application Default Credentials")]
    public Secret? Json { get; init; }

    /// <summary>Azure: the directory (tenant) of the application.</summary>
    [References]
    public string? TenantId { get; init; }

    /// <summary>Azure: the application's id, or with no <c>clientSecret</c> that of a user-assigned managed identity.</summary>
    [References]
    public string? ClientId { get; init; }

    /// <summary>Azure: the application's secret.</summary>
    [DefaultText("none: the workload identity of the platform, else the managed identity of the machine")]
    public Secret? ClientSecret { get; init; }

    /// <summary>Azure: where tokens are had.</summary>
    [DefaultText("that of the public cloud")]
    public Uri? Authority { get; init; }

    /// <summary>Google, Azure: the scope that tokens are asked for.</summary>
    [DefaultText("`https://www.googleapis.com/auth/cloud-platform`, `https://cognitiveservices.azure.com/.default`")]
    public string? Scope { get; init; }

    /// <summary>AWS: the id of an access key.</summary>
    [DefaultText("`AWS_ACCESS_KEY_ID`, else the key that the machine lends")]
    [References]
    public string? AccessKeyId { get; init; }

    /// <summary>AWS: its secret.</summary>
    [DefaultText("`AWS_SECRET_ACCESS_KEY`")]
    public Secret? SecretAccessKey { get; init; }

    /// <summary>AWS: the token of a temporary access key.</summary>
    [DefaultText("`AWS_SESSION_TOKEN`")]
    public Secret? SessionToken { get; init; }
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

    /// <summary>Members added to requests that lack them, in the names of OpenAI's chat completions whatever the formats, any JSON value. <c>model</c>, <c>messages</c>, <c>stream</c>, <c>stream_options</c>, <c>n</c> and the output limits cannot have one.</summary>
    public IReadOnlyDictionary<string, RawJson> Defaults { get; init; } = new Dictionary<string, RawJson>();

    /// <summary>US dollars that a request reserves whose price has no bound (server-side tools, files by id); without it such requests are refused under a hard budget.</summary>
    public Money? Reservation { get; init; }

    /// <summary>Whether a request is refused rather than translated for a provider whose format cannot express all of it. A client asks for the same with the header <c>x-gateway-strict</c>.</summary>
    public bool Strict { get; init; }
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
