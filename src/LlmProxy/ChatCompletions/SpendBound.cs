using LlmProxy.Routing;
using Shared.Admission;
using Shared.Pricing;

namespace LlmProxy.ChatCompletions;

/// <summary>
/// The most that a request can cost at a target, and the output limit that keeps it there. Input: a token has at least one byte, and an image at
/// most as many tokens as its vendor says. Output: the limit, for each choice, and rejected parts of a prediction.
/// </summary>
internal static class SpendBound
{
    /// <summary>The default output limit for a model whose maximum is unknown.</summary>
    public const long UsualOutputTokens = 4096;

    /// <summary>An answer with room for fewer tokens than this is not worth its input.</summary>
    private const long SmallestOutput = 16;

    /// <summary>More than any budget; stands for a price beyond what <see cref="Money"/> holds.</summary>
    private static readonly Money Unpayable = new(long.MaxValue / 4);

    /// <summary>What an attempt at a target has to reserve.</summary>
    public static AdmissionAsk AskFor(ChatCall call, TargetPlan target)
    {
        ref readonly var fields = ref call.Fields;
        var price = target.Price;
        var unbounded = UnboundedMember(fields, target);
        var output = !target.Family.HasOutput ? 0 : LimitAsked(call) ?? DefaultLimit(call, target);
        var tokens = EstimatedTokens(call);
        if (unbounded is not null && call.Entry.Route?.FixedReservation is { } reservation)
        {
            return new AdmissionAsk { AtLeast = reservation, AtMost = reservation, Tokens = tokens, PriceKnown = price is not null };
        }
        if (price is null)
        {
            return new AdmissionAsk { AtLeast = Money.Zero, AtMost = Money.Zero, Tokens = tokens, UnboundedMember = unbounded };
        }
        var input = InputTokens(call, price);
        var most = UpperBound(call, price, input, output);
        var least = fields.OutputLimit is null && output > SmallestOutput ? UpperBound(call, price, input, SmallestOutput) : most;
        return new AdmissionAsk { AtLeast = least, AtMost = most, Tokens = tokens, PriceKnown = true, UnboundedMember = unbounded };
    }

    /// <summary>The output limit that must stand in the body of an attempt, whoever wrote it; null: it needs none.</summary>
    /// <param name="call">The request.</param>
    /// <param name="target">Where it goes.</param>
    /// <param name="reserved">What the attempt may cost; <see cref="Money.MaxValue"/> where no hard budget covers it.</param>
    public static long? LimitFor(ChatCall call, TargetPlan target, Money reserved)
    {
        if (!target.Family.HasOutput)
        {
            return null;
        }
        var route = call.Entry.Route;
        var isHard = reserved != Money.MaxValue && target.Price is not null && !target.OutputIsFree;
        if (LimitAsked(call) is { } asked)
        {
            return isHard || asked != call.Fields.OutputLimit ? asked : null;
        }
        if (isHard && !(UnboundedMember(call.Fields, target) is not null && route?.FixedReservation is not null))
        {
            var affordable = target.Price!.AffordableOutput(reserved, InputTokens(call, target.Price), call.Fields.ServiceTier) / call.Fields.Choices - call.Fields.PredictionBytes;
            return Math.Max(1, Math.Min(affordable, DefaultLimit(call, target)));
        }
        return route is { DefaultOutputTokens: null, MaxOutputTokens: null } or null ? null : DefaultLimit(call, target);
    }

    /// <summary>The cost of what was seen to pass, for a call whose use nobody reported.</summary>
    public static Money Observed(ChatCall call, ModelPrice price, long outputBytes) =>
        Bounded(price, InputTokens(call, price), call.Target.Family.HasOutput ? outputBytes : 0, call.Fields.ServiceTier);

    /// <summary>No fewer than the input's tokens.</summary>
    public static long InputTokens(ChatCall call, ModelPrice? price) =>
        call.InputBytes - call.Fields.SpareBytes + call.Entry.DefaultBytes + call.Fields.ImageParts * (price?.MaxImageTokens ?? 0);

    private static Money UpperBound(ChatCall call, ModelPrice price, long input, long outputPerChoice) =>
        Bounded(price, input, (outputPerChoice + call.Fields.PredictionBytes) * call.Fields.Choices, call.Fields.ServiceTier);

    private static Money Bounded(ModelPrice price, long input, long output, string? serviceTier)
    {
        try
        {
            return Money.Min(Unpayable, price.UpperBound(input, output, serviceTier));
        }
        catch (OverflowException)
        {
            return Unpayable;
        }
    }

    /// <summary>What the client asks for, under the route's cap; null: nothing.</summary>
    private static long? LimitAsked(ChatCall call) =>
        call.Fields.OutputLimit is { } asked ? Math.Min(asked, call.Entry.Route?.MaxOutputTokens ?? long.MaxValue) : null;

    private static long DefaultLimit(ChatCall call, TargetPlan target)
    {
        var route = call.Entry.Route;
        return Math.Min(route?.DefaultOutputTokens ?? target.Family.UsualOutputTokens ?? target.Price?.MaxOutputTokens ?? UsualOutputTokens, route?.MaxOutputTokens ?? long.MaxValue);
    }

    private static string? UnboundedMember(in RoutedFields fields, TargetPlan target)
    {
        var price = target.Price;
        if (fields.UnboundedMember is { } member)
        {
            return member;
        }
        if (fields.UnboundedUntranslated is { } native && !target.IsTranslated)
        {
            return native;
        }
        if (price is null)
        {
            return null;
        }
        if (!price.Bounded)
        {
            return "model";
        }
        if (fields.ServiceTier is not null && !price.HasServiceTier(fields.ServiceTier))
        {
            return "service_tier";
        }
        // Audio costs several times what text does: without a rate of its own there is no bound.
        if (fields.AudioOutput && price.Rates.AudioOutput is null)
        {
            return "modalities";
        }
        if (fields.AudioParts > 0 && price.Rates.AudioInput is null)
        {
            return target.Family == EndpointFamily.Chat ? "messages[].content[].input_audio" : "input[].input_audio";
        }
        return null;
    }

    /// <summary>A plain guess for token limits, put right when the call ends: four bytes to a token, a thousand tokens to an image or an answer of unknown length.</summary>
    private static long EstimatedTokens(ChatCall call) =>
        call.Body.Bytes.Length / 4 + 1 + call.Fields.ImageParts * 1000L
        + (call.Target.Family.HasOutput ? Math.Min(LimitAsked(call) ?? call.Target.Family.UsualOutputTokens ?? long.MaxValue, 1000) * call.Fields.Choices : 0);
}
