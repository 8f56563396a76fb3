using Shared.Pricing;

namespace Shared.Configuration;

/// <summary>Rates as they are written: US dollars per million tokens.</summary>
internal record RatesDeclaration : Declaration
{
    private const string Highest = "1000000";

    [Bounds("0", Highest)]
    public required decimal Input { get; init; }

    [Bounds("0", Highest)]
    public required decimal Output { get; init; }

    [Bounds("0", Highest)]
    public decimal? CacheRead { get; init; }

    [Bounds("0", Highest)]
    public decimal? CacheWrite { get; init; }

    [Bounds("0", Highest)]
    public decimal? Reasoning { get; init; }

    [Bounds("0", Highest)]
    public decimal? AudioInput { get; init; }

    [Bounds("0", Highest)]
    public decimal? AudioOutput { get; init; }
}

internal sealed record ContextTierDeclaration : RatesDeclaration
{
    [Bounds("1", "1000000000")]
    public required long AboveInputTokens { get; init; }
}

/// <summary>An entry under <c>prices</c>.</summary>
internal sealed record PriceDeclaration : RatesDeclaration
{
    public required string Provider { get; init; } = "";

    public required string Model { get; init; } = "";

    public IReadOnlyList<ContextTierDeclaration> ContextTiers { get; init; } = [];

    public IReadOnlyDictionary<string, RatesDeclaration> ServiceTiers { get; init; } = new Dictionary<string, RatesDeclaration>();

    [Bounds("1", "100000000")]
    public long? MaxOutputTokens { get; init; }

    [Bounds("0", "10000000")]
    public long MaxImageTokens { get; init; } = 50_000;

    public string? Source { get; init; }
}

/// <summary>A file of prices: the shipped catalog, or the overlay that <c>priceFile</c> names.</summary>
internal sealed record PriceFileDeclaration : Declaration
{
    /// <summary>A name for this state of the list, such as its date.</summary>
    public string? Version { get; init; }

    public required IReadOnlyList<PriceDeclaration> Prices { get; init; } = [];
}

/// <summary>What happens where no price is known.</summary>
internal sealed record PricingDeclaration : Declaration
{
    public UnknownPrice Unknown { get; init; }

    /// <summary>The rates that <c>unknown: default</c> charges.</summary>
    public RatesDeclaration? Default { get; init; }
}

/// <summary>The spelling of <see cref="UnknownPricePolicy"/> in files.</summary>
internal enum UnknownPrice
{
    DenyUnderHardBudget = UnknownPricePolicy.DenyUnderHardBudget,
    Deny = UnknownPricePolicy.Deny,
    Allow = UnknownPricePolicy.Allow,
    Default = UnknownPricePolicy.UseDefault,
}
