using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Shared.Pricing;

/// <summary>What happens to a call of a model whose price nobody knows.</summary>
public enum UnknownPricePolicy
{
    /// <summary>Refused under a hard budget, allowed with an unknown cost otherwise. The default.</summary>
    DenyUnderHardBudget,

    /// <summary>Refused always.</summary>
    Deny,

    /// <summary>Allowed with an unknown cost, which no budget sees.</summary>
    Allow,

    /// <summary>Charged at the configured default price.</summary>
    UseDefault,
}

/// <summary>The prices of one snapshot, found by provider and model. Immutable.</summary>
public sealed class PriceBook
{
    private readonly FrozenDictionary<(string Provider, string Model), ModelPrice> exact;
    private readonly ImmutableArray<ModelPrice> patterns;
    private readonly ModelPrice? fallback;

    /// <summary>Builds a book; of several entries for one provider and model the last one wins (so overlays come last).</summary>
    /// <param name="prices">All entries; a model that contains <c>*</c> is a glob, tried after the exact entries, last one first.</param>
    /// <param name="unknown">What to do where no entry matches.</param>
    /// <param name="fallback">The default price; required when <paramref name="unknown"/> is <see cref="UnknownPricePolicy.UseDefault"/>.</param>
    public PriceBook(IEnumerable<ModelPrice> prices, UnknownPricePolicy unknown = UnknownPricePolicy.DenyUnderHardBudget, ModelPrice? fallback = null)
    {
        Unknown = unknown;
        this.fallback = unknown == UnknownPricePolicy.UseDefault
            ? fallback ?? throw new ArgumentNullException(nameof(fallback), "The policy 'default' needs a default price.")
            : null;
        var all = prices.ToList();
        exact = all.Where(price => !price.Model.Contains('*', StringComparison.Ordinal))
            .GroupBy(price => (price.Provider, price.Model)).ToFrozenDictionary(group => group.Key, group => group.Last());
        patterns = [.. all.Where(price => price.Model.Contains('*', StringComparison.Ordinal)).Reverse()];
    }

    /// <summary>An empty book: every price is unknown.</summary>
    public static PriceBook Empty { get; } = new([]);

    /// <summary>Every entry that can be found: of several for one provider and model, the one that wins.</summary>
    public IEnumerable<ModelPrice> Entries => exact.Values.Concat(patterns);

    /// <summary>What to do with a model that has no price.</summary>
    public UnknownPricePolicy Unknown { get; }

    /// <summary>The price of a model, or null where it is unknown. Costs a dictionary look-up; call it when a snapshot is compiled, not for each request.</summary>
    public ModelPrice? Find(string provider, string model)
    {
        if (exact.TryGetValue((provider, model), out var price))
        {
            return price;
        }
        foreach (var pattern in patterns)
        {
            if (pattern.Provider == provider && VirtualKeys.Glob.IsMatch(pattern.Model, model))
            {
                return pattern;
            }
        }
        return fallback;
    }
}
