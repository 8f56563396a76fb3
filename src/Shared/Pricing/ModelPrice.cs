using System.Collections.Immutable;

namespace Shared.Pricing;

/// <summary>Rates of one price tier, each in nano-dollars per million tokens. A rate that is null falls back as its comment says.</summary>
public sealed record TokenRates
{
    /// <summary>Input tokens.</summary>
    public required long Input { get; init; }

    /// <summary>Output tokens.</summary>
    public required long Output { get; init; }

    /// <summary>Input tokens read from a prompt cache; null: as <see cref="Input"/>.</summary>
    public long? CacheRead { get; init; }

    /// <summary>Input tokens written to a prompt cache for the usual time (five minutes where the vendor names one); null: as <see cref="Input"/>.</summary>
    public long? CacheWrite { get; init; }

    /// <summary>Input tokens written to a prompt cache for an hour; null: as <see cref="CacheWrite"/>.</summary>
    public long? CacheWrite1h { get; init; }

    /// <summary>Reasoning tokens; null: as <see cref="Output"/>.</summary>
    public long? Reasoning { get; init; }

    /// <summary>Audio input tokens; null: as <see cref="Input"/>.</summary>
    public long? AudioInput { get; init; }

    /// <summary>Audio output tokens; null: as <see cref="Output"/>.</summary>
    public long? AudioOutput { get; init; }

    /// <summary>Image input tokens; null: as <see cref="Input"/>.</summary>
    public long? ImageInput { get; init; }

    /// <summary>Image output tokens; null: as <see cref="Output"/>.</summary>
    public long? ImageOutput { get; init; }

    /// <summary>The dearest rate an input token can be charged at.</summary>
    public long HighestInput =>
        Math.Max(Math.Max(Math.Max(Input, CacheRead ?? 0), Math.Max(CacheWrite ?? 0, CacheWrite1h ?? 0)), Math.Max(AudioInput ?? 0, ImageInput ?? 0));

    /// <summary>The dearest rate an output token can be charged at.</summary>
    public long HighestOutput => Math.Max(Math.Max(Output, Reasoning ?? 0), Math.Max(AudioOutput ?? 0, ImageOutput ?? 0));
}

/// <summary>Rates that hold when a request's input exceeds a size; they then apply to all of its tokens.</summary>
/// <param name="AboveInputTokens">The tier holds for inputs of more tokens than this.</param>
/// <param name="Rates">The tier's rates.</param>
public sealed record ContextTier(long AboveInputTokens, TokenRates Rates);

/// <summary>What one model of one provider costs, as of one version of the price catalog.</summary>
public sealed record ModelPrice
{
    /// <summary>Provider id, as in the configuration.</summary>
    public required string Provider { get; init; }

    /// <summary>The provider's own model id, or a glob over them (<c>*</c>: all of the provider's models).</summary>
    public required string Model { get; init; }

    /// <summary>
    /// Names this price for good: a ledger row keeps it, e.g. <c>catalog:2026-11-22.5f3a01</c>, <c>overlay:3f2a91c0</c>, or with what
    /// <see cref="Adjustment"/> made of it <c>overlay:3f2a91c0;margin=10%</c>.
    /// </summary>
    public required string Version { get; init; }

    /// <summary>The standard rates.</summary>
    public required TokenRates Rates { get; init; }

    /// <summary>Rates for long inputs, ascending by size.</summary>
    public ImmutableArray<ContextTier> ContextTiers { get; init; } = [];

    /// <summary>Rates by service tier other than the standard one, e.g. <c>priority</c>, <c>flex</c>, <c>batch</c>.</summary>
    public ImmutableDictionary<string, TokenRates> ServiceTiers { get; init; } = ImmutableDictionary<string, TokenRates>.Empty;

    /// <summary>What each call costs beside its tokens.</summary>
    public Money PerRequest { get; init; }

    /// <summary>What pictures, seconds of audio, characters and searches cost, where they are billed by themselves.</summary>
    public ImmutableArray<UnitRate> UnitRates { get; init; } = [];

    /// <summary>Discount and margin, applied to the exact sum before it is rounded.</summary>
    public PriceAdjustment Adjustment { get; init; }

    /// <summary>The most tokens that the model takes in; null where unknown.</summary>
    public long? MaxInputTokens { get; init; }

    /// <summary>The most tokens that the model puts out for one choice; null where unknown.</summary>
    public long? MaxOutputTokens { get; init; }

    /// <summary>The most tokens that one image in the input can count as, by the vendor's documentation.</summary>
    public long MaxImageTokens { get; init; } = 50_000;

    /// <summary>When the price took or takes effect; null: it always held, as far as the list knows.</summary>
    public DateTimeOffset? EffectiveFrom { get; init; }

    /// <summary>What the vendor charges for that is in no usage report and therefore in no bill, e.g. <c>webSearch</c>.</summary>
    public ImmutableArray<string> Unbilled { get; init; } = [];

    /// <summary>Whether the bill can be bounded in advance; false where something of <see cref="Unbilled"/> comes with every call. A hard budget then refuses the model.</summary>
    public bool Bounded { get; init; } = true;

    /// <summary>Where the figures come from (a page or a list) and the day they were read, e.g. <c>openai.com/api/pricing, 2026-11-22</c>.</summary>
    public string? Source { get; init; }

    /// <summary>
    /// What a call is charged at: exact sum in 128 bits, adjusted, rounded up once to a whole nano-dollar.
    /// </summary>
    /// <param name="usage">The tokens used.</param>
    /// <param name="serviceTier">The service tier that the provider says it served with; null or one without rates of its own means standard.</param>
    /// <exception cref="OverflowException">The sum exceeds what <see cref="Money"/> holds.</exception>
    public Money CostOf(in TokenUsage usage, string? serviceTier = null)
    {
        var rates = RatesFor(usage.TotalInput, serviceTier);
        return Charge(checked(Product(usage.Input, rates.Input)
            + Product(usage.CacheRead, rates.CacheRead ?? rates.Input)
            + Product(usage.CacheWrite, rates.CacheWrite ?? rates.Input)
            + Product(usage.CacheWrite1h, rates.CacheWrite1h ?? rates.CacheWrite ?? rates.Input)
            + Product(usage.AudioInput, rates.AudioInput ?? rates.Input)
            + Product(usage.ImageInput, rates.ImageInput ?? rates.Input)
            + Product(usage.Output, rates.Output)
            + Product(usage.Reasoning, rates.Reasoning ?? rates.Output)
            + Product(usage.AudioOutput, rates.AudioOutput ?? rates.Output)
            + Product(usage.ImageOutput, rates.ImageOutput ?? rates.Output)
            + ProductOf(usage.Units)));
    }

    /// <summary>What a call is charged at; null: the figures are such that no <see cref="Money"/> holds it, which is nonsense.</summary>
    /// <param name="usage">The tokens used.</param>
    /// <param name="serviceTier">As for <see cref="CostOf"/>.</param>
    public Money? TryCostOf(in TokenUsage usage, string? serviceTier = null)
    {
        try
        {
            return CostOf(usage, serviceTier);
        }
        catch (OverflowException)
        {
            return null;
        }
    }

    /// <summary>
    /// Whether what was used can be priced. False: it was reported in units of which the price knows nothing, and in no tokens; such a cost is unknown, not 0.
    /// </summary>
    public bool Covers(in TokenUsage usage) =>
        usage.Units.Kind == UnitKind.None || usage.Total > 0 || Pricing.UnitRates.Find(UnitRates, usage.Units.Kind, usage.Units.Variant) is not null || IsFree;

    /// <summary>Whether the model costs nothing at all, by tokens or otherwise.</summary>
    public bool IsFree => Rates is { HighestInput: 0, HighestOutput: 0 } && ContextTiers.IsEmpty && ServiceTiers.IsEmpty && UnitRates.IsEmpty && PerRequest == Money.Zero && Unbilled.IsEmpty;

    /// <summary>The dearest rate of a unit in nano-dollars for a million of it; null: the price has none.</summary>
    public long? HighestUnitRate(UnitKind kind) => Pricing.UnitRates.Highest(UnitRates, kind);

    /// <summary>
    /// The most that a call of at most so many tokens can cost, over every tier that it could fall into.
    /// </summary>
    /// <param name="inputTokens">No fewer than the call's input tokens.</param>
    /// <param name="outputTokens">No fewer than the call's output tokens, all choices together.</param>
    /// <param name="serviceTier">The service tier that the request asks for; null means standard.</param>
    /// <exception cref="OverflowException">The bound exceeds what <see cref="Money"/> holds.</exception>
    public Money UpperBound(long inputTokens, long outputTokens, string? serviceTier = null)
    {
        var (input, output) = HighestRates(inputTokens, serviceTier);
        return Charge(checked(Product(inputTokens, input) + Product(outputTokens, output)));
    }

    /// <summary>The most that a call of at most so many tokens and units can cost; each unit counts at its dearest variant.</summary>
    /// <param name="inputTokens">No fewer than the call's input tokens.</param>
    /// <param name="outputTokens">No fewer than the call's output tokens.</param>
    /// <param name="units">No fewer than the call's units.</param>
    /// <param name="serviceTier">The service tier that the request asks for; null means standard.</param>
    /// <exception cref="OverflowException">The bound exceeds what <see cref="Money"/> holds.</exception>
    public Money UpperBound(long inputTokens, long outputTokens, in UnitUsage units, string? serviceTier = null)
    {
        var (input, output) = HighestRates(inputTokens, serviceTier);
        return Charge(checked(Product(inputTokens, input) + Product(outputTokens, output) + ProductOf(units, HighestUnitRate(units.Kind) ?? 0)));
    }

    /// <summary>The most output tokens that can be paid from an amount once the input is paid; 0 where the input alone exceeds it.</summary>
    public long AffordableOutput(Money amount, long inputTokens, string? serviceTier = null)
    {
        var (input, output) = HighestRates(inputTokens, serviceTier);
        var available = Adjustment.MostBefore((ulong)Math.Max(0, amount.Nano), TokensPerRate);
        var needed = Product(inputTokens, input) + Fee;
        if (needed >= available)
        {
            return 0;
        }
        return output == 0 ? long.MaxValue : (long)UInt128.Min((available - needed) / (ulong)output, long.MaxValue);
    }

    /// <summary>Whether the request may ask for this service tier and still be bounded: standard, or one with rates of its own.</summary>
    public bool HasServiceTier(string? serviceTier) => IsStandard(serviceTier) || ServiceTiers.ContainsKey(serviceTier!);

    private const uint TokensPerRate = 1_000_000;

    private UInt128 Fee => Product(TokensPerRate, PerRequest.Nano);

    private static bool IsStandard(string? serviceTier) => serviceTier is null or "default" or "auto" or "standard";

    private TokenRates RatesFor(long inputTokens, string? serviceTier)
    {
        if (!IsStandard(serviceTier) && ServiceTiers.TryGetValue(serviceTier!, out var tier))
        {
            return tier;
        }
        var rates = Rates;
        foreach (var context in ContextTiers)
        {
            if (inputTokens > context.AboveInputTokens)
            {
                rates = context.Rates;
            }
        }
        return rates;
    }

    private (long Input, long Output) HighestRates(long inputTokens, string? serviceTier)
    {
        var (input, output) = (Rates.HighestInput, Rates.HighestOutput);
        if (!IsStandard(serviceTier) && ServiceTiers.TryGetValue(serviceTier!, out var tier))
        {
            // The provider may fall back to the standard tier, which can be the dearer one (flex, or a long input).
            (input, output) = (Math.Max(tier.HighestInput, input), Math.Max(tier.HighestOutput, output));
        }
        foreach (var context in ContextTiers)
        {
            if (inputTokens > context.AboveInputTokens)
            {
                (input, output) = (Math.Max(input, context.Rates.HighestInput), Math.Max(output, context.Rates.HighestOutput));
            }
        }
        return (input, output);
    }

    private UInt128 ProductOf(in UnitUsage units) => units.Kind == UnitKind.None ? 0 : ProductOf(units, Pricing.UnitRates.Find(UnitRates, units.Kind, units.Variant) ?? 0);

    private static UInt128 ProductOf(in UnitUsage units, long rate) => (Product(units.Thousandths, rate) + 999) / 1000;

    private static UInt128 Product(long tokens, long rate) => (UInt128)(ulong)tokens * (ulong)rate;

    private Money Charge(UInt128 nanoTimesMillion) => new(checked((long)Adjustment.Apply(checked(nanoTimesMillion + Fee), TokensPerRate)));
}
