namespace LlmProxy.Providers.Aws;

/// <summary>
/// The access key that a machine lends to what runs on it, looked for as AWS's own SDKs look after the environment variables
/// (docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html): the web identity of a pod (IRSA), a profile, the container's role (ECS, EKS Pod Identity), the
/// instance's role (EC2). Their own search is not used, as it connects past the egress policy.
/// </summary>
/// <param name="variable">Reads an environment variable; null or "": it is not set.</param>
/// <param name="region">The provider's region, for AWS's token service where neither the profile nor the environment has one.</param>
/// <param name="newHandler">Makes connections, under the egress policy.</param>
/// <param name="clock">Tells the time.</param>
internal sealed class MachineKeys(Func<string, string?> variable, string? region, Func<HttpMessageHandler> newHandler, TimeProvider clock)
{
    /// <summary>A key that has no end is looked up again after this long: its file may have changed.</summary>
    private static readonly TimeSpan FileHolds = TimeSpan.FromMinutes(15);

    private readonly MachineMetadata metadata = new(variable, newHandler);

    /// <summary>Finds the key.</summary>
    /// <exception cref="CredentialException">The machine lends none.</exception>
    public async Task<Issued<AwsAccessKey>> AcquireAsync(CancellationToken cancellationToken)
    {
        var until = clock.GetUtcNow() + FileHolds;
        return variable("AWS_WEB_IDENTITY_TOKEN_FILE") is { Length: > 0 } file && variable("AWS_ROLE_ARN") is { Length: > 0 } role
            ? await Profiles(until).WithWebIdentityAsync(file, role, variable("AWS_ROLE_SESSION_NAME"), cancellationToken)
            : await Profiles(until).TryFindAsync(cancellationToken) ?? await metadata.AcquireAsync(cancellationToken);
    }

    // AWS's library is loaded here, and not before.
    private MachineProfiles Profiles(DateTimeOffset until) => new(variable, region, newHandler, metadata, until);
}
