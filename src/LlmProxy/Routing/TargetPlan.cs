using System.Diagnostics;
using LlmProxy.Providers;
using LlmProxy.Relay;
using LlmProxy.Telemetry;
using Microsoft.Extensions.Primitives;
using Polly;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;

namespace LlmProxy.Routing;

/// <summary>One target of a route with all that its attempts need, prepared when the snapshot was compiled.</summary>
internal sealed record TargetPlan
{
    public required Provider Provider { get; init; }

    public required string Model { get; init; }

    /// <summary>The model's name as a JSON string.</summary>
    public required byte[] ModelJson { get; init; }

    /// <summary>The endpoint that it is prepared for.</summary>
    public required EndpointFamily Family { get; init; }

    /// <summary>The endpoint's address.</summary>
    public required Uri Address { get; init; }

    public required AttemptStart Start { get; init; }

    /// <summary>Null: nobody knows what it costs.</summary>
    public required ModelPrice? Price { get; init; }

    public required ProviderClient Client { get; init; }

    public required ResiliencePipeline<UpstreamAnswer> Pipeline { get; init; }

    /// <summary>Headers of every call: credential, configured headers, and ours.</summary>
    public required KeyValuePair<string, string>[] Headers { get; init; }

    public required string SpanName { get; init; }

    /// <summary>Attributes of every measurement.</summary>
    public required TagList Tags { get; init; }

    /// <summary>Whether <see cref="Provider.OutputLimitMember"/> is <c>max_completion_tokens</c>; otherwise it is <c>max_tokens</c>.</summary>
    public required bool HonoursMaxCompletionTokens { get; init; }

    /// <summary>Whether output costs nothing on any tier, so that a hard budget needs no output limit.</summary>
    public required bool OutputIsFree { get; init; }

    public StringValues ProviderHeader { get; init; }

    public StringValues ModelHeader { get; init; }

    /// <summary>The same target, prepared for another endpoint.</summary>
    public TargetPlan For(EndpointFamily family) => this with
    {
        Family = family,
        Address = new Uri(Address.AbsoluteUri[..^Family.Path.Length] + family.Path),
        SpanName = SpanNameOf(family, Model),
        Tags = TagsOf(family, Provider.Id, Model),
        HonoursMaxCompletionTokens = false, // the other endpoints never knew that name
    };

    /// <summary>Its name alone: credentials stand among the rest.</summary>
    public override string ToString() => $"{Provider.Id}/{Model}";

    public static string SpanNameOf(EndpointFamily family, string model) => $"{family.Operation} {model}";

    public static TagList TagsOf(EndpointFamily family, string provider, string model) => new()
    {
        { ModelTelemetry.OperationName, family.Operation },
        { ModelTelemetry.ProviderName, provider },
        { ModelTelemetry.RequestModel, model },
    };

    /// <summary>Whether output costs nothing on any tier of a price.</summary>
    public static bool HasFreeOutput(ModelPrice? price)
    {
        if (price is null || price.Rates.HighestOutput > 0)
        {
            return false;
        }
        foreach (var tier in price.ContextTiers)
        {
            if (tier.Rates.HighestOutput > 0)
            {
                return false;
            }
        }
        foreach (var tier in price.ServiceTiers.Values)
        {
            if (tier.HighestOutput > 0)
            {
                return false;
            }
        }
        return true;
    }
}

/// <summary>A member that a route adds to requests that lack it.</summary>
/// <param name="Name">Its name, UTF-8.</param>
/// <param name="Insertion">The whole member with a comma before it, UTF-8.</param>
internal sealed record DefaultMember(byte[] Name, byte[] Insertion);

/// <summary>A name that clients may ask for, with its targets.</summary>
internal sealed class RouteEntry
{
    /// <summary>The route's name, or <c>provider/model</c>.</summary>
    public required string Name { get; init; }

    /// <summary>All targets, prepared for chat completions.</summary>
    public required TargetPlan[] Targets { get; init; }

    /// <summary>The configured route; null for <c>provider/model</c>.</summary>
    public Route? Route { get; init; }

    public DefaultMember[] Defaults { get; init; } = [];

    /// <summary>Bytes that the defaults can add to a body at most; they count as input.</summary>
    public int DefaultBytes { get; init; }

    /// <summary>The names of <see cref="Defaults"/>.</summary>
    public byte[][] DefaultNames { get; init; } = [];

    private readonly TargetPlan[]?[] byFamily = new TargetPlan[EndpointFamily.All.Count][];

    /// <summary>The targets whose providers have an endpoint, prepared for it when they are first asked for.</summary>
    public TargetPlan[] TargetsFor(EndpointFamily family) => byFamily[family.Index] ??= Prepare(family);

    private TargetPlan[] Prepare(EndpointFamily family)
    {
        if (family == EndpointFamily.Chat && Array.TrueForAll(Targets, target => target.Provider.HasEndpoint(family.Id)))
        {
            return Targets;
        }
        return [.. Targets.Where(target => target.Provider.HasEndpoint(family.Id)).Select(target => family == EndpointFamily.Chat ? target : target.For(family))];
    }
}
