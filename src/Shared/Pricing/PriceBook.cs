using System.Collections.Frozen;
using System.Collections.Immutable;
using Shared.VirtualKeys;

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

/// <summary>A rule that changes prices.</summary>
/// <param name="Provider">A glob over provider ids.</param>
/// <param name="Model">A glob over the provider's model ids.</param>
/// <param name="Discount">Hundredths of a percent off the list price; null: the rule says nothing of it.</param>
/// <param name="Margin">Hundredths of a percent that callers are charged on top; null: the rule says nothing of it.</param>
public sealed record AdjustmentRule(string Provider, string Model, int? Discount, int? Margin)
{
    internal bool Matches(string provider, string model) => Glob.IsMatch(Provider, provider) && Glob.IsMatch(Model, model);
}

/// <summary>The prices of one snapshot, found by provider and model. Immutable.</summary>
/// <remarks>
/// An entry is looked for under the provider's own id, and then under the one it is priced as. Exact entries of the overlay come first, then the catalog's, then the
/// overlay's globs, then the built-in ones, then the default price. Nothing is guessed: a name that no entry has is unknown.
/// </remarks>
public sealed class PriceBook
{
    private readonly FrozenDictionary<(string Provider, string Model), ModelPrice> exact;
    private readonly ImmutableArray<ModelPrice> patterns;
    private readonly ModelPrice? fallback;
    private readonly DateTimeOffset? catalogAsOf;

    /// <summary>
    /// Builds a book of an operator's own prices. Of several entries for one provider and model the last one wins; entries that take effect later do not
    /// count until then.
    /// </summary>
    /// <param name="prices">The entries; a model that contains <c>*</c> is a glob, tried after the exact entries and the catalog, last one first.</param>
    /// <param name="unknown">What to do where no entry matches.</param>
    /// <param name="fallback">The default price; required when <paramref name="unknown"/> is <see cref="UnknownPricePolicy.UseDefault"/>.</param>
    /// <param name="catalogAsOf">The moment whose catalog prices hold, and whose entries of <paramref name="prices"/>; null: without the catalog, and without regard to dates.</param>
    public PriceBook(
        IEnumerable<ModelPrice> prices, UnknownPricePolicy unknown = UnknownPricePolicy.DenyUnderHardBudget, ModelPrice? fallback = null, DateTimeOffset? catalogAsOf = null)
    {
        Unknown = unknown;
        this.fallback = unknown == UnknownPricePolicy.UseDefault
            ? fallback ?? throw new ArgumentNullException(nameof(fallback), "The policy 'default' needs a default price.")
            : null;
        this.catalogAsOf = catalogAsOf;
        var all = prices.ToList();
        if (catalogAsOf is { } now)
        {
            NextChange = all.Select(price => price.EffectiveFrom).OfType<DateTimeOffset>().Concat(PriceCatalog.Changes).Where(day => day > now).Min(day => (DateTimeOffset?)day);
            all.RemoveAll(price => price.EffectiveFrom > now);
        }
        exact = all.Where(price => !price.Model.Contains('*', StringComparison.Ordinal))
            .GroupBy(price => (price.Provider, price.Model)).ToFrozenDictionary(group => group.Key, group => group.Last());
        patterns = [.. all.Where(price => price.Model.Contains('*', StringComparison.Ordinal)).Reverse()];
    }

    /// <summary>An empty book: every price is unknown.</summary>
    public static PriceBook Empty { get; } = new([]);

    /// <summary>What to do with a model that has no price.</summary>
    public UnknownPricePolicy Unknown { get; }

    /// <summary>When the next price takes effect and the book is to be built anew; null: none is known.</summary>
    public DateTimeOffset? NextChange { get; }

    /// <summary>Discounts and margins; for each of the two the first rule that matches and names it holds.</summary>
    public ImmutableArray<AdjustmentRule> Adjustments { get; init; } = [];

    /// <summary>For a provider of another id, the one whose prices it has.</summary>
    public FrozenDictionary<string, string> PricedAs { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>The price of a model, adjusted, or null where it is unknown. Costs some look-ups; call it when a snapshot is compiled, not for each request.</summary>
    public ModelPrice? Find(string provider, string model)
    {
        var listed = FindListed(provider, model);
        return listed is null ? null : Adjust(listed, provider, model);
    }

    /// <summary>The names that have a price of their own, globs included, in ordinal order: those of the catalog, of the overlay, and of providers that are priced as others.</summary>
    public IEnumerable<(string Provider, string Model)> Names()
    {
        var own = exact.Keys.Concat(patterns.Select(price => (price.Provider, price.Model)));
        if (catalogAsOf is not null)
        {
            var (prices, aliases) = PriceCatalog.ReadAll();
            own = own.Concat(prices.Concat(PriceCatalog.BuiltIn).Select(price => (price.Provider, price.Model))).Concat(aliases.Select(alias => (alias.Provider, alias.Model)));
        }
        var all = own.ToHashSet();
        all.UnionWith([.. PricedAs.SelectMany(pair => all.Where(name => name.Provider == pair.Value).Select(name => (pair.Key, name.Model)))]);
        return all.OrderBy(name => name.Provider, StringComparer.Ordinal).ThenBy(name => name.Model, StringComparer.Ordinal);
    }

    private ModelPrice? FindListed(string provider, string model)
    {
        var listedAs = PricedAs.GetValueOrDefault(provider);
        return FindExact(provider, model) ?? (listedAs is null ? null : FindExact(listedAs, model))
            ?? FindPattern(provider, model) ?? (listedAs is null ? null : FindPattern(listedAs, model))
            ?? fallback;
    }

    private ModelPrice? FindExact(string provider, string model)
    {
        if (exact.TryGetValue((provider, model), out var price))
        {
            return price;
        }
        if (catalogAsOf is not { } now)
        {
            return null;
        }
        var name = PriceCatalog.CanonicalName(provider, model);
        return name is not null && exact.TryGetValue((provider, name), out price) ? price : PriceCatalog.Find(provider, name ?? model, now);
    }

    private ModelPrice? FindPattern(string provider, string model)
    {
        foreach (var pattern in patterns)
        {
            if (pattern.Provider == provider && Glob.IsMatch(pattern.Model, model))
            {
                return pattern;
            }
        }
        return catalogAsOf is null ? null : PriceCatalog.BuiltIn.FirstOrDefault(price => price.Provider == provider && Glob.IsMatch(price.Model, model));
    }

    private ModelPrice Adjust(ModelPrice price, string provider, string model)
    {
        // Discounts are off list prices; what an operator writes down is what the operator pays.
        var isListed = price.Version.StartsWith("catalog:", StringComparison.Ordinal);
        var adjustment = new PriceAdjustment(
            isListed ? Adjustments.FirstOrDefault(rule => rule.Discount is not null && rule.Matches(provider, model))?.Discount ?? 0 : 0,
            Adjustments.FirstOrDefault(rule => rule.Margin is not null && rule.Matches(provider, model))?.Margin ?? 0);
        return adjustment.IsNone ? price : price with { Adjustment = adjustment, Version = price.Version + adjustment };
    }
}
