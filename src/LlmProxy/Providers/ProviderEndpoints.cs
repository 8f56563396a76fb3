using LlmProxy.Dialects;
using LlmProxy.Routing;
using Shared.Snapshots;

namespace LlmProxy.Providers;

/// <summary>Which endpoints a provider has, and where.</summary>
internal static class ProviderEndpoints
{
    private const string SimulatorAddress = "http://simulator.invalid/v1";

    // What the built-in provider answers.
    private static readonly string[] Simulated = ["chat", "completions", "embeddings", "moderations"];

    /// <summary>Whether a provider has an endpoint.</summary>
    public static bool Has(Provider provider, EndpointFamily family) =>
        provider.Dialect == ProviderDialects.Simulator ? Simulated.Contains(family.Id) : provider.HasEndpoint(family.Id);

    /// <summary>The endpoint at which a provider's models generate, for calls that are translated; null: it has none.</summary>
    public static EndpointFamily? GenerativeOf(Provider provider)
    {
        var family = EndpointFamily.Of(provider.Dialect == ProviderDialects.Simulator ? DialectIds.OpenAiChat : provider.Dialect);
        return family is not null && Has(provider, family) ? family : null;
    }

    /// <summary>The address of an endpoint.</summary>
    public static Uri AddressOf(Provider provider, EndpointFamily family, string model, bool stream)
    {
        if (provider.EndpointAddresses.TryGetValue(family.Id, out var address))
        {
            return address.For(model, stream);
        }
        var root = provider.Dialect == ProviderDialects.Simulator ? SimulatorAddress : provider.BaseAddress!.AbsoluteUri.TrimEnd('/');
        return ProviderAddresses.Of(root, [family.Id])[family.Id].For(model, stream);
    }
}
