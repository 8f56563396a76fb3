using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Azure.Core;
using Azure.Core.Pipeline;
using Azure.Identity;
using Shared.Snapshots;

namespace LlmProxy.Providers.Azure;

/// <summary>
/// Tokens of Microsoft Entra ID: for an application with a secret, else for the workload identity that the platform gave the process, else for the machine's managed identity.
/// </summary>
internal sealed partial class AzureTokens(ProviderCredentials credentials, Func<HttpMessageHandler> newHandler)
{
    /// <summary>The scope of Azure OpenAI and the other model services.</summary>
    private const string UsualScope = "https://cognitiveservices.azure.com/.default";

    private readonly Lock gate = new();
    private object? credential;

    // Each method that names a type of the library stands alone: the library is loaded when it runs.
    [MethodImpl(MethodImplOptions.NoInlining)]
    public async Task<IssuedToken> AcquireAsync(CancellationToken cancellationToken)
    {
        try
        {
            var token = await Credential().GetTokenAsync(new TokenRequestContext([credentials.Scope ?? UsualScope]), cancellationToken);
            return new IssuedToken(token.Token, token.ExpiresOn);
        }
        catch (AuthenticationFailedException exception) when (CodeIn(exception) is { } code)
        {
            // The rest of the message repeats ids and what the service said.
            throw new CredentialException($"Microsoft Entra ID refused: {code}.");
        }
    }

    private TokenCredential Credential()
    {
        lock (gate)
        {
            return (TokenCredential)(credential ??= NewCredential());
        }
    }

    private TokenCredential NewCredential()
    {
        if (credentials.ClientSecret is { } secret)
        {
            var options = With(new ClientSecretCredentialOptions { DisableInstanceDiscovery = credentials.Authority is not null });
            return new ClientSecretCredential(credentials.TenantId, credentials.ClientId, secret.Reveal(), options);
        }
        if (Environment.GetEnvironmentVariable("AZURE_FEDERATED_TOKEN_FILE") is { Length: > 0 })
        {
            var options = With(new WorkloadIdentityCredentialOptions { DisableInstanceDiscovery = credentials.Authority is not null });
            options.TenantId = credentials.TenantId ?? options.TenantId;
            options.ClientId = credentials.ClientId ?? options.ClientId;
            return new WorkloadIdentityCredential(options);
        }
        var identity = credentials.ClientId is { } id ? ManagedIdentityId.FromUserAssignedClientId(id) : ManagedIdentityId.SystemAssigned;
        return new ManagedIdentityCredential(With(new ManagedIdentityCredentialOptions(identity)));
    }

    private TOptions With<TOptions>(TOptions options) where TOptions : TokenCredentialOptions
    {
        options.Transport = new HttpClientTransport(newHandler());
        options.Diagnostics.IsLoggingEnabled = false;
        options.Diagnostics.IsTelemetryEnabled = false;
        options.Diagnostics.IsDistributedTracingEnabled = false;
        options.Retry.MaxRetries = 1;
        options.Retry.NetworkTimeout = TimeSpan.FromSeconds(10);
        if (credentials.Authority is { } authority)
        {
            options.AuthorityHost = authority;
        }
        return options;
    }

    private static string? CodeIn(Exception? exception)
    {
        for (; exception is not null; exception = exception.InnerException)
        {
            if (Code().Match(exception.Message) is { Success: true } match)
            {
                return match.Value;
            }
        }
        return null;
    }

    [GeneratedRegex(@"\bAADSTS[0-9]{1,10}\b")]
    private static partial Regex Code();
}
