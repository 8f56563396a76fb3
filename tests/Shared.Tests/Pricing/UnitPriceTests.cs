using System.Collections.Immutable;
using CsCheck;
using Shared.Pricing;

namespace Shared.Tests.Pricing;

public sealed class UnitPriceTests
{
    private static readonly ModelPrice pictures = Price(
        new UnitRate(UnitKind.Image, null, Rate(0.04m)), new UnitRate(UnitKind.Image, "hd", Rate(0.08m)), new UnitRate(UnitKind.Image, "1024x1792", Rate(0.06m)), new UnitRate(UnitKind.Image, "hd/1024x1792", Rate(0.12m)));

    [Theory]
    [InlineData(null, 0.04)]
    [InlineData("standard", 0.04)]
    [InlineData("hd", 0.08)]
    [InlineData("1024x1792", 0.06)]
    [InlineData("standard/1024x1792", 0.06)]
    [InlineData("hd/1024x1792", 0.12)]
    [InlineData("hd/512x512", 0.08)]
    public void CostOf_Pictures_TheMostExactVariantHolds(string? variant, double dollars) =>
        Assert.Equal(Money.FromDollars((decimal)dollars * 3), pictures.CostOf(new TokenUsage { Units = UnitUsage.Of(UnitKind.Image, 3, variant) }));

    [Fact]
    public void CostOf_PartsOfAUnit_AreRoundedUpOnce()
    {
        var minutes = Price(new UnitRate(UnitKind.AudioSecond, null, Rate(0.006m / 60)));

        Assert.Equal(100_000, minutes.CostOf(new TokenUsage { Units = UnitUsage.Of(UnitKind.AudioSecond, 1) }).Nano);
        Assert.Equal(847_100, minutes.CostOf(new TokenUsage { Units = new UnitUsage(UnitKind.AudioSecond, 8471) }).Nano);
    }

    [Fact]
    public void Covers_UnitsWithoutARate_AreUnknown()
    {
        var searches = new TokenUsage { Units = UnitUsage.Of(UnitKind.Search, 1) };

        Assert.False(pictures.Covers(searches));
        Assert.True(pictures.Covers(searches with { Input = 5 }));
        Assert.True(pictures.Covers(new TokenUsage { Units = UnitUsage.Of(UnitKind.Image, 1, "any") }));
        Assert.True(Price().Covers(searches)); // free, whatever is used
    }

    [Fact]
    public void UpperBound_AnyVariantAndNoMoreUnits_IsNeverExceeded() =>
        Gen.Select(Gen.Int[0, 5].Select(i => new[] { null, "hd", "low", "1024x1792", "hd/1024x1792", "x/y" }[i]), Gen.Long[0, 100], Gen.Long[0, 100], Gen.Long[0, 50_000]).Sample((variant, used, more, tokens) =>
        {
            var price = pictures with { Rates = pictures.Rates with { Input = 3_000_000_007, Output = 9_000_000_001 }, Adjustment = new PriceAdjustment(1234, 777) };
            var cost = price.CostOf(new TokenUsage { Input = tokens, Output = tokens / 2, Units = UnitUsage.Of(UnitKind.Image, used, variant) });
            return cost <= price.UpperBound(tokens, tokens / 2, UnitUsage.Of(UnitKind.Image, used + more));
        }, iter: 2_000);

    private static long Rate(decimal dollars) => Money.FromDollars(dollars * 1_000_000).Nano;

    private static ModelPrice Price(params ImmutableArray<UnitRate> rates) =>
        new() { Provider = "p", Model = "m", Version = "test", Rates = new TokenRates { Input = 0, Output = 0 }, UnitRates = rates };
}
