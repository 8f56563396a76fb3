using Shared.Configuration;

namespace PriceImport;

/// <summary>An entry of the catalog to be.</summary>
/// <param name="Provider">The provider.</param>
/// <param name="Model">The model.</param>
/// <param name="Prices">Its prices by date.</param>
/// <param name="SharedEntry">The name of the list's entry that the price was taken from, where several ids share one.</param>
internal sealed record Entry(string Provider, string Model, IReadOnlyList<ListedPrice> Prices, string? SharedEntry);

/// <summary>What was decided, for people to check.</summary>
internal sealed class ImportReport
{
    /// <summary>Models on whose standard rates the lists disagree, with what was taken.</summary>
    public List<string> Disagreements { get; } = [];

    /// <summary>Models that are not in the catalog, with the reason.</summary>
    public List<string> LeftOut { get; } = [];
}

/// <summary>
/// Makes one entry out of what the lists say of a model. The list that looked at the price last is taken, among those that name the id; a list that covers the id
/// by a rule only is taken where it agrees with one that names it, or is alone. What the taken list lacks is filled in from one that agrees with it.
/// </summary>
internal static class Merger
{
    public static IReadOnlyList<Entry> Merge(IEnumerable<Candidate> candidates, ImportReport report)
    {
        List<Entry> entries = [];
        foreach (var group in candidates.GroupBy(candidate => (candidate.Provider, candidate.Model)).OrderBy(group => $"{group.Key.Provider}/{group.Key.Model}", StringComparer.Ordinal))
        {
            var name = $"{group.Key.Provider}/{group.Key.Model}";
            Candidate[] checkedOnes = [.. group.Select(Check).Select(WithoutZeros)];
            if (checkedOnes.FirstOrDefault(candidate => candidate.IsVeto) is { } veto)
            {
                report.LeftOut.Add($"{name}: {veto.Problem} ({veto.List})");
                continue;
            }
            Candidate[] usable = [.. checkedOnes.Where(candidate => candidate.Problem is null)];
            if (usable.Length == 0)
            {
                report.LeftOut.Add($"{name}: {string.Join("; ", checkedOnes.Select(candidate => $"{candidate.Problem} ({candidate.List})"))}");
                continue;
            }
            if (usable.All(candidate => !candidate.IsNamed) && checkedOnes.Any(candidate => candidate.IsNamed))
            {
                report.LeftOut.Add($"{name}: no list that names it has a price, and a rule alone is no price ({usable[0].List})");
                continue;
            }
            var taken = usable.OrderByDescending(candidate => candidate.IsNamed || usable.Any(other => other.IsNamed && Agree(candidate, other)))
                
                .ThenByDescending(candidate => Providers.VendorsOwn.GetValueOrDefault(candidate.Provider) == candidate.List).ThenByDescending(candidate => candidate.Age).ThenBy(candidate => candidate.List, StringComparer.Ordinal).First();
            foreach (var other in usable.Where(other => !Agree(taken, other)))
            {
                report.Disagreements.Add($"{name}: taken {Describe(taken)}; not taken {Describe(other)}");
            }
            var prices = Fill(taken, usable);
            if (Kinds.Searches(group.Key.Model) && prices.Any(price => price.PerRequest == 0))
            {
                // The fee of a search is not known; what is known is billed, and no bound is promised.
                prices = [.. prices.Select(price => price with { Unbilled = [.. price.Unbilled.Union(["webSearch"])], Bounded = false })];
            }
            entries.Add(new Entry(taken.Provider, taken.Model, prices, taken.SharedEntry));
        }
        return entries;
    }

    private static Candidate Check(Candidate candidate)
    {
        if (candidate.Problem is not null)
        {
            return candidate;
        }
        var isFree = candidate.Model.EndsWith(":free", StringComparison.Ordinal) && candidate.Provider == "openrouter";
        foreach (var price in candidate.Prices)
        {
            if (price.Input == 0 && price.Output == 0 && !isFree)
            {
                return candidate.Without("listed at 0, which may be a trial, a subscription or an unknown price");
            }
            if (price.Input == 0 != (price.Output == 0) && !(price.Output == 0 && Kinds.HasNoOutput(candidate.Model)))
            {
                return candidate.Without("only one of input and output has a price");
            }
            if (price.Input < 0 || price.Output < 0 || price.Input > 2000 || price.Output > 2000)
            {
                return candidate.Without($"{price.Input} for input and {price.Output} for output are out of any range");
            }
            if (price.ContextTiers.Any(tier => tier.Input < price.Input || tier.Output < price.Output))
            {
                return candidate.Without("a longer input is cheaper, which is more likely a mistake of the list");
            }
        }
        if (Kinds.IsMedia(candidate.Model) && candidate.List != ModelsDevList.Name && candidate.Prices.Any(price => price.AudioOutput is null && price.AudioInput is null && price.ImageInput is null))
        {
            return candidate.Without("its name speaks of images, audio or video, and the list has no price of them");
        }
        return candidate;
    }

    // A cache rate of 0 beside an input rate is how some lists write that they do not know it. Without one the tokens are charged as input, which is never too little.
    private static Candidate WithoutZeros(Candidate candidate) => candidate with
    {
        Prices = [.. candidate.Prices.Select(price => price.Input == 0 ? price : (ListedPrice)WithoutZeros(price) with
        {
            ContextTiers = [.. price.ContextTiers.Select(tier => (ContextTierDeclaration)WithoutZeros(tier))],
            ServiceTiers = price.ServiceTiers.ToDictionary(tier => tier.Key, tier => WithoutZeros(tier.Value)),
        })],
    };

    private static RatesDeclaration WithoutZeros(RatesDeclaration rates) => rates with
    {
        CacheRead = Positive(rates.CacheRead),
        CacheWrite = Positive(rates.CacheWrite),
        CacheWrite1h = Positive(rates.CacheWrite1h),
        Reasoning = Positive(rates.Reasoning),
        AudioInput = Positive(rates.AudioInput),
        AudioOutput = Positive(rates.AudioOutput),
        ImageInput = Positive(rates.ImageInput),
        ImageOutput = Positive(rates.ImageOutput),
    };

    private static decimal? Positive(decimal? rate) => rate == 0 ? null : rate;

    // Lists agree when some price of one, at some date, is a price of the other.
    private static bool Agree(Candidate left, Candidate right) => left.Prices.Any(one => right.Prices.Any(other => one.Input == other.Input && one.Output == other.Output));

    private static string Describe(Candidate candidate) =>
        $"{string.Join(", then ", candidate.Prices.Select(price => $"{price.Input}/{price.Output}"))} ({candidate.Source}{(candidate.IsNamed ? "" : ", by a rule")})";

    private static IReadOnlyList<ListedPrice> Fill(Candidate taken, Candidate[] usable)
    {
        List<ListedPrice> filled = [];
        foreach (var original in taken.Prices)
        {
            var price = original with { Source = taken.Source };
            foreach (var other in usable.Where(other => !ReferenceEquals(other, taken)))
            {
                List<string> members = [];
                price = FillLimits(price, other.Prices[^1], members);
                if (original == taken.Prices[^1] && other.Prices.FirstOrDefault(known => known.Input == price.Input && known.Output == price.Output) is { } same)
                {
                    price = FillRates(price, same, members);
                }
                if (members.Count > 0)
                {
                    price = price with { Source = $"{price.Source}; {string.Join(", ", members)}: {other.Source}" };
                }
            }
            filled.Add(price);
        }
        return filled;
    }

    // Limits are the model's, whatever it costs.
    private static ListedPrice FillLimits(ListedPrice price, ListedPrice other, List<string> members) => price with
    {
        MaxInputTokens = Choose(price.MaxInputTokens, other.MaxInputTokens, "maxInputTokens", members),
        MaxOutputTokens = Choose(price.MaxOutputTokens, other.MaxOutputTokens, "maxOutputTokens", members),
    };

    private static ListedPrice FillRates(ListedPrice price, ListedPrice same, List<string> members)
    {
        var tiersKnown = price.ContextTiers.Count > 0 || same.ContextTiers.Count == 0;
        price = price with
        {
            CacheRead = Choose(price.CacheRead, same.CacheRead, "cacheRead", members),
            CacheWrite = Choose(price.CacheWrite, same.CacheWrite, "cacheWrite", members),
            CacheWrite1h = Choose(price.CacheWrite1h, same.CacheWrite1h, "cacheWrite1h", members),
            Reasoning = Choose(price.Reasoning, same.Reasoning, "reasoning", members),
            AudioInput = Choose(price.AudioInput, same.AudioInput, "audioInput", members),
            AudioOutput = Choose(price.AudioOutput, same.AudioOutput, "audioOutput", members),
            ImageInput = Choose(price.ImageInput, same.ImageInput, "imageInput", members),
            Unbilled = [.. price.Unbilled.Union(same.Unbilled)],
            Bounded = price.Bounded && same.Bounded,
        };
        if (price.PerRequest == 0 && same.PerRequest != 0)
        {
            members.Add("perRequest");
            price = price with { PerRequest = same.PerRequest };
        }
        if (price.ServiceTiers.Count == 0 && same.ServiceTiers.Count > 0)
        {
            members.Add("serviceTiers");
            price = price with { ServiceTiers = same.ServiceTiers };
        }
        // Whether long inputs cost more is part of what the lists can disagree on: the dearer of the two is taken.
        if (!tiersKnown)
        {
            members.Add("contextTiers");
            price = price with { ContextTiers = same.ContextTiers };
        }
        return price;
    }

    private static T? Choose<T>(T? own, T? other, string member, List<string> members) where T : struct
    {
        if (own is null && other is not null)
        {
            members.Add(member);
            return other;
        }
        return own;
    }
}
