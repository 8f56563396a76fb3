using System.Text.RegularExpressions;
using CsCheck;
using Shared.Pricing;

namespace Shared.Tests.Pricing;

public partial class PriceCatalogTests
{
    private static readonly DateTimeOffset Autumn = new(2026, 11, 22, 0, 0, 0, TimeSpan.Zero);

    // Input and output in dollars per million tokens, as both lists have them (where both have the model), and the output limit.
    public static TheoryData<string, decimal, decimal, long?> WellKnown => new()
    {
        { "openai/gpt-4o", 2.5m, 10, 16384 },
        { "openai/gpt-4o-2024-05-13", 5, 15, 4096 },
        { "openai/gpt-4o-mini", 0.15m, 0.6m, 16384 },
        { "openai/gpt-4.1", 2, 8, 32768 },
        { "openai/gpt-5", 1.25m, 10, 128000 },
        { "openai/gpt-5-nano", 0.05m, 0.4m, 128000 },
        { "openai/gpt-5.5", 5, 30, 128000 },
        { "openai/o3", 2, 8, 100000 },
        { "openai/o4-mini", 1.1m, 4.4m, 100000 },
        { "openai/text-embedding-3-small", 0.02m, 0, null },
        { "anthropic/claude-opus-4-5", 5, 25, 64000 },
        { "anthropic/claude-haiku-4-5", 1, 5, 64000 },
        { "anthropic/claude-haiku-4-5-20251001", 1, 5, 64000 },
        { "anthropic/claude-sonnet-5", 3, 15, 128000 },
        { "gemini/gemini-2.5-pro", 1.25m, 10, 65536 },
        { "gemini/gemini-2.5-flash", 0.3m, 2.5m, 65536 },
        { "mistral/mistral-large-latest", 0.5m, 1.5m, null },
        { "groq/llama-3.3-70b-versatile", 0.59m, 0.79m, 32768 },
        { "deepseek/deepseek-chat", 0.14m, 0.28m, 384000 },
        { "cohere/command-a-03-2025", 2.5m, 10, 8000 },
        { "bedrock/us.anthropic.claude-sonnet-4-6", 3.3m, 16.5m, 64000 },
        { "bedrock/global.anthropic.claude-sonnet-4-6", 3, 15, 64000 },
        { "openrouter/openai/gpt-oss-120b:free", 0, 0, null },
        { "voyage/voyage-3-large", 0.18m, 0, null },
    };

    [Fact]
    public void Find_Moderation_IsFreeAndNothingElseOfItsProviderIs()
    {
        var book = new PriceBook([], catalogAsOf: Autumn);

        Assert.Equal((0, 0), (book.Find("openai", "omni-moderation-latest")!.Rates.Input, book.Find("openai", "omni-moderation-latest")!.Rates.Output));
        Assert.Null(book.Find("openai", "a-model-that-no-list-has"));
        Assert.NotNull(book.Find("ollama", "whatever"));
    }

    [Theory]
    [MemberData(nameof(WellKnown))]
    public void Find_WellKnownModel_HasThePriceOfTheLists(string name, decimal input, decimal output, long? limit)
    {
        var price = Find(name, Autumn)!;

        Assert.Equal((input, output), (new Money(price.Rates.Input).Dollars, new Money(price.Rates.Output).Dollars));
        Assert.Equal(limit, limit is null ? null : price.MaxOutputTokens);
    }

    [Fact]
    public void ReadAll_List_HoldsAThousandModelsOfThirtyProvidersEachOnceForADay()
    {
        var (prices, aliases) = PriceCatalog.ReadAll();

        Assert.InRange(prices.Select(price => (price.Provider, price.Model)).Distinct().Count(), 1000, int.MaxValue);
        Assert.InRange(prices.Select(price => price.Provider).Distinct().Count(), 30, int.MaxValue);
        Assert.Equal(prices.Count, prices.Select(price => (price.Provider, price.Model, price.EffectiveFrom)).Distinct().Count());
        Assert.Empty(aliases.Select(alias => (alias.Provider, alias.Model)).Intersect(prices.Select(price => (price.Provider, price.Model))));
        Assert.Equal(aliases.Count, aliases.Select(alias => (alias.Provider, alias.Model)).Distinct().Count());
    }

    [Fact]
    public void ReadAll_EveryEntry_NamesItsListAndDay() =>
        Assert.All(PriceCatalog.ReadAll().Prices, price => Assert.Matches(SourceForm(), price.Source));

    [Fact]
    public void ReadAll_EveryEntry_IsInRangeAndItsTiersAscend() => Assert.All(PriceCatalog.ReadAll().Prices, price =>
    {
        var highest = 2_000 * Money.NanoPerDollar;
        Assert.InRange(price.Rates.HighestInput, 0, highest);
        Assert.InRange(price.Rates.HighestOutput, 0, highest);
        Assert.True(price.Rates.Input > 0 || price.Model.EndsWith(":free", StringComparison.Ordinal), price.Model);
        Assert.InRange(price.PerRequest.Dollars, 0, 1);
        Assert.True(price.MaxOutputTokens is null or > 0 and < 10_000_000, price.Model);
        Assert.Equal(price.ContextTiers.Select(tier => tier.AboveInputTokens).Order(), price.ContextTiers.Select(tier => tier.AboveInputTokens));
        Assert.All(price.ContextTiers, tier => Assert.True(tier.Rates.Input >= price.Rates.Input && tier.Rates.Output >= price.Rates.Output, price.Model));
        Assert.True(price.Bounded || price.Unbilled.Length > 0, price.Model);
    });

    [Fact]
    public void Find_EveryEntryAndEverySecondName_IsFoundByItsKey()
    {
        var (prices, aliases) = PriceCatalog.ReadAll();

        foreach (var model in prices.GroupBy(price => (price.Provider, price.Model)))
        {
            Assert.Same(model.Last(), PriceCatalog.Find(model.Key.Provider, model.Key.Model, DateTimeOffset.MaxValue));
            Assert.Same(model.First(), PriceCatalog.Find(model.Key.Provider, model.Key.Model, DateTimeOffset.MinValue));
            Assert.Null(PriceCatalog.CanonicalName(model.Key.Provider, model.Key.Model));
        }
        foreach (var (provider, model, target) in aliases)
        {
            Assert.Equal(target, PriceCatalog.CanonicalName(provider, model));
            Assert.NotNull(PriceCatalog.Find(provider, target, Autumn));
        }
    }

    [Fact]
    public void CostOf_AnyEntryAndUsage_GrowsWithTheUsageAndStaysWithinTheBound()
    {
        var prices = PriceCatalog.ReadAll().Prices;
        Gen.Select(Gen.Int[0, prices.Count - 1], Gen.Long[0, 400_000].Array[10], Gen.Int[0, 9], Gen.Long[0, 400_000]).Sample((index, tokens, kind, more) =>
        {
            var (price, usage) = (prices[index], Usage(tokens));
            tokens[kind] += more;
            Assert.InRange(price.CostOf(usage).Nano, 0, price.UpperBound(usage.TotalInput, usage.TotalOutput).Nano);
            Assert.True(price.CostOf(Usage(tokens)) >= price.CostOf(usage), $"{price.Provider}/{price.Model}");
        }, iter: 5_000);

        static TokenUsage Usage(long[] tokens) => new()
        {
            Input = tokens[0], CacheRead = tokens[1], CacheWrite = tokens[2], CacheWrite1h = tokens[3], AudioInput = tokens[4], ImageInput = tokens[5],
            Output = tokens[6], Reasoning = tokens[7], AudioOutput = tokens[8], ImageOutput = tokens[9],
        };
    }

    [Fact]
    public void Changes_List_AreTheDatesOfItsEntries() =>
        Assert.Equal(PriceCatalog.ReadAll().Prices.Select(price => price.EffectiveFrom).OfType<DateTimeOffset>().Distinct().Order(), PriceCatalog.Changes);

    [Theory]
    [InlineData("openai/gpt-4")]
    [InlineData("openai/gpt-4o")]
    public void Find_NameThatOnlyBeginsLikeAnother_IsUnknown(string known)
    {
        Assert.NotNull(Find(known, Autumn));
        foreach (var unknown in new[] { known + "x", known + "-2099-01-01", known + " ", known + ":nitro", known.ToUpperInvariant(), known[..^1] + "_" })
        {
            Assert.Null(Find(unknown, Autumn));
        }
    }

    [Theory]
    [InlineData("zzz/zzz")]
    [InlineData("")]
    [InlineData("#/version")]
    [InlineData("openai/")]
    [InlineData("azure/gpt-4o\n")]
    public void Find_NoName_IsUnknown(string name) => Assert.Null(Find(name.Contains('/', StringComparison.Ordinal) ? name : "/" + name, Autumn));

    [Fact]
    public void Find_DatedPrice_IsThatOfTheDay()
    {
        var before = Find("anthropic/claude-sonnet-5", new DateTimeOffset(2026, 8, 31, 23, 59, 59, TimeSpan.Zero))!;
        var after = Find("anthropic/claude-sonnet-5", new DateTimeOffset(2026, 9, 1, 0, 0, 0, TimeSpan.Zero))!;

        Assert.Equal((2m, 3m), (new Money(before.Rates.Input).Dollars, new Money(after.Rates.Input).Dollars));
        Assert.Equal((6m, 4m), (new Money(after.Rates.CacheWrite1h!.Value).Dollars, new Money(before.Rates.CacheWrite1h!.Value).Dollars));
        Assert.Equal((PriceCatalog.Version.Length + 8, true), (before.Version.Length, after.Version.EndsWith("@2026-09-01", StringComparison.Ordinal)));
    }

    private static ModelPrice? Find(string name, DateTimeOffset now)
    {
        var slash = name.IndexOf('/', StringComparison.Ordinal);
        var (provider, model) = (name[..slash], name[(slash + 1)..]);
        return PriceCatalog.Find(provider, PriceCatalog.CanonicalName(provider, model) ?? model, now);
    }

    [GeneratedRegex(@"^(models\.dev|genai-prices), 20\d\d-\d\d-\d\d(, checked 20\d\d-\d\d-\d\d)?(; [A-Za-z0-9, ]+: (models\.dev|genai-prices), 20\d\d-\d\d-\d\d(, checked 20\d\d-\d\d-\d\d)?)*$")]
    private static partial Regex SourceForm();
}
