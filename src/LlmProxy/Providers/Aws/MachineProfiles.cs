using System.Runtime.CompilerServices;
using Amazon;
using Amazon.Runtime;
using Amazon.Runtime.CredentialManagement;
using Amazon.SecurityToken;
using Amazon.SecurityToken.Model;

namespace LlmProxy.Providers.Aws;

/// <summary>Access keys by profiles and roles, with AWS's own library. What it connects to is connected to as the egress policy says.</summary>
/// <param name="variable">Reads an environment variable.</param>
/// <param name="region">The provider's region.</param>
/// <param name="newHandler">Makes connections.</param>
/// <param name="metadata">The roles of container and instance, where a profile builds on one of them.</param>
/// <param name="until">Up to when a key without an end is used.</param>
internal sealed class MachineProfiles(Func<string, string?> variable, string? region, Func<HttpMessageHandler> newHandler, MachineMetadata metadata, DateTimeOffset until)
{
    /// <summary>Profiles may build on each other; so many are no mistake.</summary>
    private const int MaxDepth = 8;

    private const string SessionName = "agent-gateway";

    /// <summary>The key of the role that a token in a file may take on.</summary>
    /// <exception cref="CredentialException">The file cannot be read, or the role is refused.</exception>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public async Task<Issued<AwsAccessKey>> WithWebIdentityAsync(string file, string role, string? sessionName, CancellationToken cancellationToken)
    {
        string token;
        try
        {
            token = (await File.ReadAllTextAsync(file, cancellationToken)).Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CredentialException("The file with the web identity's token (AWS_WEB_IDENTITY_TOKEN_FILE) cannot be read.");
        }
        return await AskAsync(new AnonymousAWSCredentials(), null, async service => (await service.AssumeRoleWithWebIdentityAsync(
            new AssumeRoleWithWebIdentityRequest { RoleArn = role, RoleSessionName = NameOf(sessionName), WebIdentityToken = token }, cancellationToken)).Credentials);
    }

    /// <summary>The key of the profile that <c>AWS_PROFILE</c> names, else of <c>default</c>; null: there is no such profile, and none is named.</summary>
    /// <exception cref="CredentialException">There is a profile, and no key can be had by it.</exception>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public async Task<Issued<AwsAccessKey>?> TryFindAsync(CancellationToken cancellationToken)
    {
        var named = Read("AWS_PROFILE");
        var home = Read("HOME") ?? Read("USERPROFILE");
        var path = Read("AWS_SHARED_CREDENTIALS_FILE") ?? (home is null ? null : Path.Combine(home, ".aws", "credentials"));
        var folder = path is null ? null : Path.GetDirectoryName(Path.GetFullPath(path));
        SharedCredentialsFile? profiles = null;
        if (path is not null && (File.Exists(path) || File.Exists(Path.Combine(folder!, "config")) || Read("AWS_CONFIG_FILE") is { } config && File.Exists(config)))
        {
            try
            {
                profiles = new SharedCredentialsFile(path);
            }
            catch (Exception exception) when (exception is AmazonClientException or InvalidDataException or IOException or UnauthorizedAccessException)
            {
                throw new CredentialException("AWS's credentials or config file cannot be read.");
            }
        }
        return profiles is not null && profiles.TryGetProfile(named ?? "default", out var profile) && (named is not null || !IsEmpty(profile.Options)) ? await FromAsync(profiles, profile, 0, cancellationToken)
            : named is null ? null
            : throw new CredentialException("There is no profile in AWS's credentials and config files that has the name which AWS_PROFILE says.");
    }

    private static bool IsEmpty(CredentialProfileOptions options) =>
        options is { AccessKey: null, RoleArn: null, CredentialProcess: null, CredentialSource: null, WebIdentityTokenFile: null, SsoAccountId: null, SsoSession: null, SsoStartUrl: null, LoginSession: null };

    private async Task<Issued<AwsAccessKey>> FromAsync(SharedCredentialsFile profiles, CredentialProfile profile, int depth, CancellationToken cancellationToken)
    {
        var options = profile.Options;
        if (options.RoleArn is null || (depth > 0 && options.AccessKey is not null))
        {
            return options switch
            {
                { AccessKey: not null, SecretKey: not null } => AwsAccessKey.Issue(options.AccessKey, options.SecretKey, options.Token, until),
                { CredentialProcess: not null } => await FromProgramAsync(options.CredentialProcess, cancellationToken),
                _ => throw new CredentialException("The profile of AWS that is to be used has no access key, no role and no credential_process; profiles that sign in (sso_session, login_session) are not followed."),
            };
        }
        if (options.MfaSerial is not null)
        {
            throw new CredentialException("The profile of AWS that is to be used asks for a code of a second device (mfa_serial), which nobody can type here.");
        }
        if (options.WebIdentityTokenFile is { } file)
        {
            return await WithWebIdentityAsync(file, options.RoleArn, options.RoleSessionName, cancellationToken);
        }
        var source = options switch
        {
            { SourceProfile: { } name } => depth < MaxDepth && profiles.TryGetProfile(name, out var other) ? await FromAsync(profiles, other, depth + 1, cancellationToken)
                : throw new CredentialException("The profile of AWS that is to be used builds on one that does not exist, or on itself (source_profile)."),
            { CredentialSource: "Ec2InstanceMetadata" } => await metadata.FromInstanceAsync(cancellationToken),
            { CredentialSource: "EcsContainer" } => await metadata.FromContainerAsync(cancellationToken),
            { CredentialSource: "Environment" } => AwsAccessKey.Issue(Read("AWS_ACCESS_KEY_ID"), Read("AWS_SECRET_ACCESS_KEY"), Read("AWS_SESSION_TOKEN"), until),
            _ => throw new CredentialException("The profile of AWS that is to be used names a role, but neither source_profile nor credential_source of Environment, EcsContainer or Ec2InstanceMetadata."),
        };
        var (id, secret, session) = source.Value;
        AWSCredentials keys = session is null ? new BasicAWSCredentials(id, secret) : new SessionAWSCredentials(id, secret, session);
        return await AskAsync(keys, profile.Region, async service => (await service.AssumeRoleAsync(
            new AssumeRoleRequest { RoleArn = options.RoleArn, RoleSessionName = NameOf(options.RoleSessionName), ExternalId = options.ExternalID }, cancellationToken)).Credentials);
    }

    private async Task<Issued<AwsAccessKey>> FromProgramAsync(string command, CancellationToken cancellationToken)
    {
        try
        {
            var program = new ProcessAWSCredentials(command);
            var keys = await program.GetCredentialsAsync().WaitAsync(cancellationToken); // it heeds no token
            return AwsAccessKey.Issue(keys.AccessKey, keys.SecretKey, keys.Token, program.Expiration is { } end ? new DateTimeOffset(end.ToUniversalTime(), TimeSpan.Zero) : until);
        }
        catch (Exception exception) when (exception is ProcessAWSCredentialException or AmazonClientException or ArgumentException or InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            // What it wrote may hold a key.
            throw new CredentialException("The program that the profile of AWS names (credential_process) gave no access key.");
        }
    }

    private async Task<Issued<AwsAccessKey>> AskAsync(AWSCredentials keys, RegionEndpoint? own, Func<AmazonSecurityTokenServiceClient, Task<Credentials>> ask)
    {
        var clients = new Clients(newHandler);
        var settings = new AmazonSecurityTokenServiceConfig { HttpClientFactory = clients, MaxErrorRetry = 1, Timeout = TimeSpan.FromSeconds(10) };
        if (Read("AWS_ENDPOINT_URL_STS") is { } address)
        {
            settings.ServiceURL = address;
            settings.AuthenticationRegion = Read("AWS_REGION") ?? Read("AWS_DEFAULT_REGION") ?? region ?? "us-east-1";
        }
        else
        {
            settings.RegionEndpoint = (Read("AWS_REGION") ?? Read("AWS_DEFAULT_REGION")) is { } usual ? RegionEndpoint.GetBySystemName(usual) : own ?? RegionEndpoint.GetBySystemName(region ?? "us-east-1");
        }
        try
        {
            using var service = new AmazonSecurityTokenServiceClient(keys, settings);
            var lent = await ask(service);
            return AwsAccessKey.Issue(lent.AccessKeyId, lent.SecretAccessKey, lent.SessionToken, lent.Expiration is { } end ? new DateTimeOffset(end.ToUniversalTime(), TimeSpan.Zero) : default);
        }
        catch (AmazonServiceException exception) when (exception.ErrorCode is { Length: > 0 and < 64 } code && code.All(char.IsAsciiLetter))
        {
            throw new CredentialException($"AWS's token service refused to lend the role's access key: {code}.");
        }
    }

    // The library's rule: 2 to 64 of these characters.
    private static string NameOf(string? given) => given is { Length: >= 2 and <= 64 } && given.All(c => char.IsAsciiLetterOrDigit(c) || "_=,.@-".Contains(c)) ? given : SessionName;

    private string? Read(string name) => variable(name)?.Trim() is { Length: > 0 } value ? value : null;

    /// <summary>Lets the library connect as the egress policy says.</summary>
    private sealed class Clients(Func<HttpMessageHandler> newHandler) : HttpClientFactory
    {
        public override HttpClient CreateHttpClient(IClientConfig clientConfig) => new(newHandler());

        public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => false;

        public override bool DisposeHttpClientsAfterUse(IClientConfig clientConfig) => true;
    }
}
