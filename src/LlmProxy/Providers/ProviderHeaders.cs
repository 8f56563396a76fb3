using LlmProxy.Dialects;
using Shared.Snapshots;

namespace LlmProxy.Providers;

/// <summary>The fixed headers of requests to a provider: its key, those that are configured, and ours.</summary>
internal static class ProviderHeaders
{
    private const string UserAgent = "agent-gateway";

    /// <summary>The headers of requests to one of a provider's endpoints.</summary>
    /// <param name="provider">The provider.</param>
    /// <param name="endpoint">The endpoint's id; null: those of the provider's usual scheme.</param>
    public static KeyValuePair<string, string>[] Of(Provider provider, string? endpoint = null)
    {
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase)
        {
            ["Accept-Encoding"] = "identity", // what the relay cannot read, it cannot bill
            ["User-Agent"] = UserAgent,
        };
        if (provider.ApiKey is { } key)
        {
            var special = endpoint is not null && provider.EndpointAddresses.TryGetValue(endpoint, out var address) ? address.Auth : null;
            var (name, value) = (special ?? provider.Auth?.Scheme ?? UsualAuthOf(provider.Dialect)) switch
            {
                ProviderAuth.Bearer or ProviderAuth.Aws or ProviderAuth.Google or ProviderAuth.Azure => ("Authorization", "Bearer " + key),
                ProviderAuth.None => ("", ""),
                var header => (header, key),
            };
            if (name.Length > 0)
            {
                headers[name] = value;
            }
        }
        foreach (var (name, value) in provider.Headers)
        {
            headers[name] = value;
        }
        headers["Accept-Encoding"] = "identity";
        return [.. headers];
    }

    private static string UsualAuthOf(string dialect) => dialect switch
    {
        DialectIds.Anthropic => "x-api-key",
        DialectIds.Gemini => "x-goog-api-key",
        _ => ProviderAuth.Bearer,
    };
}
