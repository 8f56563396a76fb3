using Shared.Configuration.Schemas;
using Shared.Pricing;

namespace Shared.Configuration;

/// <summary>Rates as they are written: US dollars per million tokens.</summary>
internal record RatesDeclaration : Declaration
{
    private const string Highest = "1000000";

    /// <summary>US dollars per million input tokens.</summary>
    [Bounds("0", Highest)]
    public required decimal Input { get; init; }

    /// <summary>US dollars per million output tokens.</summary>
    [Bounds("0", Highest)]
    public required decimal Output { get; init; }

    /// <summary>US dollars per million input tokens read from the provider's cache.</summary>
    [DefaultText("as `input`")]
    [Bounds("0", Highest)]
    public decimal? CacheRead { get; init; }

    /// <summary>US dollars per million input tokens written to the provider's cache.</summary>
    [DefaultText("as `input`")]
    [Bounds("0", Highest)]
    public decimal? CacheWrite { get; init; }

    /// <summary>US dollars per million input tokens written to a cache that lives for an hour.</summary>
    [DefaultText("as `cacheWrite`")]
    [Bounds("0", Highest)]
    public decimal? CacheWrite1h { get; init; }

    /// <summary>US dollars per million reasoning tokens.</summary>
    [DefaultText("as `output`")]
    [Bounds("0", Highest)]
    public decimal? Reasoning { get; init; }

    /// <summary>US dollars per million audio input tokens.</summary>
    [DefaultText("as `input`")]
    [Bounds("0", Highest)]
    public decimal? AudioInput { get; init; }

    /// <summary>US dollars per million audio output tokens.</summary>
    [DefaultText("as `output`")]
    [Bounds("0", Highest)]
    public decimal? AudioOutput { get; init; }

    /// <summary>US dollars per million image input tokens.</summary>
    [DefaultText("as `input`")]
    [Bounds("0", Highest)]
    public decimal? ImageInput { get; init; }

    /// <summary>US dollars per million image output tokens.</summary>
    [DefaultText("as `output`")]
    [Bounds("0", Highest)]
    public decimal? ImageOutput { get; init; }
}

/// <summary>Rates for inputs of more than a number of tokens.</summary>
internal sealed record ContextTierDeclaration : RatesDeclaration
{
    /// <summary>The rates hold for all tokens of a call whose input has more tokens than this.</summary>
    [Bounds("1", "1000000000")]
    public required long AboveInputTokens { get; init; }
}

/// <summary>What is known of a model's price, whoever names the model.</summary>
internal record ListedPrice : RatesDeclaration
{
    /// <summary>Rates for large inputs, ascending by size.</summary>
    public IReadOnlyList<ContextTierDeclaration> ContextTiers { get; init; } = [];

    /// <summary>Rates by service tier, e.g. <c>priority</c> or <c>flex</c>.</summary>
    public IReadOnlyDictionary<string, RatesDeclaration> ServiceTiers { get; init; } = new Dictionary<string, RatesDeclaration>();

    /// <summary>US dollars for each call, beside its tokens.</summary>
    [Bounds("0", "1000")]
    public decimal PerRequest { get; init; }

    /// <summary>US dollars for each picture that is made, beside its tokens; for those that <c>imageVariants</c> does not name.</summary>
    [DefaultText("pictures are not billed by themselves")]
    [Bounds("0", "1000")]
    public decimal? PerImage { get; init; }

    /// <summary>US dollars for each picture of a quality (<c>hd</c>), a size (<c>1024x1792</c>), or both (<c>hd/1024x1792</c>); the most exact name holds, and a quality before a size.</summary>
    public IReadOnlyDictionary<string, decimal> ImageVariants { get; init; } = new Dictionary<string, decimal>();

    /// <summary>US dollars for each minute of audio that is transcribed, counted by the second or finer.</summary>
    [DefaultText("audio is not billed by its length")]
    [Bounds("0", "1000")]
    public decimal? PerAudioMinute { get; init; }

    /// <summary>US dollars per million characters that are spoken.</summary>
    [DefaultText("text is not billed by its characters")]
    [Bounds("0", "1000000")]
    public decimal? PerMillionCharacters { get; init; }

    /// <summary>US dollars for each search unit of a ranking, and for each search that a provider ran for a model.</summary>
    [DefaultText("searches are not billed by themselves")]
    [Bounds("0", "1000")]
    public decimal? PerSearch { get; init; }

    /// <summary>The most tokens of one input.</summary>
    [DefaultText("unknown")]
    [Bounds("1", "1000000000")]
    public long? MaxInputTokens { get; init; }

    /// <summary>The most tokens of one answer.</summary>
    [DefaultText("unknown")]
    [Bounds("1", "100000000")]
    public long? MaxOutputTokens { get; init; }

    /// <summary>The most tokens that one image can count as.</summary>
    [Bounds("0", "10000000")]
    public long MaxImageTokens { get; init; } = 50_000;

    /// <summary>When the price takes effect; until then the model has the price that it would have without this entry.</summary>
    public DateTimeOffset? EffectiveFrom { get; init; }

    /// <summary>What the vendor charges for that no usage report tells, and that is therefore in no bill.</summary>
    public IReadOnlyList<string> Unbilled { get; init; } = [];

    /// <summary>Whether the bill can be bounded in advance; false: a hard budget refuses the model.</summary>
    public bool Bounded { get; init; } = true;

    /// <summary>Where the figures come from.</summary>
    public string? Source { get; init; }
}

/// <summary>An entry under <c>prices</c>.</summary>
internal sealed record PriceDeclaration : ListedPrice
{
    /// <summary>Id of the provider.</summary>
    public required string Provider { get; init; } = "";

    /// <summary>The model's own id at the provider, or a glob with <c>*</c>, tried after all exact names.</summary>
    public required string Model { get; init; } = "";
}

/// <summary>A file of prices: the overlay that <c>priceFile</c> names.</summary>
internal sealed record PriceFileDeclaration : Declaration
{
    /// <summary>A name for this state of the list, such as its date.</summary>
    public string? Version { get; init; }

    /// <summary>The prices; an entry replaces the shipped one of the same provider and model.</summary>
    public required IReadOnlyList<PriceDeclaration> Prices { get; init; } = [];
}

/// <summary>What happens where no price is known, and what is changed about those that are.</summary>
internal sealed record PricingDeclaration : Declaration
{
    /// <summary>What happens to a call whose model has no price.</summary>
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
    /// <summary>It is refused where a hard budget counts it, and otherwise served at an unknown cost.</summary>
    DenyUnderHardBudget = UnknownPricePolicy.DenyUnderHardBudget,

    /// <summary>It is refused.</summary>
    Deny = UnknownPricePolicy.Deny,

    /// <summary>It is served at an unknown cost, which no budget sees.</summary>
    Allow = UnknownPricePolicy.Allow,

    /// <summary>It is charged at the rates of <c>default</c>.</summary>
    Default = UnknownPricePolicy.UseDefault,
}
