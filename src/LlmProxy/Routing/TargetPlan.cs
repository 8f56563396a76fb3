using System.Diagnostics;
using LlmProxy.ChatCompletions;
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

    /// <summary>The endpoint that the client called.</summary>
    public required EndpointFamily Family { get; init; }

    /// <summary>The provider's endpoint that is called for it. Another one than <see cref="Family"/>: requests and answers are translated.</summary>
    public required EndpointFamily Upstream { get; init; }

    /// <summary>Whether requests and answers are translated between two formats.</summary>
    public bool IsTranslated => Upstream != Family && !IsRehosted;

    /// <summary>Whether the provider speaks the client's format in another host's form, so that bytes are relayed, but for the framing of streams: see <see cref="Dialects.Dialect.Format"/>.</summary>
    public bool IsRehosted { get; private init; }

    /// <summary>Whether the provider's errors have another form than the client's.</summary>
    public bool HasForeignErrors => Upstream != Family;

    /// <summary>Those of the client's headers that go up.</summary>
    public IReadOnlyList<string> ForwardedHeaders { get; private init; } = [];

    /// <summary>Those of the client's headers that mean something and have no place at the provider.</summary>
    public IReadOnlyList<string> LostHeaders { get; private init; } = [];

    /// <summary>The address of <see cref="Upstream"/>.</summary>
    public required Uri Address { get; init; }

    /// <summary>Its address for streams.</summary>
    public required Uri StreamAddress { get; init; }

    public required AttemptStart Start { get; init; }

    /// <summary>Null: nobody knows what it costs.</summary>
    public required ModelPrice? Price { get; init; }

    public required ProviderClient Client { get; init; }

    public required ResiliencePipeline<UpstreamAnswer> Pipeline { get; init; }

    /// <summary>Headers of every call: credential, configured headers, and ours.</summary>
    public required KeyValuePair<string, string>[] Headers { get; init; }

    /// <summary>Puts the credential on each request; null: it stands among <see cref="Headers"/>, or there is none.</summary>
    public RequestAuthorizer? Authorizer { get; init; }

    public required string SpanName { get; init; }

    /// <summary>Attributes of every measurement.</summary>
    public required TagList Tags { get; init; }

    /// <summary>Whether <see cref="Provider.OutputLimitMember"/> is <c>max_completion_tokens</c>; otherwise it is <c>max_tokens</c>.</summary>
    public required bool HonoursMaxCompletionTokens { get; init; }

    /// <summary>Whether output costs nothing on any tier, so that a hard budget needs no output limit.</summary>
    public required bool OutputIsFree { get; init; }

    public StringValues ProviderHeader { get; init; }

    public StringValues ModelHeader { get; init; }

    /// <summary>The same target, prepared for an endpoint; null: its provider has neither that nor one that its calls can be translated for.</summary>
    public TargetPlan? For(EndpointFamily family)
    {
        var upstream = ProviderEndpoints.Has(Provider, family) ? family : family.SubstituteAt(Provider);
        if (upstream is null)
        {
            return null;
        }
        var headers = Provider.EndpointAddresses.TryGetValue(upstream.Id, out var address) && address.Auth is not null ? ProviderHeaders.Of(Provider, upstream.Id) : Headers;
        var isRehosted = upstream != family && upstream.Dialect is { } theirs && family.Dialect?.Format == theirs.Format;
        return this with
        {
            Family = family,
            Upstream = upstream,
            IsRehosted = isRehosted,
            ForwardedHeaders = upstream == family ? family.ForwardedHeaders : isRehosted ? [.. family.ForwardedHeaders.Intersect(upstream.ForwardedHeaders)] : [],
            LostHeaders = upstream == family ? [] : family.MeaningfulHeaders,
            Address = ProviderEndpoints.AddressOf(Provider, upstream, Model, stream: false),
            StreamAddress = ProviderEndpoints.AddressOf(Provider, upstream, Model, stream: true),
            Headers = [.. headers, .. upstream.Dialect?.RequiredHeaders.Where(required => !headers.Any(header => header.Key.Equals(required.Key, StringComparison.OrdinalIgnoreCase))) ?? []],
            SpanName = SpanNameOf(family, Model),
            Tags = TagsOf(family, Provider.Id, Model),
            HonoursMaxCompletionTokens = HonoursMaxCompletionTokens && family == EndpointFamily.Chat, // the other endpoints never knew that name
        };
    }

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

    /// <summary>All targets.</summary>
    public required TargetPlan[] Targets { get; init; }

    /// <summary>The configured route; null for <c>provider/model</c>.</summary>
    public Route? Route { get; init; }

    public DefaultMember[] Defaults { get; init; } = [];

    /// <summary>The defaults for requests in other formats; null: there are none.</summary>
    public RouteDefaults? ForeignDefaults { get; init; }

    /// <summary>Bytes that the defaults can add to a body at most; they count as input.</summary>
    public int DefaultBytes { get; init; }

    /// <summary>The names of <see cref="Defaults"/>.</summary>
    public byte[][] DefaultNames { get; init; } = [];

    private readonly TargetPlan[]?[] byFamily = new TargetPlan[EndpointFamily.All.Count][];

    /// <summary>The targets whose providers have an endpoint, or one that its calls can be translated for, prepared when they are first asked for.</summary>
    public TargetPlan[] TargetsFor(EndpointFamily family) => byFamily[family.Index] ??= [.. Targets.Select(target => target.For(family)).OfType<TargetPlan>()];
}
