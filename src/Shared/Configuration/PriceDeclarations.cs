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
    public decimal? CacheWrite1h { get; init; }

    [Bounds("0", Highest)]
    public decimal? Reasoning { get; init; }

    [Bounds("0", Highest)]
    public decimal? AudioInput { get; init; }

    [Bounds("0", Highest)]
    public decimal? AudioOutput { get; init; }

    [Bounds("0", Highest)]
    public decimal? ImageInput { get; init; }

    [Bounds("0", Highest)]
    public decimal? ImageOutput { get; init; }
}

internal sealed record ContextTierDeclaration : RatesDeclaration
{
    [Bounds("1", "1000000000")]
    public required long AboveInputTokens { get; init; }
}

/// <summary>What is known of a model's price, whoever names the model.</summary>
internal record ListedPrice : RatesDeclaration
{
    public IReadOnlyList<ContextTierDeclaration> ContextTiers { get; init; } = [];

    public IReadOnlyDictionary<string, RatesDeclaration> ServiceTiers { get; init; } = new Dictionary<string, RatesDeclaration>();

    /// <summary>US dollars for each call, beside its tokens.</summary>
    [Bounds("0", "1000")]
    public decimal PerRequest { get; init; }

    [Bounds("1", "1000000000")]
    public long? MaxInputTokens { get; init; }

    [Bounds("1", "100000000")]
    public long? MaxOutputTokens { get; init; }

    [Bounds("0", "10000000")]
    public long MaxImageTokens { get; init; } = 50_000;

    /// <summary>When the price takes effect; until then the model has the price that it would have without this entry.</summary>
    public DateTimeOffset? EffectiveFrom { get; init; }

    /// <summary>What the vendor charges for that no usage report tells, and that is therefore in no bill.</summary>
    public IReadOnlyList<string> Unbilled { get; init; } = [];

    /// <summary>Whether the bill can be bounded in advance; false: a hard budget refuses the model.</summary>
    public bool Bounded { get; init; } = true;

    public string? Source { get; init; }
}

/// <summary>An entry under <c>prices</c>.</summary>
internal sealed record PriceDeclaration : ListedPrice
{
    public required string Provider { get; init; } = "";

    public required string Model { get; init; } = "";
}

/// <summary>A file of prices: the overlay that <c>priceFile</c> names.</summary>
internal sealed record PriceFileDeclaration : Declaration
{
    /// <summary>A name for this state of the list, such as its date.</summary>
    public string? Version { get; init; }

    public required IReadOnlyList<PriceDeclaration> Prices { get; init; } = [];
}

/// <summary>What happens where no price is known, and what is changed about those that are.</summary>
internal sealed record PricingDeclaration : Declaration
{
    public UnknownPrice Unknown { get; init; }

    /// <summary>The rates that <c>unknown: default</c> charges.</summary>
    public RatesDeclaration? Default { get; init; }

    /// <summary>Discounts and margins; for each of the two the first rule that matches and names it holds.</summary>
    public IReadOnlyList<AdjustmentDeclaration> Adjustments { get; init; } = [];

    /// <summary>For a provider of another id, the provider of the catalog whose prices it has.</summary>
    public IReadOnlyDictionary<string, string> PricedAs { get; init; } = new Dictionary<string, string>();
}

/// <summary>An entry under <c>pricing.adjustments</c>.</summary>
internal sealed record AdjustmentDeclaration : Declaration
{
    /// <summary>A glob over provider ids.</summary>
    public string Provider { get; init; } = "*";

    /// <summary>A glob over the provider's model ids.</summary>
    public string Model { get; init; } = "*";

    /// <summary>What the provider takes off its list price.</summary>
    [Bounds("0%", "100%")]
    public Percent? Discount { get; init; }

    /// <summary>What callers are charged on top.</summary>
    [Bounds("0%", "1000%")]
    public Percent? Margin { get; init; }
}

/// <summary>The spelling of <see cref="UnknownPricePolicy"/> in files.</summary>
internal enum UnknownPrice
{
    DenyUnderHardBudget = UnknownPricePolicy.DenyUnderHardBudget,
    Deny = UnknownPricePolicy.Deny,
    Allow = UnknownPricePolicy.Allow,
    Default = UnknownPricePolicy.UseDefault,
}
