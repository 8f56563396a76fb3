using System.Numerics;
using CsCheck;
using Shared.Pricing;

namespace Shared.Tests.Pricing;

public class PricingTests
{
    private static readonly Gen<TokenRates> rates = Gen.Select(Gen.Long[0, 200_000_000_000], Gen.Long[0, 900_000_000_000], Gen.Long[0, 200_000_000_000].Nullable(), Gen.Long[0, 300_000_000_000].Nullable(), Gen.Long[0, 900_000_000_000].Nullable())
        .Select((input, output, read, write, reasoning) => new TokenRates { Input = input, Output = output, CacheRead = read, CacheWrite = write, Reasoning = reasoning, AudioInput = write, AudioOutput = reasoning, CacheWrite1h = read, ImageInput = read, ImageOutput = reasoning });

    private static readonly Gen<PriceAdjustment> adjustments = Gen.Select(Gen.OneOf(Gen.Const(0), Gen.Int[0, 10_000]), Gen.OneOf(Gen.Const(0), Gen.Int[0, 100_000])).Select((discount, margin) => new PriceAdjustment(discount, margin));

    private static readonly Gen<ModelPrice> prices = Gen.Select(rates, rates, rates, Gen.Long[0, 100_000], Gen.Long[0, 50_000_000], adjustments).Select((standard, large, flex, above, fee, adjustment) =>
        Price(standard) with { ContextTiers = [new ContextTier(above, large)], ServiceTiers = Price(standard).ServiceTiers.Add("flex", flex), PerRequest = new Money(fee), Adjustment = adjustment });

    private static readonly Gen<TokenUsage> usages = Gen.Long[0, 60_000].Array[10].Select(tokens => new TokenUsage
    {
        Input = tokens[0], CacheRead = tokens[1], CacheWrite = tokens[2], AudioInput = tokens[3], Output = tokens[4], Reasoning = tokens[5], AudioOutput = tokens[6],
        CacheWrite1h = tokens[7], ImageInput = tokens[8], ImageOutput = tokens[9],
    });

    [Fact]
    public void CostOf_EachKindOfToken_IsChargedAtItsRate()
    {
        var price = Price(new TokenRates { Input = 1_000_000, Output = 2_000_000, CacheRead = 3_000_000, CacheWrite = 5_000_000, Reasoning = 7_000_000, AudioInput = 11_000_000, AudioOutput = 13_000_000 });

        Assert.Equal(1 + (2 * 2) + (3 * 3) + (5 * 4) + (7 * 5) + (11 * 6) + (13 * 7), price.CostOf(
            new TokenUsage { Input = 1, Output = 2, CacheRead = 3, CacheWrite = 4, Reasoning = 5, AudioInput = 6, AudioOutput = 7 }).Nano);
    }

    [Fact]
    public void CostOf_PartsOfANanoDollar_AreRoundedUpOnce()
    {
        var price = Price(new TokenRates { Input = 400_000, Output = 400_000 });

        Assert.Equal(1, price.CostOf(new TokenUsage { Input = 1, Output = 1 }).Nano);
        Assert.Equal(2, price.CostOf(new TokenUsage { Input = 2, Output = 1 }).Nano);
        Assert.Equal(0, price.CostOf(default).Nano);
    }

    [Fact]
    public void CostOf_InputAboveATier_ChargesAllTokensAtTheTiersRates()
    {
        var price = Price(Flat(1_000_000)) with { ContextTiers = [new ContextTier(10, Flat(2_000_000)), new ContextTier(20, Flat(3_000_000))] };

        Assert.Equal([10, 22, 63], new long[] { 10, 11, 21 }.Select(input => price.CostOf(new TokenUsage { CacheRead = input }).Nano));
    }

    [Fact]
    public void CostOf_ServiceTier_HasRatesOfItsOwnOrTheStandardOnes()
    {
        var price = Price(Flat(1_000_000)) with { ServiceTiers = Price(Flat(1)).ServiceTiers.Add("priority", Flat(5_000_000)) };
        var usage = new TokenUsage { Input = 2 };

        Assert.Equal((10, 2, 2), (price.CostOf(usage, "priority").Nano, price.CostOf(usage, "default").Nano, price.CostOf(usage, "unheard-of").Nano));
        Assert.True(price.HasServiceTier("priority") && price.HasServiceTier(null) && price.HasServiceTier("auto"));
        Assert.False(price.HasServiceTier("unheard-of"));
    }

    [Fact]
    public void CostOf_AnyUsage_IsTheExactSumRoundedUp() => Gen.Select(rates, usages, Gen.Long[0, 1_000_000_000], adjustments).Sample((rate, usage, fee, adjustment) =>
    {
        var exact = ((BigInteger)usage.Input * rate.Input) + ((BigInteger)usage.CacheRead * (rate.CacheRead ?? rate.Input)) + ((BigInteger)usage.CacheWrite * (rate.CacheWrite ?? rate.Input))
            + ((BigInteger)usage.AudioInput * (rate.AudioInput ?? rate.Input)) + ((BigInteger)usage.Output * rate.Output)
            + ((BigInteger)usage.Reasoning * (rate.Reasoning ?? rate.Output)) + ((BigInteger)usage.AudioOutput * (rate.AudioOutput ?? rate.Output))
            + ((BigInteger)usage.CacheWrite1h * (rate.CacheWrite1h ?? rate.CacheWrite ?? rate.Input)) + ((BigInteger)usage.ImageInput * (rate.ImageInput ?? rate.Input)) + ((BigInteger)usage.ImageOutput * (rate.ImageOutput ?? rate.Output));
        exact += (BigInteger)fee * 1_000_000;
        Assert.Equal((exact + 999_999) / 1_000_000, (Price(rate) with { PerRequest = new Money(fee) }).CostOf(usage).Nano);
        // Adjusted as one exact fraction, and rounded once all the same.
        var (numerator, denominator) = (exact * (10_000 - adjustment.Discount) * (10_000 + adjustment.Margin), (BigInteger)1_000_000 * 100_000_000);
        Assert.Equal((numerator + denominator - 1) / denominator, (Price(rate) with { PerRequest = new Money(fee), Adjustment = adjustment }).CostOf(usage).Nano);
    }, iter: 2_000);

    [Fact]
    public void CostOf_MoreOfAnyToken_NeverCostsLess() => Gen.Select(rates, rates, Gen.Long[0, 100_000], usages, usages, adjustments).Sample((low, more, above, usage, extra, adjustment) =>
    {
        var price = Price(low) with { ContextTiers = [new ContextTier(above, Dearer(low, more))], Adjustment = adjustment };
        var larger = new TokenUsage
        {
            Input = usage.Input + extra.Input, CacheRead = usage.CacheRead + extra.CacheRead, CacheWrite = usage.CacheWrite + extra.CacheWrite, CacheWrite1h = usage.CacheWrite1h + extra.CacheWrite1h,
            AudioInput = usage.AudioInput + extra.AudioInput, ImageInput = usage.ImageInput + extra.ImageInput, Output = usage.Output + extra.Output, Reasoning = usage.Reasoning + extra.Reasoning,
            AudioOutput = usage.AudioOutput + extra.AudioOutput, ImageOutput = usage.ImageOutput + extra.ImageOutput,
        };
        Assert.True(price.CostOf(usage) >= Money.Zero);
        Assert.True(price.CostOf(larger) >= price.CostOf(usage));

        static TokenRates Dearer(TokenRates low, TokenRates more) => new()
        {
            Input = low.Input + more.Input, Output = low.Output + more.Output, CacheRead = (low.CacheRead ?? low.Input) + more.Input, CacheWrite = (low.CacheWrite ?? low.Input) + more.Input,
            CacheWrite1h = (low.CacheWrite1h ?? low.CacheWrite ?? low.Input) + more.Input, Reasoning = (low.Reasoning ?? low.Output) + more.Output, AudioInput = (low.AudioInput ?? low.Input) + more.Input,
            AudioOutput = (low.AudioOutput ?? low.Output) + more.Output, ImageInput = (low.ImageInput ?? low.Input) + more.Input, ImageOutput = (low.ImageOutput ?? low.Output) + more.Output,
        };
    }, iter: 2_000);

    [Fact]
    public void UpperBound_AnyUsageWithinItInAnyServedTier_IsNeverExceeded() =>
        Gen.Select(prices, usages, Gen.Int[0, 3]).Sample((price, usage, tiers) =>
        {
            // A request for flex may be served as standard, not the other way round.
            var (asked, served) = tiers switch { 0 => (null, null), 1 => ("flex", "flex"), 2 => ("flex", "default"), _ => ("default", (string?)null) };
            Assert.True(price.CostOf(usage, served) <= price.UpperBound(usage.TotalInput, usage.TotalOutput, asked));
        }, iter: 5_000);

    [Fact]
    public void AffordableOutput_AnyAmount_IsTheMostThatItsBoundAllows() =>
        Gen.Select(prices, Gen.Long[0, 50_000_000_000], Gen.Long[0, 200_000]).Sample((price, amount, input) =>
        {
            var output = price.AffordableOutput(new Money(amount), input);
            if (output is > 0 and < long.MaxValue)
            {
                Assert.True(price.UpperBound(input, output).Nano <= amount);
                Assert.True(price.UpperBound(input, output + 1).Nano > amount);
            }
        }, iter: 5_000);

    [Fact]
    public void TryCostOf_BeyondWhatMoneyHolds_IsUnknown()
    {
        var price = Price(Flat(1_000_000));

        Assert.Equal(price.CostOf(new TokenUsage { Input = 5 }), price.TryCostOf(new TokenUsage { Input = 5 }));
        Assert.Null(Price(Flat(long.MaxValue)).TryCostOf(new TokenUsage { Input = long.MaxValue }));
    }

    [Fact]
    public void UpperBound_BeyondWhatMoneyHolds_Throws() => Assert.Throws<OverflowException>(() => Price(Flat(long.MaxValue)).UpperBound(long.MaxValue, 0));

    [Fact]
    public void Find_ExactEntriesGlobsAndOverlays_TakesTheMostSpecificAndTheLast()
    {
        var book = new PriceBook([Named("p", "*", "all"), Named("p", "m-*", "old"), Named("p", "m-*", "glob"), Named("p", "m-1", "first"), Named("p", "m-1", "overlay")]);

        Assert.Equal(["overlay", "glob", "all"], new[] { "m-1", "m-2", "x" }.Select(model => book.Find("p", model)!.Version));
        Assert.Null(book.Find("q", "m-1"));
    }

    [Fact]
    public void Find_PolicyIsDefault_FallsBackToTheDefaultPrice()
    {
        var fallback = Named("", "", "default");

        Assert.Same(fallback, new PriceBook([], UnknownPricePolicy.UseDefault, fallback).Find("q", "m"));
        Assert.Null(new PriceBook([], UnknownPricePolicy.Allow, fallback).Find("q", "m"));
        Assert.Throws<ArgumentNullException>(() => new PriceBook([], UnknownPricePolicy.UseDefault));
    }

    [Theory]
    [InlineData("0.00125", 1_250_000)]
    [InlineData("0.0000000001", 1)]
    [InlineData("5", 5_000_000_000)]
    public void FromDollars_Amount_IsRoundedUpToANanoDollar(string dollars, long nano) =>
        Assert.Equal(nano, Money.FromDollars(decimal.Parse(dollars, System.Globalization.CultureInfo.InvariantCulture)).Nano);

    [Fact]
    public void Money_Arithmetic_IsCheckedAndWrittenInDollars()
    {
        Assert.Throws<OverflowException>(() => Money.MaxValue + new Money(1));
        Assert.Equal(["0", "0.00125", "-0.000000001", "9223372036.854775807"], new[] { Money.Zero, new Money(1_250_000), new Money(0) - new Money(1), Money.MaxValue }.Select(money => money.ToString()));
    }

    private static TokenRates Flat(long rate) => new() { Input = rate, Output = rate };

    private static ModelPrice Price(TokenRates rates) => new() { Provider = "p", Model = "m", Version = "v", Rates = rates };

    private static ModelPrice Named(string provider, string model, string version) => new() { Provider = provider, Model = model, Version = version, Rates = Flat(1) };
}
