using System.Net;
using System.Text.Json;
using Shared.Egress;

namespace LlmProxy.Providers.Aws;

/// <summary>
/// The access key of the role that a container or a virtual machine has, from the service beside it
/// (docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html, docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html).
/// </summary>
/// <param name="variable">Reads an environment variable.</param>
/// <param name="newHandler">Makes connections, under the egress policy: these services have link-local addresses, which must have been allowed.</param>
internal sealed class MachineMetadata(Func<string, string?> variable, Func<HttpMessageHandler> newHandler)
{
    private const string ContainerAddress = "http://169.254.170.2";
    private const string InstanceAddress = "http://169.254.169.254";
    private const string InstanceAddressV6 = "http://[fd00:ec2::254]";
    private const string RolesPath = "/latest/meta-data/iam/security-credentials/";
    private const int MaxAnswerBytes = 64 * 1024;

    /// <summary>Where plain HTTP may carry the container's token: this machine, ECS, EKS Pod Identity.</summary>
    private static readonly IPAddress[] PlainHosts = [IPAddress.Parse("169.254.170.2"), IPAddress.Parse("169.254.170.23"), IPAddress.Parse("fd00:ec2::23")];

    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(5);

    /// <summary>The container's key where there is a container, else the instance's.</summary>
    /// <exception cref="CredentialException">There is neither, or it cannot be had.</exception>
    public Task<Issued<AwsAccessKey>> AcquireAsync(CancellationToken cancellationToken) => HasContainer ? FromContainerAsync(cancellationToken) : FromInstanceAsync(cancellationToken);

    /// <summary>The key of the container's role.</summary>
    /// <exception cref="CredentialException">There is no container, or it has no role, or its key cannot be had.</exception>
    public Task<Issued<AwsAccessKey>> FromContainerAsync(CancellationToken cancellationToken) => AskAsync("the container's role", async client =>
    {
        var given = Read("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") is { } relative ? ContainerAddress + relative : Read("AWS_CONTAINER_CREDENTIALS_FULL_URI")
            ?? throw new CredentialException("There is no container's role of AWS: neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set.");
        if (!Uri.TryCreate(given, UriKind.Absolute, out var address) || !IsTrusted(address))
        {
            throw new CredentialException("AWS_CONTAINER_CREDENTIALS_FULL_URI is no address that a container's key may come from: https://, or http:// at this machine, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23].");
        }
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        if (await ReadTokenAsync(cancellationToken) is { } token)
        {
            request.Headers.TryAddWithoutValidation("Authorization", token);
        }
        return Parse(await SendAsync(client, request, cancellationToken));
    });

    /// <summary>The key of the instance's role, by version 2 of its metadata service.</summary>
    /// <exception cref="CredentialException">There is no instance, or it has no role, or its key cannot be had.</exception>
    public Task<Issued<AwsAccessKey>> FromInstanceAsync(CancellationToken cancellationToken) => AskAsync("the instance's role", async client =>
    {
        if (string.Equals(Read("AWS_EC2_METADATA_DISABLED"), "true", StringComparison.OrdinalIgnoreCase))
        {
            throw new CredentialException("There is no access key of AWS: not in the configuration, the environment, a profile or a container; and AWS_EC2_METADATA_DISABLED forbids to ask the machine.");
        }
        var given = Read("AWS_EC2_METADATA_SERVICE_ENDPOINT") ?? (string.Equals(Read("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"), "IPv6", StringComparison.OrdinalIgnoreCase) ? InstanceAddressV6 : InstanceAddress);
        if (!Uri.TryCreate(given, UriKind.Absolute, out var address) || (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps))
        {
            throw new CredentialException("AWS_EC2_METADATA_SERVICE_ENDPOINT is no http:// address.");
        }
        using var opening = new HttpRequestMessage(HttpMethod.Put, new Uri(address, "/latest/api/token")) { Headers = { { "X-aws-ec2-metadata-token-ttl-seconds", "60" } } };
        var session = (await SendAsync(client, opening, cancellationToken)).Trim();
        var role = (await GetAsync(client, new Uri(address, RolesPath), session, cancellationToken)).Split('\n')[0].Trim();
        return Parse(await GetAsync(client, new Uri(address, RolesPath + Uri.EscapeDataString(role)), session, cancellationToken));
    });

    private bool HasContainer => Read("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") is not null || Read("AWS_CONTAINER_CREDENTIALS_FULL_URI") is not null;

    private static bool IsTrusted(Uri address) => address.Scheme == Uri.UriSchemeHttps
        || (address.Scheme == Uri.UriSchemeHttp && (address.IsLoopback || (IPAddress.TryParse(address.IdnHost, out var host) && PlainHosts.Contains(host))));

    private string? Read(string name) => variable(name)?.Trim() is { Length: > 0 } value ? value : null;

    private async Task<string?> ReadTokenAsync(CancellationToken cancellationToken)
    {
        if (Read("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") is not { } file)
        {
            return Read("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        }
        try
        {
            var token = (await File.ReadAllTextAsync(file, cancellationToken)).Trim();
            return token.AsSpan().ContainsAny('\r', '\n') ? throw new CredentialException("The file that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names holds more than one line.") : token;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CredentialException("The file that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names cannot be read.");
        }
    }

    private async Task<Issued<AwsAccessKey>> AskAsync(string role, Func<HttpClient, Task<Issued<AwsAccessKey>>> ask)
    {
        using var client = new HttpClient(newHandler()) { Timeout = AnswerTimeout, MaxResponseContentBufferSize = MaxAnswerBytes };
        try
        {
            return await ask(client);
        }
        catch (Exception exception) when (EgressRefusedException.Causes(exception))
        {
            throw new CredentialException(
                $"There is no access key of AWS in the configuration, the environment or a profile, and {role} was not asked for, as the egress policy refuses the address of the service that lends its key; list the address under egress.allow where that key is to be used.");
        }
        catch (Exception exception) when (exception is (HttpRequestException and not CredentialException) or TaskCanceledException { InnerException: TimeoutException })
        {
            throw new CredentialException($"There is no access key of AWS in the configuration, the environment or a profile, and the service that lends the key of {role} does not answer.");
        }
    }

    private static Task<string> GetAsync(HttpClient client, Uri address, string session, CancellationToken cancellationToken)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, address);
        request.Headers.TryAddWithoutValidation("X-aws-ec2-metadata-token", session);
        return SendAsync(client, request, cancellationToken);
    }

    private static async Task<string> SendAsync(HttpClient client, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var response = await client.SendAsync(request, cancellationToken);
        return response.StatusCode == HttpStatusCode.OK
            ? await response.Content.ReadAsStringAsync(cancellationToken)
            : throw new CredentialException($"The service that lends the machine's access key of AWS answered with status {(int)response.StatusCode}{(response.StatusCode == HttpStatusCode.NotFound ? ": the machine has no role" : "")}.");
    }

    private static Issued<AwsAccessKey> Parse(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var root = document.RootElement;
            return AwsAccessKey.Issue(root.GetProperty("AccessKeyId").GetString(), root.GetProperty("SecretAccessKey").GetString(), root.GetProperty("Token").GetString(), root.GetProperty("Expiration").GetDateTimeOffset());
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new CredentialException("The service that lends the machine's access key of AWS answered with no key.");
        }
    }
}
