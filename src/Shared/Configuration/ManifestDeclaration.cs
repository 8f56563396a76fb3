using Shared.Pricing;

namespace Shared.Configuration;

/// <summary>A file under <c>tool-manifests</c>.</summary>
internal sealed record ManifestDeclaration : Declaration
{
    public required string ApiVersion { get; init; } = "";

    public required string Kind { get; init; } = "";

    public required ManifestMetadata Metadata { get; init; } = new() { Id = "" };

    public bool Enabled { get; init; } = true;

    public EnabledWhen? EnabledWhen { get; init; }

    public required ManifestUpstream Upstream { get; init; } = new();

    public ManifestExpose Expose { get; init; } = new();
}

internal sealed record ManifestMetadata : Declaration
{
    public required string Id { get; init; } = "";

    public string? Title { get; init; }

    public string? Description { get; init; }
}

/// <summary>Conditions beside <c>enabled</c>: the server is connected only while all hold.</summary>
internal sealed record EnabledWhen : Declaration
{
    /// <summary>A program that must be found on the PATH.</summary>
    public required string Command { get; init; } = "";
}

internal sealed record ManifestUpstream : Declaration
{
    /// <summary><c>stdio</c> or <c>streamable-http</c>; by default the one that <c>command</c> or <c>url</c> implies.</summary>
    public string? Transport { get; init; }

    public Uri? Url { get; init; }

    public IReadOnlyDictionary<string, Secret> Headers { get; init; } = new Dictionary<string, Secret>();

    public string? Command { get; init; }

    public IReadOnlyList<Secret> Args { get; init; } = [];

    public string? Cwd { get; init; }

    public IReadOnlyDictionary<string, Secret> Env { get; init; } = new Dictionary<string, Secret>();

    public ManifestLimits Limits { get; init; } = new();
}

internal sealed record ManifestLimits : Declaration
{
    [Bounds("100ms", "10m")]
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(30);

    [Bounds("100ms", "1d")]
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromMinutes(5);

    [Bounds("1KiB", "1GiB")]
    public ByteSize MaxMessageBytes { get; init; } = new(16L << 20);

    [Bounds("1", "10000")]
    public int MaxConcurrentCalls { get; init; } = 64;
}

internal sealed record ManifestExpose : Declaration
{
    /// <summary>Null: the manifest's id.</summary>
    public string? Prefix { get; init; }

    public ExposeDefault Default { get; init; }

    public IReadOnlyList<ManifestTool> Tools { get; init; } = [];
}

/// <summary>What becomes of tools that no rule names.</summary>
internal enum ExposeDefault
{
    Allow,
    Deny,
}

internal sealed record ManifestTool : Declaration
{
    /// <summary>The upstream's name of one tool; either this or <see cref="Match"/>.</summary>
    public string? Name { get; init; }

    /// <summary>A glob over the upstream's names.</summary>
    public string? Match { get; init; }

    public bool? Enabled { get; init; }

    public string? As { get; init; }

    public string? Description { get; init; }

    public IReadOnlyDictionary<string, bool> Annotations { get; init; } = new Dictionary<string, bool>();

    public Money? Cost { get; init; }
}
