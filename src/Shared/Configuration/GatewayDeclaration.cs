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

    public LimitsDeclaration Limits { get; init; } = new();

    public LedgerDeclaration Ledger { get; init; } = new();

    public IReadOnlyDictionary<string, ProviderDeclaration> Providers { get; init; } = new Dictionary<string, ProviderDeclaration>();

    public IReadOnlyDictionary<string, RouteDeclaration> Routes { get; init; } = new Dictionary<string, RouteDeclaration>();

    public IReadOnlyDictionary<string, KeyDeclaration> Keys { get; init; } = new Dictionary<string, KeyDeclaration>();

    public IReadOnlyDictionary<string, UserDeclaration> Users { get; init; } = new Dictionary<string, UserDeclaration>();

    public IReadOnlyDictionary<string, TeamDeclaration> Teams { get; init; } = new Dictionary<string, TeamDeclaration>();

    public IReadOnlyDictionary<string, CustomerDeclaration> Customers { get; init; } = new Dictionary<string, CustomerDeclaration>();

    public PricingDeclaration Pricing { get; init; } = new();

    public IReadOnlyList<PriceDeclaration> Prices { get; init; } = [];

    /// <summary>A file with more prices, relative to the folder of <c>gateway.yaml</c>.</summary>
    public string? PriceFile { get; init; }

    public TelemetryDeclaration Telemetry { get; init; } = new();

    /// <summary>Whether a manifest of the admin API may name a program to run: whoever holds an admin key can then run any.</summary>
    public bool AllowProcessesFromApi { get; init; }

    public RetentionDeclaration Retention { get; init; } = new();
}

internal sealed record LimitsDeclaration : Declaration
{
    [Bounds("1KiB", "1GiB")]
    public ByteSize MaxBodyBytes { get; init; } = new(32L << 20);

    [Bounds("1MiB", "1024GiB")]
    public ByteSize BodyMemory { get; init; } = new(512L << 20);

    [Bounds("24", "128")]
    public int MaxToolNameLength { get; init; } = 45;

    /// <summary>The most MCP sessions that one key may have open.</summary>
    [Bounds("1", "1000000")]
    public int MaxSessionsPerKey { get; init; } = 2000;
}

internal sealed record LedgerDeclaration : Declaration
{
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

internal sealed record ProviderDeclaration : Declaration
{
    public string Dialect { get; init; } = "openai-chat";

    public Uri? BaseUrl { get; init; }

    public Secret? ApiKey { get; init; }

    public IReadOnlyDictionary<string, Secret> Headers { get; init; } = new Dictionary<string, Secret>();

    public IReadOnlyList<string> Models { get; init; } = [];

    public IReadOnlyList<string>? Endpoints { get; init; }

    public string? OutputLimitMember { get; init; }

    public bool? StreamUsage { get; init; }

    [Bounds("1s", "1h")]
    public TimeSpan HeaderTimeout { get; init; } = TimeSpan.FromSeconds(120);

    [Bounds("1s", "1h")]
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(120);

    [Bounds("0", "10")]
    public int MaxRetries { get; init; } = 2;
}

internal sealed record RouteDeclaration : Declaration
{
    [OneOrMany]
    public required IReadOnlyList<string> Targets { get; init; } = [];

    [Bounds("1", "100000000")]
    public long? DefaultOutputTokens { get; init; }

    [Bounds("1", "100000000")]
    public long? MaxOutputTokens { get; init; }

    public IReadOnlyDictionary<string, RawJson> Defaults { get; init; } = new Dictionary<string, RawJson>();

    public Money? Reservation { get; init; }
}

/// <summary>Where traces and metrics go.</summary>
public sealed record TelemetryDeclaration : Declaration
{
    /// <summary>Address of an OTLP collector; null: as the usual <c>OTEL_*</c> variables say, or nowhere.</summary>
    public Uri? OtlpEndpoint { get; init; }

    /// <summary>The name under which this gateway reports; null: its default one.</summary>
    public string? ServiceName { get; init; }
}
