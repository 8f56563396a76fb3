using Shared.Configuration;

namespace Shared.Snapshots;

/// <summary>The account by which a provider's short-lived tokens or signatures are made, for the schemes <c>google</c>, <c>azure</c> and <c>aws</c>. Which members count depends on the scheme; without any, it is the account that the machine has.</summary>
public sealed record ProviderCredentials
{
    /// <summary>Google: the text of a credentials file (service account, authorized user, or workload identity federation).</summary>
    public Secret? Json { get; init; }

    /// <summary>Azure: the directory of the application.</summary>
    public string? TenantId { get; init; }

    /// <summary>Azure: the application, or the user-assigned managed identity.</summary>
    public string? ClientId { get; init; }

    /// <summary>Azure: the application's secret.</summary>
    public Secret? ClientSecret { get; init; }

    /// <summary>Azure: where tokens are had; null: the public cloud's.</summary>
    public Uri? Authority { get; init; }

    /// <summary>Google, Azure: the scope that tokens are asked for; null: the scheme's usual one.</summary>
    public string? Scope { get; init; }

    /// <summary>AWS: the id of an access key.</summary>
    public string? AccessKeyId { get; init; }

    /// <summary>AWS: its secret.</summary>
    public Secret? SecretAccessKey { get; init; }

    /// <summary>AWS: the token of a temporary access key.</summary>
    public Secret? SessionToken { get; init; }
}
