using Shared.Admission;
using Shared.Pricing;

namespace LlmProxy.Media;

/// <summary>
/// The most that a call can cost at a target. What has no provable bound (the length of compressed audio, the tokens of a picture whose maximum is not
/// in the price) is refused under a hard budget, unless the route fixes a reservation.
/// </summary>
internal static class MediaBound
{
    /// <summary>Output tokens that each unfinished picture of a stream adds, by the vendor's guide to image generation.</summary>
    private const int PartialImageTokens = 100;

    private static readonly Money Unpayable = new(long.MaxValue / 4);

    /// <summary>What an attempt at a target has to reserve.</summary>
    /// <param name="call">The call.</param>
    /// <param name="price">The target's price; null: nobody knows it.</param>
    /// <param name="isBounded">Whether what is reserved is an upper bound, so that it may be charged where nobody says what was used.</param>
    public static AdmissionAsk AskFor(MediaCall call, ModelPrice? price, out bool isBounded)
    {
        var unbounded = UnboundedMember(call, price);
        var tokens = EstimatedTokens(call);
        isBounded = unbounded is null && price is not null && call.Form is not { IsWhole: false }; // what bills may come after the file
        if (unbounded is not null && call.Entry.Route?.FixedReservation is { } reservation)
        {
            isBounded = price is not null;
            return new AdmissionAsk { AtLeast = reservation, AtMost = reservation, Tokens = tokens, PriceKnown = price is not null };
        }
        if (price is null)
        {
            return new AdmissionAsk { AtLeast = Money.Zero, AtMost = Money.Zero, Tokens = tokens, UnboundedMember = unbounded };
        }
        var most = UpperBound(call, price);
        return unbounded is null
            ? new AdmissionAsk { AtLeast = most, AtMost = most, Tokens = tokens, PriceKnown = true }
            : new AdmissionAsk { AtLeast = most, AtMost = Money.MaxValue, Tokens = tokens, PriceKnown = true, UnboundedMember = unbounded };
    }

    /// <summary>What was seen to be used by a call of which the provider says nothing: the characters of a text that was spoken.</summary>
    public static UnitUsage Observed(MediaCall call) => call.Endpoint.Unit switch
    {
        UnitKind.Character => UnitUsage.Of(UnitKind.Character, call.Fields.Characters),
        _ => default,
    };

    private static Money UpperBound(MediaCall call, ModelPrice price)
    {
        var fields = call.Fields;
        var input = fields.TextBytes + (fields.Images * price.MaxImageTokens);
        var output = 0L;
        UnitUsage units = default;
        switch (call.Endpoint.Unit)
        {
            case UnitKind.Image:
                output = fields.Count * ((price.MaxOutputTokens ?? 0) + ((long)fields.PartialImages * PartialImageTokens));
                units = UnitUsage.Of(UnitKind.Image, fields.Count);
                break;
            case UnitKind.Character:
                output = price.MaxOutputTokens ?? 0;
                units = UnitUsage.Of(UnitKind.Character, fields.Characters);
                break;
            case UnitKind.AudioSecond:
                input = Math.Max(input, price.MaxInputTokens ?? 0);
                output = price.MaxOutputTokens ?? 0;
                break;
            case UnitKind.Search:
                units = UnitUsage.Of(UnitKind.Search, fields.Searches);
                break;
        }
        try
        {
            return Money.Min(Unpayable, price.UpperBound(input, output, units));
        }
        catch (OverflowException)
        {
            return Unpayable;
        }
    }

    private static string? UnboundedMember(MediaCall call, ModelPrice? price)
    {
        if (call.Fields.Unbounded is { } member)
        {
            return member;
        }
        if (price is null)
        {
            return null;
        }
        if (!price.Bounded)
        {
            return "model";
        }
        if (price.IsFree)
        {
            return null;
        }
        var hasOutputBound = price.MaxOutputTokens is not null || price.Rates.HighestOutput == 0;
        return call.Endpoint.Unit switch
        {
            // Pictures and speech are output without a limit in the request: the price has to know the model's own.
            UnitKind.Image or UnitKind.Character => hasOutputBound ? null : "model",
            // How long audio is cannot be told from its bytes. Where tokens are billed, the model's own limits bound one piece of it.
            UnitKind.AudioSecond => price.HighestUnitRate(UnitKind.AudioSecond) is null && hasOutputBound && price.MaxInputTokens is not null && !call.Fields.Chunks ? null
                : call.Fields.Chunks ? "chunking_strategy" : "file",
            _ => hasOutputBound ? null : "model",
        };
    }

    /// <summary>A plain guess for token limits, put right when the call ends.</summary>
    private static long EstimatedTokens(MediaCall call) => call.Endpoint.Unit switch
    {
        UnitKind.Image => (call.Fields.TextBytes / 4) + 1 + (1000L * (call.Fields.Count + call.Fields.Images)),
        UnitKind.Search => (call.Fields.TextBytes / 4) + 1,
        _ => (call.Fields.TextBytes / 4) + 1000,
    };
}
