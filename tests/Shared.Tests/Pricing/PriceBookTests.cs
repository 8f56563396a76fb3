using System.Collections.Frozen;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.Tests.Snapshots;

namespace Shared.Tests.Pricing;

public sealed class PriceBookTests : IDisposable
{
    private readonly ConfigFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Find_SecondNameOfACatalogModel_HasTheContractPriceOfTheModel()
    {
        var book = folder.Gateway("prices: [{provider: anthropic, model: claude-haiku-4-5, input: 0.5, output: 2}]\nproviders: {anthropic: {baseUrl: 'http://h'}}").Load().Prices;

        Assert.Equal(500_000_000, book.Find("anthropic", "claude-haiku-4-5-20251001")!.Rates.Input);
    }

    [Fact]
    public void Find_GlobOfTheOverlay_DoesNotBeatAnEntryOfTheCatalog()
    {
        var book = folder.Gateway("prices: [{provider: openai, model: '*', input: 7, output: 7}]").Load().Prices;

        Assert.Equal(2.5m, new Money(book.Find("openai", "gpt-4o")!.Rates.Input).Dollars);
        Assert.Equal(7, new Money(book.Find("openai", "gpt-unheard-of")!.Rates.Input).Dollars);
    }

    [Fact]
    public void Find_ProviderPricedAsAnother_HasItsPricesAndItsOwn()
    {
        var book = folder.Gateway("""
            providers: {eu: {baseUrl: "http://h"}}
            pricing: {pricedAs: {eu: openai}, adjustments: [{provider: eu, margin: 5%}]}
            prices: [{provider: eu, model: gpt-4o, input: 9, output: 9}]
            """).Load().Prices;

        Assert.Equal(9, new Money(book.Find("eu", "gpt-4o")!.Rates.Input).Dollars);
        var mini = book.Find("eu", "gpt-4o-mini")!;
        Assert.Equal((0.15m, "openai", 500), (new Money(mini.Rates.Input).Dollars, mini.Provider, mini.Adjustment.Margin));
        Assert.Null(book.Find("other", "gpt-4o-mini"));
    }

    [Fact]
    public void Find_Adjustments_EachMemberComesFromTheFirstRuleThatNamesIt()
    {
        var book = folder.Gateway("""
            pricing:
              adjustments:
                - {provider: openai, model: "gpt-5*", discount: 20%}
                - {provider: openai, discount: 12.5%, margin: 3%}
                - {margin: 10%}
            prices: [{provider: openai, model: contract, input: 4, output: 4}]
            """).Load().Prices;

        Assert.Equal(new PriceAdjustment(2000, 300), book.Find("openai", "gpt-5")!.Adjustment);
        Assert.Equal(new PriceAdjustment(1250, 300), book.Find("openai", "gpt-4o")!.Adjustment);
        Assert.Equal(new PriceAdjustment(0, 1000), book.Find("groq", "llama-3.1-8b-instant")!.Adjustment);
        // What the operator wrote down is no list price: there is no discount off it.
        Assert.Equal(new PriceAdjustment(0, 300), book.Find("openai", "contract")!.Adjustment);
        Assert.EndsWith(";discount=12.5%;margin=3%", book.Find("openai", "gpt-4o")!.Version, StringComparison.Ordinal);
    }

    [Fact]
    public void Adjustments_OutOfRangeOrEmpty_AreErrors()
    {
        var errors = folder.Gateway("pricing: {adjustments: [{provider: openai}, {discount: 101%}, {margin: 15}, {margin: 1.234%}], marign: 1}").Errors();

        Assert.Contains(errors, error => error.Contains("pricing.adjustments[0]", StringComparison.Ordinal) && error.Contains("a rule needs a discount, a margin or both", StringComparison.Ordinal));
        Assert.Contains(errors, error => error.Contains("expected 0% to 100%", StringComparison.Ordinal));
        Assert.Equal(2, errors.Count(error => error.Contains("expected a percentage such as 15%", StringComparison.Ordinal)));
        Assert.Contains(errors, error => error.Contains("marign", StringComparison.Ordinal));
    }

    [Fact]
    public void Compile_DatedEntries_OnlyTheSameDayTwiceIsAnError()
    {
        var errors = folder.Gateway("""
            prices:
              - {provider: openai, model: m, input: 1, output: 1}
              - {provider: openai, model: m, input: 2, output: 2, effectiveFrom: 2027-01-01}
              - {provider: openai, model: m, input: 3, output: 3, effectiveFrom: 2027-01-01}
            """).Errors();

        Assert.Equal("gateway.yaml:4:31: prices[2].model: the price of openai/m stands already in line 3", Assert.Single(errors));
    }

    [Fact]
    public async Task Reload_DayOfADatedPriceComes_TakesEffectWithoutAnyChangeOfAFile()
    {
        var clock = new FakeTimeProvider(Day("2026-11-30"));
        folder.Gateway("prices: [{provider: openai, model: gpt-4o, input: 2, output: 8, effectiveFrom: 2026-12-01}, {provider: openai, model: gpt-4o, input: 1, output: 4, effectiveFrom: 2027-02-01}]");
        using var loader = new SnapshotLoader(folder.Paths, folder.Store, [], NullLogger<SnapshotLoader>.Instance, folder.Keys, clock);
        loader.Load();
        List<(decimal Input, string Revision)> seen = [Now()];
        Assert.Equal(Day("2026-12-01"), folder.Store.Current.Prices.NextChange);

        foreach (var day in new[] { "2026-11-30", "2026-12-01", "2027-01-15", "2027-02-01" })
        {
            clock.SetUtcNow(Day(day));
            await loader.ReloadIfChangedAsync(TestContext.Current.CancellationToken);
            seen.Add(Now());
        }

        Assert.Equal([2.5m, 2.5m, 2, 2, 1], seen.Select(price => price.Input));
        Assert.Equal(seen[0].Revision, seen[1].Revision);
        Assert.NotEqual(seen[1].Revision, seen[2].Revision);
        Assert.NotEqual(seen[3].Revision, seen[4].Revision);

        (decimal, string) Now() => (new Money(folder.Store.Current.Prices.Find("openai", "gpt-4o")!.Rates.Input).Dollars, folder.Store.Current.Revision);
    }

    [Fact]
    public void Names_Book_HoldTheCatalogTheOverlayAndProvidersPricedAsOthers()
    {
        var book = new PriceBook([Priced("mine", "m-*")], catalogAsOf: Day("2026-11-22")) { PricedAs = new Dictionary<string, string> { ["eu"] = "groq" }.ToFrozenDictionary() };

        var names = book.Names().ToHashSet();

        Assert.Superset(new HashSet<(string, string)> { ("mine", "m-*"), ("groq", "llama-3.1-8b-instant"), ("eu", "llama-3.1-8b-instant"), ("anthropic", "claude-haiku-4-5-20251001"), ("ollama", "*") }, names);
        Assert.All(names, name => Assert.NotNull(book.Find(name.Provider, name.Model)));
    }

    [Fact]
    public void Compile_UnbilledParts_AreKept()
    {
        var price = folder.Gateway("prices: [{provider: openai, model: m, input: 1, output: 1, perRequest: 0.005, unbilled: [webSearch], bounded: false, maxInputTokens: 8191}]").Load().Prices.Find("openai", "m")!;

        Assert.Equal((5_000_000, "webSearch", false, 8191), (price.PerRequest.Nano, Assert.Single(price.Unbilled), price.Bounded, price.MaxInputTokens));
    }

    private static DateTimeOffset Day(string day) => DateTimeOffset.ParseExact(day, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

    private static ModelPrice Priced(string provider, string model) => new() { Provider = provider, Model = model, Version = "v", Rates = new TokenRates { Input = 1, Output = 1 } };
}
