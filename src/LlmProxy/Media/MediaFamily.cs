using LlmProxy.Providers;
using LlmProxy.Routing;
using Shared.Snapshots;

namespace LlmProxy.Media;

/// <summary>An endpoint that is relayed in a way of its own, as targets and telemetry know it.</summary>
internal sealed class MediaFamily : UnreadFamily
{
    private static readonly string[] Forwarded = ["idempotency-key", "openai-beta"];

    public MediaFamily(string id, string path, string operation)
        : base(id, path, operation, nameof(MediaRelay)) => HasOutput = true;

    public override IReadOnlyList<string> ForwardedHeaders => Forwarded;

    /// <summary>Whether a provider has it.</summary>
    public bool IsAt(Provider provider) => ProviderEndpoints.Has(provider, this);

    /// <summary>A target, prepared for it.</summary>
    public TargetPlan Prepare(TargetPlan target)
    {
        var address = ProviderEndpoints.AddressOf(target.Provider, this, target.Model, stream: false);
        return target with
        {
            Family = this,
            Upstream = this,
            Address = address,
            StreamAddress = address,
            // An endpoint may want its credential in another place than the provider's others.
            Headers = target.Provider.EndpointAddresses.TryGetValue(Id, out var known) && known.Auth is not null ? ProviderHeaders.Of(target.Provider, Id) : target.Headers,
            SpanName = TargetPlan.SpanNameOf(this, target.Model),
            Tags = TargetPlan.TagsOf(this, target.Provider.Id, target.Model),
        };
    }
}
