using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;

namespace LlmProxy.Providers.Aws;

/// <summary>Signs requests with AWS Signature Version 4. The body is hashed as it would be sent, slice by slice, without a copy.</summary>
/// <param name="provider">The provider's id, for messages.</param>
/// <param name="credentials">The configured access key; where it has none, the usual environment variables are read.</param>
/// <param name="region">The configured region; null: that in the host's name.</param>
/// <param name="variable">Reads an environment variable.</param>
/// <param name="machine">The key that the machine lends; asked for where there is no other.</param>
/// <param name="clock">The clock.</param>
/// <param name="logger">Receives failures.</param>
internal sealed class AwsAuthorizer(
    string provider, ProviderCredentials credentials, string? region, Func<string, string?> variable, KeptCredential<AwsAccessKey> machine, TimeProvider clock, ILogger logger) : RequestAuthorizer
{
    private const string Service = "bedrock";

    /// <summary>The domains of AWS's partitions, each with that of its hosts that have IPv6, too.</summary>
    private static readonly string[] Domains = [".amazonaws.com", ".api.aws", ".amazonaws.com.cn", ".api.amazonwebservices.com.cn", ".amazonaws.eu", ".api.amazonwebservices.eu"];

    /// <inheritdoc/>
    public override bool NeedsContent => true;

    /// <inheritdoc/>
    public override async ValueTask AuthorizeAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var address = request.RequestUri!;
        var key = await FindKeyAsync(address.IdnHost, cancellationToken);
        var now = clock.GetUtcNow();
        var hash = request.Content is { } content ? await HashAsync(content, cancellationToken) : SigV4.Hash(default);
        var headers = new Dictionary<string, string>
        {
            ["host"] = address.IsDefaultPort ? address.IdnHost : $"{address.IdnHost}:{address.Port}",
            ["x-amz-date"] = SigV4.Stamp(now),
            ["x-amz-content-sha256"] = hash,
        };
        if (key.SessionToken is not null)
        {
            headers["x-amz-security-token"] = key.SessionToken;
        }
        var authorization = SigV4.Authorization(key, region ?? RegionOf(address.IdnHost, variable), Service, now, request.Method.Method, address.AbsolutePath, address.Query.TrimStart('?'), headers, hash);
        foreach (var (name, value) in headers)
        {
            if (name != "host")
            {
                request.Headers.Remove(name);
                request.Headers.TryAddWithoutValidation(name, value);
            }
        }
        request.Headers.Remove("Authorization");
        request.Headers.TryAddWithoutValidation("Authorization", authorization);
    }

    /// <summary>
    /// The region in a host's name, which stands behind the service's: <c>bedrock-runtime[-fips].{region}.amazonaws.com</c>, <c>….api.aws</c>,
    /// <c>vpce-….bedrock-runtime.{region}.vpce.amazonaws.com</c>; elsewhere that of the environment, or <c>us-east-1</c>.
    /// </summary>
    internal static string RegionOf(string host, Func<string, string?> variable)
    {
        var labels = IsAws(host) ? host.Split('.') : [];
        var service = Array.FindIndex(labels, label => label.StartsWith("bedrock", StringComparison.OrdinalIgnoreCase));
        return service >= 0 && service + 2 < labels.Length ? labels[service + 1].ToLowerInvariant() : Read(variable, "AWS_REGION") ?? Read(variable, "AWS_DEFAULT_REGION") ?? "us-east-1";
    }

    private static bool IsAws(string host) =>
        Array.Exists(Domains, domain => host.EndsWith(domain, StringComparison.OrdinalIgnoreCase));

    private static string? Read(Func<string, string?> variable, string name) => variable(name)?.Trim() is { Length: > 0 } value ? value : null;

    private static async Task<string> HashAsync(HttpContent content, CancellationToken cancellationToken)
    {
        if (content is Relay.IHashedContent held)
        {
            return held.Hash();
        }
        using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        sha.AppendData(await content.ReadAsByteArrayAsync(cancellationToken));
        return Convert.ToHexStringLower(sha.GetHashAndReset());
    }

    private ValueTask<AwsAccessKey> FindKeyAsync(string host, CancellationToken cancellationToken)
    {
        if (credentials is { AccessKeyId: { } id, SecretAccessKey: { } secret })
        {
            return ValueTask.FromResult(new AwsAccessKey(id, secret.Reveal(), credentials.SessionToken?.Reveal()));
        }
        // The environment's key, and what the machine lends, are made for AWS alone: their session tokens must go nowhere else.
        if (!IsAws(host))
        {
            const string Problem = "set 'credentials.accessKeyId' and 'secretAccessKey', or an API key; keys of the environment and the machine are used for hosts of AWS alone";
            logger.NoCredential("access key", $"provider '{provider}'", Problem);
            throw new CredentialException($"The provider '{provider}' has no access key: {Problem}.");
        }
        return Read(variable, "AWS_ACCESS_KEY_ID") is { } usual && Read(variable, "AWS_SECRET_ACCESS_KEY") is { } usualSecret
            ? ValueTask.FromResult(new AwsAccessKey(usual, usualSecret, Read(variable, "AWS_SESSION_TOKEN")))
            : machine.GetAsync(cancellationToken);
    }
}
