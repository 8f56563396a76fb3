using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using LlmProxy.Providers.Aws;
using LlmProxy.Providers.Azure;
using LlmProxy.Providers.Google;
using Microsoft.Extensions.Logging;
using Shared.Egress;
using Shared.Snapshots;

namespace LlmProxy.Providers;

/// <summary>
/// The authorizers of providers whose credential is no fixed key, kept across snapshots so that tokens are not fetched anew. Nothing of a vendor's library is loaded before
/// the first request of such a provider.
/// </summary>
internal sealed class RequestAuthorizers(EgressPolicy egress, TimeProvider clock, ILogger<RequestAuthorizers> logger, SnapshotPaths? paths = null)
{
    /// <summary>More than this are only kept by targets in use; configurations come and go.</summary>
    private const int MaxKept = 256;

    private readonly Func<string, string?> variable = paths?.Environment ?? Environment.GetEnvironmentVariable;
    private readonly ConcurrentDictionary<(string Scheme, string Provider, ProviderCredentials Credentials, string? Region, EgressTrust Trust), RequestAuthorizer> kept = new();

    /// <summary>The authorizer of a provider's requests; null: its fixed headers say it all.</summary>
    public RequestAuthorizer? For(Provider provider)
    {
        // A key is sent as it is, whatever else the scheme can do.
        if (provider.ApiKey is not null || provider.Auth?.Scheme is not (ProviderAuth.Google or ProviderAuth.Azure or ProviderAuth.Aws))
        {
            return null;
        }
        var key = (provider.Auth.Scheme, provider.Id, provider.Credentials ?? new ProviderCredentials(), provider.Region, provider.FromAdminApi ? EgressTrust.Remote : EgressTrust.Operator);
        if (kept.TryGetValue(key, out var authorizer))
        {
            return authorizer;
        }
        if (kept.Count >= MaxKept)
        {
            kept.Clear();
        }
        return kept.GetOrAdd(key, New);
    }

    private RequestAuthorizer New((string Scheme, string Provider, ProviderCredentials Credentials, string? Region, EgressTrust Trust) key)
    {
        var account = $"provider '{key.Provider}'";
        SocketsHttpHandler NewHandler() => egress.NewHandler($"{account} (token)", key.Trust);
        if (key.Scheme == ProviderAuth.Aws)
        {
            var machine = new MachineKeys(variable, key.Region, NewHandler, clock);
            return new AwsAuthorizer(key.Provider, key.Credentials, key.Region, variable, new KeptCredential<AwsAccessKey>(account, "access key", machine.AcquireAsync, clock, logger), clock, logger);
        }
        var acquire = key.Scheme == ProviderAuth.Google ? Google(key.Credentials, NewHandler) : Azure(key.Credentials, NewHandler);
        return new TokenAuthorizer(new TokenSource(account, acquire, clock, logger));
    }

    // Each stands alone: to load the types that they name is to load the vendor's library.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private Func<CancellationToken, Task<IssuedToken>> Google(ProviderCredentials credentials, Func<HttpMessageHandler> newHandler) => new GoogleTokens(credentials, variable, newHandler, clock).AcquireAsync;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Func<CancellationToken, Task<IssuedToken>> Azure(ProviderCredentials credentials, Func<HttpMessageHandler> newHandler) => new AzureTokens(credentials, newHandler).AcquireAsync;
}
